#include "sim/check/shadow_replica.h"

#include <utility>

namespace dogfs::sim {

ShadowReplica::ShadowReplica(const RaftSafety& raft, Decode decode, Violations& violations)
    : raft_(raft), decode_(std::move(decode)), violations_(violations) {}

void ShadowReplica::follow() {
  const auto& ledger = raft_.ledger();
  const auto& digests = raft_.digests();
  const auto is_applied = [&](size_t i) {
    return i < ledger.size() && ledger[i] && i < digests.size() && digests[i] != 0;
  };
  while (!stopped_ && is_applied(next())) stopped_ = !take_next();
}

void ShadowReplica::finish() {
  while (!stopped_ && next() < raft_.ledger().size()) stopped_ = !take_next();
}

bool ShadowReplica::take_next() {
  const size_t i = next();
  const auto& entry = raft_.ledger()[i];
  const auto& digests = raft_.digests();
  if (!entry) {
    violations_.add(Oracle::kCommittedLedger, "nobody committed index {}, but a later one", i + 1);
    return false;
  }
  if (!apply(*entry)) return false;
  if (i >= digests.size() || digests[i] == 0 || digests[i] == state_.digest()) return true;
  violations_.add(Oracle::kStateDigest,
                  "at index {} the replicas have digest {:016x}, the log gives {:016x}", i + 1,
                  digests[i], state_.digest());
  return false;
}

bool ShadowReplica::apply(const raft::Entry& entry) {
  if (entry.kind != raft::EntryKind::kNormal) {
    state_.skip(entry.index);
    return true;
  }
  auto command = decode_(entry);
  if (!command) {
    violations_.add(Oracle::kCommittedLedger, "entry {} is no command: {}", entry.position(),
                    command.error());
    return false;
  }
  auto response = state_.apply(entry.index, *command);
  commands_.push_back({entry.index, std::move(*command), std::move(response)});
  return true;
}

}  // namespace dogfs::sim
