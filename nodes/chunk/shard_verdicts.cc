#include "nodes/chunk/shard_verdicts.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/chunk/disks.h"
#include "core/env/env.h"

namespace dogfs::nodes {
namespace {

constexpr size_t kDoubtsMax = 100'000;
constexpr size_t kVerdictsMax = 10'000;
constexpr int kReads = 4;  // of one that gives input and output errors
constexpr Duration kReadAgainAfter = 500ms;

}  // namespace

ShardVerdicts::ShardVerdicts(Env& env, chunk::Disks& disks)
    : env_(env), disks_(disks), changed_(env) {
  disks.when_in_doubt([this](const chunk::ShardName& name) { doubt(name); });
}

ShardVerdicts::~ShardVerdicts() { disks_.when_in_doubt({}); }

void ShardVerdicts::doubt(const chunk::ShardName& name) {
  if (doubted_.size() >= kDoubtsMax) return;
  doubted_.insert(name);
  changed_.notify();
}

std::vector<metadata::ShardVerdict> ShardVerdicts::pending() const {
  const size_t count = std::min(verdicts_.size(), limits::kVerdictsPerEntry);
  return {verdicts_.begin(), verdicts_.begin() + static_cast<ptrdiff_t>(count)};
}

void ShardVerdicts::recorded(size_t count) {
  count = std::min(count, verdicts_.size());
  verdicts_.erase(verdicts_.begin(), verdicts_.begin() + static_cast<ptrdiff_t>(count));
  changed_.notify();
}

Task<> ShardVerdicts::run() {
  for (;;) {
    while (doubted_.empty() || verdicts_.size() >= kVerdictsMax) co_await changed_.wait();
    const chunk::ShardName name = *doubted_.begin();
    const auto verdict = co_await judge(name);
    doubted_.erase(name);
    verdicts_.push_back(verdict);
    if (!verdict.sound) ++lost_;
  }
}

// An error may be the disk's, and pass; then another read tells.
Task<metadata::ShardVerdict> ShardVerdicts::judge(chunk::ShardName name) {
  auto facts = co_await disks_.verify(name);
  for (int i = 1; i < kReads && !facts && facts.error().is(Code::kIo); ++i) {
    co_await env_.sleep(kReadAgainAfter);
    facts = co_await disks_.verify(name);
  }
  if (!facts) env_.log().warning("lost: {}", facts.error());
  co_return metadata::ShardVerdict{.block = name.block,
                                   .index = name.shard,
                                   .generation = name.generation,
                                   .sound = facts.has_value(),
                                   .checksum = facts ? facts->checksum : 0};
}

}  // namespace dogfs::nodes
