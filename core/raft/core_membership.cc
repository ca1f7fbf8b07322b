// Changes of the membership: Raft paper section 6, thesis chapter 4. The steps are in membership.h;
// here is when the leader takes them.

#include <algorithm>

#include "core/raft/core.h"
#include "core/raft/quorum.h"
#include "core/raft/record.h"

namespace dogfs::raft {
namespace {

// A joint configuration that nobody could leave, for its new majority is not there, is not begun:
// the group would stand still in it.
bool can_be_left(const Core& core, const Configuration& joint) {
  return is_quorum({joint.voters}, [&](const Member& member) { return core.is_heard(member); });
}

}  // namespace

// In force when appended, committed or not. Planted bug M12: when committed.
const Configuration& Core::configuration() const {
  if (MUTANT("M12")) return log_.configuration_at(log_.commit());
  return log_.configuration();
}

void Core::on(ChangeMembership& change) {
  if (const auto reason = refusal_of(change.wanted)) {
    output_.refused.push_back({change.id, *reason, leader()});
    return;
  }
  append_configuration(begin_change(configuration(), change.wanted));
  output_.accepted.push_back({change.id, log_.last()});
}

std::optional<Refusal> Core::refusal_of(const Membership& wanted) const {
  const auto* leader = std::get_if<Leader>(&role_);
  if (!leader) return Refusal::kNotLeader;
  if (leader->transferee) return Refusal::kTransferring;
  if (configuration().joint() || !is_settled()) return Refusal::kUnsettled;
  if (!may_become(configuration(), wanted)) return Refusal::kInvalidGroup;
  if (begin_change(configuration(), wanted) == configuration()) {
    return Refusal::kNothingToChange;
  }
  // Newcomers that are silent do not vote before they are heard.
  std::vector<Member> voters = wanted.voters;
  std::erase_if(voters, [&](const Member& voter) {
    return std::ranges::binary_search(configuration().learners, voter) && !is_heard(voter);
  });
  const bool alive = !voters.empty() && is_quorum({voters}, [&](const Member& voter) {
    return !configuration().contains(voter) || is_heard(voter);
  });
  // Nor may it stand still on the way: who waits for a successor votes until that is there.
  const Configuration next = begin_change(configuration(), wanted);
  const bool goes_on = !next.joint() || can_be_left(*this, next);
  return alive && goes_on ? std::nullopt : std::optional(Refusal::kNoQuorum);
}

// One change at a time, and none before an entry of the own term is committed: until then nobody
// knows that the configuration in this log is the group's (thesis 4.1 and its erratum).
bool Core::is_settled() const {
  const auto* leader = std::get_if<Leader>(&role_);
  if (!leader || leader->transferee) return false;
  if (MUTANT("M11") && log_.configuration_index() < leader->term_start) return true;
  return log_.commit() >= std::max(leader->term_start, log_.configuration_index());
}

bool Core::is_heard(const Member& member) const {
  if (role() != Role::kLeader) return false;
  if (same_member(member, options_.self)) return own_disk_moves();
  const Progress* progress = progress_of(member);
  return progress && progress->heard_at && now_ - *progress->heard_at < options_.election_ticks;
}

bool Core::is_silent(const Member& member) const {
  const auto* leader = std::get_if<Leader>(&role_);
  return leader && now_ - leader->since >= options_.election_ticks && !is_heard(member);
}

void Core::append_configuration(const Configuration& next) {
  append_own(EntryKind::kConfiguration, Buffer::take(encode_configuration(next)));
  leading().lease = {.revoked = leading().lease.revoked};  // other voters make other promises
  follow_configuration();
  send_appends();
  finish_read_round();  // who left cannot answer it any more, and maybe nobody else has to
}

// Who leaves is told, once: if that arrives, it is quiet from then on. If not, pre-votes and the
// protection of the leader keep it from disturbing (thesis 4.2.3).
void Core::follow_configuration() {
  auto& followers = leading().followers;
  for (auto& [member, progress] : followers) {
    if (!log_.configuration().contains(member)) send_appends_to(member, progress);
  }
  std::erase_if(followers, [&](const auto& follower) {
    return !log_.configuration().contains(follower.first);
  });
  const Progress::Window window{options_.appends_in_flight, options_.append_bytes_in_flight};
  for (const Member& member : log_.configuration().members()) {
    if (member != options_.self) {
      followers.try_emplace(member, Progress(log_.last().index.next(), window));
    }
  }
}

// Takes the next step of the change under way, when the last one is committed.
void Core::advance_membership() {
  if (!is_settled()) return;
  const Configuration& now = configuration();
  if (now.joint()) return append_configuration(leave(now));
  // Also one that left and is to come back: that is for a voter to finish.
  if (!now.is_voter(options_.self)) return hand_over();
  if (now.target.empty()) return;
  const std::vector<Member> ready = ready_newcomers();
  if (ready.empty()) return;
  const Configuration next = join(now, ready);
  if (next.valid() && can_be_left(*this, next)) append_configuration(next);
}

// Those that have caught up (thesis 4.2.1) do not wait for those that have not, and maybe never
// will.
std::vector<Member> Core::ready_newcomers() const {
  std::vector<Member> ready = newcomers_of(configuration());
  std::erase_if(ready, [&](const Member& member) {
    const Progress* progress = progress_of(member);
    return !progress || !progress->caught_up() || !is_heard(member);
  });
  return ready;
}

// Thesis 4.2.2: a leader that is no voter of the new configuration leads until it is committed.
void Core::hand_over() {
  const auto& followers = leading().followers;
  const auto heir = std::ranges::max_element(followers, {}, [&](const auto& follower) {
    const bool voter = configuration().is_voter(follower.first);
    return std::pair(voter, follower.second.match());
  });
  if (heir != followers.end()) send(heir->first, TimeoutNow{});
  become_follower(term(), Member());
}

}  // namespace dogfs::raft
