#include "nodes/metadata/raft_peers.h"

#include "core/proto/raft.pb.h"
#include "core/proto/raft_codec.h"
#include "core/rpc/client.h"

namespace dogfs::nodes {
namespace {
constexpr Duration kPieceLimit = std::chrono::seconds(10);
}  // namespace

void RaftPeers::send(std::span<const raft::Message> messages) {
  std::map<NodeId, std::vector<raft::Message>> by_receiver;
  for (const auto& message : messages) by_receiver[message.envelope.to.node].push_back(message);
  for (const auto& [node, queue] : by_receiver) {
    const Address& to = address(node);
    if (to.host.empty()) continue;
    for (auto& frame : proto::encode_raft_frames(queue))
      client_.send(to, rpc::Method::kRaftMessages, std::move(frame));
  }
}

Task<Result<uint64_t>> RaftPeers::send_piece(Piece piece) {
  const Address to = address(piece.offer.envelope.to.node);
  if (to.host.empty())
    co_return fail(Code::kUnavailable, "node {} has no address", piece.offer.envelope.to.node);
  proto::RaftSnapshotPieceRequest request;
  proto::encode(piece.offer, *request.mutable_offer());
  request.set_file_bytes(piece.file_bytes);
  request.set_file_checksum(piece.file_checksum);
  request.set_offset(piece.offset);
  CO_TRY(answer,
         co_await client_.call<proto::RaftSnapshotPieceReply>(
             to, rpc::Method::kRaftSnapshotPiece, request, kPieceLimit, std::move(piece.bytes)));
  co_return answer.message.next_offset();
}

const Address& RaftPeers::address(NodeId node) const {
  static const Address kNowhere;
  const std::string_view text = directory_ ? directory_(node) : std::string_view();
  if (!text.empty()) {
    auto& [known, address] = parsed_[node];
    if (known != text) {
      known = text;
      address = Address::parse(text).value_or(kNowhere);
    }
    if (!address.host.empty()) return address;
  }
  const auto found = addresses_.find(node);
  return found == addresses_.end() ? kNowhere : found->second;
}

}  // namespace dogfs::nodes
