#include "nodes/data_directory.h"

#include "core/env/disk.h"

namespace dogfs::nodes {
namespace {
constexpr const char* kIdentityFile = "identity";
constexpr const char* kTemporaryFile = "identity.new";
constexpr size_t kIdentityBytesMax = 4096;
}  // namespace

Task<Result<std::optional<chunk::StoreIdentity>>> read_identity(Env& env, ClusterId cluster,
                                                                NodeId node) {
  auto file = co_await env.disk().open(kIdentityFile, OpenMode::kRead);
  if (!file && file.error().is(Code::kNotFound)) co_return std::nullopt;
  if (!file) co_return fail(file.error());
  CO_TRY(bytes, co_await (*file)->read(0, kIdentityBytesMax));
  CO_TRY(identity, chunk::decode_identity(bytes.view()));
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

}  // namespace dogfs::nodes
