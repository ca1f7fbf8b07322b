#pragma once
// RootDirectory: everything below one directory of the machine, with calls that block. Paths are
// relative and never leave it: no empty part, no "." or "..", and the last part is not followed if
// it is a symbolic link. Shared by the disk of a process and its jobs; any thread.

#include <memory>
#include <string>
#include <vector>

#include "core/env/disk.h"
#include "net/open_file.h"

namespace dogfs::net {

class RootDirectory {
 public:
  // Makes the directory, durably, if it is missing (its parent must exist), and locks it:
  // kUnavailable while another process uses it. With an empty path every later call fails: a
  // process without a disk.
  static Result<std::shared_ptr<RootDirectory>> open(std::string path);

  // Lets another process have the directory; for one that lives on after its death.
  void unlock();

  // See core/env/disk.h.
  // The same for reading, when all that is needed to find the file is in the kernel's memory.
  // Nothing otherwise, or when it fails.
  std::shared_ptr<OpenFile> open_cached(const std::string& path) const;
  Result<std::shared_ptr<OpenFile>> open_file(std::string path, OpenMode mode) const;
  Result<void> rename(std::string from, std::string to) const;
  Result<void> remove(std::string path) const;
  Result<std::vector<DirectoryEntry>> list(std::string directory) const;
  Result<void> make_directory(std::string path) const;
  Result<void> sync_directory(std::string directory) const;
  Result<Space> space() const;

 private:
  explicit RootDirectory(std::shared_ptr<OpenFile> root) : root_(std::move(root)) {}
  Result<void> check_root() const;
  Result<void> check_path(std::string_view path) const;
  Result<std::shared_ptr<OpenFile>> open_directory(std::string directory) const;
  std::string full(std::string_view path) const;

  std::shared_ptr<OpenFile> root_;  // null: no disk
};

}  // namespace dogfs::net
