#include "sim/check/violation.h"

#include "core/base/check.h"

namespace dogfs::sim {

std::string_view oracle_name(Oracle oracle) {
  switch (oracle) {
    case Oracle::kElectionSafety: return "election_safety";
    case Oracle::kLogMatching: return "log_matching";
    case Oracle::kLeaderCompleteness: return "leader_completeness";
    case Oracle::kCommittedLedger: return "committed_ledger";
    case Oracle::kStateDigest: return "state_digest";
    case Oracle::kLinearizability: return "linearizability";
    case Oracle::kLinearizationSearch: return "linearization_search";
    case Oracle::kExactlyOnce: return "exactly_once";
    case Oracle::kDurability: return "durability";
    case Oracle::kWrongBytes: return "wrong_bytes";
    case Oracle::kInvariants: return "invariants";
    case Oracle::kPersistence: return "persistence";
    case Oracle::kQuorumIntersection: return "quorum_intersection";
    case Oracle::kSpace: return "space";
    case Oracle::kExpiry: return "expiry";
    case Oracle::kLiveness: return "liveness";
    case Oracle::kDeterminism: return "determinism";
    case Oracle::kCrash: return "crash";
    case Oracle::kCanary: return "canary";
  }
  UNREACHABLE("oracle {}", static_cast<int>(oracle));
}

}  // namespace dogfs::sim
