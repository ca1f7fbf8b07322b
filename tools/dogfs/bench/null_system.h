#pragma once
// NullSystem: the yardstick of `dogfs bench data`. The least that any networked store must do: n
// sink processes take their share of the bytes over loopback TCP, write them to a file and
// fdatasync it; then k of them send it back. No protocol, checks or metadata. What DogFS reaches is
// reported as a ratio to this, taken in the same run on the same disk.
//
// Every put writes new files and keeps the old ones, as a store does: to write over pages that the
// kernel has at hand is several times cheaper, and would measure another thing.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

#include "core/base/error.h"

namespace dogfs::tool {

class NullSystem {
 public:
  // Forks `count` sinks that keep their files in `directory`: start it before any thread.
  static Result<NullSystem> start(const std::filesystem::path& directory, uint32_t count);
  NullSystem(NullSystem&& other) noexcept;
  NullSystem& operator=(NullSystem&&) = delete;
  ~NullSystem();  // ends the sinks; their files stay

  // Seconds to store `bytes_each` on every sink at once, durably, and to read what was stored last
  // from the first `readers` of them.
  Result<double> put(uint64_t bytes_each);
  Result<double> get(uint64_t bytes_each, uint32_t readers);
  const std::vector<pid_t>& processes() const { return pids_; }

 private:
  NullSystem() = default;
  Result<std::vector<int>> connect_all(uint32_t count, char request) const;

  std::vector<pid_t> pids_;
  std::vector<uint16_t> ports_;
};

}  // namespace dogfs::tool
