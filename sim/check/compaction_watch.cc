#include "sim/check/compaction_watch.h"

#include <utility>

#include "core/base/limits.h"

namespace dogfs::sim {

void CompactionWatch::look(const SpaceRecount& recount, Instant now) {
  const auto before = std::exchange(sparse_, {});
  for (const auto& [block, pack] : recount.packs) {
    if (pack.live * 100 >= pack.length * limits::kPackLivePercentMin) continue;
    const auto known = before.find(block);
    sparse_[block] = {known == before.end() ? now : known->second.since, pack};
  }
}

void CompactionWatch::judge(Instant since, Violations& violations) const {
  for (const auto& [block, sparse] : sparse_) {
    if (sparse.since > since) continue;
    violations.add(Oracle::kSpace,
                   "files have {} of {} bytes of block {} of a pack, and nobody compacts it",
                   sparse.pack.live, sparse.pack.length, block);
  }
}

}  // namespace dogfs::sim
