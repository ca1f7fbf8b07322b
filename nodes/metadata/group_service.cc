#include "nodes/metadata/group_service.h"

#include <algorithm>

#include "core/namespace/cluster.h"
#include "core/namespace/cluster_version.h"
#include "core/proto/metadata.pb.h"
#include "core/rpc/client.h"
#include "nodes/metadata/leader_replies.h"

namespace dogfs::nodes {
namespace {

constexpr Duration kTransferLimit = 3s;
constexpr Duration kAnswerLimit = 2s;

rpc::Reply answer(LogIndex index, const google::protobuf::MessageLite& body) {
  return leader_reply(index, body.SerializeAsString());
}

raft::Member member_of(const proto::GroupMember& row) {
  return {NodeId(row.node()), StoreId(row.store())};
}

// A member is known by both, and node 0 by nothing.
Result<void> check_named(const raft::Member& member) {
  if (member.node && member.store) return {};
  return fail(Code::kInvalid, "{} is no member that a group could have", member);
}

size_t survives(size_t voters) { return (voters - 1) / 2; }

}  // namespace

void GroupService::register_with(rpc::Server& server) {
  using rpc::Call;
  using rpc::Method;
  server.handle(Method::kJoinGroup, [this](Call call) { return join(std::move(call)); });
  server.handle(Method::kChangeGroup, [this](Call call) { return change(std::move(call)); });
  server.handle(Method::kTransferLeadership,
                [this](Call call) { return transfer(std::move(call)); });
  server.handle(Method::kRaiseVersion,
                [this](Call call) { return raise_version(std::move(call)); });
}

rpc::Reply GroupService::redirect() const { return redirection(core(), peers_); }

std::string GroupService::name(const raft::Member& member) const {
  const placement::Node* node = group_.state().cluster_map().find(member.node);
  return node != nullptr ? node->name : fmt::format("node {}", member.node);
}

std::string GroupService::names(const std::vector<raft::Member>& members) const {
  std::string text;
  for (const auto& member : members) text += (text.empty() ? "" : ", ") + name(member);
  return text.empty() ? "nobody" : text;
}

// Of a node that takes its own place, with another store, the one that stays.
raft::Member GroupService::present(NodeId node) const {
  const raft::Membership now = raft::membership_of(core().configuration());
  for (const auto* list : {&now.voters, &now.learners})
    for (const auto& member : *list)
      if (member.node == node) return member;
  return {};
}

// --- A server joins ---

Task<Result<rpc::Reply>> GroupService::join(rpc::Call call) {
  proto::JoinGroupRequest request;
  CO_TRY_VOID(rpc::parse(call.message, request));
  const raft::Member member = member_of(request.self());
  CO_TRY_VOID(check_named(member));
  if (call.peer.identity.node != member.node || call.peer.identity.store != member.store)
    co_return fail(Code::kDenied, "{} asks for {}", call.peer.identity.node, member);
  if (!group_.leading()) co_return redirect();
  // What this leader knows is whole only when an entry of its own term has committed.
  CO_TRY_VOID(co_await group_.host().read_barrier());
  CO_TRY_VOID(may_join(member, request.admit()));
  if (!core().configuration().contains(member)) {
    CO_TRY_VOID(co_await must_answer(request.self()));
    if (!group_.leading()) co_return redirect();
    CO_TRY_VOID(may_join(member, request.admit()));
  }
  CO_TRY_VOID(co_await record(request.self()));
  if (request.admit()) CO_TRY_VOID(co_await admit(member));
  proto::JoinGroupReply reply;
  for (const auto& other : core().configuration().members()) {
    auto& row = *reply.add_members();
    row.set_node(other.node.value);
    row.set_store(other.store.value);
    row.set_address(peers_.address(other.node).to_string());
  }
  co_return answer(group_.host().applied(), reply);
}

// Before anything is written down: messages go where the cluster map says, so a server that is
// refused, but whose address was recorded, would cut off the one whose id it has.
Result<void> GroupService::may_join(const raft::Member& member, bool admit) const {
  if (core().configuration().contains(member)) return {};
  if (!admit) return fail(Code::kPrecondition, "{} is no member of the group", member);
  if (was_removed(member))
    return fail(Code::kPrecondition,
                "{} was removed from the group; it comes back by: dogfs admin add", name(member));
  const auto wanted = with_replacement(member);
  return wanted ? Result<void>() : fail(wanted.error());
}

// A member that nobody reaches would be a learner for ever.
Task<Result<void>> GroupService::must_answer(proto::GroupMember member) {
  CO_TRY(address, Address::parse(member.address()));
  auto answer = co_await client_.call<proto::MetadataStatusReply>(
      address, rpc::Method::kMetadataStatus, proto::MetadataStatusRequest(), kAnswerLimit);
  if (!answer)
    co_return fail(Code::kPrecondition, "{}, which asks to join, does not answer at {}: {}",
                   member.name(), member.address(), answer.error().message);
  const raft::Member there{NodeId(answer->message.node()), StoreId(answer->message.store())};
  if (there != member_of(member))
    co_return fail(Code::kPrecondition, "{} answers at {}, where {} says to be", there,
                   member.address(), member_of(member));
  co_return Result<void>();
}

bool GroupService::was_removed(const raft::Member& member) const {
  const placement::Node* known = group_.state().cluster_map().find(member.node);
  return known != nullptr && known->store == member.store &&
         known->state == placement::NodeState::kDraining;
}

Task<Result<void>> GroupService::note_wanted(raft::Member member, bool wanted) {
  const placement::Node* known = group_.state().cluster_map().find(member.node);
  if (known == nullptr || known->store != member.store || wanted != was_removed(member))
    co_return Result<void>();
  const auto state = wanted ? placement::NodeState::kLive : placement::NodeState::kDraining;
  CO_TRY_VOID(co_await group_.propose(metadata::SetNodeState{member.node, state, {}}));
  co_return Result<void>();
}

Task<Result<void>> GroupService::record(proto::GroupMember member) {
  const placement::Node* known = group_.state().cluster_map().find(NodeId(member.node()));
  const bool same_server = known != nullptr && known->store.value == member.store();
  // An operator does not say which build runs there.
  const uint32_t version =
      member.newest_version() == 0 && same_server ? known->newest_version : member.newest_version();
  if (same_server && known->address == member.address() && known->name == member.name() &&
      known->newest_version == version)
    co_return Result<void>();
  metadata::RegisterNode node;
  node.node = NodeId(member.node());
  node.kind = placement::NodeKind::kMetadata;
  node.name = member.name();
  node.store = StoreId(member.store());
  node.address = member.address();
  node.newest_version = version;
  CO_TRY_VOID(co_await group_.propose(std::move(node)));
  co_return Result<void>();
}

Task<Result<void>> GroupService::admit(raft::Member member) {
  if (core().configuration().contains(member)) co_return Result<void>();
  CO_TRY(wanted, with_replacement(member));
  CO_TRY_VOID(check(wanted));
  env_.log().info("{} ({}) asks to join: {}", name(member), member, fmt::join(plan(wanted), "; "));
  CO_TRY_VOID(co_await group_.host().change_membership(std::move(wanted)));
  co_return Result<void>();
}

// A node that comes back with another store has lost what it promised under the old one: the new
// member takes the place of the old in one change.
Result<raft::Membership> GroupService::with_replacement(const raft::Member& member) const {
  const raft::Membership now = raft::membership_of(core().configuration());
  const raft::MemberChange change{.add = member, .remove = present(member.node)};
  if (change.remove && !core().is_silent(change.remove))
    return fail(Code::kPrecondition,
                "{} runs, or ran a moment ago, with data directory {:x}; stop it before it comes "
                "with {:x}, or give this server another id",
                name(member), change.remove.store.value, member.store.value);
  return raft::changed(now, change);
}

// --- An operator changes the group ---

Task<Result<rpc::Reply>> GroupService::change(rpc::Call call) {
  proto::ChangeGroupRequest request;
  CO_TRY_VOID(rpc::parse(call.message, request));
  if (!group_.leading()) co_return redirect();
  CO_TRY_VOID(co_await group_.host().read_barrier());
  raft::MemberChange change;
  if (!request.has_add() && !request.has_remove())
    co_return fail(Code::kInvalid, "a change adds a server, removes one, or does both");
  if (request.has_add()) {
    change.add = member_of(request.add());
    CO_TRY_VOID(check_named(change.add));
  }
  if (request.has_remove()) {
    change.remove = member_of(request.remove());
    if (!change.remove.store) change.remove = present(change.remove.node);
    if (!change.remove)
      co_return fail(Code::kNotFound, "node {} is no member of the group", request.remove().node());
  }
  CO_TRY(wanted, raft::changed(raft::membership_of(core().configuration()), change));
  CO_TRY_VOID(check(wanted));
  proto::ChangeGroupReply reply;
  for (auto& line : plan(wanted)) reply.add_plan(std::move(line));
  if (!request.dry_run()) {
    if (request.has_add()) {
      CO_TRY_VOID(co_await record(request.add()));
      CO_TRY_VOID(co_await note_wanted(change.add, true));
    }
    // Before it leaves, or it could ask to join and nobody would know.
    if (change.remove) CO_TRY_VOID(co_await note_wanted(change.remove, false));
    auto begun = co_await group_.host().change_membership(std::move(wanted));
    const bool refused = !begun && !begun.error().is(Code::kUnknown);
    if (refused && change.remove) co_await note_wanted(change.remove, true);
    CO_TRY_VOID(begun);
  }
  co_return answer(group_.host().applied(), reply);
}

// What the core would refuse, in words.
Result<void> GroupService::check(const raft::Membership& wanted) const {
  const auto refusal = core().refusal_of(wanted);
  if (!refusal) return {};
  if (*refusal != raft::Refusal::kNoQuorum) return fail(error_of(*refusal, core().leader()));
  std::vector<raft::Member> silent;
  for (const auto& voter : wanted.voters)
    if (core().configuration().contains(voter) && !core().is_heard(voter)) silent.push_back(voter);
  return fail(Code::kPrecondition,
              "refused: of the {} voters {} that would remain, {} cannot be heard; the group would "
              "have no majority and stop. Bring them back, or replace them, first",
              wanted.voters.size(), names(wanted.voters), names(silent));
}

// Who is to join by an earlier change and is not heard.
std::vector<raft::Member> GroupService::silent_newcomers(const raft::Membership& wanted) const {
  std::vector<raft::Member> silent = raft::newcomers_of(core().configuration());
  std::erase_if(silent, [&](const raft::Member& member) {
    return core().is_heard(member) || !std::ranges::binary_search(wanted.voters, member);
  });
  return silent;
}

std::vector<std::string> GroupService::plan(const raft::Membership& wanted) const {
  const raft::Configuration& now = core().configuration();
  std::vector<raft::Member> newcomers, leaving;
  std::ranges::set_difference(wanted.voters, now.voters, std::back_inserter(newcomers));
  std::ranges::set_difference(now.voters, wanted.voters, std::back_inserter(leaving));
  std::vector<std::string> lines;
  lines.push_back(fmt::format("now: voters {}; survives the loss of {}", names(now.voters),
                              survives(now.voters.size())));
  if (!newcomers.empty())
    lines.push_back(
        fmt::format("{} is sent the log as a learner, without a vote", names(newcomers)));
  if (!newcomers.empty() || !leaving.empty())
    lines.push_back(
        fmt::format("{}a joint configuration decides with a majority of {} and one of {}",
                    newcomers.empty() ? "" : "once it has caught up, ", names(now.voters),
                    names(wanted.voters)));
  if (!leaving.empty()) lines.push_back(fmt::format("{} leaves the group", names(leaving)));
  if (const auto silent = silent_newcomers(wanted); !silent.empty())
    lines.push_back(
        fmt::format("{} is to join and cannot be heard: nothing waits for it; to take it back: "
                    "dogfs admin remove",
                    names(silent)));
  if (std::ranges::binary_search(leaving, core().self()))
    lines.push_back(fmt::format("{} leads now and hands leadership over", name(core().self())));
  lines.push_back(
      fmt::format("then: voters {}; survives the loss of {}{}", names(wanted.voters),
                  survives(wanted.voters.size()),
                  wanted.voters.size() % 2 == 0 ? " (an even number adds nothing)" : ""));
  return lines;
}

Task<Result<rpc::Reply>> GroupService::transfer(rpc::Call call) {
  proto::TransferLeadershipRequest request;
  CO_TRY_VOID(rpc::parse(call.message, request));
  if (!group_.leading()) co_return redirect();
  const NodeId node(request.node());
  const raft::Configuration& now = core().configuration();
  const auto heir = std::ranges::find(now.voters, node, &raft::Member::node);
  if (heir == now.voters.end())
    co_return fail(Code::kPrecondition, "node {} is no voter of the group: {} are", node,
                   names(now.voters));
  if (!core().is_heard(*heir))
    co_return fail(Code::kPrecondition, "{} cannot be heard", name(*heir));
  proto::TransferLeadershipReply reply;
  reply.add_plan(*heir == core().self()
                     ? fmt::format("{} leads already", name(*heir))
                     : fmt::format("{} leads in term {}; {} is brought up to date and takes over",
                                   name(core().self()), core().term(), name(*heir)));
  if (request.dry_run() || *heir == core().self()) co_return answer(group_.host().applied(), reply);
  const raft::Member member = *heir;
  group_.host().transfer_leadership(member);
  const Instant end = env_.now() + kTransferLimit;
  while (group_.leading() && env_.now() < end)
    co_await group_.host().role_changed().wait_for(end - env_.now());
  if (group_.leading())
    co_return fail(Code::kUnavailable, "it did not take over within {} ms", to_ms(kTransferLimit));
  while (!core().leader() && env_.now() < end)
    co_await group_.host().role_changed().wait_for(end - env_.now());
  if (core().leader() != member)
    co_return fail(Code::kUnavailable, "{} leads no more; {} leads, not {}", name(core().self()),
                   core().leader() ? name(core().leader()) : "nobody that is known here",
                   name(member));
  co_return answer(group_.host().applied(), reply);
}

// --- The cluster's version ---

Task<Result<rpc::Reply>> GroupService::raise_version(rpc::Call call) {
  proto::RaiseVersionRequest request;
  CO_TRY_VOID(rpc::parse(call.message, request));
  if (!group_.leading()) co_return redirect();
  CO_TRY_VOID(co_await group_.host().read_barrier());
  const uint32_t now = group_.state().settings().cluster_version;
  const uint32_t wanted = request.version();
  proto::RaiseVersionReply reply;
  if (now >= wanted) {
    reply.add_plan(fmt::format("the cluster is at version {} already", now));
    co_return answer(group_.host().applied(), reply);
  }
  CO_TRY_VOID(check_builds(wanted));
  reply.add_plan(fmt::format("version {} becomes {}: all servers understand it", now, wanted));
  reply.add_plan("from then on older builds cannot take part any more");
  if (!request.dry_run())
    CO_TRY_VOID(co_await group_.propose(metadata::SetClusterVersion{.version = wanted}));
  co_return answer(group_.host().applied(), reply);
}

// Of the servers that read the log, and of all chunk servers that may come back.
Result<void> GroupService::check_builds(uint32_t version) const {
  const placement::ClusterMap& map = group_.state().cluster_map();
  if (metadata::newest_cluster_version() < version)
    return fail(Code::kPrecondition,
                "{}, which leads, runs a build for cluster version {}: upgrade it first",
                name(core().self()), metadata::newest_cluster_version());
  for (const auto& member : core().configuration().members()) {
    if (member == core().self()) continue;
    const placement::Node* node = map.find(member.node);
    if (node == nullptr) return fail(Code::kPrecondition, "{} is not known yet", name(member));
    TRY_VOID(metadata::check_understands(*node, version));
  }
  for (const auto& [id, node] : map.nodes())
    if (node.kind == placement::NodeKind::kChunk && node.state != placement::NodeState::kGone)
      TRY_VOID(metadata::check_understands(node, version));
  return {};
}

}  // namespace dogfs::nodes
