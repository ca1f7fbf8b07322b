#include "nodes/metadata/admission.h"

#include <algorithm>

#include "core/namespace/cluster_version.h"
#include "core/proto/metadata.pb.h"
#include "core/rpc/message_codec.h"

namespace dogfs::nodes {
namespace {
constexpr Duration kLookEvery = 1s;
constexpr Duration kAskLimit = 5s;
}  // namespace

Admission::Admission(Env& env, RaftServer& raft, const metadata::StateMachine& state, Self self,
                     std::vector<Address> seeds, PeerAddresses known)
    : env_(env), raft_(raft), state_(state), self_(std::move(self)), known_(std::move(known)) {
  std::erase(seeds, self_.address);
  if (!seeds.empty())
    calls_.emplace(env, raft.client(), MetadataCallOptions{.servers = std::move(seeds)});
}

Task<> Admission::run() {
  for (;;) {
    co_await env_.sleep(kLookEvery);
    co_await note_addresses();
    if (calls_ && raft_.host().started() && (is_blank() || has_news())) co_await ask();
  }
}

// A server that was removed knows a configuration; it is not blank, and does not come back by
// itself. One that only an uncommitted entry admitted is blank still: the leader that wrote it may
// be gone and the entry with it, and the next leader knows of nobody here.
bool Admission::is_blank() const {
  const raft::Log& log = raft_.host().core().log();
  if (log.configuration().empty()) return true;
  return log.configuration_at(log.commit()).empty() &&
         std::ranges::binary_search(log.configuration().learners, raft_.host().core().self());
}

// The map does not know where this server is, or under which store, or which build it runs now.
bool Admission::has_news() const {
  const raft::Core& core = raft_.host().core();
  const placement::Node* known = state_.cluster_map().find(core.self().node);
  return known != nullptr && core.configuration().contains(core.self()) &&
         (known->store != core.self().store || known->address != self_.address.to_string() ||
          known->newest_version != metadata::newest_cluster_version()) &&
         bool(core.leader()) && core.role() != raft::Role::kLeader;
}

Task<> Admission::ask() {
  const raft::Member member = raft_.host().core().self();
  proto::JoinGroupRequest request;
  request.set_admit(is_blank());
  request.mutable_self()->set_node(member.node.value);
  request.mutable_self()->set_store(member.store.value);
  request.mutable_self()->set_name(self_.name);
  request.mutable_self()->set_address(self_.address.to_string());
  request.mutable_self()->set_newest_version(metadata::newest_cluster_version());
  auto answer = co_await calls_->ask(rpc::Method::kJoinGroup, rpc::serialize(request), kAskLimit);
  proto::JoinGroupReply reply;
  Result<void> parsed = answer ? rpc::parse(answer->body, reply) : fail(answer.error());
  if (!parsed) {
    env_.log().info("not admitted yet: {}", parsed.error());
    co_return;
  }
  for (const auto& row : reply.members()) {
    auto address = Address::parse(row.address());
    if (address && row.node() != member.node.value)
      raft_.peers().learn(NodeId(row.node()), std::move(*address));
  }
}

// Of members only: what became of a node that left is of no use.
Task<> Admission::note_addresses() {
  if (noted_ == state_.cluster_map().version()) co_return;
  const MapVersion seen = state_.cluster_map().version();
  PeerAddresses now = known_;
  for (const auto& member : raft_.host().core().configuration().members()) {
    const placement::Node* node = state_.cluster_map().find(member.node);
    if (node == nullptr || node->kind != placement::NodeKind::kMetadata) continue;
    if (auto address = Address::parse(node->address)) now[member.node] = std::move(*address);
  }
  if (now != known_) {
    if (const auto written = co_await write_peer_file(env_, now); !written) {
      env_.log().warning("addresses of the group: {}", written.error());
      co_return;
    }
    known_ = std::move(now);
  }
  noted_ = seen;
}

}  // namespace dogfs::nodes
