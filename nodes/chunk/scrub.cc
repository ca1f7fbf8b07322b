#include "nodes/chunk/scrub.h"

#include <algorithm>

#include "core/chunk/append_disks.h"
#include "core/chunk/disks.h"
#include "core/env/nursery.h"
#include "nodes/chunk/shard_verdicts.h"

namespace dogfs::nodes {
namespace {

constexpr uint64_t kSmallShardBytes = 4096;  // what one costs at least: it has to be looked for

// Others are what passes: too much is in use, or a disk is full.
bool is_damage(Code code) {
  return code == Code::kCorrupt || code == Code::kUnsupported || code == Code::kIo;
}

}  // namespace

Scrub::Scrub(Env& env, const Parts& parts, ScrubOptions options)
    : env_(env),
      parts_(parts),
      options_(options),
      progress_(parts.disks.count()),
      logs_due_(parts.disks.count()) {}

Task<> Scrub::run() {
  if (options_.bytes_per_second == 0) co_return;
  co_await env_.sleep(options_.delay);
  co_await nursery(env_, [this](Nursery& children) {
    for (size_t disk = 0; disk < parts_.disks.count(); ++disk) children.spawn(scrub_disk(disk));
    return children.join();
  });
}

Task<> Scrub::scrub_disk(size_t disk) {
  while (!parts_.disks.failed(disk)) {
    const Instant next = env_.now() + options_.every;
    co_await pass(disk);
    ++progress_[disk].passes;
    while (env_.now() < next && !parts_.disks.failed(disk)) {
      co_await pass_logs_when_due(disk);
      co_await env_.sleep_until(std::min(next, logs_due_[disk]));
    }
    progress_[disk].checked = 0;
  }
}

// In the order of names; what comes meanwhile with a lower one waits for the next pass.
Task<> Scrub::pass(size_t disk) {
  for (chunk::ShardName at;;) {
    co_await pass_logs_when_due(disk);
    chunk::Store* store = parts_.disks.store(disk);
    if (store == nullptr) co_return;
    const auto next = store->next(at);
    if (!next) co_return;
    at = *next;
    const auto facts = co_await store->verify(at, [this](uint64_t bytes) { return pause(bytes); });
    ++progress_[disk].checked;
    if (!facts && !facts.error().is(Code::kNotFound)) doubt(disk, at);
    co_await pause(kSmallShardBytes);
  }
}

Task<> Scrub::pass_logs_when_due(size_t disk) {
  const Instant begin = env_.now();
  if (begin < logs_due_[disk]) co_return;
  for (const chunk::ShardName& name : parts_.logs.names(disk)) {
    const auto sound =
        co_await parts_.logs.verify(name, [this](uint64_t bytes) { return pause(bytes); });
    ++progress_[disk].logs;
    if (!sound && is_damage(sound.error().code)) doubt(disk, name);
    co_await pause(kSmallShardBytes);
  }
  const Instant end = env_.now();
  logs_due_[disk] = std::max(begin + options_.logs_every, end + (end - begin));
}

void Scrub::doubt(size_t disk, const chunk::ShardName& name) {
  if (parts_.disks.failed(disk)) return;
  ++progress_[disk].doubted;
  parts_.verdicts.doubt(name);
}

Task<> Scrub::pause(uint64_t bytes) {
  return env_.sleep(std::chrono::microseconds(1'000'000 * bytes / options_.bytes_per_second + 1));
}

}  // namespace dogfs::nodes
