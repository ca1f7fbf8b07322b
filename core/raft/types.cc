#include "core/raft/types.h"

#include <algorithm>

#include "core/base/limits.h"

namespace dogfs::raft {
namespace {

bool has(const std::vector<Member>& list, const Member& member) {
  return std::ranges::any_of(list, [&](const Member& m) { return same_member(m, member); });
}

// Sorted by node and store, so a node twice stands side by side.
bool is_proper_list(const std::vector<Member>& list) {
  for (size_t i = 0; i < list.size(); ++i) {
    if (!list[i].node || !list[i].store) return false;
    if (i > 0 && list[i].node <= list[i - 1].node) return false;
  }
  return true;
}

}  // namespace

bool Configuration::is_voter(const Member& member) const {
  return has(voters, member) || has(outgoing, member);
}

bool Configuration::contains(const Member& member) const {
  return is_voter(member) || has(learners, member);
}

std::vector<Member> Configuration::members() const {
  std::vector<Member> all = voters;
  all.insert(all.end(), learners.begin(), learners.end());
  all.insert(all.end(), outgoing.begin(), outgoing.end());
  std::ranges::sort(all);
  const auto repeated = std::ranges::unique(all);
  all.erase(repeated.begin(), repeated.end());
  return all;
}

bool Configuration::valid() const {
  if (voters.size() + learners.size() + outgoing.size() > limits::kGroupMembersMax) return false;
  if (voters.empty()) return learners.empty() && outgoing.empty() && target.empty();
  for (const auto* list : {&voters, &learners, &outgoing, &target}) {
    if (!is_proper_list(*list)) return false;
  }
  const auto among = [](const std::vector<Member>& list) {
    return [&list](const Member& m) { return std::ranges::binary_search(list, m); };
  };
  if (std::ranges::any_of(learners, among(voters))) return false;
  return std::ranges::all_of(
      target, [&](const Member& m) { return among(voters)(m) || among(learners)(m); });
}

std::string_view role_name(Role role) {
  switch (role) {
    case Role::kFollower: return "follower";
    case Role::kPreCandidate: return "pre-candidate";
    case Role::kCandidate: return "candidate";
    case Role::kLeader: return "leader";
  }
  UNREACHABLE("role {}", static_cast<int>(role));
}

}  // namespace dogfs::raft
