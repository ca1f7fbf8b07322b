#include "core/proto/namespace_codec.h"

#include <optional>
#include <string>
#include <vector>

#include "core/base/limits.h"
#include "core/base/random.h"

#include "tests/doctest.h"

namespace dogfs::proto {
namespace {

using metadata::Answer;
using metadata::Command;
using metadata::FileHandle;
using metadata::Operation;
using metadata::Query;
using metadata::Reply;

// Numbers of all sizes, the extremes included.
uint64_t number(Random& random) {
  return random.chance(1, 10) ? UINT64_MAX : random.next() >> random.below(64);
}
uint32_t small(Random& random) { return static_cast<uint32_t>(number(random)); }

std::string text(Random& random, size_t most = 40) {
  std::string out(random.below(most), '\0');
  for (char& c : out) c = static_cast<char>(random.next());
  return out;
}

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
                              {.index = 0, .checksum = 0}}});
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

std::optional<metadata::Asker> asker(Random& random) {
  if (random.chance(1, 2)) return std::nullopt;
  return metadata::Asker{.user = text(random), .groups = {text(random), text(random)}};
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

// Those after the first eighteen.
Operation newer_operation(size_t kind, Random& random) {
  switch (kind) {
    case 18:
      return metadata::AckDeleted{
          .node = NodeId(small(random)),
          .shards = {{.block = BlockId(number(random)), .index = small(random)}}};
    case 19:
      return metadata::PutInline{
          .path = text(random),
          .policy = maybe_policy(random),
          .content = text(random),
          .condition = static_cast<metadata::PublishCondition>(random.between(1, 3)),
          .version = version(random),
          .attributes = inode(random)};
    case 20: return changes(random);
    case 21:
      return metadata::Copy{
          .from = text(random),
          .to = text(random),
          .condition = static_cast<metadata::PublishCondition>(random.between(1, 3)),
          .version = version(random)};
    case 22: return metadata::Truncate{.path = text(random), .length = number(random)};
    case 23: return metadata::Concatenate{.path = text(random), .sources = {text(random), ""}};
    case 24: return metadata::SetQuota{.path = text(random), .quota = quota(random)};
    case 25: return metadata::SetTrash{.seconds = number(random)};
    case 26: return metadata::AdvanceTrash{.from = number(random), .to = number(random)};
    case 27: return begin_import(random);
    case 28:
      return metadata::ImportRows{.rows = {{text(random), text(random)}, {text(random), ""}}};
    case 29: return metadata::FinishImport{.rows = number(random)};
    case 30: return metadata::RaiseIncarnation{};
    default: return metadata::SetClusterVersion{.version = small(random)};
  }
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
    case 9:
      return metadata::StartUpload{
          .path = text(random), .policy = maybe_policy(random), .overwrite = random.chance(1, 2)};
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
    case 17: return metadata::OrderDeletion{.blocks = {BlockId(number(random)), BlockId(0)}};
    default: return newer_operation(kind, random);
  }
}

Command command(size_t kind, Random& random) {
  return {.client = ClientId(number(random)),
          .request = RequestId(number(random)),
          .acknowledged_below = RequestId(number(random)),
          .wall = WallTime{static_cast<int64_t>(random.next())},
          .operation = operation(kind, random),
          .asker = asker(random)};
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
          .policy = policy(random)};
}

metadata::LocatedBlock located(Random& random) {
  const uint64_t size = random.between(1, limits::kBlockBytesMax);
  const uint64_t length = random.between(1, size);
  return {.file_offset = number(random),
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
                      .checksum = small(random)}}};
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
                                      .length = content.size(),
                                      .cell_bytes = small(random),
                                      .blocks = {},
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
                                                  .garbage_bytes = number(random)},
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
                                     .cell_bytes = small(random)};
    case 4:
      return metadata::BlocksAllocated{
          .policy = policy(random),
          .blocks = {
              {.block = BlockId(number(random)),
               .generation = Generation(1),
               .file_offset = number(random),
               .length = number(random),
               .shards = {{.index = 31, .node = NodeId(small(random)), .address = text(random)}}}}};
    default: return metadata::StepTaken{.entries = small(random), .more = random.chance(1, 2)};
  }
}

// What a decoder says of bytes that were damaged: any answer but a crash.
template <class Decode>
void check_damaged(const std::string& bytes, Random& random, Decode decode) {
  std::string cut = bytes.substr(0, random.below(bytes.size() + 1));
  (void)decode(cut);
  std::string flipped = bytes;
  if (!flipped.empty()) {
    flipped[random.below(flipped.size())] ^= static_cast<char>(1 << random.below(8));
  }
  (void)decode(flipped);
  (void)decode(text(random, 200));
}

TEST_CASE("every command survives its encoding, and damage never crashes the decoder") {
  for (size_t kind = 0; kind < std::variant_size_v<Operation>; ++kind) {
    CAPTURE(kind);
    Random random(kind + 1);
    for (int i = 0; i < 100; ++i) {
      const Command original = command(kind, random);
      REQUIRE_EQ(original.operation.index(), kind);
      const std::string bytes = encode_command(original);
      const auto back = decode_command(bytes);
      REQUIRE(back.has_value());
      CHECK((*back == original));
      check_damaged(bytes, random, decode_command);
    }
  }
}

TEST_CASE("every answer to a command survives its encoding") {
  for (size_t kind = 0; kind < std::variant_size_v<Reply>; ++kind) {
    Random random(kind + 1);
    for (int i = 0; i < 100; ++i) {
      const metadata::Response original = reply(kind, random);
      const std::string bytes = encode_response(original);
      const auto back = decode_response(bytes);
      REQUIRE(back.has_value());
      CHECK((*back == original));
      check_damaged(bytes, random, decode_response);
    }
  }
}

TEST_CASE("every query and its answer survive their encoding") {
  for (size_t kind = 0; kind < std::variant_size_v<Query>; ++kind) {
    Random random(kind + 1);
    for (int i = 0; i < 100; ++i) {
      const metadata::Question original{query(kind, random), asker(random)};
      const std::string bytes = encode_query(original);
      CHECK((decode_query(bytes) == original));
      check_damaged(bytes, random, decode_query);
      const metadata::QueryResponse found = answer(kind, random);
      const std::string answer_bytes = encode_answer(found);
      const auto back = decode_answer(answer_bytes);
      REQUIRE_MESSAGE(back.has_value(), (back ? "" : back.error().message));
      CHECK((*back == found));
      check_damaged(answer_bytes, random, decode_answer);
    }
  }
}

TEST_CASE("a question for a part of an export and its answer survive their encoding") {
  Random random(1);
  for (int i = 0; i < 100; ++i) {
    const ExportQuestion question{.id = number(random), .position = text(random)};
    const std::string bytes = encode_export(question);
    const auto back = decode_export(bytes);
    REQUIRE(back.has_value());
    CHECK_EQ(back->id, question.id);
    CHECK_EQ(back->position, question.position);
    check_damaged(bytes, random, decode_export);
    const ExportPart part{.id = number(random),
                          .position = text(random),
                          .rows = {{text(random), text(random)}},
                          .more = random.chance(1, 2),
                          .settings = begin_import(random)};
    const std::string part_bytes = encode_export_part(part);
    const auto found = decode_export_part(part_bytes);
    REQUIRE(found.has_value());
    CHECK((found->rows == part.rows));
    CHECK((found->settings == part.settings));
    CHECK_EQ(found->position, part.position);
    CHECK_EQ(found->more, part.more);
    check_damaged(part_bytes, random, decode_export_part);
  }
}

TEST_CASE("a refusal keeps its code and message, unknown stays unknown") {
  for (int code = 1; code <= static_cast<int>(Code::kUnsupported); ++code) {
    const metadata::Response refused = fail(static_cast<Code>(code), "why {}", code);
    CHECK((*decode_response(encode_response(refused)) == refused));
    const metadata::QueryResponse unread = fail(static_cast<Code>(code), "why {}", code);
    CHECK((*decode_answer(encode_answer(unread)) == unread));
  }
}

TEST_CASE("an unknown operation or format is unsupported, not skipped") {
  CHECK_EQ(decode_command("\x08\x01").error().code, Code::kUnsupported);  // format 1, nothing else
  CHECK_EQ(decode_command("").error().code, Code::kUnsupported);
  Random random(1);
  std::string later = encode_command(command(8, random));
  REQUIRE_EQ(later[1], 1);
  later[1] = 2;
  CHECK_EQ(decode_command(later).error().code, Code::kUnsupported);
  CHECK_EQ(decode_query("").error().code, Code::kUnsupported);
  CHECK_EQ(decode_response("").error().code, Code::kUnsupported);
  CHECK_EQ(decode_answer("").error().code, Code::kUnsupported);
  CHECK_EQ(decode_command("\xff\xff\xff").error().code, Code::kCorrupt);
}

TEST_CASE("lists over their limits and enums that do not exist are refused") {
  const auto refusal = [](Operation op) {
    const auto back = decode_command(encode_command({.operation = std::move(op)}));
    REQUIRE_FALSE(back.has_value());
    return back.error().code;
  };
  CHECK_EQ(refusal(metadata::AllocateBlocks{
               .lengths = std::vector<uint64_t>(limits::kBlocksPerAllocation + 1, 1)}),
           Code::kTooLarge);
  metadata::CommitBlocks many;
  many.blocks.resize(limits::kBlocksPerAllocation + 1);
  CHECK_EQ(refusal(many), Code::kTooLarge);
  metadata::CommitBlocks wide;
  wide.blocks.resize(1);
  wide.blocks[0].shards.resize(limits::kShardsMax + 1);
  CHECK_EQ(refusal(wide), Code::kTooLarge);
  metadata::OrderDeletion order;
  order.blocks.resize(limits::kDeletionsPerEntry + 1);
  CHECK_EQ(refusal(order), Code::kTooLarge);
  metadata::AckDeleted ack;
  ack.shards.resize(limits::kDeletionsPerEntry + 1);
  CHECK_EQ(refusal(ack), Code::kTooLarge);
  CHECK_EQ(refusal(metadata::Remove{.path = std::string(limits::kPathBytesMax + 1, 'x')}),
           Code::kTooLarge);
  CHECK_EQ(refusal(metadata::PutInline{.content = std::string(limits::kInlineBytesMax + 1, 'x')}),
           Code::kTooLarge);
  CHECK_EQ(refusal(metadata::PutInline{.condition = static_cast<metadata::PublishCondition>(0)}),
           Code::kInvalid);
  CHECK_EQ(refusal(metadata::Concatenate{
               .sources = std::vector<std::string>(limits::kJoinedFilesMax + 1, "/x")}),
           Code::kTooLarge);
  CHECK_EQ(refusal(metadata::SetNodeState{.state = static_cast<placement::NodeState>(6)}),
           Code::kInvalid);
  CHECK_EQ(refusal(metadata::RegisterNode{.kind = static_cast<placement::NodeKind>(0)}),
           Code::kInvalid);
  CHECK_EQ(refusal(metadata::Publish{.condition = static_cast<metadata::PublishCondition>(4)}),
           Code::kInvalid);
}

TEST_CASE("bytes of an inline file that are not its length, or come with blocks, are refused") {
  Random random(1);
  const auto refusal = [](metadata::FileLocation location) {
    const auto back = decode_answer(encode_answer(Answer(std::move(location))));
    REQUIRE_FALSE(back.has_value());
    return back.error().code;
  };
  CHECK_EQ(refusal({.length = 4, .blocks = {}, .content = "abc"}), Code::kInvalid);
  CHECK_EQ(refusal({.length = 3, .blocks = {located(random)}, .content = "abc"}), Code::kInvalid);
  CHECK_EQ(
      refusal(
          {.length = 0, .blocks = {}, .content = std::string(limits::kInlineBytesMax + 1, 'x')}),
      Code::kTooLarge);
}

TEST_CASE("the largest answers fit a frame, with room for what carries them") {
  const std::string text(255, 'x');
  constexpr uint32_t kLast = limits::kShardsMax - 1;
  const auto policy = placement::Policy::parse("rs-16-16").value();
  metadata::LocatedBlock block{.file_offset = UINT64_MAX,
                               .length = limits::kBlockBytesMax,
                               .block = BlockId(UINT64_MAX),
                               .generation = Generation(UINT64_MAX),
                               .placement_version = PlacementVersion(UINT64_MAX),
                               .block_length = limits::kBlockBytesMax,
                               .policy = policy};
  block.shards.assign(limits::kShardsMax, {.index = kLast,
                                           .node = NodeId(UINT32_MAX),
                                           .address = text,
                                           .state = placement::NodeState::kGone,
                                           .checksum = UINT32_MAX});
  metadata::FileLocation location{.length = UINT64_MAX, .cell_bytes = UINT32_MAX};
  location.blocks.assign(limits::kBlocksPerLocation, block);
  const metadata::InodeAttributes widest{.owner = text.substr(0, limits::kUserNameBytesMax),
                                         .group = text.substr(0, limits::kUserNameBytesMax),
                                         .mode = 07777,
                                         .accessed = WallTime{-1}};
  metadata::Listing listing;
  listing.entries.assign(limits::kListPageMax, {.name = text,
                                                .attributes = {.id = InodeId(UINT64_MAX),
                                                               .home = InodeId(UINT64_MAX),
                                                               .length = UINT64_MAX,
                                                               .blocks = UINT32_MAX,
                                                               .changes = UINT64_MAX,
                                                               .modified = WallTime{-1},
                                                               .inode = widest}});
  placement::MapChanges map{.version = MapVersion(UINT64_MAX), .full = true};
  map.nodes.assign(limits::kNodesMax, {.id = NodeId(UINT32_MAX),
                                       .name = text,
                                       .store = StoreId(UINT64_MAX),
                                       .address = text,
                                       .zone = text,
                                       .disks = UINT32_MAX,
                                       .capacity_bytes = UINT64_MAX,
                                       .used_bytes = UINT64_MAX,
                                       .changed = MapVersion(UINT64_MAX)});
  for (const Answer& answer : {Answer(location), Answer(listing), Answer(map)}) {
    CHECK_LE(encode_answer(answer).size(), limits::kFrameMessageBytesMax - limits::kKiB);
  }
}

TEST_CASE("a located block that contradicts itself is refused") {
  Random random(3);
  const auto refusal = [&](auto change) {
    metadata::FileLocation location{.blocks = {located(random)}};
    change(location.blocks[0]);
    const auto back = decode_answer(encode_answer(location));
    return !back.has_value();
  };
  using Block = metadata::LocatedBlock;
  CHECK_FALSE(refusal([](Block&) {}));
  CHECK(refusal([](Block& b) { b.length = b.block_length + 1; }));
  CHECK(refusal([](Block& b) { b.block_offset = b.block_length - b.length + 1; }));
  CHECK(refusal([](Block& b) { b.block_offset = UINT64_MAX; }));
  CHECK(refusal([](Block& b) { b.block_length = limits::kBlockBytesMax + 1; }));
  CHECK(refusal([](Block& b) { b.shards[0].index = 6; }));
  CHECK(refusal([](Block& b) { b.shards.resize(7); }));
}

}  // namespace
}  // namespace dogfs::proto
