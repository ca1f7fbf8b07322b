// Commands about append blocks, and their answers.
#include <optional>

#include "core/proto/namespace.pb.h"
#include "core/proto/namespace_fields.h"

namespace dogfs::proto {
namespace {

void put(const metadata::PlacedShard& shard, PlacedShard& to) {
  to.set_index(shard.index);
  to.set_node(shard.node.value);
  to.set_address(shard.address);
}

Result<std::vector<metadata::PlacedShard>> read_shards(
    const google::protobuf::RepeatedPtrField<PlacedShard>& from) {
  TRY_VOID(checked_count(from.size(), limits::kShardsMax, "shards"));
  std::vector<metadata::PlacedShard> out;
  for (const auto& shard : from) {
    if (shard.index() >= limits::kShardsMax) {
      return fail(Code::kInvalid, "there is no shard {}", shard.index());
    }
    out.push_back(
        {.index = shard.index(), .node = NodeId(shard.node()), .address = shard.address()});
  }
  return out;
}

void put(const metadata::AppendLog& log, AppendLog& to) {
  to.set_block(log.block.value);
  to.set_generation(log.generation.value);
  to.set_length(log.length);
  to.set_ordinal(log.ordinal);
  for (const auto& shard : log.holders) put(shard, *to.add_holders());
}

Result<metadata::AppendLog> read(const AppendLog& from) {
  TRY(holders, read_shards(from.holders()));
  return metadata::AppendLog{.block = BlockId(from.block()),
                             .generation = Generation(from.generation()),
                             .length = from.length(),
                             .ordinal = from.ordinal(),
                             .holders = std::move(holders)};
}

template <class Message>
void put_avoided(const std::vector<NodeId>& avoid, Message& to) {
  for (const NodeId node : avoid) to.add_avoid(node.value);
}

template <class Message>
Result<std::vector<NodeId>> read_avoided(const Message& from) {
  TRY_VOID(checked_count(from.avoid_size(), limits::kShardsMax, "servers to avoid"));
  std::vector<NodeId> out;
  for (const uint32_t node : from.avoid()) out.emplace_back(node);
  return out;
}

}  // namespace

// --- Shared with other commands ---

void put(const metadata::PlacedBlock& block, PlacedBlock& to) {
  to.set_block(block.block.value);
  to.set_generation(block.generation.value);
  to.set_file_offset(block.file_offset);
  to.set_length(block.length);
  for (const auto& shard : block.shards) put(shard, *to.add_shards());
}

Result<metadata::PlacedBlock> read(const PlacedBlock& from) {
  TRY(shards, read_shards(from.shards()));
  return metadata::PlacedBlock{.block = BlockId(from.block()),
                               .generation = Generation(from.generation()),
                               .file_offset = from.file_offset(),
                               .length = from.length(),
                               .shards = std::move(shards)};
}

void put(const std::vector<metadata::DurableShard>& shards,
         google::protobuf::RepeatedPtrField<DurableShard>& to) {
  for (const auto& shard : shards) {
    DurableShard& row = *to.Add();
    row.set_index(shard.index);
    row.set_checksum(shard.checksum);
  }
}

Result<std::vector<metadata::DurableShard>> read_durable(
    const google::protobuf::RepeatedPtrField<DurableShard>& from) {
  TRY_VOID(checked_count(from.size(), limits::kShardsMax, "shards"));
  std::vector<metadata::DurableShard> out;
  for (const auto& shard : from) {
    out.push_back({.index = shard.index(), .checksum = shard.checksum()});
  }
  return out;
}

// --- Commands ---

void put(const metadata::OpenAppend& op, OpenAppend& to) {
  to.set_path(op.path);
  to.set_create(op.create);
  if (op.policy) to.set_policy(op.policy->code());
  if (op.attributes != metadata::InodeAttributes()) put(op.attributes, *to.mutable_attributes());
  put_avoided(op.avoid, to);
}

Result<metadata::OpenAppend> read(const OpenAppend& from) {
  TRY(path, checked_path(from.path()));
  TRY(policy, optional_policy(from.policy()));
  TRY(attributes, read(from.attributes()));
  TRY(avoid, read_avoided(from));
  return metadata::OpenAppend{.path = std::move(path),
                              .create = from.create(),
                              .policy = policy,
                              .attributes = std::move(attributes),
                              .avoid = std::move(avoid)};
}

void put(const metadata::ActivateAppend& op, ActivateAppend& to) {
  put(op.file, *to.mutable_file());
  to.set_block(op.block.value);
  to.set_epoch(op.epoch.value);
  to.set_node(op.node.value);
  to.set_activation(op.activation);
  to.set_begun(op.begun);
}

metadata::ActivateAppend read(const ActivateAppend& from) {
  return {.file = file_of(from.file()),
          .block = BlockId(from.block()),
          .epoch = Epoch(from.epoch()),
          .node = NodeId(from.node()),
          .activation = from.activation(),
          .begun = from.begun()};
}

void put(const metadata::BeginSeal& op, BeginSeal& to) {
  put(op.file, *to.mutable_file());
  to.set_block(op.block.value);
}

metadata::BeginSeal read(const BeginSeal& from) {
  return {.file = file_of(from.file()), .block = BlockId(from.block())};
}

void put(const metadata::FixAppend& op, FixAppend& to) {
  put(op.file, *to.mutable_file());
  to.set_block(op.block.value);
  to.set_epoch(op.epoch.value);
  to.set_length(op.length);
  for (const uint32_t index : op.holders) to.add_holders(index);
}

Result<metadata::FixAppend> read(const FixAppend& from) {
  TRY_VOID(checked_count(from.holders_size(), limits::kShardsMax, "holders"));
  return metadata::FixAppend{.file = file_of(from.file()),
                             .block = BlockId(from.block()),
                             .epoch = Epoch(from.epoch()),
                             .length = from.length(),
                             .holders = {from.holders().begin(), from.holders().end()}};
}

void put(const metadata::BeginConversion& op, BeginConversion& to) {
  to.set_block(op.block.value);
  to.set_generation(op.generation.value);
  to.set_attempt(op.attempt);
  put_avoided(op.avoid, to);
}

Result<metadata::BeginConversion> read(const BeginConversion& from) {
  TRY(avoid, read_avoided(from));
  return metadata::BeginConversion{.block = BlockId(from.block()),
                                   .generation = Generation(from.generation()),
                                   .attempt = from.attempt(),
                                   .avoid = std::move(avoid)};
}

void put(const metadata::CommitConversion& op, CommitConversion& to) {
  to.set_block(op.block.value);
  to.set_generation(op.generation.value);
  put(op.shards, *to.mutable_shards());
}

Result<metadata::CommitConversion> read(const CommitConversion& from) {
  TRY(shards, read_durable(from.shards()));
  return metadata::CommitConversion{.block = BlockId(from.block()),
                                    .generation = Generation(from.generation()),
                                    .shards = std::move(shards)};
}

// --- Answers ---

void put(const metadata::AppendOpened& reply, AppendOpened& to) {
  put(reply.file, *to.mutable_file());
  to.set_policy(reply.policy.code());
  put(reply.block, *to.mutable_block());
  to.set_epoch(reply.epoch.value);
  to.set_ordinal(reply.ordinal);
  to.set_capacity(reply.capacity);
}

Result<metadata::AppendOpened> read(const AppendOpened& from) {
  TRY(policy, checked_policy(from.policy()));
  TRY(block, read(from.block()));
  return metadata::AppendOpened{.file = file_of(from.file()),
                                .policy = policy,
                                .block = std::move(block),
                                .epoch = Epoch(from.epoch()),
                                .ordinal = from.ordinal(),
                                .capacity = from.capacity()};
}

void put(const metadata::AppendActivated& reply, AppendActivated& to) {
  put(reply.block, *to.mutable_block());
  to.set_epoch(reply.epoch.value);
  to.set_ordinal(reply.ordinal);
  to.set_capacity(reply.capacity);
  to.set_first(reply.first);
  if (reply.previous) put(*reply.previous, *to.mutable_previous());
}

Result<metadata::AppendActivated> read(const AppendActivated& from) {
  TRY(block, read(from.block()));
  metadata::AppendActivated reply{.block = std::move(block),
                                  .epoch = Epoch(from.epoch()),
                                  .ordinal = from.ordinal(),
                                  .capacity = from.capacity(),
                                  .first = from.first(),
                                  .previous = {}};
  if (!from.has_previous()) return reply;
  TRY(previous, read(from.previous()));
  reply.previous = std::move(previous);
  return reply;
}

void put(const metadata::SealBegun& reply, SealBegun& to) {
  to.set_epoch(reply.epoch.value);
  put(reply.block, *to.mutable_block());
  to.set_ordinal(reply.ordinal);
  to.set_capacity(reply.capacity);
  for (const uint32_t index : reply.lost) to.add_lost(index);
}

Result<metadata::SealBegun> read(const SealBegun& from) {
  TRY(block, read(from.block()));
  return metadata::SealBegun{.epoch = Epoch(from.epoch()),
                             .block = std::move(block),
                             .ordinal = from.ordinal(),
                             .capacity = from.capacity(),
                             .lost = {from.lost().begin(), from.lost().end()}};
}

void put(const metadata::ConversionBegun& reply, ConversionBegun& to) {
  put(reply.log, *to.mutable_log());
  to.set_policy(reply.policy.code());
  to.set_cell_bytes(reply.cell_bytes);
  put(reply.next, *to.mutable_next());
}

Result<metadata::ConversionBegun> read(const ConversionBegun& from) {
  TRY(log, read(from.log()));
  TRY(policy, checked_policy(from.policy()));
  TRY(next, read(from.next()));
  return metadata::ConversionBegun{.log = std::move(log),
                                   .policy = policy,
                                   .cell_bytes = from.cell_bytes(),
                                   .next = std::move(next)};
}

}  // namespace dogfs::proto
