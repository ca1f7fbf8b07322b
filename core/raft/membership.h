#pragma once
// Membership: how a group goes from one configuration to the next (Raft paper section 6, thesis
// chapter 4). Pure functions of configurations; the leader decides when (core_membership.cc).
//
//   voters V                      wanted voters W
//     | begin_change()              without newcomers in W straight to the joint configuration
//   voters V, learners W - V, target W
//     | join(), of those newcomers that have caught up
//   joint: voters V', outgoing V, target W while newcomers are to come still
//     | leave(), once that is committed
//   voters V', target W, or W alone
//
// V' has the newcomers that are ready; who leaves, goes with its successor (README.md). Each is one
// log entry, in force when appended, and appended only when the one before it is committed. Two
// that follow each other always have a majority in common.

#include <string_view>

#include "core/base/error.h"
#include "core/raft/types.h"

namespace dogfs::raft {

// What a group is to be: lists as in Configuration.
struct Membership {
  std::vector<Member> voters;
  std::vector<Member> learners = {};

  bool operator==(const Membership&) const = default;
};

// The group as it will be when the change under way, if any, is done.
Membership membership_of(const Configuration& configuration);

// Whether a group that is not joint can become `wanted`: a valid configuration, at every step, in
// which no voter becomes a learner.
bool may_become(const Configuration& now, const Membership& wanted);

// Who is to vote and does not yet.
std::vector<Member> newcomers_of(const Configuration& configuration);

// The steps. Preconditions: may_become; a target, not joint, `ready` some of the newcomers, sorted;
// joint.
Configuration begin_change(const Configuration& now, const Membership& wanted);
Configuration join(const Configuration& now, const std::vector<Member>& ready);
Configuration leave(const Configuration& joint);

// "voter", "learner", "joining" (a learner that is to vote), "leaving"; "" for no member.
std::string_view part_name(const Configuration& configuration, const Member& member);

// What an operator asks for, one member at a time: `add` alone enters, `remove` alone leaves, both
// change places in one joint step. Nobody is Member().
struct MemberChange {
  Member add = {};
  Member remove = {};
  bool learner = false;  // `add` is never to vote
};

// `now` with the change made. kExists, kNotFound, kPrecondition with the reason, for a person.
Result<Membership> changed(const Membership& now, const MemberChange& change);

}  // namespace dogfs::raft
