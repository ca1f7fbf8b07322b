#pragma once
// GroupService: the calls about the Raft group itself, answered by its leader: a server asks to be
// admitted or tells where it is, an operator asks for another membership or another leader. Owned
// by the metadata node, which registers it with its rpc server; one thread.

#include <string>
#include <vector>

#include "core/raft/membership.h"
#include "core/rpc/server.h"
#include "nodes/metadata/metadata_group.h"
#include "nodes/metadata/raft_peers.h"

namespace dogfs::proto {
class GroupMember;
}

namespace dogfs::nodes {

class GroupService {
 public:
  GroupService(Env& env, MetadataGroup& group, RaftPeers& peers)
      : env_(env), group_(group), peers_(peers) {}

  void register_with(rpc::Server& server);

 private:
  Task<Result<rpc::Reply>> join(rpc::Call call);
  Task<Result<rpc::Reply>> change(rpc::Call call);
  Task<Result<rpc::Reply>> transfer(rpc::Call call);
  Task<Result<rpc::Reply>> raise_version(rpc::Call call);

  Result<void> may_join(const raft::Member& member, bool admit) const;
  // Records where the member is, unless the cluster map says so already.
  Task<Result<void>> record(proto::GroupMember member);
  Task<Result<void>> admit(raft::Member member);
  Result<raft::Membership> with_replacement(const raft::Member& member) const;
  Result<void> check(const raft::Membership& wanted) const;
  Result<void> check_builds(uint32_t version) const;
  std::vector<std::string> plan(const raft::Membership& wanted) const;

  const raft::Core& core() const { return group_.host().core(); }
  raft::Member present(NodeId node) const;
  std::string name(const raft::Member& member) const;
  std::string names(const std::vector<raft::Member>& members) const;
  rpc::Reply redirect() const;

  Env& env_;
  MetadataGroup& group_;
  RaftPeers& peers_;
};

}  // namespace dogfs::nodes
