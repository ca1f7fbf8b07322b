#pragma once
// WorkerPool: runs numbered jobs in forked processes, so that a job that crashes or hangs costs
// itself and nothing else. Each worker takes one job after the other and answers each with one line
// of text; what it says on stderr meanwhile is kept as its last words.
//
// Call it from a program without threads: workers are forks of it.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "core/base/error.h"

namespace dogfs::tool {

struct WorkerPoolOptions {
  uint32_t workers = 1;
  uint64_t first = 1;
  uint64_t last = 1;
  std::chrono::seconds job_limit{300};  // of real time; then the worker is killed
};

// In the worker: does the job, gives one line.
using Job = std::function<std::string(uint64_t number)>;
// In the caller, in the order in which jobs end: the line, or how the worker died (kUnknown, with
// its last words). False: no more jobs.
using JobEnded = std::function<bool(uint64_t number, const Result<std::string>& line)>;

// kIo when no process can be made.
Result<void> run_jobs(const WorkerPoolOptions& options, const Job& job, const JobEnded& ended);

}  // namespace dogfs::tool
