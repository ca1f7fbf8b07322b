#include "nodes/chunk/chunk_node.h"

#include "core/chunk/store.h"
#include "core/env/nursery.h"
#include "core/rpc/client.h"
#include "core/rpc/server.h"
#include "nodes/chunk/shard_service.h"
#include "nodes/chunk/shard_uploads.h"
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
    Serving(Env& env, const ChunkNodeOptions& options, MetadataCalls& metadata,
            std::unique_ptr<chunk::Store> opened, Registration registration)
        : store(std::move(opened)),
          uploads(env, *store, options.upload_silence),
          service(*store, uploads),
          heartbeat(env, {metadata, *store, uploads}, std::move(registration),
                    options.heartbeat_interval),
          server(env,
                 {.cluster = store->identity().cluster,
                  .node = store->identity().node,
                  .store = store->identity().store,
                  .credentials = {}},
                 {}, {.handlers_per_connection = kHandlersPerConnection}) {
      service.register_with(server);
    }
    std::unique_ptr<chunk::Store> store;
    ShardUploads uploads;
    ShardService service;
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
  return parts_ && parts_->serving ? parts_->serving->store->identity().node : NodeId();
}

const placement::ClusterMap& ChunkNode::cluster_map() const {
  static const placement::ClusterMap kEmpty;
  return parts_ && parts_->serving ? parts_->serving->heartbeat.cluster_map() : kEmpty;
}

Task<Result<void>> ChunkNode::run() {
  auto known = co_await chunk::Store::identify(env_, options_.directory);
  const bool blank = !known && known.error().is(Code::kNotFound);
  if (!known && (!blank || !options_.format_if_blank)) co_return fail(std::move(known).error());
  std::optional<chunk::StoreIdentity> identity;
  if (known) identity = *known;
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
  children.spawn(parts_->serving->uploads.run());
  children.spawn(parts_->serving->server.serve(std::move(listener)));
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
  CO_TRY(store,
         co_await chunk::Store::open(env_, options_.directory, identity->cluster, identity->node));
  registration.node = identity->node;
  registration.store = identity->store;
  parts_->serving.emplace(env_, options_, parts_->metadata, std::move(store),
                          std::move(registration));
  co_return Result<void>();
}

// The directory becomes a store only when the cluster has given it a node id. A crash in between
// leaves it blank: it joins again, as another server. One that can never become a store must not
// join: the cluster would give up the server that had this name, and with it shards that are here.
Task<Result<chunk::StoreIdentity>> ChunkNode::join(Registration registration) {
  CO_TRY_VOID(co_await chunk::Store::prepare(env_, options_.directory));
  registration.store = StoreId(env_.random().next() | 1);
  CO_TRY(node, co_await register_node(env_, parts_->metadata, registration));
  const chunk::StoreIdentity identity{
      .cluster = parts_->rpc_client.identity().cluster, .node = node, .store = registration.store};
  CO_TRY_VOID(co_await chunk::Store::format(env_, options_.directory, identity));
  env_.log().info("joined cluster {:016x} as node {}", identity.cluster.value, node);
  co_return identity;
}

Task<> ChunkNode::stay_known() {
  auto ended = co_await parts_->serving->heartbeat.run();
  failure_ = ended ? Error{Code::kClosed, "the heartbeat ended"} : std::move(ended).error();
  failed_.set();
}

}  // namespace dogfs::nodes
