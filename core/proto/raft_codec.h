#pragma once
// The wire form of raft.proto as the values it carries. Everything decoded is validated and
// bounded, for bytes may come from anybody; whether a message makes sense to a group at this moment
// is its core's affair.

#include <span>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/raft/messages.h"

namespace dogfs::proto {

class RaftSnapshotOffer;

// Messages to one node, of any groups, in as few frames as they fit; each at most
// limits::kFrameMessageBytesMax and kRaftMessagesPerFrameMax. Order is kept.
std::vector<Buffer> encode_raft_frames(std::span<const raft::Message> messages);
// kInvalid for bytes that are no such frame or break a bound; kUnsupported for a kind of message or
// entry that this build does not know. One bad message refuses the whole frame.
Result<std::vector<raft::Message>> decode_raft_frame(const Buffer& frame);

void encode(const raft::SnapshotOffer& offer, RaftSnapshotOffer& out);
// kInvalid for an offer without members, a position or a possible configuration.
Result<raft::SnapshotOffer> decode(const RaftSnapshotOffer& message);

}  // namespace dogfs::proto
