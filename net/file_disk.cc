#include "net/file_disk.h"

#include "core/base/limits.h"

namespace dogfs::net {
namespace {

// What is at hand in the kernel's memory is read by the loop itself, so much at a time: on one core
// it is still warm when it is checked and sent, and two changes of threads are saved.
constexpr size_t kReadAtOnceMax = limits::kMiB;

// An operation that was over before it was waited for: its handler runs from the loop nevertheless.
Task<> pass(Operations& operations) {
  co_await suspend(operations, [&operations](OperationRef op) { operations.complete(op, {}); });
}

class PoolFile final : public File {
 public:
  PoolFile(std::shared_ptr<OpenFile> file, Operations& operations, Compute& pool, uint64_t& syncs)
      : file_(std::move(file)), operations_(operations), pool_(pool), syncs_(syncs) {}

  Task<Result<Buffer>> read(uint64_t offset, size_t length) override {
    if (length <= kReadAtOnceMax) {
      if (auto bytes = file_->read_cached(offset, length)) {
        co_await pass(operations_);
        co_return *std::move(bytes);
      }
    }
    co_return co_await perform(
        [file = file_, offset, length] { return file->read(offset, length); });
  }
  Task<Result<void>> write(uint64_t offset, Buffer bytes) override {
    return perform(
        [file = file_, offset, bytes = std::move(bytes)] { return file->write(offset, bytes); });
  }
  Task<Result<void>> sync() override {
    ++syncs_;
    return perform([file = file_] { return file->sync(); });
  }
  Task<Result<void>> write_durably(uint64_t offset, Buffer bytes) override {
    ++syncs_;
    return perform([file = file_, offset, bytes = std::move(bytes)]() -> Result<void> {
      TRY_VOID(file->write(offset, bytes));
      auto synced = file->sync();
      if (!synced) return fail(Code::kIo, "{}", synced.error().message);
      return synced;
    });
  }
  Task<Result<void>> truncate(uint64_t size) override {
    return perform([file = file_, size] { return file->truncate(size); });
  }
  Task<Result<void>> extend(uint64_t from, uint64_t to) override {
    return perform([file = file_, from, to] { return file->extend(from, to); });
  }
  Task<Result<uint64_t>> size() override {
    co_await pass(operations_);  // the kernel knows it of every open file
    co_return file_->size();
  }

 private:
  template <class F>
  Task<std::invoke_result_t<F>> perform(F call) {
    return offload(operations_, pool_, 0, std::move(call));
  }

  std::shared_ptr<OpenFile> file_;
  Operations& operations_;
  Compute& pool_;
  uint64_t& syncs_;
};

}  // namespace

Task<Result<std::unique_ptr<File>>> FileDisk::open(std::string path, OpenMode mode) {
  if (mode == OpenMode::kRead) {
    if (auto file = root_->open_cached(path)) {
      co_await pass(operations_);
      co_return std::make_unique<PoolFile>(std::move(file), operations_, pool_, syncs_);
    }
  }
  CO_TRY(file, co_await perform([root = root_, path = std::move(path), mode] {
           return root->open_file(path, mode);
         }));
  co_return std::make_unique<PoolFile>(std::move(file), operations_, pool_, syncs_);
}

Task<Result<void>> FileDisk::rename(std::string from, std::string to) {
  return perform([root = root_, from = std::move(from), to = std::move(to)] {
    return root->rename(from, to);
  });
}

Task<Result<void>> FileDisk::remove(std::string path) {
  return perform([root = root_, path = std::move(path)] { return root->remove(path); });
}

Task<Result<std::vector<DirectoryEntry>>> FileDisk::list(std::string directory) {
  return perform(
      [root = root_, directory = std::move(directory)] { return root->list(directory); });
}

Task<Result<void>> FileDisk::make_directory(std::string path) {
  return perform([root = root_, path = std::move(path)] { return root->make_directory(path); });
}

Task<Result<void>> FileDisk::sync_directory(std::string directory) {
  ++syncs_;
  return perform(
      [root = root_, directory = std::move(directory)] { return root->sync_directory(directory); });
}

Task<Result<Space>> FileDisk::space() {
  co_await pass(operations_);  // the kernel counts it in memory
  co_return root_->space();
}

}  // namespace dogfs::net
