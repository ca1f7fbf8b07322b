#include "nodes/chunk/scrub.h"

#include "core/chunk/disks.h"
#include "core/env/nursery.h"
#include "nodes/chunk/shard_verdicts.h"

namespace dogfs::nodes {
namespace {

constexpr uint64_t kSmallShardBytes = 4096;  // what one costs at least: it has to be looked for

}  // namespace

Scrub::Scrub(Env& env, chunk::Disks& disks, ShardVerdicts& verdicts, ScrubOptions options)
    : env_(env), disks_(disks), verdicts_(verdicts), options_(options), progress_(disks.count()) {}

Task<> Scrub::run() {
  if (options_.bytes_per_second == 0) co_return;
  co_await env_.sleep(options_.delay);
  co_await nursery(env_, [this](Nursery& children) {
    for (size_t disk = 0; disk < disks_.count(); ++disk) children.spawn(scrub_disk(disk));
    return children.join();
  });
}

Task<> Scrub::scrub_disk(size_t disk) {
  while (!disks_.failed(disk)) {
    const Instant next = env_.now() + options_.every;
    co_await pass(disk);
    ++progress_[disk].passes;
    co_await env_.sleep_until(next);
    progress_[disk].checked = 0;
  }
}

// In the order of names; what comes meanwhile with a lower one waits for the next pass.
Task<> Scrub::pass(size_t disk) {
  for (chunk::ShardName at;;) {
    chunk::Store* store = disks_.store(disk);
    if (store == nullptr) co_return;
    const auto next = store->next(at);
    if (!next) co_return;
    at = *next;
    const auto facts = co_await store->verify(at, [this](uint64_t bytes) { return pause(bytes); });
    ++progress_[disk].checked;
    if (!facts && !facts.error().is(Code::kNotFound) && !disks_.failed(disk)) {
      ++progress_[disk].doubted;
      verdicts_.doubt(at);
    }
    co_await pause(kSmallShardBytes);
  }
}

Task<> Scrub::pause(uint64_t bytes) {
  return env_.sleep(std::chrono::microseconds(1'000'000 * bytes / options_.bytes_per_second + 1));
}

}  // namespace dogfs::nodes
