#pragma once
// Scrub: reads all shards of every disk over and over, at a modest pace, so that damage is found
// while there are others to repair from. What it stumbles over is doubted (shard_verdicts.h). Each
// disk has a task of its own. Owned by the chunk node, which runs run(); one thread.
//
// Append logs do not live as long as a pass lasts, so theirs are passes of their own, between two
// shards. They take half of the time at most.

#include <cstdint>
#include <vector>

#include "core/base/time.h"
#include "core/chunk/shard_file.h"
#include "core/env/task.h"

namespace dogfs {
class Env;
}
namespace dogfs::chunk {
class AppendDisks;
class Disks;
}  // namespace dogfs::chunk

namespace dogfs::nodes {

class ShardVerdicts;

struct ScrubOptions {
  uint64_t bytes_per_second = 2 << 20;             // of each disk; 0: no scrub
  Duration delay = std::chrono::minutes(1);        // after the start of the server
  Duration every = std::chrono::hours(24);         // from the beginning of one pass to the next
  Duration logs_every = std::chrono::minutes(10);  // likewise, of passes over append logs
};

class Scrub {
 public:
  struct Parts {
    chunk::Disks& disks;
    chunk::AppendDisks& logs;
    ShardVerdicts& verdicts;
  };
  Scrub(Env& env, const Parts& parts, ScrubOptions options);

  // Until cancelled.
  Task<> run();

  struct Progress {
    uint64_t passes = 0;   // whole ones, by this process
    uint64_t checked = 0;  // shards, in the pass that is under way
    uint64_t logs = 0;     // append logs, in all passes
    uint64_t doubted = 0;  // in all of them
  };
  const Progress& progress(size_t disk) const { return progress_[disk]; }

 private:
  Task<> scrub_disk(size_t disk);
  Task<> pass(size_t disk);
  Task<> pass_logs_when_due(size_t disk);
  void doubt(size_t disk, const chunk::ShardName& name);
  Task<> pause(uint64_t bytes);

  Env& env_;
  const Parts parts_;
  const ScrubOptions options_;
  std::vector<Progress> progress_;
  std::vector<Instant> logs_due_;
};

}  // namespace dogfs::nodes
