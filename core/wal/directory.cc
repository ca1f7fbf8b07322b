#include "core/wal/directory.h"

#include "core/env/disk.h"
#include "core/env/env.h"

namespace dogfs::wal {

Task<Result<void>> make_durable_directory(Env& env, std::string path) {
  if (path.empty()) co_return Result<void>();  // the root
  const auto made = co_await env.disk().make_directory(path);
  if (!made && !made.error().is(Code::kExists)) co_return made;
  const size_t slash = path.rfind('/');
  const auto parent = slash == std::string::npos ? std::string() : path.substr(0, slash);
  co_return co_await env.disk().sync_directory(parent);
}

}  // namespace dogfs::wal
