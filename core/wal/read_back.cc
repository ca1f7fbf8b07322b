#include "core/wal/read_back.h"

namespace dogfs::wal {

Task<Result<Buffer>> read_back(File& file, uint64_t offset, size_t length) {
  auto bytes = co_await file.read(offset, length);
  if (!bytes && bytes.error().is(Code::kIo)) bytes = co_await file.read(offset, length);
  if (bytes || !bytes.error().is(Code::kIo)) co_return bytes;
  co_return fail(Code::kCorrupt, "{}", bytes.error().message);
}

}  // namespace dogfs::wal
