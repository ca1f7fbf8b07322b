#include "net/file_disk.h"

namespace dogfs::net {
namespace {

class PoolFile final : public File {
 public:
  PoolFile(std::shared_ptr<OpenFile> file, Operations& operations, Compute& pool, uint64_t& syncs)
      : file_(std::move(file)), operations_(operations), pool_(pool), syncs_(syncs) {}

  Task<Result<Buffer>> read(uint64_t offset, size_t length) override {
    return perform([file = file_, offset, length] { return file->read(offset, length); });
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
    return perform([file = file_] { return file->size(); });
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
  return perform([root = root_] { return root->space(); });
}

}  // namespace dogfs::net
