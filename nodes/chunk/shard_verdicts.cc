#include "nodes/chunk/shard_verdicts.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/chunk/append_disks.h"
#include "core/chunk/disks.h"
#include "core/env/env.h"

namespace dogfs::nodes {
namespace {

constexpr size_t kDoubtsMax = 100'000;
constexpr size_t kVerdictsMax = 10'000;
constexpr int kReads = 4;  // of one that gives input and output errors
constexpr Duration kReadAgainAfter = 500ms;

}  // namespace

ShardVerdicts::ShardVerdicts(Env& env, chunk::Disks& disks, chunk::AppendDisks& logs)
    : env_(env), disks_(disks), logs_(logs), changed_(env) {
  const auto hear = [this](const chunk::ShardName& name) { doubt(name); };
  disks.when_in_doubt(hear);
  logs.when_in_doubt(hear);
}

ShardVerdicts::~ShardVerdicts() {
  disks_.when_in_doubt({});
  logs_.when_in_doubt({});
}

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
    if (!verdict) continue;
    verdicts_.push_back(*verdict);
    if (!verdict->sound) ++lost_;
  }
}

// An error may be the disk's, and pass; then another read tells. Nothing when nobody can tell now.
Task<std::optional<metadata::ShardVerdict>> ShardVerdicts::judge(chunk::ShardName name) {
  auto checksum = co_await verify(name);
  for (int i = 1; i < kReads && !checksum && checksum.error().is(Code::kIo); ++i) {
    co_await env_.sleep(kReadAgainAfter);
    checksum = co_await verify(name);
  }
  if (!checksum && (checksum.error().is(Code::kUnavailable) || checksum.error().is(Code::kNoSpace)))
    co_return std::nullopt;
  if (!checksum) {
    env_.log().warning("lost: {}", checksum.error());
    logs_.condemn(name, checksum.error());
  }
  co_return metadata::ShardVerdict{.block = name.block,
                                   .index = name.shard,
                                   .generation = name.generation,
                                   .sound = checksum.has_value(),
                                   .checksum = checksum.value_or(0)};
}

// All of it; the checksum of a shard, 0 of a log.
Task<Result<uint32_t>> ShardVerdicts::verify(chunk::ShardName name) {
  if (logs_.contains(name)) {
    CO_TRY_VOID(co_await logs_.verify(name));
    co_return 0u;
  }
  CO_TRY(facts, co_await disks_.verify(name));
  co_return facts.checksum;
}

}  // namespace dogfs::nodes
