#include "core/wal/read_back.h"

#include "core/env/env.h"

namespace dogfs::wal {
namespace {
constexpr int kTries = 4;
constexpr Duration kBetweenTries = std::chrono::seconds(2);
}  // namespace

Task<Result<Buffer>> read_back(File& file, uint64_t offset, size_t length) {
  auto bytes = co_await file.read(offset, length);
  if (!bytes && bytes.error().is(Code::kIo)) bytes = co_await file.read(offset, length);
  if (bytes || !bytes.error().is(Code::kIo)) co_return bytes;
  co_return fail(Code::kCorrupt, "{}", bytes.error().message);
}

Task<Result<Buffer>> read_back(Env& env, File& file, uint64_t offset, size_t length) {
  for (int tries = 1; tries < kTries; ++tries) {
    auto bytes = co_await file.read(offset, length);
    if (bytes || !bytes.error().is(Code::kIo)) co_return bytes;
    env.log().warning("{}; once more in a moment", bytes.error());
    co_await env.sleep(kBetweenTries);
  }
  co_return co_await read_back(file, offset, length);
}

}  // namespace dogfs::wal
