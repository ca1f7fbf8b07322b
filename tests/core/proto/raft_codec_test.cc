#include "core/proto/raft_codec.h"

#include <rapidcheck.h>

#include "core/base/limits.h"
#include "core/base/random.h"
#include "core/proto/raft.pb.h"

#include "tests/doctest.h"

namespace dogfs::proto {
namespace {

using raft::Message;

uint64_t draw(Random& random) { return random.chance(1, 4) ? random.next() : random.below(5); }

raft::Member draw_member(Random& random) {
  return {NodeId(static_cast<uint32_t>(1 + random.below(9))), StoreId(random.next() | 1)};
}

raft::LogPosition draw_position(Random& random) {
  return {LogIndex(draw(random) >> 1), Term(draw(random))};
}

raft::Body draw_append(Random& random) {
  raft::AppendRequest request{.previous = draw_position(random),
                              .commit = LogIndex(draw(random)),
                              .read_round = raft::ReadRound(draw(random))};
  LogIndex index = request.previous.index;
  for (uint64_t n = random.below(4); n > 0; --n) {
    index = index.next();
    std::string payload;
    for (uint64_t i = random.below(20); i > 0; --i) payload += static_cast<char>(random.next());
    request.entries.push_back({index, Term(draw(random)),
                               static_cast<raft::EntryKind>(random.between(1, 3)),
                               Buffer::take(std::move(payload))});
  }
  return request;
}

raft::Body draw_body(Random& random) {
  switch (random.below(5)) {
    case 0:
      return raft::VoteRequest{random.chance(1, 2), random.chance(1, 2), draw_position(random)};
    case 1: return raft::VoteReply{random.chance(1, 2), random.chance(1, 2)};
    case 2: return draw_append(random);
    case 3: {
      raft::AppendReply reply{LogIndex(draw(random)), raft::ReadRound(draw(random)), {}};
      if (random.chance(1, 2)) reply.rejection = {LogIndex(draw(random)), draw_position(random)};
      return reply;
    }
    default: return raft::TimeoutNow{};
  }
}

Message draw_message(Random& random) {
  return {{GroupId(static_cast<uint32_t>(random.next())), draw_member(random), draw_member(random),
           Term(draw(random))},
          draw_body(random)};
}

std::vector<Message> draw_messages(Random& random) {
  std::vector<Message> messages;
  for (uint64_t n = random.below(6); n > 0; --n) messages.push_back(draw_message(random));
  return messages;
}

raft::SnapshotOffer draw_offer() {
  const auto member = [](uint32_t n) { return raft::Member{NodeId(n), StoreId(n * 10)}; };
  return {{GroupId(7), member(1), member(2), Term(9)},
          {{LogIndex(100), Term(8)},
           {{member(1), member(2), member(3)}, {member(5)}, {member(1), member(4)}}}};
}

TEST_CASE("what is encoded is decoded the same, in the same order") {
  CHECK(rc::check([](uint64_t seed) {
    Random random(seed);
    const std::vector<Message> messages = draw_messages(random);
    std::vector<Message> back;
    for (const Buffer& frame : encode_raft_frames(messages)) {
      auto decoded = decode_raft_frame(frame);
      RC_ASSERT(decoded.has_value());
      back.insert(back.end(), decoded->begin(), decoded->end());
    }
    RC_ASSERT((back == messages));
  }));
}

TEST_CASE("garbage and cut frames never crash, and what passes is encodable again") {
  CHECK(rc::check([](uint64_t seed) {
    Random random(seed);
    const std::vector<Message> messages = draw_messages(random);
    const auto frames = encode_raft_frames(messages);
    std::string bytes = frames.empty() ? "" : std::string(frames.front().text());
    if (random.chance(1, 2)) bytes.resize(random.below(bytes.size() + 1));
    for (uint64_t n = random.below(4); n > 0 && !bytes.empty(); --n) {
      bytes[random.below(bytes.size())] = static_cast<char>(random.next());
    }
    const auto decoded = decode_raft_frame(Buffer::take(bytes));
    if (!decoded || decoded->empty()) return;
    const auto again = encode_raft_frames(*decoded);
    RC_ASSERT(again.size() == 1u);
    RC_ASSERT((*decode_raft_frame(again.front()) == *decoded));
  }));
}

TEST_CASE("many messages go in few frames, none over the limit") {
  Random random(1);
  const std::string payload(limits::kAppendBytesMax / 2 - 100, 'x');
  std::vector<Message> messages;
  for (int i = 0; i < 8; ++i) {
    Message message = draw_message(random);
    raft::AppendRequest request;
    const Buffer bytes = Buffer::copy(payload);
    for (uint64_t n = 1; n <= 2; ++n) {
      request.entries.push_back({LogIndex(n), Term(1), raft::EntryKind::kNormal, bytes});
    }
    message.body = request;
    messages.push_back(message);
  }
  for (size_t i = 0; i < limits::kRaftMessagesPerFrameMax; ++i) {
    messages.push_back({draw_message(random).envelope, raft::TimeoutNow{}});
  }
  size_t count = 0;
  const auto frames = encode_raft_frames(messages);
  CHECK_LE(frames.size(), 10u);
  for (const Buffer& frame : frames) {
    CHECK_LE(frame.size(), limits::kFrameMessageBytesMax);
    count += decode_raft_frame(frame)->size();
  }
  CHECK_EQ(count, messages.size());
}

// A frame with one message that is right but for what `spoil` does to it.
template <class Spoil>
Result<std::vector<Message>> decode_spoiled(Spoil spoil) {
  RaftMessages frame;
  RaftMessage& message = *frame.add_messages();
  message.mutable_envelope()->mutable_from()->set_node(1);
  message.mutable_envelope()->mutable_from()->set_store(11);
  message.mutable_envelope()->mutable_to()->set_node(2);
  message.mutable_envelope()->mutable_to()->set_store(22);
  message.mutable_append_request()->add_entries()->set_kind(1);
  spoil(message, frame);
  return decode_raft_frame(Buffer::take(frame.SerializeAsString()));
}

TEST_CASE("a frame that breaks a bound or names nobody is refused with its reason") {
  const auto code = [](const auto& result) { return result ? Code() : result.error().code; };
  CHECK(decode_spoiled([](RaftMessage&, RaftMessages&) {}).has_value());
  CHECK_EQ(code(decode_spoiled([](RaftMessage& m, RaftMessages&) { m.clear_envelope(); })),
           Code::kInvalid);
  CHECK_EQ(code(decode_spoiled([](RaftMessage& m, RaftMessages&) {
             m.mutable_envelope()->mutable_to()->set_store(0);
           })),
           Code::kInvalid);
  CHECK_EQ(code(decode_spoiled([](RaftMessage& m, RaftMessages&) { m.clear_body(); })),
           Code::kUnsupported);
  CHECK_EQ(code(decode_spoiled([](RaftMessage& m, RaftMessages&) {
             m.mutable_append_request()->mutable_entries(0)->set_kind(4);
           })),
           Code::kUnsupported);
  CHECK_EQ(code(decode_spoiled([](RaftMessage& m, RaftMessages&) {
             m.mutable_append_request()->mutable_previous()->set_index(UINT64_MAX);
           })),
           Code::kInvalid);
  CHECK_EQ(code(decode_spoiled([](RaftMessage& m, RaftMessages&) {
             for (size_t i = 0; i < limits::kAppendEntriesMax; ++i) {
               m.mutable_append_request()->add_entries()->set_kind(1);
             }
           })),
           Code::kInvalid);
  CHECK_EQ(code(decode_spoiled([](RaftMessage& m, RaftMessages&) {
             *m.mutable_append_request()->mutable_entries(0)->mutable_payload() =
                 std::string(limits::kProposalBytesMax + 1, 'x');
           })),
           Code::kInvalid);
  CHECK_EQ(code(decode_spoiled([](RaftMessage& m, RaftMessages& frame) {
             const RaftMessage copy = m;
             for (size_t i = 0; i < limits::kRaftMessagesPerFrameMax; ++i) {
               *frame.add_messages() = copy;
             }
           })),
           Code::kInvalid);
}

TEST_CASE("a snapshot offer survives the wire, and an impossible one is refused") {
  RaftSnapshotOffer wire;
  encode(draw_offer(), wire);
  CHECK((*decode(wire) == draw_offer()));

  RaftSnapshotOffer unsorted = wire;
  unsorted.mutable_configuration()->mutable_voters()->SwapElements(0, 1);
  CHECK_FALSE(decode(unsorted).has_value());
  RaftSnapshotOffer nobody = wire;
  nobody.mutable_configuration()->clear_voters();
  CHECK_FALSE(decode(nobody).has_value());
  RaftSnapshotOffer nowhere = wire;
  nowhere.clear_last();
  CHECK_FALSE(decode(nowhere).has_value());
  RaftSnapshotOffer crowd = wire;
  for (size_t i = 0; i < limits::kGroupMembersMax; ++i) {
    crowd.mutable_configuration()->add_learners()->set_node(static_cast<uint32_t>(100 + i));
  }
  CHECK_FALSE(decode(crowd).has_value());
}

}  // namespace
}  // namespace dogfs::proto
