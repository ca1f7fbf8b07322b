#pragma once
// Reserve: a file of zeros that keeps some of the disk for what has to be written when nothing else
// has room any more: votes, and the removal of what fills the disk. It holds nothing; a loss or
// damage of it costs only the space. Whoever else writes to that disk may take what is given back
// first, so it is given bit by bit.
//
// Owned by the Wal, one call at a time.

#include <cstdint>
#include <memory>
#include <string>

#include "core/env/disk.h"

namespace dogfs {
class Env;
}

namespace dogfs::wal {

class Reserve {
 public:
  // Of `bytes`; 0: none is kept, and none is missing.
  Reserve(Env& env, std::string path, uint64_t bytes)
      : env_(env), path_(std::move(path)), bytes_(bytes) {}

  // Takes what is missing, all of it or nothing. kNoSpace, kIo.
  Task<Result<void>> fill();
  // Gives the disk at least `bytes` back, or what is left. False: nothing is.
  Task<bool> give(uint64_t bytes);

  bool is_whole() const { return held_ == bytes_; }
  // The disk was full: from the first give() or fill() that found no space to the next fill().
  bool is_short_of_space() const { return short_; }

 private:
  Task<Result<void>> open();
  Task<Result<void>> look_for_space();

  Env& env_;
  const std::string path_;
  const uint64_t bytes_;
  std::unique_ptr<File> file_;
  uint64_t held_ = 0;
  bool short_ = false;
};

}  // namespace dogfs::wal
