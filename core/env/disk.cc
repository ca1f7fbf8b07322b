#include "core/env/disk.h"

#include <algorithm>

#include "core/base/limits.h"

namespace dogfs {

Task<Result<void>> File::write_durably(uint64_t offset, Buffer bytes) {
  CO_TRY_VOID(co_await write(offset, std::move(bytes)));
  auto synced = co_await sync();
  if (!synced) co_return fail(Code::kIo, "{}", synced.error().message);
  co_return synced;
}

Task<Result<void>> File::extend(uint64_t from, uint64_t to) {
  constexpr uint64_t kAtOnce = limits::kMiB;
  CO_TRY_VOID(check_disk_range(from, to - from));
  while (from < to) {
    const uint64_t length = std::min(kAtOnce, to - from);
    CO_TRY_VOID(co_await write(from, Buffer::take(std::string(length, '\0'))));
    from += length;
  }
  co_return Result<void>();
}

namespace {

bool valid_part(std::string_view part) {
  return !part.empty() && part != "." && part != ".." && part.size() <= limits::kNameBytesMax;
}

bool valid_path(std::string_view path) {
  if (path.size() > limits::kPathBytesMax || path.contains('\0')) return false;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (!valid_part(path.substr(begin, end - begin))) return false;
    begin = end + 1;
  }
  return true;
}

}  // namespace

Result<void> check_disk_path(std::string_view path) {
  if (!valid_path(path))
    return fail(Code::kInvalid, "'{}' is not a path within the data directory", path);
  return {};
}

Result<void> check_disk_range(uint64_t offset, uint64_t length) {
  constexpr uint64_t kEndMax = INT64_MAX;
  if (offset > kEndMax || length > kEndMax - offset)
    return fail(Code::kInvalid, "{} bytes at offset {} are out of range", length, offset);
  return {};
}

}  // namespace dogfs
