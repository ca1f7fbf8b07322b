#include "sim/check/shadow_replica.h"

#include <utility>

namespace dogfs::sim {

ShadowReplica::ShadowReplica(const RaftSafety& raft, const Decode& decode, Violations& violations) {
  const auto& digests = raft.digests();
  for (size_t i = 0; i < raft.ledger().size(); ++i) {
    const auto& entry = raft.ledger()[i];
    if (!entry) {
      violations.add(Oracle::kCommittedLedger, "nobody committed index {}, but a later one", i + 1);
      return;
    }
    if (!apply(*entry, decode, violations)) return;
    if (i >= digests.size() || digests[i] == 0 || digests[i] == state_.digest()) continue;
    violations.add(Oracle::kStateDigest,
                   "at index {} the replicas have digest {:016x}, the log gives {:016x}", i + 1,
                   digests[i], state_.digest());
    return;
  }
}

bool ShadowReplica::apply(const raft::Entry& entry, const Decode& decode, Violations& violations) {
  if (entry.kind != raft::EntryKind::kNormal) {
    state_.skip(entry.index);
    return true;
  }
  auto command = decode(entry);
  if (!command) {
    violations.add(Oracle::kCommittedLedger, "entry {} is no command: {}", entry.position(),
                   command.error());
    return false;
  }
  auto response = state_.apply(entry.index, *command);
  commands_.push_back({entry.index, std::move(*command), std::move(response)});
  return true;
}

}  // namespace dogfs::sim
