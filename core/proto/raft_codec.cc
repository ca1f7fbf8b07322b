#include "core/proto/raft_codec.h"

#include <algorithm>
#include <limits>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/proto/raft.pb.h"

namespace dogfs::proto {
namespace {

// --- To the wire ---

void put(const raft::Member& member, RaftMember& out) {
  out.set_node(member.node.value);
  out.set_store(member.store.value);
}

void put(const raft::LogPosition& position, RaftPosition& out) {
  out.set_index(position.index.value);
  out.set_term(position.term.value);
}

void put(const raft::Envelope& envelope, RaftEnvelope& out) {
  out.set_group(envelope.group.value);
  put(envelope.from, *out.mutable_from());
  put(envelope.to, *out.mutable_to());
  out.set_term(envelope.term.value);
}

void put(const raft::VoteRequest& request, RaftMessage& message) {
  RaftVoteRequest& out = *message.mutable_vote_request();
  out.set_pre_vote(request.pre_vote);
  out.set_transfer(request.transfer);
  put(request.last, *out.mutable_last());
}

void put(const raft::VoteReply& reply, RaftMessage& message) {
  RaftVoteReply& out = *message.mutable_vote_reply();
  out.set_pre_vote(reply.pre_vote);
  out.set_granted(reply.granted);
}

void put(const raft::AppendRequest& request, RaftMessage& message) {
  RaftAppendRequest& out = *message.mutable_append_request();
  put(request.previous, *out.mutable_previous());
  for (const raft::Entry& entry : request.entries) {
    RaftEntry& row = *out.add_entries();
    row.set_term(entry.term.value);
    row.set_kind(static_cast<uint32_t>(entry.kind));
    row.set_payload(entry.payload.data(), entry.payload.size());
  }
  out.set_commit(request.commit.value);
  out.set_read_round(request.read_round.value);
}

void put(const raft::AppendReply& reply, RaftMessage& message) {
  RaftAppendReply& out = *message.mutable_append_reply();
  out.set_match(reply.match.value);
  out.set_read_round(reply.read_round.value);
  out.set_short_of_space(reply.short_of_space);
  if (!reply.rejection) return;
  out.mutable_rejection()->set_previous(reply.rejection->previous.value);
  put(reply.rejection->hint, *out.mutable_rejection()->mutable_hint());
}

void put(const raft::TimeoutNow&, RaftMessage& message) { message.mutable_timeout_now(); }

Buffer bytes_of(const RaftMessages& frame) {
  CHECK(frame.ByteSizeLong() <= limits::kFrameMessageBytesMax);
  return Buffer::take(frame.SerializeAsString());
}

// --- From the wire ---

raft::Member get(const RaftMember& member) {
  return {NodeId(member.node()), StoreId(member.store())};
}

raft::LogPosition get(const RaftPosition& position) {
  return {LogIndex(position.index()), Term(position.term())};
}

Result<raft::Envelope> get(const RaftEnvelope& envelope) {
  const raft::Envelope out{GroupId(envelope.group()), get(envelope.from()), get(envelope.to()),
                           Term(envelope.term())};
  const bool named = out.from.node && out.from.store && out.to.node && out.to.store;
  if (!named) return fail(Code::kInvalid, "a raft message from {} to {}", out.from, out.to);
  return out;
}

Result<raft::Entry> get(RaftEntry& row, LogIndex index) {
  const uint32_t kind = row.kind();
  if (kind < static_cast<uint32_t>(raft::EntryKind::kNormal) ||
      kind > static_cast<uint32_t>(raft::EntryKind::kConfiguration)) {
    return fail(Code::kUnsupported, "log entry {} is of the unknown kind {}", index, kind);
  }
  if (row.payload().size() > limits::kProposalBytesMax) {
    return fail(Code::kInvalid, "log entry {} has {} bytes; at most {}", index,
                row.payload().size(), limits::kProposalBytesMax);
  }
  return raft::Entry{index, Term(row.term()), static_cast<raft::EntryKind>(kind),
                     Buffer::take(std::move(*row.mutable_payload()))};
}

Result<raft::Body> get(RaftAppendRequest& message) {
  const auto count = static_cast<size_t>(message.entries_size());
  if (count > limits::kAppendEntriesMax) {
    return fail(Code::kInvalid, "an append of {} entries; at most {}", count,
                limits::kAppendEntriesMax);
  }
  raft::AppendRequest request{.previous = get(message.previous()),
                              .commit = LogIndex(message.commit()),
                              .read_round = raft::ReadRound(message.read_round())};
  if (request.previous.index.value > std::numeric_limits<uint64_t>::max() - count) {
    return fail(Code::kInvalid, "an append after entry {}", request.previous.index);
  }
  LogIndex index = request.previous.index;
  for (RaftEntry& row : *message.mutable_entries()) {
    index = index.next();
    TRY(entry, get(row, index));
    request.entries.push_back(std::move(entry));
  }
  return request;
}

raft::Body get(const RaftAppendReply& message) {
  raft::AppendReply reply{.match = LogIndex(message.match()),
                          .read_round = raft::ReadRound(message.read_round()),
                          .short_of_space = message.short_of_space()};
  if (message.has_rejection()) {
    reply.rejection = {LogIndex(message.rejection().previous()), get(message.rejection().hint())};
  }
  return reply;
}

Result<raft::Body> get_body(RaftMessage& message) {
  switch (message.body_case()) {
    case RaftMessage::kVoteRequest: {
      const RaftVoteRequest& request = message.vote_request();
      return raft::VoteRequest{request.pre_vote(), request.transfer(), get(request.last())};
    }
    case RaftMessage::kVoteReply:
      return raft::VoteReply{message.vote_reply().pre_vote(), message.vote_reply().granted()};
    case RaftMessage::kAppendRequest: return get(*message.mutable_append_request());
    case RaftMessage::kAppendReply: return get(message.append_reply());
    case RaftMessage::kTimeoutNow: return raft::TimeoutNow{};
    case RaftMessage::BODY_NOT_SET: break;
  }
  return fail(Code::kUnsupported, "a raft message of a kind that this build does not know");
}

std::vector<raft::Member> get_members(
    const google::protobuf::RepeatedPtrField<RaftMember>& members) {
  std::vector<raft::Member> out;
  for (const RaftMember& member : members) out.push_back(get(member));
  return out;
}

}  // namespace

std::vector<Buffer> encode_raft_frames(std::span<const raft::Message> messages) {
  // Tag and length in front of each message within its frame.
  constexpr size_t kMessageHeadBytes = 8;
  std::vector<Buffer> frames;
  RaftMessages frame;
  size_t bytes = 0;
  for (const raft::Message& message : messages) {
    RaftMessage out;
    put(message.envelope, *out.mutable_envelope());
    std::visit([&](const auto& body) { put(body, out); }, message.body);
    const size_t more = out.ByteSizeLong() + kMessageHeadBytes;
    const auto count = static_cast<size_t>(frame.messages_size());
    if (count > 0 && (bytes + more > limits::kFrameMessageBytesMax ||
                      count == limits::kRaftMessagesPerFrameMax)) {
      frames.push_back(bytes_of(frame));
      frame.Clear();
      bytes = 0;
    }
    bytes += more;
    *frame.add_messages() = std::move(out);
  }
  if (frame.messages_size() > 0) frames.push_back(bytes_of(frame));
  return frames;
}

Result<std::vector<raft::Message>> decode_raft_frame(const Buffer& bytes) {
  if (bytes.size() > limits::kFrameMessageBytesMax) {
    return fail(Code::kInvalid, "a raft frame of {} bytes; at most {}", bytes.size(),
                limits::kFrameMessageBytesMax);
  }
  RaftMessages frame;
  if (!frame.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(Code::kInvalid, "{} bytes are no raft frame", bytes.size());
  }
  if (static_cast<size_t>(frame.messages_size()) > limits::kRaftMessagesPerFrameMax) {
    return fail(Code::kInvalid, "a raft frame of {} messages; at most {}", frame.messages_size(),
                limits::kRaftMessagesPerFrameMax);
  }
  std::vector<raft::Message> messages;
  for (RaftMessage& message : *frame.mutable_messages()) {
    TRY(envelope, get(message.envelope()));
    TRY(body, get_body(message));
    messages.push_back({envelope, std::move(body)});
  }
  return messages;
}

void encode(const raft::SnapshotOffer& offer, RaftSnapshotOffer& out) {
  put(offer.envelope, *out.mutable_envelope());
  put(offer.snapshot.last, *out.mutable_last());
  const raft::Configuration& configuration = offer.snapshot.configuration;
  RaftConfiguration& lists = *out.mutable_configuration();
  for (const raft::Member& member : configuration.voters) put(member, *lists.add_voters());
  for (const raft::Member& member : configuration.learners) put(member, *lists.add_learners());
  for (const raft::Member& member : configuration.outgoing) put(member, *lists.add_outgoing());
  for (const raft::Member& member : configuration.target) put(member, *lists.add_target());
}

Result<raft::SnapshotOffer> decode(const RaftSnapshotOffer& message) {
  TRY(envelope, get(message.envelope()));
  const RaftConfiguration& lists = message.configuration();
  const auto most = static_cast<int>(limits::kGroupMembersMax);
  if (std::max({lists.voters_size(), lists.learners_size(), lists.outgoing_size(),
                lists.target_size()}) > most) {
    return fail(Code::kInvalid, "a snapshot with more than {} members", most);
  }
  raft::Configuration configuration{get_members(lists.voters()), get_members(lists.learners()),
                                    get_members(lists.outgoing()), get_members(lists.target())};
  const raft::LogPosition last = get(message.last());
  if (configuration.empty() || !configuration.valid() || !last.index || !last.term) {
    return fail(Code::kInvalid, "a snapshot at {} with an impossible configuration", last);
  }
  return raft::SnapshotOffer{envelope, {last, std::move(configuration)}};
}

}  // namespace dogfs::proto
