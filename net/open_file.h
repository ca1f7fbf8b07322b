#pragma once
// OpenFile: an open file as the operating system has it, with calls that block. Shared by the File
// of a frame and the jobs under way on it, so it is closed when the last of them is over. Its calls
// may run on several threads at a time.

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "core/base/buffer.h"
#include "core/base/error.h"

namespace dogfs::net {

// The error of a failed system call (errno) on a path, as core/env/disk.h promises its codes.
std::unexpected<Error> system_failure(int error, std::string_view act, std::string_view path);

class OpenFile {
 public:
  // Takes over the descriptor.
  OpenFile(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
  ~OpenFile();
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  int descriptor() const { return descriptor_; }
  const std::string& path() const { return path_; }

  // See core/env/disk.h.
  Result<Buffer> read(uint64_t offset, size_t length) const;
  // The same, when all of it is in the kernel's memory: it never waits for the disk. Nothing
  // otherwise, or when it fails.
  std::optional<Buffer> read_cached(uint64_t offset, size_t length) const;
  // From time to time it also asks the kernel to begin writing to the disk what there is, so that a
  // sync at the end of a long file has little left to wait for.
  Result<void> write(uint64_t offset, Buffer bytes) const;
  Result<void> sync() const;
  Result<void> truncate(uint64_t size) const;
  Result<void> extend(uint64_t from, uint64_t to) const;
  Result<uint64_t> size() const;

 private:
  const int descriptor_;
  const std::string path_;
  mutable std::atomic<uint64_t> written_bytes_ = 0;
};

}  // namespace dogfs::net
