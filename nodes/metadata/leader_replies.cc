#include "nodes/metadata/leader_replies.h"

#include "core/proto/metadata.pb.h"

namespace dogfs::nodes {

rpc::Reply leader_reply(LogIndex index, std::string_view body) {
  proto::MetadataReply reply;
  reply.set_index(index.value);
  reply.set_body(body.data(), body.size());
  return {rpc::serialize(reply), {}};
}

rpc::Reply redirection(const raft::Core& core, const RaftPeers& peers) {
  const NodeId leader = core.leader().node;
  proto::MetadataReply reply;
  reply.mutable_redirect()->set_leader(leader.value);
  const Address address = peers.address(leader);
  if (!address.host.empty()) reply.mutable_redirect()->set_address(address.to_string());
  return {rpc::serialize(reply), {}};
}

}  // namespace dogfs::nodes
