#pragma once
// Workplace: the directory of one benchmark, removed with everything in it. Up: the servers of a
// local cluster, brought down with their owner. Both are owned by the function that measures.

#include <filesystem>

#include "core/base/error.h"
#include "tools/dogfs/local_cluster.h"

namespace dogfs::tool {

class Workplace {
 public:
  // A new directory, or a temporary one when none is named. kExists, kDenied, kIo.
  static Result<Workplace> make(const std::filesystem::path& wanted);
  Workplace(Workplace&& other) noexcept;
  Workplace& operator=(Workplace&&) = delete;
  ~Workplace();
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit Workplace(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

class Up {
 public:
  explicit Up(const LocalCluster& cluster) : cluster_(cluster) {}
  Up(const Up&) = delete;
  Up& operator=(const Up&) = delete;
  ~Up();

 private:
  const LocalCluster& cluster_;
};

}  // namespace dogfs::tool
