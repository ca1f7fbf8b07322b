#pragma once
// GroupService: the calls about the Raft group itself, answered by its leader: a server asks to be
// admitted or tells where it is, an operator asks for another membership or another leader. Owned
// by the metadata node, which registers it with its rpc server; one thread.
//
// Who asks to be admitted must answer, as that node and store, at the address it gives. Whom an
// operator removes is "draining" in the cluster map from then on, under that store: such a one is
// not admitted by asking, only by an operator, or with a new store.

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
  // `client`: with which servers that ask to join are called.
  GroupService(Env& env, MetadataGroup& group, RaftPeers& peers, rpc::Client& client)
      : env_(env), group_(group), peers_(peers), client_(client) {}

  void register_with(rpc::Server& server);

 private:
  Task<Result<rpc::Reply>> join(rpc::Call call);
  Task<Result<rpc::Reply>> change(rpc::Call call);
  Task<Result<rpc::Reply>> transfer(rpc::Call call);
  Task<Result<rpc::Reply>> raise_version(rpc::Call call);

  Result<void> may_join(const raft::Member& member, bool admit) const;
  Task<Result<void>> must_answer(proto::GroupMember member);
  // Records where the member is, unless the cluster map says so already.
  Task<Result<void>> record(proto::GroupMember member);
  Task<Result<void>> admit(raft::Member member);
  bool was_removed(const raft::Member& member) const;
  // Notes in the cluster map that an operator wants this one in the group, or out of it.
  Task<Result<void>> note_wanted(raft::Member member, bool wanted);
  Result<raft::Membership> with_replacement(const raft::Member& member) const;
  Result<void> check(const raft::Membership& wanted) const;
  Result<void> check_builds(uint32_t version) const;
  std::vector<raft::Member> silent_newcomers(const raft::Membership& wanted) const;
  std::vector<std::string> plan(const raft::Membership& wanted) const;

  const raft::Core& core() const { return group_.host().core(); }
  raft::Member present(NodeId node) const;
  std::string name(const raft::Member& member) const;
  std::string names(const std::vector<raft::Member>& members) const;
  rpc::Reply redirect() const;

  Env& env_;
  MetadataGroup& group_;
  RaftPeers& peers_;
  rpc::Client& client_;
};

}  // namespace dogfs::nodes
