#include "core/chunk/disk_guard.h"

namespace dogfs::chunk {

template <class T>
Task<Result<T>> DiskGuard::guarded(Kind kind, Task<Result<T>> operation) {
  if (given_up_) co_return fail(Code::kIo, "this disk has failed and is not used any more");
  auto result = co_await std::move(operation);
  if (result) co_return result;
  const Code code = result.error().code;
  const bool harmless = code == Code::kNoSpace || code == Code::kExists;
  if (code == Code::kIo || (kind == Kind::kMustWork && !harmless)) on_trouble_();
  co_return result;
}

class DiskGuard::GuardedFile final : public File {
 public:
  GuardedFile(DiskGuard& guard, std::unique_ptr<File> file)
      : guard_(guard), file_(std::move(file)) {}

  Task<Result<Buffer>> read(uint64_t offset, size_t length) override {
    return guard_.guarded(Kind::kMayFail, file_->read(offset, length));
  }
  Task<Result<void>> write(uint64_t offset, Buffer bytes) override {
    return guard_.guarded(Kind::kMayFail, file_->write(offset, std::move(bytes)));
  }
  Task<Result<void>> sync() override { return guard_.guarded(Kind::kMustWork, file_->sync()); }
  Task<Result<void>> write_durably(uint64_t offset, Buffer bytes) override {
    return guard_.guarded(Kind::kMayFail, file_->write_durably(offset, std::move(bytes)));
  }
  Task<Result<void>> truncate(uint64_t size) override {
    return guard_.guarded(Kind::kMayFail, file_->truncate(size));
  }
  Task<Result<void>> extend(uint64_t from, uint64_t to) override {
    return guard_.guarded(Kind::kMayFail, file_->extend(from, to));
  }
  Task<Result<uint64_t>> size() override { return guard_.guarded(Kind::kMayFail, file_->size()); }

 private:
  DiskGuard& guard_;
  std::unique_ptr<File> file_;
};

Task<Result<std::unique_ptr<File>>> DiskGuard::open(std::string path, OpenMode mode) {
  const bool makes = mode == OpenMode::kCreate || mode == OpenMode::kAlways;
  CO_TRY(file, co_await guarded(makes ? Kind::kMustWork : Kind::kMayFail,
                                disk_.open(std::move(path), mode)));
  co_return std::make_unique<GuardedFile>(*this, std::move(file));
}

Task<Result<void>> DiskGuard::rename(std::string from, std::string to) {
  return guarded(Kind::kMayFail, disk_.rename(std::move(from), std::move(to)));
}

Task<Result<void>> DiskGuard::remove(std::string path) {
  return guarded(Kind::kMayFail, disk_.remove(std::move(path)));
}

Task<Result<std::vector<DirectoryEntry>>> DiskGuard::list(std::string directory) {
  return guarded(Kind::kMayFail, disk_.list(std::move(directory)));
}

Task<Result<void>> DiskGuard::make_directory(std::string path) {
  return guarded(Kind::kMayFail, disk_.make_directory(std::move(path)));
}

Task<Result<void>> DiskGuard::sync_directory(std::string directory) {
  return guarded(Kind::kMustWork, disk_.sync_directory(std::move(directory)));
}

Task<Result<Space>> DiskGuard::space() { return guarded(Kind::kMustWork, disk_.space()); }

}  // namespace dogfs::chunk
