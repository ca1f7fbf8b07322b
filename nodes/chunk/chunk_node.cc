#include "nodes/chunk/chunk_node.h"

#include "core/chunk/append_disks.h"
#include "core/env/nursery.h"
#include "core/rpc/client.h"
#include "core/rpc/server.h"
#include "nodes/chunk/append_service.h"
#include "nodes/chunk/append_worker.h"
#include "nodes/chunk/shard_service.h"
#include "nodes/chunk/shard_uploads.h"
#include "nodes/chunk/shard_verdicts.h"
#include "nodes/client/metadata_calls.h"

namespace dogfs::nodes {
namespace {

constexpr size_t kHandlersPerConnection = 64;

}  // namespace

// Everything of a server, in the order of dependence; the second half when its store is open.
struct ChunkNode::Parts {
  Parts(Env& env, const ChunkNodeOptions& options, std::optional<chunk::StoreIdentity> identity)
      : rpc_client(env, {.cluster = identity ? identity->cluster : options.cluster,
                         .node = identity ? identity->node : NodeId(),
                         .store = identity ? identity->store : StoreId(),
                         .credentials = {}}),
        metadata(env, rpc_client,
                 {.servers = options.metadata, .attempt_limit = 2 * options.heartbeat_interval}) {}

  struct Serving {
    struct Disks {
      chunk::Disks& shards;
      std::unique_ptr<chunk::AppendDisks> logs;
    };
    Serving(Env& env, const ChunkNodeOptions& options, rpc::Client& rpc, MetadataCalls& metadata,
            Disks opened, Registration registration)
        : disks(opened.shards),
          logs(std::move(opened.logs)),
          uploads(env, disks, options.upload_silence),
          service(disks, *logs, uploads),
          worker({.env = env,
                  .rpc = rpc,
                  .metadata = metadata,
                  .logs = *logs,
                  .cluster = disks.identity().cluster,
                  .shard_lag = options.shard_lag}),
          appends({.env = env,
                   .rpc = rpc,
                   .metadata = metadata,
                   .logs = *logs,
                   .cluster = disks.identity().cluster,
                   .node = disks.identity().node,
                   .limits = options.append},
                  worker),
          compactor({.env = env, .rpc = rpc, .metadata = metadata, .options = options.compaction}),
          verdicts(env, disks, *logs),
          scrub(env, {disks, *logs, verdicts}, options.scrub),
          heartbeat(env, {metadata, disks, *logs, uploads, worker, compactor, verdicts, scrub},
                    std::move(registration), options.heartbeat_interval),
          server(env,
                 {.cluster = disks.identity().cluster,
                  .node = disks.identity().node,
                  .store = disks.identity().store,
                  .credentials = {}},
                 {}, {.handlers_per_connection = kHandlersPerConnection}) {
      service.register_with(server);
      appends.register_with(server);
    }
    chunk::Disks& disks;
    std::unique_ptr<chunk::AppendDisks> logs;
    ShardUploads uploads;
    ShardService service;
    AppendWorker worker;
    AppendService appends;
    Compactor compactor;
    ShardVerdicts verdicts;
    Scrub scrub;
    Heartbeat heartbeat;
    rpc::Server server;
  };

  rpc::Client rpc_client;
  MetadataCalls metadata;
  std::optional<Serving> serving;
};

ChunkNode::ChunkNode(Env& env, ChunkNodeOptions options)
    : env_(env), options_(std::move(options)), failed_(env) {}

ChunkNode::~ChunkNode() = default;

NodeId ChunkNode::id() const {
  return parts_ && parts_->serving ? disks_->identity().node : NodeId();
}

const placement::ClusterMap& ChunkNode::cluster_map() const {
  static const placement::ClusterMap kEmpty;
  return parts_ && parts_->serving ? parts_->serving->heartbeat.cluster_map() : kEmpty;
}

uint64_t ChunkNode::copied_bytes() const {
  return parts_ && parts_->serving ? parts_->serving->server.stats().copied_bytes : 0;
}

Task<Result<void>> ChunkNode::run() {
  disks_ = std::make_unique<chunk::Disks>(
      env_, chunk::DisksOptions{options_.directories, options_.replace_lost});
  CO_TRY(identity, co_await disks_->identify());
  if (!identity && !options_.format_if_blank)
    co_return fail(Code::kNotFound, "no data directory of this server has been formatted yet");
  if (identity && options_.cluster && identity->cluster != options_.cluster)
    co_return fail(Code::kPrecondition,
                   "this data directory belongs to cluster {:016x}, not to {:016x}",
                   identity->cluster.value, options_.cluster.value);
  parts_ = std::make_unique<Parts>(env_, options_, identity);
  CO_TRY(listener, env_.network().listen(options_.listen));
  co_await nursery(env_, [&](Nursery& children) {
    return serve(children, std::move(identity), std::move(listener));
  });
  co_return fail(failure_.value_or(Error{Code::kClosed, "stopped"}));
}

Task<> ChunkNode::serve(Nursery& children, std::optional<chunk::StoreIdentity> identity,
                        std::unique_ptr<Listener> listener) {
  children.spawn(parts_->rpc_client.run());
  auto opened = co_await open(std::move(identity), listener->address());
  if (!opened) {
    failure_ = std::move(opened).error();
    co_return;
  }
  children.spawn(parts_->serving->logs->run());
  children.spawn(parts_->serving->worker.run());
  children.spawn(parts_->serving->compactor.run());
  children.spawn(parts_->serving->appends.run());
  children.spawn(parts_->serving->uploads.run());
  children.spawn(parts_->serving->server.serve(std::move(listener)));
  children.spawn(watch_disks());
  children.spawn(parts_->serving->verdicts.run());
  children.spawn(parts_->serving->scrub.run());
  children.spawn(stay_known());
  while (!failure_) co_await failed_.wait();
}

Task<Result<void>> ChunkNode::open(std::optional<chunk::StoreIdentity> identity,
                                   Address listening) {
  Address address = options_.advertise;
  if (address.port == 0) address.port = listening.port;
  Registration registration{.node = {},
                            .store = {},
                            .name = options_.name,
                            .zone = options_.zone,
                            .address = std::move(address)};
  if (!identity) {
    CO_TRY(joined, co_await join(registration));
    identity = joined;
  }
  CO_TRY_VOID(co_await disks_->open(*identity));
  registration.node = identity->node;
  registration.store = identity->store;
  CO_TRY(logs, co_await chunk::AppendDisks::open(env_, *disks_));
  parts_->serving.emplace(env_, options_, parts_->rpc_client, parts_->metadata,
                          Parts::Serving::Disks{*disks_, std::move(logs)}, std::move(registration));
  co_return Result<void>();
}

// The directories become stores only when the cluster has given the server a node id. A crash in
// between leaves them blank: it joins again, as another server. One that can never become a store
// must not join: the cluster would give up the server that had this name, and with it shards that
// are here.
Task<Result<chunk::StoreIdentity>> ChunkNode::join(Registration registration) {
  CO_TRY_VOID(co_await disks_->prepare());
  registration.store = StoreId(env_.random().next() | 1);
  CO_TRY(node, co_await register_node(env_, parts_->metadata, *disks_, registration));
  const chunk::StoreIdentity identity{
      .cluster = parts_->rpc_client.identity().cluster, .node = node, .store = registration.store};
  CO_TRY_VOID(co_await disks_->format(identity));
  env_.log().info("joined cluster {:016x} as node {}", identity.cluster.value, node);
  co_return identity;
}

void ChunkNode::end(Error failure) {
  failure_ = std::move(failure);
  failed_.set();
}

Task<> ChunkNode::stay_known() {
  auto ended = co_await parts_->serving->heartbeat.run();
  end(ended ? Error{Code::kClosed, "the heartbeat ended"} : std::move(ended).error());
}

Task<> ChunkNode::watch_disks() {
  auto ended = co_await disks_->run();
  end(ended ? Error{Code::kClosed, "the disks are not watched"} : std::move(ended).error());
}

}  // namespace dogfs::nodes
