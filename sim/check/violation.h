#pragma once
// Violation: a promise that a run broke, and the oracle that saw it. Violations collects those of
// one run, bounded: after the first few of one oracle the rest only count.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace dogfs::sim {

enum class Oracle : uint8_t {
  kElectionSafety,       // at most one leader per term
  kLogMatching,          // (index, term) names one entry and one history before it
  kLeaderCompleteness,   // a leader has every entry committed in earlier terms
  kCommittedLedger,      // what was committed at an index never changes
  kStateDigest,          // one digest per applied index, on every replica
  kLinearizability,      // results agree with one order that respects real time
  kLinearizationSearch,  // the same, found without the log
  kExactlyOnce,          // no request applied twice, no refused one applied
  kDurability,           // what was acknowledged is there
  kWrongBytes,           // a read returned what nobody wrote
  kInvariants,           // placement and references
  kPersistence,          // a member keeps what it promised, over restarts, too
  kQuorumIntersection,   // members change so that quorums meet
  kSpace,                // what is stored is counted, and of use, or on its way out
  kExpiry,               // what is silent is ended in time, nothing else
  kLiveness,             // progress once the faults stop
  kDeterminism,          // the same capsule, the same trace hash
  kCrash,                // the product's own CHECK, or a signal
  kCanary,               // always fails when planted
};

std::string_view oracle_name(Oracle oracle);  // "election_safety", ...

struct Violation {
  Oracle oracle;
  std::string text;
  bool operator==(const Violation&) const = default;
};

class Violations {
 public:
  static constexpr size_t kKeptPerOracle = 3;

  template <class... Args>
  void add(Oracle oracle, fmt::format_string<Args...> text, Args&&... args) {
    if (counts_[oracle]++ < kKeptPerOracle)
      kept_.push_back({oracle, fmt::format(text, std::forward<Args>(args)...)});
  }
  bool empty() const { return kept_.empty(); }
  const std::vector<Violation>& kept() const { return kept_; }
  uint64_t count(Oracle oracle) const {
    const auto found = counts_.find(oracle);
    return found == counts_.end() ? 0 : found->second;
  }

 private:
  std::vector<Violation> kept_;
  std::map<Oracle, uint64_t> counts_;
};

}  // namespace dogfs::sim
