#include "core/namespace/schema.h"

#include <algorithm>
#include <string>
#include <vector>

#include <rapidcheck.h>

#include "core/base/limits.h"
#include "core/base/random.h"
#include "core/namespace/response_coding.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

template <class Row>
void check_round_trip(const Row& row) {
  const std::string bytes = encode(row);
  const auto back = decode<Row>(bytes);
  RC_ASSERT(back.has_value());
  RC_ASSERT(*back == row);
  RC_ASSERT(encode(*back) == bytes);
  RC_ASSERT(decode<Row>(bytes + "x").error().code == Code::kCorrupt);
  for (size_t length = 0; length < bytes.size(); ++length) {
    RC_ASSERT(!decode<Row>(bytes.substr(0, length)).has_value());
  }
  std::string later = bytes;
  ++later[0];
  RC_ASSERT(decode<Row>(later).error().code == Code::kUnsupported);
}

void check_dentry(const DentryRow& row, InodeId directory) {
  const std::string bytes = encode(row, directory);
  const auto back = decode_dentry(bytes, directory);
  RC_ASSERT(back.has_value());
  RC_ASSERT((*back == row));
  RC_ASSERT(decode_dentry(bytes + "x", directory).error().code == Code::kCorrupt);
  for (size_t length = 0; length < bytes.size(); ++length) {
    RC_ASSERT(!decode_dentry(bytes.substr(0, length), directory).has_value());
  }
  std::string later = bytes;
  ++later[0];
  RC_ASSERT(decode_dentry(later, directory).error().code == Code::kUnsupported);
}

// Numbers of all sizes, small ones often.
uint64_t number(Random& random) { return random.next() >> random.below(64); }

InodeAttributes random_attributes(Random& random) {
  InodeAttributes out;
  if (random.chance(1, 3)) return out;
  if (random.chance(1, 2)) out.owner = std::string(random.between(1, 64), 'o');
  if (random.chance(1, 2)) out.group = "staff";
  if (random.chance(1, 2)) out.mode = static_cast<uint16_t>(random.below(010000));
  if (random.chance(1, 2)) out.accessed = WallTime{static_cast<int64_t>(random.next())};
  for (const LabelKind kind : {LabelKind::kXattr, LabelKind::kHeader, LabelKind::kTag}) {
    if (random.chance(1, 2)) continue;
    out.labels.push_back({.kind = kind, .name = "a", .value = ""});
    out.labels.push_back({.kind = kind, .name = "b", .value = std::string(random.below(300), 'v')});
  }
  return out;
}

FileRow random_file(Random& random) {
  FileRow row{.state = static_cast<FileState>(random.between(1, 3)),
              .policy = placement::Policy::parse("rep-3").value(),
              .modified = {static_cast<int64_t>(random.next())},
              .client = ClientId(random.chance(1, 2) ? number(random) : 0),
              .epoch = Epoch(random.chance(1, 2) ? number(random) : 0),
              .extents = {},
              .content = {},
              .changes = random.chance(1, 2) ? number(random) : 0,
              .attributes = random_attributes(random)};
  if (random.chance(1, 3)) {
    row.appends = 1 + static_cast<uint32_t>(number(random) >> 33);
    row.last_append = BlockId(random.next());
  }
  row.pack = random.chance(1, 3);
  if (random.chance(1, 3)) row.block_bytes = random.between(1, limits::kBlockBytesMax);
  if (random.chance(1, 3)) row.cell_bytes = 1 + static_cast<uint32_t>(random.below(1 << 20));
  if (random.chance(1, 3)) row.cuts = 1 + number(random) / 2;
  if (random.chance(1, 3)) {
    row.content = std::string(random.between(1, 300), static_cast<char>(random.next()));
    if (random.chance(1, 2)) return row;
  }
  uint64_t offset = row.content.size();
  for (uint64_t i = random.below(5); i > 0; --i) {
    row.extents.push_back({.file_offset = offset,
                           .length = random.below(limits::kBlockBytesMax + 1),
                           .block = BlockId(random.next()),
                           .block_offset = random.below(100)});
    offset += row.extents.back().length;
  }
  return row;
}

std::vector<ShardRow> random_shards(Random& random, size_t count) {
  std::vector<ShardRow> out(count);
  for (ShardRow& shard : out) {
    shard.node = NodeId(static_cast<uint32_t>(number(random)));
    shard.durable = random.chance(1, 2);
    if (shard.durable) shard.checksum = static_cast<uint32_t>(random.next());
  }
  return out;
}

AppendRow random_append(Random& random) {
  AppendRow out{.file = {InodeId(random.next()), InodeId(random.next())},
                .ordinal = static_cast<uint32_t>(number(random)),
                .previous = BlockId(random.chance(1, 2) ? 0 : random.next()),
                .capacity = random.below(limits::kBlockBytesMax + 1),
                .target = placement::Policy::parse("rs-2-1").value(),
                .target_cell_bytes = static_cast<uint32_t>(random.below(limits::kCellBytesMax + 1)),
                .epoch = Epoch(number(random)),
                .activation = number(random),
                .begun = random.chance(1, 2),
                .claimed = random.below(limits::kBlockBytesMax + 1),
                .next = {},
                .former = {}};
  if (random.chance(1, 2)) {
    out.next = NextRow{.generation = Generation(number(random)),
                       .attempt = number(random),
                       .nodes = {NodeId(1), NodeId(0), NodeId(UINT32_MAX)}};
  }
  for (uint64_t i = random.below(limits::kFormerGenerationsMax + 2); i > 0; --i) {
    out.former.push_back({.generation = Generation(number(random)),
                          .ordered = random.chance(1, 2),
                          .shards = random_shards(random, random.below(4))});
  }
  return out;
}

BlockRow random_block(Random& random) {
  BlockRow row{.state = static_cast<BlockState>(random.between(1, 6)),
               .policy = {},
               .generation = Generation(number(random)),
               .placement_version = PlacementVersion(number(random)),
               .length = random.below(limits::kBlockBytesMax + 1),
               .shared = random.chance(1, 2),
               .pack = random.chance(1, 2),
               .shards = random_shards(random, 6)};
  if (random.chance(1, 2)) row.cell_bytes = 1 + static_cast<uint32_t>(random.below(1 << 20));
  if (random.chance(1, 2)) row.append = random_append(random);
  if (random.chance(1, 2)) row.digest = Sha256::of("content");
  if (row.digest && random.chance(1, 2)) row.known_in = InodeId(1 + random.next() / 2);
  row.disowned = row.digest && random.chance(1, 2);
  return row;
}

TEST_CASE("every row survives its encoding, and cut or later ones are refused") {
  CHECK(rc::check([] {
    Random random(*rc::gen::arbitrary<uint64_t>());
    check_round_trip(random_file(random));
    check_round_trip(random_block(random));
    check_round_trip(DirectoryRow{
        .parent = InodeId(number(random)),
        .policy = random.chance(1, 2) ? std::optional(placement::Policy()) : std::nullopt,
        .modified = {static_cast<int64_t>(random.next())},
        .quota = {.bytes = random.chance(1, 2) ? std::optional(number(random)) : std::nullopt,
                  .entries = random.chance(1, 2) ? std::optional(number(random)) : std::nullopt},
        .attributes = random_attributes(random),
        .block_bytes = random.chance(1, 2) ? std::optional(random.below(1 << 29)) : std::nullopt,
        .cell_bytes = random.chance(1, 2) ? std::optional<uint32_t>(1 << 20) : std::nullopt,
        .content_mode = random.chance(1, 2) ? std::optional(ContentMode::kDedup) : std::nullopt});
    check_dentry(
        {.kind = EntryKind::kFile, .id = InodeId(random.next()), .home = InodeId(random.next())},
        InodeId(random.next()));
    check_dentry({.kind = EntryKind::kDirectory, .id = InodeId(random.next()), .home = {}},
                 InodeId(6));
    const InodeId home(random.next());
    const auto near = compose_id<InodeId>(slot_of(home), Incarnation(1), random.below(1000));
    check_dentry({.kind = EntryKind::kFile, .id = near, .home = home}, home);
    check_dentry({.kind = EntryKind::kFile, .id = near, .home = home}, InodeId(home.value + 1));
    check_dentry({.kind = EntryKind::kFile, .id = InodeId(random.next()), .home = home}, home);
    check_round_trip(ReferrerRow{.home = InodeId(random.next())});
    check_round_trip(KnownRow{.block = BlockId(random.next())});
    check_round_trip(SessionRow{.epoch = Epoch(number(random)),
                                .acknowledged_below = RequestId(number(random)),
                                .results = static_cast<uint32_t>(random.next())});
    check_round_trip(OutboxRow{.since = LogIndex(number(random)), .home = InodeId(number(random))});
    check_round_trip(SlotRow{.next_inode = number(random),
                             .next_block = number(random),
                             .directories_made = number(random)});
    const bool importing = random.chance(1, 2);
    check_round_trip(SettingsRow{.settings = {.cluster = ClusterId(random.next()),
                                              .incarnation = Incarnation(3),
                                              .cluster_version = 4,
                                              .policy = {},
                                              .block_bytes = number(random),
                                              .cell_bytes = 77,
                                              .inline_bytes = 78,
                                              .trash_seconds = number(random)},
                                 .trash_clock = number(random),
                                 .importing = importing,
                                 .imported = number(random),
                                 .checked_steps = importing ? random.below(3) : 0,
                                 .next_client = number(random),
                                 .next_node = 9});
  }));
}

TEST_CASE("bytes of garbage are never a row, and never read past their end") {
  CHECK(rc::check([](const std::string& noise) {
    const std::string bytes = "\x02" + noise;
    // A row that decodes says what it says; encoding it again gives the same bytes.
    if (const auto row = decode<FileRow>(bytes)) RC_ASSERT(encode(*row) == bytes);
    if (const auto row = decode<BlockRow>(bytes)) RC_ASSERT(encode(*row) == bytes);
    const InodeId home(7);
    if (const auto row = decode_dentry(bytes, home)) RC_ASSERT(encode(*row, home) == bytes);
    if (const auto row = decode<DirectoryRow>(bytes)) RC_ASSERT(encode(*row) == bytes);
    if (const auto row = decode<KnownRow>(bytes)) RC_ASSERT(encode(*row) == bytes);
    if (const auto row = decode<SlotRow>(bytes)) RC_ASSERT(encode(*row) == bytes);
    (void)decode_response(bytes);
    (void)key::parse(noise);
  }));
}

TEST_CASE("every response survives its encoding") {
  const std::vector<Response> responses{
      Done{},
      NodeRegistered{.node = NodeId(3), .version = MapVersion(9)},
      ClientRegistered{.client = ClientId(4), .epoch = Epoch(5), .inline_bytes = 6},
      UploadStarted{.file = {InodeId(1), InodeId(2)},
                    .epoch = Epoch(1),
                    .policy = placement::Policy::parse("rep-2").value(),
                    .block_bytes = 1 << 20,
                    .cell_bytes = 4096},
      BlocksAllocated{.policy = {},
                      .blocks = {{.block = BlockId(6),
                                  .generation = Generation(1),
                                  .file_offset = 5,
                                  .length = 7,
                                  .shards = {{.index = 0, .node = NodeId(8), .address = {}},
                                             {.index = 5, .node = NodeId(9), .address = {}}}}}},
      UploadStarted{.file = {InodeId(1), InodeId(2)},
                    .epoch = Epoch(1),
                    .policy = {},
                    .block_bytes = 1 << 20,
                    .cell_bytes = 4096,
                    .content_mode = ContentMode::kDedup},
      BlocksUsed{.blocks = 3},
      StepTaken{.entries = 4, .more = true},
      fail(Code::kNotFound, "there is no such thing")};
  for (const Response& response : responses) {
    const std::string bytes = encode_response(response);
    const auto back = decode_response(bytes);
    REQUIRE(back.has_value());
    CHECK((*back == response));
    for (size_t length = 0; length < bytes.size(); ++length) {
      CHECK_FALSE(decode_response(bytes.substr(0, length)).has_value());
    }
    CHECK_EQ(decode_response(bytes + "x").error().code, Code::kCorrupt);
    CHECK_EQ(decode_response("\x02" + bytes.substr(1)).error().code, Code::kUnsupported);
  }
}

TEST_CASE("keys sort by slot first, then by id, then by kind, then by name") {
  const auto low = compose_id<InodeId>(Slot(1), Incarnation(1), 5);
  const auto high = compose_id<InodeId>(Slot(1), Incarnation(1), 6);
  const auto next = compose_id<InodeId>(Slot(2), Incarnation(0), 1);
  const std::vector<std::string> keys{
      key::settings(),
      key::slot(Slot(1)),
      key::outbox(Slot(1), OutboxKind::kGarbage, 2),
      key::outbox(Slot(1), OutboxKind::kRemoveTree, 1),
      key::session(ClientId(0x10001)),
      key::result(ClientId(0x10001), RequestId(1)),
      key::result(ClientId(0x10001), RequestId(300)),
      key::session(ClientId(0x20001)),
      key::directory(low),
      key::dentry(low, "a"),
      key::dentry(low, "ab"),
      key::dentry(low, "b"),
      key::file({low, InodeId(9)}),
      key::directory(high),
      key::slot(Slot(2)),
      key::directory(next),
  };
  CHECK(std::ranges::is_sorted(keys));
  for (const auto& key : keys) CHECK(key::parse(key).has_value());
}

TEST_CASE("a key says what it was made from") {
  const FileHandle file{InodeId(0x1122334455667788), InodeId(0x99)};
  const std::string file_key = key::file(file);
  CHECK_EQ(key::parse(file_key)->id, file.home.value);
  CHECK_EQ(key::file_of(key::parse(file_key)->tail), file.file);
  const std::string outbox = key::outbox(Slot(7), OutboxKind::kDropFile, 1234);
  CHECK_EQ(slot_of(InodeId(key::parse(outbox)->id)), Slot(7));
  CHECK((key::outbox_kind_of(key::parse(outbox)->tail) == OutboxKind::kDropFile));
  CHECK_EQ(key::outbox_id_of(key::parse(outbox)->tail), 1234u);
  const std::string result = key::result(ClientId(3), RequestId(4));
  CHECK_EQ(key::client_of(key::parse(result)->tail), ClientId(3));
  CHECK_EQ(key::request_of(key::parse(result)->tail), RequestId(4));
  const std::string session = key::session(ClientId(3));
  CHECK_EQ(key::request_of(key::parse(session)->tail), RequestId(0));
  CHECK_FALSE(key::parse("short").has_value());
  CHECK_FALSE(key::parse(std::string(8, 'x') + "?").has_value());
}

}  // namespace
}  // namespace dogfs::metadata
