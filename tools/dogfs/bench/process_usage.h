#pragma once
// What a process has used so far, as the kernel counts it (proc(5)): of this process and of others
// alike. For benchmarks; CPU time is exact only to a clock tick (10 ms), so measure what takes
// seconds.

#include <cstdint>

#include <sys/types.h>

namespace dogfs::tool {

struct ProcessUsage {
  uint64_t cpu_us = 0;             // user and system time
  uint64_t peak_memory_bytes = 0;  // highest resident set (VmHWM)
  uint64_t memory_bytes = 0;       // resident now (VmRSS)
};

// Zeros for a process that is gone.
ProcessUsage process_usage(pid_t pid);

// Its peak memory is that of the time from now on.
void forget_peak(pid_t pid);

}  // namespace dogfs::tool
