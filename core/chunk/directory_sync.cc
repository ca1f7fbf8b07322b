#include "core/chunk/directory_sync.h"

#include "core/env/disk.h"

namespace dogfs::chunk {

// Whoever runs a sync; if it is cancelled meanwhile, another waiter runs the next.
class DirectorySync::Turn {
 public:
  explicit Turn(DirectorySync& syncs) : syncs_(syncs), number_(++syncs.begun_) {
    syncs_.running_ = true;
  }
  ~Turn() {
    syncs_.running_ = false;
    syncs_.changed_.notify();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  uint64_t number() const { return number_; }

 private:
  DirectorySync& syncs_;
  const uint64_t number_;
};

Task<Result<void>> DirectorySync::sync(Mark before) {
  const uint64_t needed = begun_ + 1;  // one under way may have begun before the change
  while (failures_ == before.failures && durable_ < needed) {
    if (running_) {
      co_await changed_.wait();
      continue;
    }
    const Turn turn(*this);
    const auto synced = co_await env_.disk().sync_directory(directory_);
    if (synced) {
      durable_ = turn.number();
    } else {
      ++failures_;
      env_.log().error("sync of directory {}: {}", directory_, synced.error());
    }
  }
  if (failures_ != before.failures)
    co_return fail(Code::kIo, "directory {} could not be synced", directory_);
  co_return Result<void>();
}

}  // namespace dogfs::chunk
