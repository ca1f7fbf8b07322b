#include "tests/nodes/local_metadata.h"

#include <algorithm>

#include "core/env/nursery.h"
#include "core/proto/cluster.pb.h"
#include "core/proto/cluster_codec.h"
#include "core/proto/metadata.pb.h"
#include "core/proto/namespace_codec.h"
#include "nodes/metadata/shard_comparison.h"

namespace dogfs::nodes::testing {

MetadataModel::MetadataModel(ClusterId id, placement::Policy policy, uint64_t block_bytes,
                             uint32_t cell_bytes, uint32_t inline_bytes)
    : cluster(id) {
  CHECK(apply(metadata::CreateCluster{id, policy, block_bytes, cell_bytes, inline_bytes})
            .has_value());
}

metadata::Response MetadataModel::apply(metadata::Operation operation) {
  metadata::Command command;
  command.operation = std::move(operation);
  return machine.apply(LogIndex(++index), command);
}

LocalMetadata::LocalMetadata(Env& env, MetadataModel& model, Address address)
    : env_(env),
      model_(model),
      address_(std::move(address)),
      server_(
          env,
          {.cluster = model.cluster, .node = NodeId(1), .store = StoreId(1), .credentials = {}}) {
  using rpc::Call;
  using rpc::Method;
  server_.handle(Method::kMetadataExecute, [this](Call c) { return execute(std::move(c)); });
  server_.handle(Method::kMetadataQuery, [this](Call c) { return query(std::move(c)); });
  server_.handle(Method::kRegisterNode, [this](Call c) { return register_node(std::move(c)); });
  server_.handle(Method::kHeartbeat, [this](Call c) { return heartbeat(std::move(c)); });
  server_.handle(Method::kShardReport, [this](Call c) { return shard_report(std::move(c)); });
}

Task<> LocalMetadata::run() {
  return nursery(env_, [this](Nursery& children) { return serve(children); });
}

Task<> LocalMetadata::serve(Nursery& children) {
  children.spawn(server_.serve(std::move(*env_.network().listen(address_))));
  for (;;) {
    co_await env_.sleep(100ms);
    watch();
  }
}

// Who is silent is suspect; garbage is ordered deleted at once.
void LocalMetadata::watch() {
  std::vector<NodeId> silent;
  for (const auto& [id, node] : model_.machine.cluster_map().nodes()) {
    heard_.try_emplace(id, env_.now());
    if (node.state == placement::NodeState::kLive && env_.now() - heard_[id] > model_.suspect_after)
      silent.push_back(id);
  }
  for (const NodeId id : silent)
    model_.apply(metadata::SetNodeState{id, placement::NodeState::kSuspect, {}});
  while (model_.machine.removal_pending()) model_.apply(metadata::RemoveStep{100});
  metadata::OrderDeletion due;
  for (const auto& block : model_.machine.garbage({}, 100))
    if (!block.ordered) due.blocks.push_back(block.block);
  for (const auto& former : model_.machine.formers({}, 100))
    if (!former.ordered) due.former.push_back(former.name);
  if (due != metadata::OrderDeletion()) model_.apply(due);
}

rpc::Reply LocalMetadata::answer(std::string body) const {
  proto::MetadataReply reply;
  reply.set_index(model_.index);
  reply.set_body(std::move(body));
  return {rpc::serialize(reply), {}};
}

Task<Result<rpc::Reply>> LocalMetadata::execute(rpc::Call call) {
  CO_TRY(command, proto::decode_command(call.message.text()));
  ++model_.executed;
  model_.falsify(command.operation);
  const auto response = model_.machine.apply(LogIndex(++model_.index), command);
  if (response && std::holds_alternative<metadata::MovePacked>(command.operation)) ++model_.moves;
  const auto reply = answer(proto::encode_response(response));
  if (model_.replies_to_lose > 0) {
    --model_.replies_to_lose;
    co_await env_.sleep(1h);
  }
  co_return reply;
}

Task<Result<rpc::Reply>> LocalMetadata::query(rpc::Call call) {
  CO_TRY(question, proto::decode_query(call.message.text()));
  const auto* asker = question.asker ? &*question.asker : nullptr;
  co_return answer(proto::encode_answer(model_.machine.answer(question.query, asker)));
}

Task<Result<rpc::Reply>> LocalMetadata::register_node(rpc::Call call) {
  proto::RegisterRequest request;
  CO_TRY_VOID(rpc::parse(call.message, request));
  CO_TRY(operation, proto::decode(request));
  CO_TRY(done, model_.apply(std::move(operation)));
  const auto& registered = std::get<metadata::NodeRegistered>(done);
  heard_[registered.node] = env_.now();
  proto::RegisterReply reply;
  reply.set_node(registered.node.value);
  co_return answer(reply.SerializeAsString());
}

Task<Result<rpc::Reply>> LocalMetadata::heartbeat(rpc::Call call) {
  proto::HeartbeatRequest request;
  CO_TRY_VOID(rpc::parse(call.message, request));
  const NodeId id(request.node());
  const auto* node = model_.machine.cluster_map().find(id);
  if (node == nullptr || node->store.value != request.store())
    co_return fail(Code::kPrecondition, "node {} is not registered", id);
  heard_[id] = env_.now();
  model_.compacted[id] = proto::decode(request.compacted());
  if (node->state == placement::NodeState::kSuspect)
    model_.apply(metadata::SetNodeState{id, placement::NodeState::kLive, {}});
  proto::HeartbeatReply reply;
  if (const auto verdicts = proto::shard_verdicts(request); !verdicts.empty()) {
    model_.apply(metadata::JudgeShards{id, verdicts});
    model_.lost += std::ranges::count(verdicts, false, &metadata::ShardVerdict::sound);
    reply.set_verdicts_recorded(static_cast<uint32_t>(verdicts.size()));
  }
  if (request.deleted_size() > 0) {
    model_.apply(metadata::AckDeleted{id, proto::deleted_shards(request)});
    *reply.mutable_confirmed() = request.deleted();
  }
  const auto order = [&](BlockId block, PlacementVersion version, const auto& shards) {
    for (const auto& shard : shards) {
      if (shard.node != id) continue;
      auto& row = *reply.add_orders();
      row.set_block(block.value);
      row.set_shard(shard.index);
      row.set_generation(shard.generation.value);
      row.set_placement_version(version.value);
    }
  };
  for (const auto& block : model_.machine.garbage({}, 100))
    if (block.ordered) order(block.block, block.placement_version, block.shards);
  for (const auto& former : model_.machine.formers({}, 100))
    if (former.ordered) order(former.name.block, former.placement_version, former.shards);
  if (model_.hands_out_appends) hand_out_appends(id, reply);
  if (model_.compacts)
    for (const auto& block : model_.machine.sparse_blocks({}, 100))
      if (first_live(block.nodes) == id) reply.add_sparse_blocks(block.block.value);
  const auto& map = model_.machine.cluster_map();
  if (map.version() != MapVersion(request.map_version()))
    proto::encode(map.changes_since(MapVersion(request.map_version())), *reply.mutable_map());
  co_return answer(reply.SerializeAsString());
}

void LocalMetadata::hand_out_appends(NodeId node, proto::HeartbeatReply& reply) const {
  for (const auto& block : model_.machine.append_blocks({}, 100)) {
    const bool sealed = block.state == metadata::LocatedState::kSealed;
    std::vector<NodeId> servers;
    for (const auto& shard : block.shards) servers.push_back(shard.node);
    if (!(sealed || block.damaged) || first_live(servers) != node) continue;
    const auto kind = sealed ? metadata::AppendTaskKind::kConvert : metadata::AppendTaskKind::kSeal;
    proto::encode(metadata::AppendTask{block.file, block.block, block.generation, kind},
                  *reply.add_append_tasks());
  }
}

NodeId LocalMetadata::first_live(const std::vector<NodeId>& nodes) const {
  for (const NodeId node : nodes)
    if (model_.machine.cluster_map().find(node)->state == placement::NodeState::kLive) return node;
  return {};
}

Task<Result<rpc::Reply>> LocalMetadata::shard_report(rpc::Call call) {
  proto::ShardReportRequest request;
  CO_TRY_VOID(rpc::parse(call.message, request));
  model_.reports += request.shards_size();
  proto::ShardReportReply reply;
  compare(model_.machine.tables(), request, reply);
  co_return answer(reply.SerializeAsString());
}

}  // namespace dogfs::nodes::testing
