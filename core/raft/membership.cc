#include "core/raft/membership.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/limits.h"

namespace dogfs::raft {
namespace {

using Members = std::vector<Member>;

bool has(const Members& list, const Member& member) {
  return std::ranges::binary_search(list, member);
}

Members without(Members list, const Members& gone) {
  std::erase_if(list, [&](const Member& member) { return has(gone, member); });
  return list;
}

void insert(Members& list, const Member& member) {
  list.insert(std::ranges::lower_bound(list, member), member);
}

Members with(Members list, const Members& more) {
  for (const Member& member : more) {
    if (!has(list, member)) insert(list, member);
  }
  return list;
}

bool has_node(const Members& list, NodeId node) {
  return std::ranges::any_of(list, [&](const Member& member) { return member.node == node; });
}

// Of a change that brings nobody new, who need not wait for those that are still to come: whom it
// is about, and as many as it takes back newcomers in whose exchange others were to leave.
Members leaving_at_once(const Configuration& now, const Membership& wanted) {
  const Members before = membership_of(now).voters;
  const Members added = without(without(wanted.voters, before), now.voters);
  if (!added.empty()) return {};
  size_t taken_back = without(without(before, wanted.voters), now.voters).size();
  Members leaving;
  for (const Member& member : without(now.voters, wanted.voters)) {
    if (has(before, member)) {
      leaving.push_back(member);
    } else if (taken_back > 0 && !has_node(wanted.voters, member.node)) {
      leaving.push_back(member);
      --taken_back;
    }
  }
  return leaving;
}

}  // namespace

Membership membership_of(const Configuration& configuration) {
  if (configuration.target.empty()) return {configuration.voters, configuration.learners};
  return {configuration.target, without(configuration.learners, configuration.target)};
}

Members newcomers_of(const Configuration& now) { return without(now.target, now.voters); }

Configuration begin_change(const Configuration& now, const Membership& wanted) {
  const Members newcomers = without(wanted.voters, now.voters);
  if (newcomers.empty() && wanted.voters == now.voters) return {now.voters, wanted.learners};
  if (newcomers.empty()) return {wanted.voters, wanted.learners, now.voters};
  const Members staying = without(now.voters, leaving_at_once(now, wanted));
  const Members learners = with(wanted.learners, newcomers);
  if (staying.empty() || staying == now.voters) return {now.voters, learners, {}, wanted.voters};
  return {staying, learners, now.voters, wanted.voters};
}

Configuration join(const Configuration& now, const Members& ready) {
  const Members newcomers = newcomers_of(now);
  Members next = with(without(now.voters, without(now.voters, now.target)), ready);
  if (ready == newcomers) return {next, without(now.learners, next), now.voters};
  const Members leaving = without(now.voters, now.target);
  auto in_exchange = std::ranges::count_if(
      ready, [&](const Member& member) { return !has_node(leaving, member.node); });
  for (const Member& member : leaving) {
    const bool goes =
        has_node(newcomers, member.node) ? has_node(ready, member.node) : in_exchange-- > 0;
    if (!goes) insert(next, member);
  }
  return {next, without(now.learners, next), now.voters, now.target};
}

Configuration leave(const Configuration& joint) {
  return {joint.voters, joint.learners, {}, joint.target};
}

bool may_become(const Configuration& now, const Membership& wanted) {
  if (now.joint() || wanted.voters.empty()) return false;
  if (!Configuration{wanted.voters, wanted.learners}.valid()) return false;
  if (std::ranges::any_of(wanted.learners, [&](const Member& m) { return has(now.voters, m); }))
    return false;
  Configuration step = begin_change(now, wanted);
  if (!step.valid()) return false;
  if (step.joint()) step = leave(step);
  return step.target.empty() || join(step, newcomers_of(step)).valid();
}

std::string_view part_name(const Configuration& configuration, const Member& member) {
  if (has(configuration.learners, member)) {
    return has(configuration.target, member) ? "joining" : "learner";
  }
  const Members& staying =
      configuration.target.empty() ? configuration.voters : configuration.target;
  if (has(configuration.voters, member)) return has(staying, member) ? "voter" : "leaving";
  return has(configuration.outgoing, member) ? "leaving" : "";
}

Result<Membership> changed(const Membership& now, const MemberChange& change) {
  Membership wanted = now;
  if (change.remove) {
    const size_t found =
        std::erase(wanted.voters, change.remove) + std::erase(wanted.learners, change.remove);
    if (found == 0) return fail(Code::kNotFound, "{} is no member of the group", change.remove);
  }
  if (change.add) {
    if (has(wanted.voters, change.add) || has(wanted.learners, change.add)) {
      return fail(Code::kExists, "{} is a member of the group already", change.add);
    }
    insert(change.learner ? wanted.learners : wanted.voters, change.add);
  }
  if (wanted.voters.empty()) {
    return fail(Code::kPrecondition, "{} is the last voter; a group needs one", change.remove);
  }
  if (!Configuration{wanted.voters, wanted.learners}.valid()) {
    return fail(Code::kPrecondition,
                "{} cannot be added: its node is a member under another store id, which must leave "
                "in the same change, or the group has its {} members",
                change.add, limits::kGroupMembersMax);
  }
  return wanted;
}

}  // namespace dogfs::raft
