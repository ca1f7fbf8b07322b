#pragma once
// Scrub: reads all shards of every disk over and over, at a modest pace, so that damage is found
// while there are others to repair from. What it stumbles over is doubted (shard_verdicts.h). Each
// disk has a task of its own. Owned by the chunk node, which runs run(); one thread.

#include <cstdint>
#include <vector>

#include "core/base/time.h"
#include "core/chunk/shard_file.h"
#include "core/env/task.h"

namespace dogfs {
class Env;
}
namespace dogfs::chunk {
class Disks;
}

namespace dogfs::nodes {

class ShardVerdicts;

struct ScrubOptions {
  uint64_t bytes_per_second = 2 << 20;       // of each disk; 0: no scrub
  Duration delay = std::chrono::minutes(1);  // after the start of the server
  Duration every = std::chrono::hours(24);   // from the beginning of one pass to the next
};

class Scrub {
 public:
  Scrub(Env& env, chunk::Disks& disks, ShardVerdicts& verdicts, ScrubOptions options);

  // Until cancelled.
  Task<> run();

  struct Progress {
    uint64_t passes = 0;   // whole ones, by this process
    uint64_t checked = 0;  // shards, in the pass that is under way
    uint64_t doubted = 0;  // in all of them
  };
  const Progress& progress(size_t disk) const { return progress_[disk]; }

 private:
  Task<> scrub_disk(size_t disk);
  Task<> pass(size_t disk);
  Task<> pause(uint64_t bytes);

  Env& env_;
  chunk::Disks& disks_;
  ShardVerdicts& verdicts_;
  const ScrubOptions options_;
  std::vector<Progress> progress_;
};

}  // namespace dogfs::nodes
