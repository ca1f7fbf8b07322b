#include "nodes/metadata/raft_server.h"

#include <algorithm>

#include "core/env/disk.h"
#include "core/env/nursery.h"
#include "core/proto/raft.pb.h"
#include "core/proto/raft_codec.h"
#include "core/raft/record.h"
#include "nodes/data_directory.h"

namespace dogfs::nodes {
namespace {
std::map<NodeId, Address> addresses_of(const std::vector<MetadataPeer>& peers) {
  std::map<NodeId, Address> addresses;
  for (const auto& peer : peers) addresses[peer.node] = peer.address;
  return addresses;
}

RaftHostOptions host_options(const RaftServerOptions& options, StoreId store) {
  RaftHostOptions host;
  host.raft.group = kRootGroup;
  host.raft.self = {options.node, store};
  host.raft.tail_entries = options.tail_entries;
  host.raft.lease_drift_percent = options.lease_drift_percent;
  host.tick = options.tick;
  host.snapshot_after_bytes = options.snapshot_after_bytes;
  return host;
}

bool has_peers(const RaftServerOptions& options) {
  return !options.seeds.empty() ||
         std::ranges::any_of(options.peers,
                             [&](const MetadataPeer& peer) { return peer.node != options.node; });
}

// The log of a group before its first entry (core/raft/README.md).
Result<raft::SnapshotMeta> first_configuration(const Bootstrap& bootstrap) {
  raft::SnapshotMeta birth;
  birth.configuration.voters = bootstrap.voters;
  std::sort(birth.configuration.voters.begin(), birth.configuration.voters.end());
  if (birth.configuration.empty() || !birth.configuration.valid())
    return fail(Code::kInvalid, "the first members are not a valid group");
  return birth;
}

// What an interrupted start left in a directory that never became whole.
Task<Result<void>> remove_files(Env& env, std::string directory) {
  auto entries = co_await env.disk().list(directory);
  if (!entries && entries.error().is(Code::kNotFound)) co_return Result<void>();
  if (!entries) co_return fail(entries.error());
  for (const auto& entry : *entries)
    CO_TRY_VOID(co_await env.disk().remove(directory + "/" + entry.name));
  co_return Result<void>();
}

}  // namespace

RaftServer::RaftServer(Env& env, const RaftServerOptions& options, Found found,
                       ReplicatedState& state)
    : env_(env),
      has_peers_(has_peers(options)),
      identity_{options.cluster, options.node, found.store, {}},
      found_(std::move(found)),
      client_(env, identity_),
      peers_(client_, addresses_of(options.peers)),
      host_(env, host_options(options, identity_.store),
            {*found_.wal,
             {kSnapshotDirectory, options.cluster, identity_.store, kRootGroup},
             peers_,
             state,
             options.observer},
            std::move(found_.recovered)),
      founded_(options.founded) {}

Task<Result<std::unique_ptr<RaftServer>>> RaftServer::open(Env& env, RaftServerOptions options,
                                                           ReplicatedState& state) {
  CO_TRY(damaged_before, co_await finish_set_aside(env, {kWalDirectory, kSnapshotDirectory}));
  // It founded the group, or joined it, and lost that.
  if (damaged_before) options.bootstrap.reset();
  auto found = co_await read_back(env, options);
  if (!found && found.error().is(Code::kCorrupt) && has_peers(options)) {
    env.log().error(
        "the data directory is damaged and set aside, below damaged-*; this server comes back as a "
        "new member and takes no part in what it had promised: {}",
        found.error());
    CO_TRY_VOID(co_await set_aside(env, {kWalDirectory, kSnapshotDirectory}));
    options.bootstrap.reset();
    found = co_await read_back(env, options);
  }
  if (!found) co_return fail(found.error());
  co_return std::unique_ptr<RaftServer>(new RaftServer(env, options, std::move(*found), state));
}

Task<Result<RaftServer::Found>> RaftServer::read_back(Env& env, RaftServerOptions options) {
  CO_TRY(identity, co_await read_identity(env, options.cluster, options.node));
  if (!identity && !options.bootstrap) {
    CO_TRY_VOID(co_await remove_files(env, kWalDirectory));
    CO_TRY_VOID(co_await remove_files(env, kSnapshotDirectory));
  }
  co_return co_await read_back_log(env, std::move(options),
                                   identity ? std::optional(identity->store) : std::nullopt);
}

// `store` of the identity, if there is one.
Task<Result<RaftServer::Found>> RaftServer::read_back_log(Env& env, RaftServerOptions options,
                                                          std::optional<StoreId> store) {
  Found found;
  found.blank = !store;
  found.store = StoreId(env.random().next() | 1);
  if (store)
    found.store = *store;
  else if (options.bootstrap)
    found.store = options.bootstrap->store;
  raft::Replay replay;
  // Only the root group exists so far; a record of another one means that this build is too old.
  bool empty = true;
  const auto add = [&](const wal::Record& logged) -> Result<void> {
    empty = false;
    TRY(record, raft::decode_record(logged.payload.view()));
    if (record.group != kRootGroup)
      return fail(Code::kUnsupported, "the log has records of group {}", record.group);
    return replay.add(record.body);
  };
  const wal::Options log{.directory = kWalDirectory,
                         .cluster = options.cluster,
                         .store = found.store,
                         .segment_bytes = options.segment_bytes,
                         .reserve_bytes = options.reserve_bytes};
  CO_TRY(opened, co_await wal::Wal::open(env, log, add));
  found.wal = std::move(opened);
  // It may have voted and acknowledged under this id, and all of it is gone.
  if (store && empty)
    co_return fail(Code::kCorrupt, "{}/ holds no record, and whether it ever did is not known",
                   kWalDirectory);
  if (found.blank && options.bootstrap && replay.state().snapshot.configuration.empty()) {
    CO_TRY(birth, first_configuration(*options.bootstrap));
    CO_TRY_VOID(replay.add(birth));
    found.birth = std::move(birth);
  }
  CO_TRY(recovered, std::move(replay).take());
  found.recovered = std::move(recovered);
  co_return found;
}

void RaftServer::register_with(rpc::Server& server) {
  server.handle_one_way(rpc::Method::kRaftMessages,
                        [this](rpc::Call call) { return receive_messages(std::move(call)); });
  server.handle(rpc::Method::kRaftSnapshotPiece,
                [this](rpc::Call call) { return receive_snapshot_piece(std::move(call)); });
}

Task<> RaftServer::receive_messages(rpc::Call call) {
  auto messages = proto::decode_raft_frame(call.message);
  if (!messages) {
    env_.log().warning("raft messages from {}: {}", call.peer.address.to_string(),
                       messages.error());
    co_return;
  }
  for (auto& message : *messages) host_.receive(std::move(message));
}

Task<Result<rpc::Reply>> RaftServer::receive_snapshot_piece(rpc::Call call) {
  proto::RaftSnapshotPieceRequest request;
  CO_TRY_VOID(rpc::parse(call.message, request));
  CO_TRY(offer, proto::decode(request.offer()));
  CO_TRY(next, co_await host_.receive_snapshot_piece({.offer = std::move(offer),
                                                      .file_bytes = request.file_bytes(),
                                                      .file_checksum = request.file_checksum(),
                                                      .offset = request.offset(),
                                                      .bytes = std::move(call.bulk)}));
  proto::RaftSnapshotPieceReply reply;
  reply.set_next_offset(next);
  co_return rpc::Reply{rpc::serialize(reply), {}};
}

Task<Result<void>> RaftServer::run() {
  co_await nursery(env_, [this](Nursery& children) { return drive(children); });
  co_return fail(ended_.value_or(Error{Code::kClosed, "stopped"}));
}

Task<> RaftServer::drive(Nursery& children) {
  children.spawn(found_.wal->run());
  children.spawn(client_.run());
  Result<void> ended = co_await make_whole();
  if (ended) ended = co_await host_.run();
  if (ended) co_return;
  ended_ = ended.error();
  // The log is whole, but the snapshot that it stands on is not: no better than a damaged log.
  const bool damaged = ended_->is(Code::kCorrupt) || ended_->is(Code::kNotFound);
  if (host_.started() || !damaged || !has_peers_) co_return;
  env_.log().error("the data directory is damaged; set aside, below damaged-*: {}", *ended_);
  if (auto aside = co_await set_aside(env_, {kWalDirectory, kSnapshotDirectory}); !aside)
    env_.log().error("it could not be set aside: {}", aside.error());
}

// The identity is written last: a directory that has one is whole, and its log holds a record at
// least. A first member is written down as one before it takes part in anything.
Task<Result<void>> RaftServer::make_whole() {
  if (found_.blank) {
    raft::Record first{kRootGroup, raft::HardState()};
    if (found_.birth) first.body = *found_.birth;
    CO_TRY(ticket, found_.wal->append(kRootGroup, {raft::encode_record(first)}));
    CO_TRY_VOID(co_await found_.wal->durable(ticket));
    CO_TRY_VOID(
        co_await write_identity(env_, {identity_.cluster, identity_.node, identity_.store}));
  }
  co_return founded_ ? founded_() : Result<void>();
}

}  // namespace dogfs::nodes
