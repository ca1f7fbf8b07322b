#pragma once
// NullSystem: the yardstick of `dogfs bench data`. The least that any networked store must do: n
// sink processes take their share of the bytes over loopback TCP, write them to a file and
// fdatasync it; then k of them send it back. No protocol, checks or metadata. What DogFS reaches is
// reported as a ratio to this, taken in the same run on the same disk.
//
// Small operations go over connections that stay, one for each client and sink, with a thread at
// each end: a request, the bytes, the answer.
//
// Every put writes new files and keeps the old ones, as a store does: to write over pages that the
// kernel has at hand is several times cheaper, and would measure another thing.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

#include "core/base/error.h"
#include "tools/dogfs/bench/timed_work.h"

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

  enum class Request : char {
    kFile = 'F',    // a new file with these bytes, synced
    kAppend = 'A',  // the bytes behind those of before, in one file for all, synced
    kRead = 'R',    // that many bytes from anywhere of what was put last
  };
  struct Work {
    Request request = Request::kFile;
    uint32_t bytes_each = 0;  // of one operation, at each sink
    uint32_t sinks = 1;       // the first of them
    uint32_t clients = 1;
    double seconds = 1;
    uint64_t file_bytes = 0;  // of an operation, as the user counts them
    uint64_t range = 0;       // kRead: below this offset
  };
  // Repeats an operation, as run_clients() does.
  Result<Timed> repeat(const Work& work);
  const std::vector<pid_t>& processes() const { return pids_; }

 private:
  NullSystem() = default;
  Result<std::vector<int>> connect_all(uint32_t count, char request) const;

  std::vector<pid_t> pids_;
  std::vector<uint16_t> ports_;
};

}  // namespace dogfs::tool
