#include "tests/core/proto/namespace_samples.h"

#include <variant>

#include "core/base/limits.h"

namespace dogfs::proto {

using metadata::Answer;
using metadata::Command;
using metadata::FileHandle;
using metadata::Operation;
using metadata::Query;
using metadata::Reply;

namespace {

Sha256Digest digest(Random& random) { return Sha256::of(text(random)); }
std::optional<Sha256Digest> maybe_digest(Random& random) {
  if (random.chance(1, 2)) return std::nullopt;
  return digest(random);
}
metadata::ContentMode content_mode(Random& random) {
  return static_cast<metadata::ContentMode>(random.below(3));
}

uint32_t small(Random& random) { return static_cast<uint32_t>(number(random)); }
FileHandle file(Random& random) { return {InodeId(number(random)), InodeId(number(random))}; }

placement::Policy policy(Random& random) {
  const char* names[] = {"rs-4-2", "rep-3", "rs-31-1", "rep-1"};
  return placement::Policy::parse(names[random.below(4)]).value();
}

std::optional<placement::Policy> maybe_policy(Random& random) {
  if (random.chance(1, 2)) return std::nullopt;
  return policy(random);
}

placement::Node node(Random& random) {
  return {.id = NodeId(1 + small(random) / 2),
          .kind = static_cast<placement::NodeKind>(random.between(1, 2)),
          .name = fmt::format("chunk-{}", random.below(100)),
          .store = StoreId(1 + number(random) / 2),
          .address = "127.0.0.1:7001",
          .zone = "rack-1",
          .disks = small(random),
          .capacity_bytes = number(random),
          .used_bytes = number(random),
          .state = static_cast<placement::NodeState>(random.between(1, 5)),
          .newest_version = small(random),
          .changed = MapVersion(number(random))};
}

std::vector<metadata::CommittedBlock> commits(Random& random) {
  std::vector<metadata::CommittedBlock> out;
  for (uint64_t i = random.below(limits::kBlocksPerAllocation + 1); i > 0; --i) {
    out.push_back({.block = BlockId(number(random)),
                   .generation = Generation(number(random)),
                   .file_offset = number(random),
                   .length = number(random),
                   .shards = {{.index = small(random), .checksum = small(random)},
                              {.index = 0, .checksum = 0}},
                   .digest = maybe_digest(random)});
  }
  return out;
}

metadata::FileVersion version(Random& random) {
  if (random.chance(1, 2)) return {};
  return {InodeId(number(random)), number(random)};
}

std::vector<metadata::Label> labels(Random& random) {
  std::vector<metadata::Label> out;
  for (uint64_t i = random.below(4); i > 0; --i) {
    out.push_back({.kind = static_cast<metadata::LabelKind>(random.between(1, 3)),
                   .name = text(random),
                   .value = text(random)});
  }
  return out;
}

metadata::InodeAttributes inode(Random& random) {
  metadata::InodeAttributes out;
  if (random.chance(1, 2)) return out;
  out.owner = text(random);
  out.group = text(random);
  if (random.chance(1, 2)) out.mode = static_cast<uint16_t>(random.next());
  if (random.chance(1, 2)) out.accessed = WallTime{static_cast<int64_t>(random.next())};
  out.labels = labels(random);
  return out;
}

metadata::Quota quota(Random& random) {
  metadata::Quota out;
  if (random.chance(1, 2)) out.bytes = number(random);
  if (random.chance(1, 2)) out.entries = number(random);
  return out;
}

metadata::SetAttributes changes(Random& random) {
  metadata::SetAttributes out{.path = text(random)};
  if (random.chance(1, 2)) out.version = metadata::FileVersion{InodeId(number(random)), 7};
  if (random.chance(1, 2)) out.owner = text(random);
  if (random.chance(1, 2)) out.group = text(random);
  if (random.chance(1, 2)) out.mode = static_cast<uint16_t>(random.next());
  if (random.chance(1, 2)) out.modified = WallTime{static_cast<int64_t>(random.next())};
  if (random.chance(1, 2)) out.accessed = WallTime{static_cast<int64_t>(random.next())};
  for (auto& label : labels(random)) {
    out.labels.push_back({.kind = label.kind, .name = label.name, .value = label.value});
    if (random.chance(1, 2)) out.labels.back().value.reset();
  }
  return out;
}

std::vector<NodeId> some_nodes(Random& random) {
  std::vector<NodeId> out;
  for (uint64_t i = random.below(4); i > 0; --i) out.emplace_back(small(random));
  return out;
}

metadata::SetLayout set_layout(Random& random) {
  metadata::SetLayout out{.path = text(random),
                          .layout = {.policy = maybe_policy(random)},
                          .inherit = random.chance(1, 2)};
  if (random.chance(1, 2)) out.layout.block_bytes = number(random);
  if (random.chance(1, 2)) out.layout.cell_bytes = small(random);
  if (random.chance(1, 2)) out.layout.content_mode = content_mode(random);
  return out;
}

Operation append_operation(size_t kind, Random& random) {
  switch (kind) {
    case 32:
      return metadata::OpenAppend{.path = text(random),
                                  .create = random.chance(1, 2),
                                  .policy = maybe_policy(random),
                                  .attributes = inode(random),
                                  .avoid = some_nodes(random)};
    case 33:
      return metadata::ActivateAppend{.file = file(random),
                                      .block = BlockId(number(random)),
                                      .epoch = Epoch(number(random)),
                                      .node = NodeId(small(random)),
                                      .activation = number(random),
                                      .begun = random.chance(1, 2)};
    case 34: return metadata::BeginSeal{.file = file(random), .block = BlockId(number(random))};
    case 35:
      return metadata::FixAppend{.file = file(random),
                                 .block = BlockId(number(random)),
                                 .epoch = Epoch(number(random)),
                                 .length = number(random),
                                 .holders = {0, small(random)}};
    case 36:
      return metadata::BeginConversion{.block = BlockId(number(random)),
                                       .generation = Generation(number(random)),
                                       .attempt = number(random),
                                       .avoid = some_nodes(random)};
    case 37:
      return metadata::CommitConversion{
          .block = BlockId(number(random)),
          .generation = Generation(number(random)),
          .shards = {{.index = small(random), .checksum = small(random)}}};
    case 38:
      return metadata::JudgeShards{.node = NodeId(small(random)),
                                   .shards = {{.block = BlockId(number(random)),
                                               .index = small(random),
                                               .generation = Generation(number(random)),
                                               .sound = random.chance(1, 2),
                                               .checksum = small(random)}}};
    case 40:
      return metadata::PutPacked{
          .path = text(random),
          .policy = maybe_policy(random),
          .pack = file(random),
          .block = BlockId(number(random)),
          .block_offset = number(random),
          .length = number(random),
          .condition = static_cast<metadata::PublishCondition>(random.between(1, 3)),
          .version = version(random),
          .attributes = inode(random)};
    case 41:
      return metadata::MovePacked{.file = file(random),
                                  .from = BlockId(number(random)),
                                  .from_offset = number(random),
                                  .length = number(random),
                                  .pack = file(random),
                                  .block = BlockId(number(random)),
                                  .block_offset = number(random)};
    case 42:
      return metadata::UseBlocks{.file = file(random),
                                 .epoch = Epoch(number(random)),
                                 .file_offset = number(random),
                                 .blocks = {{.length = number(random), .digest = digest(random)},
                                            {.length = 0, .digest = {}}}};
    case 43:
      return metadata::DisownBlock{.block = BlockId(number(random)), .digest = digest(random)};
    default: return set_layout(random);
  }
}

// Those after the first seventeen.
Operation newer_operation(size_t kind, Random& random) {
  switch (kind) {
    case 17:
      return metadata::OrderDeletion{
          .blocks = {BlockId(number(random)), BlockId(0)},
          .former = {{BlockId(number(random)), Generation(number(random))}}};
    case 18:
      return metadata::AckDeleted{.node = NodeId(small(random)),
                                  .shards = {{.block = BlockId(number(random)),
                                              .index = small(random),
                                              .generation = Generation(number(random))}}};
    case 19:
      return metadata::PutInline{
          .path = text(random),
          .policy = maybe_policy(random),
          .content = text(random),
          .condition = static_cast<metadata::PublishCondition>(random.between(1, 3)),
          .version = version(random),
          .attributes = inode(random),
          .block_bytes = number(random),
          .cell_bytes = small(random)};
    case 20: return changes(random);
    case 21:
      return metadata::Copy{
          .from = text(random),
          .to = text(random),
          .condition = static_cast<metadata::PublishCondition>(random.between(1, 3)),
          .version = version(random)};
    case 22: return metadata::Truncate{.path = text(random), .length = number(random)};
    case 23:
      return metadata::Concatenate{
          .path = text(random),
          .sources = {text(random), ""},
          .at = random.chance(1, 2) ? std::optional(number(random)) : std::nullopt};
    case 24: return metadata::SetQuota{.path = text(random), .quota = quota(random)};
    case 25: return metadata::SetTrash{.seconds = number(random)};
    case 26: return metadata::AdvanceTrash{.from = number(random), .to = number(random)};
    case 27: return begin_import(random);
    case 28:
      return metadata::ImportRows{.rows = {{text(random), text(random)}, {text(random), ""}}};
    case 29: return metadata::FinishImport{.rows = number(random)};
    case 30: return metadata::RaiseIncarnation{};
    case 31: return metadata::SetClusterVersion{.version = small(random)};
    default: return append_operation(kind, random);
  }
}

metadata::StartUpload start_upload(Random& random) {
  return {.path = text(random),
          .policy = maybe_policy(random),
          .overwrite = random.chance(1, 2),
          .block_bytes = number(random),
          .cell_bytes = small(random)};
}

// One operation of the kind with that place in the variant.
Operation operation(size_t kind, Random& random) {
  const Epoch epoch(number(random));
  switch (kind) {
    case 0:
      return metadata::CreateCluster{.cluster = ClusterId(number(random)),
                                     .policy = policy(random),
                                     .block_bytes = number(random),
                                     .cell_bytes = small(random),
                                     .inline_bytes = small(random),
                                     .version = small(random)};
    case 1: {
      const auto n = node(random);
      return metadata::RegisterNode{.node = n.id,
                                    .kind = n.kind,
                                    .name = text(random),
                                    .store = n.store,
                                    .address = text(random),
                                    .zone = text(random),
                                    .disks = n.disks,
                                    .capacity_bytes = n.capacity_bytes,
                                    .used_bytes = n.used_bytes,
                                    .newest_version = small(random)};
    }
    case 2:
      return metadata::SetNodeState{
          .node = NodeId(small(random)),
          .state = static_cast<placement::NodeState>(random.between(1, 5)),
          .seen = MapVersion(number(random))};
    case 3:
      return metadata::SetNodeSpace{.node = NodeId(small(random)),
                                    .capacity_bytes = number(random),
                                    .used_bytes = number(random)};
    case 4: return metadata::RegisterClient{};
    case 5: return metadata::ExpireSession{.client = ClientId(number(random)), .epoch = epoch};
    case 6:
      return metadata::MakeDirectory{
          .path = text(random), .parents = random.chance(1, 2), .policy = maybe_policy(random)};
    case 7: return metadata::Rename{.from = text(random), .to = text(random)};
    case 8:
      return metadata::Remove{
          .path = text(random), .recursive = random.chance(1, 2), .forever = random.chance(1, 2)};
    case 9: return start_upload(random);
    case 10:
      return metadata::AllocateBlocks{.file = file(random),
                                      .epoch = epoch,
                                      .file_offset = number(random),
                                      .lengths = {number(random), 0, number(random)}};
    case 11:
      return metadata::CommitBlocks{
          .file = file(random), .epoch = epoch, .blocks = commits(random)};
    case 12:
      return metadata::Publish{
          .file = file(random),
          .epoch = epoch,
          .path = text(random),
          .length = number(random),
          .condition = static_cast<metadata::PublishCondition>(random.between(1, 3)),
          .version = version(random),
          .attributes = inode(random)};
    case 13: return metadata::AbandonUpload{.file = file(random), .epoch = epoch};
    case 14: return metadata::RenewLease{.file = file(random), .epoch = epoch};
    case 15: return metadata::ExpireLease{.file = file(random), .epoch = epoch};
    case 16: return metadata::RemoveStep{.limit = small(random)};
    default: return newer_operation(kind, random);
  }
}

metadata::Attributes attributes(Random& random) {
  return {.kind = static_cast<metadata::EntryKind>(random.between(1, 2)),
          .id = InodeId(number(random)),
          .home = InodeId(number(random)),
          .length = number(random),
          .blocks = small(random),
          .changes = number(random),
          .modified = WallTime{static_cast<int64_t>(random.next())},
          .inode = inode(random),
          .policy = policy(random),
          .appending = random.chance(1, 2),
          .block_bytes = number(random),
          .cell_bytes = small(random),
          .content_mode = content_mode(random),
          .layout_from = {small(random), small(random), small(random), small(random)}};
}

std::vector<metadata::PlacedShard> placed_shards(Random& random) {
  return {{.index = 31, .node = NodeId(small(random)), .address = text(random)}};
}

metadata::PlacedBlock placed_block(Random& random) {
  return {.block = BlockId(number(random)),
          .generation = Generation(number(random)),
          .file_offset = number(random),
          .length = number(random),
          .shards = placed_shards(random)};
}

metadata::AppendLog append_log(Random& random) {
  return {.block = BlockId(number(random)),
          .generation = Generation(number(random)),
          .length = number(random),
          .ordinal = small(random),
          .holders = placed_shards(random)};
}

Reply append_reply(size_t kind, Random& random) {
  switch (kind) {
    case 6:
      return metadata::AppendOpened{.file = file(random),
                                    .policy = policy(random),
                                    .block = placed_block(random),
                                    .epoch = Epoch(number(random)),
                                    .ordinal = small(random),
                                    .capacity = number(random)};
    case 7: {
      metadata::AppendActivated out{.block = placed_block(random),
                                    .epoch = Epoch(number(random)),
                                    .ordinal = small(random),
                                    .capacity = number(random),
                                    .first = random.chance(1, 2),
                                    .previous = {}};
      if (random.chance(1, 2)) out.previous = append_log(random);
      return out;
    }
    case 8:
      return metadata::SealBegun{.epoch = Epoch(number(random)),
                                 .block = placed_block(random),
                                 .ordinal = small(random),
                                 .capacity = number(random),
                                 .lost = {small(random), small(random)}};
    case 10: return metadata::BlocksUsed{.blocks = small(random)};
    default:
      return metadata::ConversionBegun{.log = append_log(random),
                                       .policy = policy(random),
                                       .cell_bytes = small(random),
                                       .next = placed_block(random)};
  }
}

}  // namespace

uint64_t number(Random& random) {
  return random.chance(1, 10) ? UINT64_MAX : random.next() >> random.below(64);
}

std::string text(Random& random, size_t most) {
  std::string out(random.below(most), '\0');
  for (char& c : out) c = static_cast<char>(random.next());
  return out;
}

std::optional<metadata::Asker> asker(Random& random) {
  if (random.chance(1, 2)) return std::nullopt;
  return metadata::Asker{.user = text(random), .groups = {text(random), text(random)}};
}

metadata::BeginImport begin_import(Random& random) {
  return {.cluster = ClusterId(number(random)),
          .incarnation = Incarnation(static_cast<uint16_t>(random.next())),
          .policy = policy(random),
          .block_bytes = number(random),
          .cell_bytes = small(random),
          .inline_bytes = small(random),
          .trash_seconds = number(random),
          .trash_clock = number(random),
          .next_node = small(random)};
}

Command command(size_t kind, Random& random) {
  return {.client = ClientId(number(random)),
          .request = RequestId(number(random)),
          .acknowledged_below = RequestId(number(random)),
          .wall = WallTime{static_cast<int64_t>(random.next())},
          .operation = operation(kind, random),
          .asker = asker(random)};
}

metadata::LocatedBlock located(Random& random) {
  const uint64_t size = random.between(1, limits::kBlockBytesMax);
  const uint64_t length = random.between(1, size);
  return {.file_offset = limits::kInlineBytesMax + number(random) / 2,
          .length = length,
          .block_offset = random.below(size - length + 1),
          .block = BlockId(number(random)),
          .generation = Generation(number(random)),
          .placement_version = PlacementVersion(number(random)),
          .block_length = size,
          .policy = {},
          .shards = {{.index = 5,
                      .node = NodeId(small(random)),
                      .address = text(random),
                      .state = placement::NodeState::kDead,
                      .checksum = small(random)}},
          .state = static_cast<metadata::LocatedState>(random.below(3)),
          .log = random.chance(1, 2),
          .epoch = Epoch(number(random)),
          .ordinal = small(random),
          .cell_bytes = 1 + small(random) / 2,
          .digest = maybe_digest(random)};
}

metadata::BlockReferrers referrers(Random& random) {
  metadata::BlockReferrers out{.block = located(random),
                               .files = {},
                               .last = InodeId(number(random)),
                               .more = random.chance(1, 2)};
  for (uint64_t i = random.below(3); i > 0; --i) {
    const uint64_t length = random.below(out.block.block_length + 1);
    out.files.push_back(
        {.file = file(random),
         .ranges = {{.offset = random.below(out.block.block_length - length + 1), .length = length},
                    {.offset = 0, .length = 0}}});
  }
  return out;
}

Answer answer(size_t kind, Random& random) {
  switch (kind) {
    case 0: return attributes(random);
    case 1:
      return metadata::Listing{.entries = {{.name = text(random), .attributes = attributes(random)},
                                           {.name = "b", .attributes = attributes(random)}},
                               .more = random.chance(1, 2)};
    case 2:
      if (random.chance(1, 2)) {
        std::string content = 'x' + text(random);
        return metadata::FileLocation{.file = file(random),
                                      .length = content.size() + random.below(2),
                                      .cell_bytes = small(random),
                                      .blocks = std::vector(random.below(2), located(random)),
                                      .content = std::move(content)};
      }
      return metadata::FileLocation{.file = file(random),
                                    .length = number(random),
                                    .cell_bytes = small(random),
                                    .blocks = {located(random), located(random)},
                                    .more = random.chance(1, 2),
                                    .contents = number(random)};
    case 3:
      return placement::MapChanges{.version = MapVersion(number(random)),
                                   .full = random.chance(1, 2),
                                   .nodes = {node(random)}};
    case 6: return referrers(random);
    case 5:
      return metadata::DirectoryUse{.use = {.bytes = number(random), .entries = number(random)},
                                    .quota = quota(random)};
    default:
      return metadata::ClusterStatus{.settings = {.cluster = ClusterId(number(random)),
                                                  .incarnation = Incarnation(UINT16_MAX),
                                                  .cluster_version = small(random),
                                                  .policy = policy(random),
                                                  .block_bytes = number(random),
                                                  .cell_bytes = small(random),
                                                  .inline_bytes = small(random),
                                                  .trash_seconds = number(random)},
                                     .counters = {.files = number(random),
                                                  .directories = number(random),
                                                  .uploads = number(random),
                                                  .sessions = number(random),
                                                  .blocks = number(random),
                                                  .blocks_below_full_width = number(random),
                                                  .garbage_blocks = number(random),
                                                  .garbage_bytes = number(random),
                                                  .append_blocks = number(random),
                                                  .former_generations = number(random),
                                                  .placed_bytes = number(random),
                                                  .pack_bytes = number(random),
                                                  .packed_bytes = number(random),
                                                  .block_bytes = number(random),
                                                  .known_blocks = number(random)},
                                     .file_bytes = number(random),
                                     .map_version = MapVersion(number(random))};
  }
}

Query query(size_t kind, Random& random) {
  switch (kind) {
    case 0: return metadata::StatQuery{.path = text(random)};
    case 1:
      return metadata::ListQuery{
          .path = text(random), .after = text(random), .limit = small(random)};
    case 2:
      return metadata::LocateQuery{.path = text(random),
                                   .file = file(random),
                                   .offset = number(random),
                                   .length = number(random)};
    case 3: return metadata::MapQuery{.since = MapVersion(number(random))};
    case 4: return metadata::StatusQuery{};
    case 6:
      return metadata::ReferrersQuery{.block = BlockId(number(random)),
                                      .after = InodeId(number(random))};
    default: return metadata::UseQuery{.path = text(random)};
  }
}

Reply reply(size_t kind, Random& random) {
  switch (kind) {
    case 0: return metadata::Done{};
    case 1:
      return metadata::NodeRegistered{.node = NodeId(small(random)),
                                      .version = MapVersion(number(random))};
    case 2:
      return metadata::ClientRegistered{.client = ClientId(number(random)),
                                        .epoch = Epoch(number(random)),
                                        .inline_bytes = small(random)};
    case 3:
      return metadata::UploadStarted{.file = file(random),
                                     .epoch = Epoch(number(random)),
                                     .policy = policy(random),
                                     .block_bytes = number(random),
                                     .cell_bytes = small(random),
                                     .content_mode = content_mode(random)};
    case 4:
      return metadata::BlocksAllocated{.policy = policy(random), .blocks = {placed_block(random)}};
    case 5: return metadata::StepTaken{.entries = small(random), .more = random.chance(1, 2)};
    default: return append_reply(kind, random);
  }
}

}  // namespace dogfs::proto
