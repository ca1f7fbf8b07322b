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

}  // namespace

Membership membership_of(const Configuration& configuration) {
  if (configuration.target.empty()) return {configuration.voters, configuration.learners};
  return {configuration.target, without(configuration.learners, configuration.target)};
}

Configuration begin_change(const Configuration& now, const Membership& wanted) {
  const Members newcomers = without(wanted.voters, now.voters);
  if (!newcomers.empty()) {
    return {now.voters, with(wanted.learners, newcomers), {}, wanted.voters};
  }
  if (wanted.voters == now.voters) return {now.voters, wanted.learners};
  return {wanted.voters, wanted.learners, now.voters};
}

Configuration join(const Configuration& now) {
  return {now.target, without(now.learners, now.target), now.voters};
}

Configuration leave(const Configuration& joint) { return {joint.voters, joint.learners}; }

bool may_become(const Configuration& now, const Membership& wanted) {
  if (now.joint() || wanted.voters.empty()) return false;
  if (!Configuration{wanted.voters, wanted.learners}.valid()) return false;
  const Configuration first = begin_change(now, wanted);
  return first.valid() && (first.target.empty() || join(first).valid()) &&
         std::ranges::none_of(wanted.learners, [&](const Member& m) { return has(now.voters, m); });
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
