#include "tools/dogfs/bench/process_usage.h"

#include <fstream>
#include <sstream>
#include <string>

#include <unistd.h>

#include "core/base/error.h"

namespace dogfs::tool {

ProcessUsage process_usage(pid_t pid) {
  ProcessUsage usage;
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(stat, text);
  if (const size_t name_end = text.rfind(')'); name_end != std::string::npos) {
    std::istringstream fields(text.substr(name_end + 1));
    std::string field;
    for (int number = 3; number <= 13; ++number) fields >> field;
    uint64_t user = 0, system = 0;  // fields 14 and 15, in clock ticks
    fields >> user >> system;
    const auto ticks = static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
    usage.cpu_us = (user + system) * 1'000'000 / ticks;
  }
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) usage.peak_memory_bytes = std::stoull(line.substr(6)) * 1024;
    if (line.starts_with("VmRSS:")) usage.memory_bytes = std::stoull(line.substr(6)) * 1024;
  }
  return usage;
}

void forget_peak(pid_t pid) { std::ofstream(fmt::format("/proc/{}/clear_refs", pid)) << "5"; }

}  // namespace dogfs::tool
