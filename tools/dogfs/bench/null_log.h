#pragma once
// NullLog: the yardstick of `dogfs bench meta`. One process that appends what came, 64 bytes an
// operation, to a file, syncs it with fdatasync, and sends it back: the least that a durable log
// costs, without replication, order, checks or state. NullDialect is how Load talks to it.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

#include "tools/dogfs/bench/load.h"

namespace dogfs::tool {

class NullLog {
 public:
  // Forks: start it before any thread.
  static Result<NullLog> start(const std::filesystem::path& file);
  NullLog(NullLog&& other) noexcept;
  NullLog& operator=(NullLog&&) = delete;
  ~NullLog();  // ends the process; the file stays

  Address address() const { return {"127.0.0.1", port_}; }
  pid_t process() const { return pid_; }

 private:
  NullLog() = default;
  pid_t pid_ = 0;
  uint16_t port_ = 0;
};

class NullDialect final : public Dialect {
 public:
  void greet(std::string&) override {}
  bool ready() const override { return true; }
  void begin(uint32_t slot, std::string& out) override;
  Result<size_t> take(std::string_view in, std::string& out, std::vector<uint32_t>& ended) override;
};

}  // namespace dogfs::tool
