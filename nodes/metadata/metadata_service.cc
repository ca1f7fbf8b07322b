#include "nodes/metadata/metadata_service.h"

#include "core/namespace/cluster_version.h"
#include "core/namespace/damage.h"
#include "core/namespace/tables.h"
#include "core/proto/cluster.pb.h"
#include "core/proto/cluster_codec.h"
#include "core/proto/metadata.pb.h"
#include "core/proto/namespace_codec.h"
#include "nodes/metadata/leader_replies.h"
#include "nodes/metadata/shard_comparison.h"

namespace dogfs::nodes {
namespace {

// A change of capacity or use that is worth a log entry: an eighth of what is free, since placement
// weighs servers by that.
std::optional<metadata::SetNodeSpace> space_news(const placement::Node& known,
                                                 const proto::DiskTotals& now) {
  const uint64_t free = now.capacity_bytes - std::min(now.used_bytes, now.capacity_bytes);
  const uint64_t apart = std::max(free, known.free_bytes()) - std::min(free, known.free_bytes());
  if (apart <= known.free_bytes() / 8 && now.capacity_bytes == known.capacity_bytes)
    return std::nullopt;
  return metadata::SetNodeSpace{known.id, now.capacity_bytes, now.used_bytes};
}

// A node may speak only for itself.
Result<void> check_sender(const rpc::Peer& peer, uint32_t node) {
  if (peer.identity.node.value != node && peer.identity.node.value != 0)
    return fail(Code::kDenied, "node {} speaks for node {}", peer.identity.node, node);
  return {};
}

}  // namespace

void MetadataService::register_with(rpc::Server& server) {
  using rpc::Call;
  using rpc::Method;
  const auto handle = [&](Method method,
                          Task<Result<rpc::Reply>> (MetadataService::*handler)(Call)) {
    server.handle(method, [this, handler](Call call) { return (this->*handler)(std::move(call)); });
  };
  server.handle_directly(Method::kMetadataExecute, [this](Call call, rpc::Responder respond) {
    execute(std::move(call), std::move(respond));
  });
  server.handle_directly(Method::kMetadataQuery, [this](Call call, rpc::Responder respond) {
    query(std::move(call), std::move(respond));
  });
  handle(Method::kMetadataStatus, &MetadataService::status);
  handle(Method::kMetadataExport, &MetadataService::export_rows);
  handle(Method::kRegisterNode, &MetadataService::register_node);
  handle(Method::kHeartbeat, &MetadataService::heartbeat);
  handle(Method::kShardReport, &MetadataService::shard_report);
}

rpc::Reply MetadataService::redirect() const {
  return redirection(parts_.group.host().core(), parts_.peers);
}

void MetadataService::execute(rpc::Call call, rpc::Responder respond) {
  const auto command = proto::decode_command(call.message.text());
  if (!command) return respond(fail(command.error()));
  if (metadata::leader_operation(command->operation) &&
      !metadata::open_operation(command->operation))
    return respond(fail(Code::kDenied, "only the leader itself proposes {}",
                        metadata::operation_name(command->operation)));
  if (!parts_.group.leading()) return respond(redirect());
  if (auto allowed = parts_.group.check_version(*command); !allowed)
    return respond(fail(std::move(allowed).error()));
  if (metadata::needs_room(command->operation) && !parts_.group.host().core().has_room())
    return respond(fail(Code::kNoSpace,
                        "the disks of the metadata servers are full: until there is space, only "
                        "reads and removals are possible"));
  parts_.expiry.heard(*command);
  parts_.group.execute(call.message.text(),
                       [this, respond = std::move(respond)](Result<Committed> committed) mutable {
                         if (committed)
                           return respond(leader_reply(committed->index, committed->reply.text()));
                         if (committed.error().is(Code::kNotLeader)) return respond(redirect());
                         respond(fail(std::move(committed).error()));
                       });
}

void MetadataService::query(rpc::Call call, rpc::Responder respond) {
  auto asked = proto::decode_query(call.message.text());
  if (!asked) return respond(fail(asked.error()));
  if (!parts_.group.leading()) return respond(redirect());
  parts_.group.host().read_barrier([this, question = *std::move(asked),
                                    respond = std::move(respond)](Result<LogIndex> safe) mutable {
    if (safe) {
      // The state may have moved on since; it holds at least what was acknowledged before the
      // call.
      const LogIndex index = parts_.group.host().applied();
      return respond(
          leader_reply(index, proto::encode_answer(parts_.group.state().answer(
                                  question.query, question.asker ? &*question.asker : nullptr))));
    }
    if (safe.error().is(Code::kNotLeader)) return respond(redirect());
    respond(fail(std::move(safe).error()));
  });
}

Task<Result<rpc::Reply>> MetadataService::export_rows(rpc::Call call) {
  CO_TRY(question, proto::decode_export(call.message.text()));
  if (!parts_.group.leading()) co_return redirect();
  auto safe = co_await parts_.group.host().read_barrier();
  if (!safe && safe.error().is(Code::kNotLeader)) co_return redirect();
  if (!safe) co_return fail(safe.error());
  CO_TRY(part, parts_.exports.part(question));
  co_return leader_reply(parts_.group.host().applied(), proto::encode_export_part(part));
}

Task<Result<rpc::Reply>> MetadataService::status(rpc::Call) {
  const raft::Core& core = parts_.group.host().core();
  proto::MetadataStatusReply reply;
  reply.set_node(core.self().node.value);
  reply.set_store(core.self().store.value);
  reply.set_role(std::string(raft::role_name(core.role())));
  reply.set_term(core.term().value);
  reply.mutable_leader()->set_leader(core.leader().node.value);
  reply.mutable_leader()->set_address(parts_.peers.address(core.leader().node).to_string());
  reply.set_commit(core.commit().value);
  reply.set_applied(parts_.group.host().applied().value);
  reply.set_last(core.last().index.value);
  reply.set_snapshot(core.log().snapshot().last.index.value);
  reply.set_cluster(cluster_.value);
  reply.set_joint(core.configuration().joint());
  if (const auto* self = parts_.group.state().cluster_map().find(core.self().node)) {
    reply.set_name(self->name);
    reply.set_address(self->address);
  }
  for (const auto& member : core.configuration().members()) describe(member, *reply.add_members());
  if (parts_.group.leading()) describe_disks(reply);
  co_return rpc::Reply{rpc::serialize(reply), {}};
}

void MetadataService::describe_disks(proto::MetadataStatusReply& reply) const {
  for (const auto& [id, disks] : disks_) {
    const auto* node = parts_.group.state().cluster_map().find(id);
    if (node != nullptr && node->state != placement::NodeState::kGone)
      proto::encode(disks, *reply.add_disks());
  }
}

void MetadataService::describe(const raft::Member& member, proto::MemberStatus& row) const {
  const RaftHost& host = parts_.group.host();
  const raft::Core& core = host.core();
  row.set_node(member.node.value);
  row.set_store(member.store.value);
  row.set_voter(core.configuration().is_voter(member));
  row.set_part(std::string(raft::part_name(core.configuration(), member)));
  if (const auto* node = parts_.group.state().cluster_map().find(member.node)) {
    row.set_name(node->name);
    row.set_address(node->address);
  }
  if (core.followers() == nullptr) return;
  row.set_heard(core.is_heard(member));
  row.set_short_of_space(core.is_short_of_space(member));
  if (member == core.self()) row.set_match(core.durable().value);
  const auto progress = core.followers()->find(member);
  if (progress == core.followers()->end()) return;
  row.set_match(progress->second.match().value);
  row.set_progress(std::string(raft::progress_state_name(progress->second.state())));
  if (host.sending().to != member) return;
  row.set_snapshot_sent(host.sending().sent);
  row.set_snapshot_bytes(host.sending().bytes);
}

Task<Result<rpc::Reply>> MetadataService::register_node(rpc::Call call) {
  proto::RegisterRequest request;
  CO_TRY_VOID(rpc::parse(call.message, request));
  CO_TRY_VOID(check_sender(call.peer, request.node()));
  if (!parts_.group.leading()) co_return redirect();
  CO_TRY(operation, proto::decode(request));
  if (operation.kind != placement::NodeKind::kChunk)
    co_return fail(Code::kDenied,
                   "a metadata server joins the group; only a chunk server registers");
  auto done = co_await parts_.group.propose(std::move(operation));
  if (!done && done.error().is(Code::kNotLeader)) co_return redirect();
  if (!done) co_return fail(done.error());
  const auto& registered = std::get<metadata::NodeRegistered>(*done);
  parts_.liveness.heard(registered.node);
  proto::RegisterReply reply;
  reply.set_node(registered.node.value);
  reply.set_map_version(registered.version.value);
  co_return leader_reply(parts_.group.host().applied(), reply.SerializeAsString());
}

Task<Result<rpc::Reply>> MetadataService::heartbeat(rpc::Call call) {
  proto::HeartbeatRequest request;
  CO_TRY_VOID(rpc::parse(call.message, request));
  CO_TRY_VOID(check_sender(call.peer, request.node()));
  if (!parts_.group.leading()) co_return redirect();
  const NodeId node(request.node());
  const placement::Node* known = parts_.group.state().cluster_map().find(node);
  if (known == nullptr || known->store.value != request.store())
    co_return fail(Code::kPrecondition, "node {} with this store is not registered", node);
  parts_.liveness.heard(node);
  disks_[node] = {node, known->name, proto::disk_reports(request),
                  proto::decode(request.compacted())};
  if (const auto space = space_news(*known, proto::disk_totals(request)))
    co_await parts_.group.propose(*space);  // refused or not: the next heartbeat says it again
  proto::HeartbeatReply reply;
  if (request.deleted_size() > 0 && co_await record_deleted({node, proto::deleted_shards(request)}))
    *reply.mutable_confirmed() = request.deleted();
  for (const auto& order : parts_.deletion.orders_for(node, limits::kDeletionsPerHeartbeatMax)) {
    auto& row = *reply.add_orders();
    row.set_block(order.block.value);
    row.set_shard(order.shard);
    row.set_generation(order.generation.value);
    row.set_placement_version(order.placement_version.value);
  }
  for (const auto& task : parts_.append_tasks.take(node))
    proto::encode(task, *reply.add_append_tasks());
  for (const BlockId block : parts_.compaction.take(node)) reply.add_sparse_blocks(block.value);
  if (request.verdicts_size() > 0)
    reply.set_verdicts_recorded(
        static_cast<uint32_t>(co_await record_verdicts(node, proto::shard_verdicts(request))));
  const auto& map = parts_.group.state().cluster_map();
  if (map.version() != MapVersion(request.map_version()))
    proto::encode(map.changes_since(MapVersion(request.map_version())), *reply.mutable_map());
  co_return leader_reply(parts_.group.host().applied(), reply.SerializeAsString());
}

Task<bool> MetadataService::record_deleted(metadata::AckDeleted deleted) {
  // Before append blocks a block had one generation, and servers that do not know it said of more
  // would stop at the entry.
  const uint32_t version = parts_.group.state().settings().cluster_version;
  if (version < metadata::kGenerationsDeletedVersion)
    for (auto& shard : deleted.shards) shard.generation = {};
  const auto done = co_await parts_.group.propose(std::move(deleted));
  co_return done.has_value();
}

// Most verdicts change nothing: they cost no log entry.
Task<size_t> MetadataService::record_verdicts(NodeId node,
                                              std::vector<metadata::ShardVerdict> verdicts) {
  const size_t count = verdicts.size();
  std::erase_if(verdicts, [&](const metadata::ShardVerdict& verdict) {
    return !metadata::judged(parts_.group.state().tables(), node, verdict);
  });
  if (verdicts.empty()) co_return count;
  const metadata::JudgeShards judge{node, std::move(verdicts)};
  const uint32_t version = parts_.group.state().settings().cluster_version;
  // An old build would stop at the entry: the server says it again when there is none.
  if (!metadata::check_version({.operation = judge}, version)) co_return 0;
  const auto done = co_await parts_.group.propose(judge);
  co_return done ? count : 0;
}

Task<Result<rpc::Reply>> MetadataService::shard_report(rpc::Call call) {
  proto::ShardReportRequest request;
  CO_TRY_VOID(rpc::parse(call.message, request));
  CO_TRY_VOID(check_sender(call.peer, request.node()));
  if (!parts_.group.leading()) co_return redirect();
  proto::ShardReportReply reply;
  compare(parts_.group.state().tables(), request, reply);
  co_return leader_reply(parts_.group.host().applied(), reply.SerializeAsString());
}

}  // namespace dogfs::nodes
