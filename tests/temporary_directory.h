#pragma once
// TemporaryDirectory: an empty directory below the system's directory for temporary files, removed
// with all that is in it when the object goes.

#include <cstdlib>
#include <filesystem>
#include <string>

#include "core/base/check.h"

namespace dogfs {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    const auto base = std::filesystem::temp_directory_path();
    std::string pattern = (base / "dogfs-test-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) UNREACHABLE("cannot make {}", pattern);
    path_ = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace dogfs
