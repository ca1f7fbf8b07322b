#include "nodes/client/packer.h"

#include "core/base/limits.h"
#include "core/env/env.h"
#include "core/namespace/pack_path.h"
#include "nodes/client/appender.h"
#include "nodes/client/client.h"

namespace dogfs::nodes {
namespace {

constexpr Duration kStoreLimit = 2s;
constexpr Duration kPause = 10s;
constexpr size_t kDirectoriesMax = 1024;

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

}  // namespace

Packer::Packer(const Parts& parts, const Session& session)
    : parts_(parts),
      session_(Session::for_nobody(session)),
      number_(static_cast<uint32_t>(parts.env.random().next() % limits::kPacksPerPolicy)) {}

Packer::~Packer() = default;

void Packer::forget(const std::string& path) { layouts_.erase(directory_of(path)); }

void Packer::avoid(const std::string& path) {
  if (avoided_until_.size() >= kDirectoriesMax) avoided_until_.clear();
  avoided_until_[directory_of(path)] = parts_.env.now() + kPause;
}

Task<Result<PackedBytes>> Packer::store(Session& session, std::string path,
                                        std::optional<placement::Policy> policy, Buffer bytes) {
  const std::string directory = directory_of(path);
  const auto avoided = avoided_until_.find(directory);
  if (avoided != avoided_until_.end() && parts_.env.now() < avoided->second)
    co_return fail(Code::kUnavailable, "{} had no room a moment ago", directory);
  CO_TRY(layout, co_await layout_of(session, directory));
  if (layout.dedup) co_return fail(Code::kUnavailable, "{} shares blocks, not packs", directory);
  co_return co_await store_in(policy.value_or(layout.policy), std::move(bytes));
}

Task<Result<PackedBytes>> Packer::store_in(placement::Policy policy, Buffer bytes) {
  const std::string pack = metadata::pack_path(policy, number_);
  const auto off = off_until_.find(pack);
  if (off != off_until_.end() && parts_.env.now() < off->second)
    co_return fail(Code::kUnavailable, "{} could not be appended to a moment ago", pack);
  auto stored = co_await append(pack, std::move(bytes));
  if (stored) co_return stored;
  parts_.env.log().info("a small file is not packed: {}", stored.error());
  off_until_[pack] = parts_.env.now() + kPause;
  packs_.erase(pack);
  number_ = (number_ + 1) % limits::kPacksPerPolicy;
  co_return stored;
}

// One that is out of date is refused by PutPacked, and then forgotten.
Task<Result<Packer::Layout>> Packer::layout_of(Session& session, std::string directory) {
  const auto known = layouts_.find(directory);
  if (known != layouts_.end()) co_return known->second;
  CO_TRY(found, co_await session.query_for<metadata::Attributes>(metadata::StatQuery{directory}));
  if (layouts_.size() >= kDirectoriesMax) layouts_.clear();
  const Layout layout{.policy = found.value.policy,
                      .dedup = found.value.content_mode == metadata::ContentMode::kDedup};
  layouts_.insert_or_assign(directory, layout);
  co_return layout;
}

Task<Result<PackedBytes>> Packer::append(std::string pack, Buffer bytes) {
  CO_TRY(appender, co_await find(pack));
  CO_TRY(stored, co_await appender->store(std::move(bytes)));
  co_return PackedBytes{
      .pack = appender->file(), .block = stored.block, .block_offset = stored.block_offset};
}

Task<Result<std::shared_ptr<Appender>>> Packer::find(std::string pack) {
  const auto known = packs_.find(pack);
  if (known != packs_.end()) co_return known->second;
  auto opened = co_await open(pack);
  if (!opened && opened.error().is(Code::kNotFound)) {
    CO_TRY_VOID(co_await session_.execute(metadata::MakeDirectory{
        .path = std::string(metadata::kPacksDirectory), .parents = true, .policy = {}}));
    opened = co_await open(pack);
  }
  if (!opened) co_return fail(std::move(opened).error());
  co_return packs_.emplace(pack, *std::move(opened)).first->second;
}

Task<Result<std::shared_ptr<Appender>>> Packer::open(std::string pack) {
  AppendOptions options;
  options.anew = true;
  options.limit = kStoreLimit;
  auto appender = std::make_shared<Appender>(
      Appender::Parts{parts_.env, parts_.rpc, parts_.calls, session_, parts_.options},
      std::move(pack), std::move(options));
  CO_TRY_VOID(co_await appender->open());
  co_return appender;
}

}  // namespace dogfs::nodes
