#include "nodes/data_directory.h"

#include <algorithm>

#include "core/env/disk.h"
#include "core/wal/read_back.h"

namespace dogfs::nodes {
namespace {
constexpr const char* kIdentityFile = "identity";
constexpr const char* kTemporaryFile = "identity.new";
constexpr const char* kDamagedIdentityFile = "identity.damaged";
constexpr const char* kDamagedDirectory = "damaged-";
constexpr size_t kIdentityBytesMax = 4096;

Task<Result<chunk::StoreIdentity>> read_identity_file(Env& env, std::string path) {
  CO_TRY(file, co_await env.disk().open(path, OpenMode::kRead));
  CO_TRY(bytes, co_await wal::read_back(env, *file, 0, kIdentityBytesMax));
  co_return chunk::decode_identity(bytes.view());
}

// Moves every file; a subdirectory that is not there has none.
Task<Result<void>> move_files(Env& env, std::string from, std::string to) {
  auto entries = co_await env.disk().list(from);
  if (!entries && entries.error().is(Code::kNotFound)) co_return Result<void>();
  if (!entries) co_return fail(entries.error());
  for (const auto& entry : *entries)
    CO_TRY_VOID(co_await env.disk().rename(from + "/" + entry.name, to + "/" + entry.name));
  co_return co_await env.disk().sync_directory(from);
}

}  // namespace

Task<Result<std::optional<chunk::StoreIdentity>>> read_identity(Env& env, ClusterId cluster,
                                                                NodeId node) {
  CO_TRY(known, co_await known_identity(env));
  if (!known) co_return std::nullopt;
  const chunk::StoreIdentity identity = *known;
  if (identity.cluster != cluster)
    co_return fail(Code::kPrecondition, "this data directory belongs to cluster {:x}, not to {:x}",
                   identity.cluster.value, cluster.value);
  if (identity.node != node)
    co_return fail(Code::kPrecondition, "this data directory belongs to node {}, not to {}",
                   identity.node, node);
  // A start that was interrupted may have left a name that power loss would still take away.
  CO_TRY_VOID(co_await env.disk().sync_directory(""));
  co_return identity;
}

Task<Result<std::optional<chunk::StoreIdentity>>> known_identity(Env& env) {
  const auto read = co_await read_identity_file(env, kIdentityFile);
  if (!read && read.error().is(Code::kNotFound)) co_return std::nullopt;
  if (!read) co_return fail(read.error());
  co_return *read;
}

Task<Result<void>> write_identity(Env& env, chunk::StoreIdentity identity) {
  Disk& disk = env.disk();
  // What an interrupted attempt left is of no use.
  if (auto removed = co_await disk.remove(kTemporaryFile);
      !removed && !removed.error().is(Code::kNotFound))
    co_return removed;
  CO_TRY(file, co_await disk.open(kTemporaryFile, OpenMode::kCreate));
  CO_TRY_VOID(co_await file->write(0, Buffer::take(chunk::encode_identity(identity))));
  CO_TRY_VOID(co_await file->sync());
  CO_TRY_VOID(co_await disk.rename(kTemporaryFile, kIdentityFile));
  co_return co_await disk.sync_directory("");
}

Task<Result<void>> set_aside(Env& env, std::vector<std::string> subdirectories) {
  CO_TRY_VOID(co_await env.disk().rename(kIdentityFile, kDamagedIdentityFile));
  CO_TRY_VOID(co_await env.disk().sync_directory(""));
  CO_TRY_VOID(co_await finish_set_aside(env, std::move(subdirectories)));
  co_return Result<void>();
}

Task<Result<bool>> finish_set_aside(Env& env, std::vector<std::string> subdirectories) {
  Disk& disk = env.disk();
  CO_TRY(entries, co_await disk.list(""));
  const auto has = [&](const auto& matches) { return std::ranges::any_of(entries, matches); };
  const bool earlier = has([](const auto& e) { return e.name.starts_with(kDamagedDirectory); });
  if (!has([](const auto& e) { return e.name == kDamagedIdentityFile; })) co_return earlier;
  const auto identity = co_await read_identity_file(env, kDamagedIdentityFile);
  const StoreId store = identity ? identity->store : StoreId();  // it may be what is damaged
  const std::string kept = fmt::format("{}{:016x}", kDamagedDirectory, store.value);
  if (auto made = co_await disk.make_directory(kept); !made && !made.error().is(Code::kExists))
    co_return fail(made.error());
  CO_TRY_VOID(co_await disk.sync_directory(""));
  for (const auto& directory : subdirectories)
    CO_TRY_VOID(co_await move_files(env, directory, kept));
  CO_TRY_VOID(co_await disk.sync_directory(kept));
  CO_TRY_VOID(co_await disk.rename(kDamagedIdentityFile, kept + "/" + kIdentityFile));
  CO_TRY_VOID(co_await disk.sync_directory(kept));
  CO_TRY_VOID(co_await disk.sync_directory(""));
  co_return true;
}

}  // namespace dogfs::nodes
