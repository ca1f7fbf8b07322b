#include "core/chunk/store.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/base/mutation.h"

namespace dogfs::chunk {
namespace {

constexpr std::string_view kIdentityFile = "identity";
constexpr std::string_view kIdentityCopy = "identity.copy";
constexpr std::string_view kNewIdentityFile = "identity.new";
constexpr std::string_view kShardsDirectory = "shards";
constexpr size_t kIdentityBytesMax = 4096;

std::string join(std::string_view directory, std::string_view name) {
  return directory.empty() ? std::string(name) : fmt::format("{}/{}", directory, name);
}

std::string parent_of(std::string_view path) {
  const size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? "" : path.substr(0, slash));
}

bool is_there_or_made(const Result<void>& made) { return made || made.error().is(Code::kExists); }

// The directory and the one for shards, with durable names.
Task<Result<void>> make_directories(Disk& disk, std::string directory) {
  if (!directory.empty()) {
    const auto made = co_await disk.make_directory(directory);
    if (!is_there_or_made(made)) co_return made;
    CO_TRY_VOID(co_await disk.sync_directory(parent_of(directory)));
  }
  const auto made = co_await disk.make_directory(join(directory, kShardsDirectory));
  if (!is_there_or_made(made)) co_return made;
  co_return co_await disk.sync_directory(directory);
}

Task<Result<void>> write_synced(Disk& disk, std::string path, Buffer bytes) {
  CO_TRY(file, co_await disk.open(path, OpenMode::kAlways));
  CO_TRY_VOID(co_await file->truncate(0));
  CO_TRY_VOID(co_await file->write(0, bytes));
  co_return co_await file->sync();
}

// Replaces `name` durably, or leaves what is there.
Task<Result<void>> write_one_identity(Disk& disk, std::string directory, std::string name,
                                      StoreIdentity identity) {
  const std::string fresh = join(directory, kNewIdentityFile);
  const std::string path = join(directory, name);
  CO_TRY_VOID(co_await write_synced(disk, fresh, Buffer::take(encode_identity(identity))));
  CO_TRY_VOID(co_await disk.rename(fresh, path));
  co_return co_await disk.sync_directory(directory);
}

Task<Result<StoreIdentity>> read_one_identity(Disk& disk, std::string path) {
  CO_TRY(file, co_await disk.open(path, OpenMode::kRead));
  CO_TRY(bytes, co_await file->read(0, kIdentityBytesMax));
  co_return decode_identity(bytes.view());
}

// There are two copies, so that one bad sector does not cost a whole disk. The first alone says
// that the directory was made; it is written last.
Task<Result<StoreIdentity>> read_identity(Disk& disk, std::string directory) {
  auto identity = co_await read_one_identity(disk, join(directory, kIdentityFile));
  if (identity || identity.error().is(Code::kUnsupported)) co_return identity;
  if (identity.error().is(Code::kNotFound))
    co_return fail(Code::kNotFound, "\"{}\" is no data directory yet: it has no identity file",
                   directory);
  auto copy = co_await read_one_identity(disk, join(directory, kIdentityCopy));
  co_return copy ? copy : identity;
}

// Writes a copy anew that cannot be read. What fails is tried again at the next start.
Task<> mend_identity(Env& env, std::string directory, StoreIdentity identity) {
  for (const auto name : {kIdentityFile, kIdentityCopy}) {
    const auto known = co_await read_one_identity(env.disk(), join(directory, name));
    if (known == identity) continue;
    const auto written =
        co_await write_one_identity(env.disk(), directory, std::string(name), identity);
    env.log().warning("{} was damaged: {}", join(directory, name),
                      written ? "written anew" : written.error().message);
  }
}

}  // namespace

// Excludes other tasks from publishing or removing one shard.
class Store::Turn {
 public:
  Turn(Store& store, const ShardName& name) : store_(store), name_(name) {
    CHECK(store_.busy_.insert(name_).second);
  }
  ~Turn() {
    store_.busy_.erase(name_);
    store_.idle_.notify();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  Store& store_;
  const ShardName name_;
};

Task<Result<void>> Store::prepare(Env& env, std::string directory) {
  Disk& disk = env.disk();
  CO_TRY_VOID(co_await make_directories(disk, directory));
  CO_TRY(entries, co_await disk.list(directory));
  if (std::ranges::find(entries, kIdentityFile, &DirectoryEntry::name) != entries.end())
    co_return fail(Code::kExists, "\"{}\" is a data directory already", directory);
  CO_TRY(shards, co_await disk.list(join(directory, kShardsDirectory)));
  if (!shards.empty())
    co_return fail(Code::kPrecondition, "\"{}\" has {} shard files but no identity; not touched",
                   directory, shards.size());
  co_return Result<void>();
}

Task<Result<void>> Store::format(Env& env, std::string directory, StoreIdentity identity) {
  CO_TRY_VOID(co_await prepare(env, directory));
  Disk& disk = env.disk();
  const auto written = co_await write_identity(env, directory, identity);
  // An identity that could vanish would make a full store look blank.
  if (!written) co_await disk.remove(join(directory, kIdentityFile));
  co_return written;
}

Task<Result<void>> Store::write_identity(Env& env, std::string directory, StoreIdentity identity) {
  for (const auto name : {kIdentityCopy, kIdentityFile})
    CO_TRY_VOID(co_await write_one_identity(env.disk(), directory, std::string(name), identity));
  co_return Result<void>();
}

Task<Result<StoreIdentity>> Store::identify(Env& env, std::string directory) {
  return read_identity(env.disk(), std::move(directory));
}

Task<Result<std::unique_ptr<Store>>> Store::open(Env& env, std::string directory, ClusterId cluster,
                                                 NodeId node) {
  CO_TRY(identity, co_await read_identity(env.disk(), directory));
  if (identity.cluster != cluster || identity.node != node)
    co_return fail(Code::kPrecondition,
                   "\"{}\" belongs to node {} of cluster {}, this is node {} of cluster {}",
                   directory, identity.node, identity.cluster, node, cluster);
  co_await mend_identity(env, directory, identity);
  CO_TRY_VOID(co_await env.disk().sync_directory(directory));
  std::unique_ptr<Store> store(new Store(env, std::move(directory), identity));
  CO_TRY_VOID(co_await store->recover());
  co_return store;
}

Store::Store(Env& env, std::string directory, StoreIdentity identity)
    : env_(env),
      directory_(join(directory, kShardsDirectory)),
      identity_(identity),
      directory_sync_(env, directory_),
      idle_(env) {}

std::string Store::path(std::string_view file) const { return join(directory_, file); }

// A name without its file's bytes cannot be there, since they are synced before the rename; but a
// name may be there that a crash of the process left unsynced, so the directory is.
Task<Result<void>> Store::recover() {
  const auto before = directory_sync_.mark();
  CO_TRY(entries, co_await env_.disk().list(directory_));
  for (const DirectoryEntry& entry : entries) {
    if (const auto name = parse_file_name(entry.name)) {
      shards_.emplace(*name, Entry());
    } else if (const auto number = parse_temporary_name(entry.name)) {
      abandoned_.push_back(entry.name);
      next_temporary_ = std::max(next_temporary_, *number + 1);
    } else {
      env_.log().warning("{} is no shard file; left alone", path(entry.name));
    }
  }
  co_await sweep();
  co_return co_await directory_sync_.sync(before);
}

// Removes the files of dropped writers. What cannot be removed waits for the next start.
Task<> Store::sweep() {
  const auto files = std::exchange(abandoned_, {});
  for (const std::string& file : files) co_await discard(file);
}

Task<> Store::discard(std::string file) {
  const auto removed = co_await env_.disk().remove(path(file));
  if (!removed && !removed.error().is(Code::kNotFound))
    env_.log().warning("{} is left over until the next start: {}", path(file), removed.error());
}

bool Store::superseded(const ShardName& name) const {
  const auto next = shards_.upper_bound(name);
  return next != shards_.end() && next->first.block == name.block &&
         next->first.shard == name.shard;
}

Result<void> Store::check_begin(const ShardName& name, const StripeShape& shape) const {
  TRY_VOID(ec::StripeLayout::create(shape, 0));
  if (!name.block || !name.generation || name.shard >= shape.shard_count())
    return fail(Code::kInvalid, "{} of {}", describe(name), shape.shard_count());
  if (superseded(name))
    return fail(Code::kPrecondition, "a higher generation than {} is here", describe(name));
  if (writers_.size() >= limits::kShardWritersMax)
    return fail(Code::kUnavailable, "{} shards are being written; try again", writers_.size());
  return {};
}

Task<Result<std::unique_ptr<ShardWriter>>> Store::begin(ShardName name, StripeShape shape,
                                                        uint64_t expected_bytes) {
  CO_TRY_VOID(check_begin(name, shape));
  std::unique_ptr<ShardWriter> writer(
      new ShardWriter(*this, name, shape, std::min(expected_bytes, limits::kBlockBytesMax)));
  co_await sweep();
  CO_TRY(disk_space, co_await env_.disk().space());
  if (disk_space.free_bytes < reserved_bytes_)
    co_return fail(Code::kNoSpace, "{} bytes are free, {} are needed by what is being written",
                   disk_space.free_bytes, reserved_bytes_);
  CO_TRY_VOID(co_await writer->create());
  co_return writer;
}

// kExists if this very generation is here with other content. Unreadable content may be replaced.
Task<Result<void>> Store::check_same_content(ShardFacts facts) {
  if (!shards_.contains(facts.name)) co_return Result<void>();
  const auto present = co_await stat(facts.name);
  if (present && *present != facts)
    co_return fail(Code::kExists, "{} is here with other content", describe(facts.name));
  co_return Result<void>();
}

Task<Result<void>> Store::rename_durably(std::string temporary, ShardName name) {
  const auto before = directory_sync_.mark();
  CO_TRY_VOID(co_await env_.disk().rename(path(temporary), path(file_name(name))));
  if (MUTANT("M28")) co_return Result<void>();
  co_return co_await directory_sync_.sync(before);
}

Task<Result<void>> Store::publish(ShardWriter& writer, ShardFacts facts) {
  const ShardName name = facts.name;
  while (busy_.contains(name)) co_await idle_.wait();
  const Turn turn(*this, name);
  if (!writer.wanted_)
    co_return fail(Code::kPrecondition, "{} was removed while it was written", describe(name));
  if (superseded(name))
    co_return fail(Code::kPrecondition, "a higher generation than {} is here", describe(name));
  CO_TRY_VOID(co_await check_same_content(facts));
  const auto renamed = co_await rename_durably(writer.temporary_, name);
  open_shards_.drop(name);
  if (renamed) {
    shards_[name] = {++last_writing_, facts};
  } else if (!shards_.contains(name)) {
    // It may have its name, but not for sure: not acknowledged, so not kept. When it took the place
    // of the same shard, the old one or this one is there, and either will do.
    co_await discard(file_name(name));
  }
  co_return renamed;
}

Task<Result<std::shared_ptr<OpenShard>>> Store::open_shard(ShardName name) {
  const auto known = shards_.find(name);
  if (known == shards_.end()) co_return fail(Code::kNotFound, "{} is not here", describe(name));
  if (auto open = open_shards_.find(name)) co_return open;
  const uint64_t writing = known->second.writing;
  CO_TRY(opened, co_await OpenShard::open(env_.disk(), path(file_name(name)), identity_of(name)));
  // Meanwhile it may have been removed or replaced: then this read may see the old file, but later
  // ones must not.
  if (Entry* entry = unchanged(name, writing)) {
    entry->facts = opened->facts();
    open_shards_.insert(opened);
  }
  co_return opened;
}

// The shard's entry, if its file is still what it was at that writing and nobody is about to change
// that; else null.
Store::Entry* Store::unchanged(const ShardName& name, uint64_t writing) {
  const auto found = shards_.find(name);
  const bool same = found != shards_.end() && found->second.writing == writing;
  return same && !busy_.contains(name) ? &found->second : nullptr;
}

Task<Result<Buffer>> Store::read(ShardName name, uint64_t offset, size_t length,
                                 std::optional<uint32_t> checksum) {
  CO_TRY(checked, co_await read_checked(name, offset, length, checksum));
  co_return std::move(checked.bytes);
}

Task<Result<CheckedBytes>> Store::read_checked(ShardName name, uint64_t offset, size_t length,
                                               std::optional<uint32_t> checksum) {
  CO_TRY(shard, co_await open_shard(name));
  if (checksum && *checksum != shard->facts().checksum)
    co_return fail(Code::kCorrupt, "{} is stale: its checksum is {:08x}, not {:08x}",
                   describe(name), shard->facts().checksum, *checksum);
  co_return co_await OpenShard::read(shard, offset, length);
}

Task<Result<ShardFacts>> Store::stat(ShardName name) {
  const auto known = shards_.find(name);
  if (known == shards_.end()) co_return fail(Code::kNotFound, "{} is not here", describe(name));
  if (known->second.facts) co_return *known->second.facts;
  const uint64_t writing = known->second.writing;
  CO_TRY(facts,
         co_await OpenShard::read_facts(env_.disk(), path(file_name(name)), identity_of(name)));
  if (Entry* entry = unchanged(name, writing)) entry->facts = facts;
  co_return facts;
}

Task<Result<ShardFacts>> Store::verify(ShardName name, Pause pause) {
  if (!shards_.contains(name)) co_return fail(Code::kNotFound, "{} is not here", describe(name));
  CO_TRY(shard, co_await OpenShard::open(env_.disk(), path(file_name(name)), identity_of(name)));
  const uint64_t end = shard->facts().shard_length;
  for (uint64_t at = 0; at < end; at += shard->facts().shape.cell_bytes) {
    const uint64_t length = std::min<uint64_t>(shard->facts().shape.cell_bytes, end - at);
    CO_TRY_VOID(co_await OpenShard::read(shard, at, length));
    if (pause) co_await pause(length);
  }
  co_return shard->facts();
}

std::optional<ShardName> Store::next(const ShardName& after) const {
  const auto next = shards_.upper_bound(after);
  if (next == shards_.end()) return std::nullopt;
  return next->first;
}

Task<std::vector<Store::Listed>> Store::list(ShardName after, size_t count) {
  std::vector<Listed> page;
  count = std::min(count, limits::kListPageMax);
  for (auto next = shards_.upper_bound(after); next != shards_.end() && page.size() < count;
       next = shards_.upper_bound(after)) {
    after = next->first;
    auto facts = co_await stat(after);
    // Removed while its footer was read.
    if (shards_.contains(after)) page.push_back({after, std::move(facts)});
  }
  co_return page;
}

Task<Result<void>> Store::remove(ShardName name) {
  for (ShardWriter* writer : writers_)
    if (writer->name() == name) writer->wanted_ = false;
  while (busy_.contains(name)) co_await idle_.wait();
  const auto known = shards_.find(name);
  if (known == shards_.end()) co_return fail(Code::kNotFound, "{} is not here", describe(name));
  const Turn turn(*this, name);
  const auto before = directory_sync_.mark();
  open_shards_.drop(name);
  known->second.facts.reset();  // after an error it may be here or not: a listing looks again
  const auto removed = co_await env_.disk().remove(path(file_name(name)));
  if (!removed && !removed.error().is(Code::kNotFound)) co_return removed;
  // It stays known until it is gone for good, so that removing it again syncs again.
  CO_TRY_VOID(co_await directory_sync_.sync(before));
  shards_.erase(name);
  co_return Result<void>();
}

Task<Result<Space>> Store::space() {
  CO_TRY(disk_space, co_await env_.disk().space());
  disk_space.free_bytes -= std::min(disk_space.free_bytes, reserved_bytes_);
  co_return disk_space;
}

}  // namespace dogfs::chunk
