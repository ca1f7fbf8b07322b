#include "core/proto/namespace_codec.h"

#include <string>
#include <vector>

#include "core/base/limits.h"

#include "tests/core/proto/namespace_samples.h"

#include "tests/doctest.h"

namespace dogfs::proto {
namespace {

using metadata::Answer;
using metadata::Command;
using metadata::Operation;
using metadata::Query;
using metadata::Reply;

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
  metadata::UseBlocks known;
  known.blocks.resize(limits::kBlocksPerAllocation + 1);
  CHECK_EQ(refusal(known), Code::kTooLarge);
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

TEST_CASE("bytes of an inode beyond the length of its file, or where a block lies, are refused") {
  Random random(1);
  const auto refusal = [](metadata::FileLocation location) {
    const auto back = decode_answer(encode_answer(Answer(std::move(location))));
    REQUIRE_FALSE(back.has_value());
    return back.error().code;
  };
  CHECK_EQ(refusal({.length = 2, .blocks = {}, .content = "abc"}), Code::kInvalid);
  metadata::LocatedBlock block = located(random);
  block.file_offset = 2;
  CHECK_EQ(refusal({.length = 9, .blocks = {block}, .content = "abc"}), Code::kInvalid);
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
