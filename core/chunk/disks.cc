#include "core/chunk/disks.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/chunk/disk_guard.h"
#include "core/env/nursery.h"

namespace dogfs::chunk {
namespace {

constexpr std::string_view kProbeFile = "probe";
constexpr std::string_view kProbedDirectory = "shards";
constexpr size_t kProbeBytes = 512;
constexpr uint32_t kProbes = 6;  // all must fail
constexpr uint32_t kProbesAtStart = 3;
constexpr Duration kProbeEvery = 500ms;
constexpr uint64_t kWeightUnit = limits::kMiB;  // of free space

std::string path_below(std::string_view directory, std::string_view name) {
  return directory.empty() ? std::string(name) : fmt::format("{}/{}", directory, name);
}

bool speaks_against_shard(Code code) {
  return code == Code::kCorrupt || code == Code::kNotFound || code == Code::kIo;
}

Task<Result<void>> write_and_read(Disk& disk, std::string path, Buffer bytes) {
  CO_TRY(file, co_await disk.open(path, OpenMode::kAlways));
  CO_TRY_VOID(co_await file->write(0, bytes));
  CO_TRY_VOID(co_await file->sync());
  CO_TRY(read, co_await file->read(0, bytes.size()));
  if (read.text() != bytes.text()) co_return fail(Code::kIo, "{} does not keep its bytes", path);
  co_return Result<void>();
}

}  // namespace

// One data directory: the guard on its disk, and the env that has this disk.
struct Disks::Directory {
  Directory(Env& env, DataDirectory where, uint64_t number)
      : place(std::move(where)),
        name(!place.name.empty()   ? place.name
             : !place.path.empty() ? place.path
                                   : fmt::format("disk {}", number + 1)),
        guard(place.disk != nullptr ? *place.disk : env.disk(), [this] { suspected.set(); }),
        own_env({.operations = env.operations(),
                 .clock = env.clock(),
                 .network = env.network(),
                 .disk = guard,
                 .compute = env.compute(),
                 .log = env.log(),
                 .buggify = nullptr},
                env.random().fork("data-directory", number)),
        suspected(env) {}

  bool failed() const { return !failure.empty(); }

  const DataDirectory place;
  const std::string name;
  DiskGuard guard;
  Env own_env;
  Event suspected;
  Result<StoreIdentity> identity = fail(Code::kNotFound, "not looked at yet");
  bool blank = false;
  std::string failure;
  std::unique_ptr<Store> store;
  Space space;  // when it was looked at last, less what is reserved
};

Disks::Disks(Env& env, DisksOptions options)
    : env_(env),
      options_(std::move(options)),
      random_(env.random().fork("disks")),
      all_failed_(env) {
  CHECK(!options_.directories.empty() && options_.directories.size() <= kDisksMax);
  for (const DataDirectory& place : options_.directories)
    directories_.push_back(std::make_unique<Directory>(env, place, directories_.size()));
}

Disks::~Disks() = default;

bool Disks::failed(size_t index) const { return directories_[index]->failed(); }
size_t Disks::failures() const {
  return static_cast<size_t>(
      std::ranges::count_if(directories_, [](const auto& each) { return each->failed(); }));
}
const std::string& Disks::failure(size_t index) const { return directories_[index]->failure; }
const std::string& Disks::name(size_t index) const { return directories_[index]->name; }
Env& Disks::env(size_t index) { return directories_[index]->own_env; }
const std::string& Disks::path(size_t index) const { return directories_[index]->place.path; }
Store* Disks::store(size_t index) {
  return failed(index) ? nullptr : directories_[index]->store.get();
}

Result<void> Disks::check_same_server() const {
  const Directory* first = nullptr;
  Names names;
  for (const auto& directory : directories_) {
    const auto& identity = directory->identity;
    if (!identity && identity.error().is(Code::kUnsupported)) return fail(identity.error());
    if (!identity) continue;
    if (first == nullptr) first = directory.get();
    if (!identity->same_server(*first->identity))
      return fail(Code::kPrecondition,
                  "{} belongs to node {} of cluster {:016x}, but {} to node {} of cluster {:016x}: "
                  "give each server its own directories",
                  first->name, first->identity->node, first->identity->cluster.value,
                  directory->name, identity->node, identity->cluster.value);
    if (std::ranges::count(names, identity->own()) > 0)
      return fail(Code::kPrecondition, "{} is a copy of another directory of this server",
                  directory->name);
    names.push_back(identity->own());
  }
  return {};
}

// One error does not make a disk of several a failed one; a server with a single one ends by it,
// and is started again.
template <class T, class Act>
Task<Result<T>> Disks::patiently(Act act) {
  for (uint32_t attempt = 1;; ++attempt) {
    auto result = co_await act();
    const bool again = directories_.size() > 1 && attempt < kProbesAtStart && !result &&
                       result.error().is(Code::kIo);
    if (!again) co_return result;
    co_await env_.sleep(kProbeEvery);
  }
}

Task<Result<std::optional<StoreIdentity>>> Disks::identify() {
  const Directory* known = nullptr;
  const Directory* unreadable = nullptr;
  for (auto& directory : directories_) {
    directory->identity = co_await patiently<StoreIdentity>(
        [&] { return Store::identify(directory->own_env, directory->place.path); });
    const auto& identity = directory->identity;
    directory->blank = !identity && identity.error().is(Code::kNotFound);
    if (identity && known == nullptr) known = directory.get();
    if (!identity && !directory->blank && unreadable == nullptr) unreadable = directory.get();
  }
  CO_TRY_VOID(check_same_server());
  if (known != nullptr) {
    const StoreIdentity& found = *known->identity;
    co_return StoreIdentity{found.cluster, found.node, found.store};
  }
  if (unreadable != nullptr) co_return fail(unreadable->identity.error());
  co_return std::nullopt;
}

Task<Result<void>> Disks::prepare() {
  for (auto& directory : directories_) {
    CO_TRY_VOID(co_await Store::prepare(directory->own_env, directory->place.path));
    co_await look_at_space(*directory);
  }
  co_return Result<void>();
}

// The first one alone makes the server; open() takes the others in, one by one, so that a crash in
// between leaves no directory that is known and was never made.
Task<Result<void>> Disks::format(StoreIdentity identity) {
  Directory& first = *directories_.front();
  CO_TRY_VOID(co_await Store::format(first.own_env, first.place.path, identity));
  first.identity = identity;
  first.blank = false;
  co_return Result<void>();
}

Task<Result<void>> Disks::open(StoreIdentity identity) {
  identity_ = StoreIdentity{identity.cluster, identity.node, identity.store};
  for (auto& directory : directories_)
    if (!directory->identity && !directory->blank) give_up(*directory, directory->identity.error());
  co_await take_in_blank();
  co_await open_stores();
  co_return check_any_left();
}

Result<void> Disks::check_any_left() const {
  for (const auto& directory : directories_)
    if (!directory->failed()) return {};
  return fail(Code::kIo, "every disk of this server has failed: {}", directories_[0]->failure);
}

// All directories that one of those that are here knows of.
Disks::Names Disks::known_names() const {
  Names names;
  for (const auto& directory : directories_) {
    if (!directory->identity) continue;
    names.push_back(directory->identity->own());
    std::ranges::copy(directory->identity->directories, std::back_inserter(names));
  }
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  return names;
}

Task<> Disks::take_in_blank() {
  Names here;
  for (const auto& directory : directories_)
    if (directory->identity) here.push_back(directory->identity->own());
  std::ranges::sort(here);
  Names all = known_names();
  const size_t missing = all.size() - here.size();
  if (missing > 0 && options_.replace_lost) {
    all = here;
    co_await update_identities(all);
  }
  for (auto& directory : directories_) {
    if (!directory->blank) continue;
    if (missing > 0 && !options_.replace_lost)
      give_up(*directory, {Code::kPrecondition,
                           fmt::format("it is blank, and {} of this server's directories are "
                                       "missing: mount them, or start once with --replace-lost",
                                       missing)});
    else
      co_await take_in(*directory, all);
  }
}

// Before anything is stored in a new directory the others know of it: else, when it is lost, a
// blank one in its place would be taken for another new one.
Task<> Disks::take_in(Directory& directory, Names& all) {
  StoreIdentity own = identity_;
  own.directory = StoreId(random_.next() | 1);
  own.directories = all;
  own.directories.push_back(own.directory);
  std::ranges::sort(own.directories);
  const auto made = co_await Store::format(directory.own_env, directory.place.path, own);
  if (!made) {
    give_up(directory, made.error());
    co_return;
  }
  directory.identity = own;
  directory.blank = false;
  all = own.directories;
  co_await update_identities(all);
  env_.log().info("{} is a new data directory of node {}", directory.name, identity_.node);
}

Task<> Disks::update_identities(Names all) {
  for (auto& directory : directories_) {
    if (!directory->identity || directory->failed()) continue;
    StoreIdentity& identity = *directory->identity;
    if (identity.directories == all) continue;
    identity.directory = identity.own();
    identity.directories = all;
    const auto written =
        co_await Store::write_identity(directory->own_env, directory->place.path, identity);
    if (!written) give_up(*directory, written.error());
  }
}

Task<> Disks::open_stores() {
  for (auto& directory : directories_)
    if (!directory->failed()) co_await open_store(*directory);
}

Task<> Disks::open_store(Directory& directory) {
  auto opened = co_await patiently<std::unique_ptr<Store>>([&] {
    return Store::open(directory.own_env, directory.place.path, identity_.cluster, identity_.node);
  });
  if (!opened) {
    give_up(directory, opened.error());
    co_return;
  }
  directory.store = *std::move(opened);
  // A disk that can only be read is none; alone it may as well wait until somebody writes.
  if (directories_.size() > 1) {
    const auto works = co_await probe(directory, kProbesAtStart);
    if (!works) give_up(directory, works.error());
  }
  directory.suspected.reset();
  co_await look_at_space(directory);
}

void Disks::give_up(Directory& directory, const Error& error) {
  if (directory.failed()) return;
  directory.failure = error.message.empty() ? "it failed" : error.message;
  directory.guard.give_up();
  directory.space = {};
  env_.log().error("data directory {} is not used: {}", directory.name, directory.failure);
  if (!check_any_left()) all_failed_.set();
}

Task<Result<void>> Disks::run() {
  co_await nursery(env_, [this](Nursery& children) {
    for (auto& directory : directories_)
      if (!directory->failed()) children.spawn(watch(*directory));
    return all_failed_.wait();
  });
  co_return check_any_left();
}

Task<> Disks::watch(Directory& directory) {
  while (!directory.failed()) {
    co_await directory.suspected.wait();
    directory.suspected.reset();
    const auto works = co_await probe(directory, kProbes);
    if (!works) give_up(directory, works.error());
  }
}

// Whether files can be written, kept and named. A full disk works.
Task<Result<void>> Disks::probe(Directory& directory, uint32_t attempts) {
  Disk& disk = directory.guard.disk();
  const std::string& path = directory.place.path;
  Result<void> works;
  for (uint32_t i = 0; i < attempts; ++i) {
    if (i > 0) co_await env_.sleep(kProbeEvery);
    const std::string pattern(kProbeBytes, static_cast<char>('a' + i));
    works = co_await write_and_read(disk, path_below(path, kProbeFile), Buffer::copy(pattern));
    if (works) works = co_await disk.sync_directory(path_below(path, kProbedDirectory));
    if (works || works.error().is(Code::kNoSpace)) co_return Result<void>();
  }
  co_return works;
}

Task<std::optional<Space>> Disks::look_at_space(Directory& directory) {
  if (directory.failed()) co_return std::nullopt;
  auto space =
      co_await (directory.store ? directory.store->space() : directory.own_env.disk().space());
  if (!space || directory.failed()) co_return std::nullopt;
  directory.space = *space;
  co_return *space;
}

Task<std::vector<Disks::Status>> Disks::status() {
  std::vector<Status> all;
  for (auto& directory : directories_) {
    const auto space = co_await look_at_space(*directory);
    Status status{.name = directory->name, .failure = directory->failure, .space = {}};
    if (!space && status.failure.empty()) status.failure = "its space cannot be told";
    if (space) status.space = *space;
    if (!directory->failed() && directory->store) status.shards = directory->store->shard_count();
    all.push_back(std::move(status));
  }
  co_return all;
}

Result<size_t> Disks::choose(uint64_t bytes) {
  std::vector<uint64_t> weights;
  uint64_t sum = 0;
  for (const auto& directory : directories_) {
    const bool fits = !directory->failed() && directory->space.free_bytes >= bytes;
    weights.push_back(fits ? directory->space.free_bytes / kWeightUnit + 1 : 0);
    sum += weights.back();
  }
  TRY_VOID(check_any_left());
  if (sum == 0) return fail(Code::kNoSpace, "no disk of this server has {} bytes free", bytes);
  uint64_t drawn = directories_.size() == 1 ? 0 : random_.below(sum);
  for (size_t i = 0; i < weights.size(); ++i) {
    if (drawn < weights[i]) return i;
    drawn -= weights[i];
  }
  UNREACHABLE();
}

std::vector<Store*> Disks::holders(const ShardName& name) const {
  std::vector<Store*> stores;
  for (const auto& directory : directories_)
    if (!directory->failed() && directory->store->contains(name))
      stores.push_back(directory->store.get());
  return stores;
}

Task<Result<std::unique_ptr<ShardWriter>>> Disks::begin(ShardName name, StripeShape shape,
                                                        uint64_t expected_bytes) {
  for (const auto& directory : directories_)
    if (!directory->failed() && directory->store->superseded(name))
      co_return fail(Code::kPrecondition, "a higher generation than {} is here", describe(name));
  if (const auto held = holders(name); !held.empty())
    co_return co_await held.front()->begin(name, shape, expected_bytes);
  // What is known of the space of a single disk may be old: its store looks.
  if (directories_.size() == 1) {
    CO_TRY_VOID(check_any_left());
    co_return co_await directories_[0]->store->begin(name, shape, expected_bytes);
  }
  for (std::optional<Error> refused;;) {
    const auto index = choose(expected_bytes);
    if (!index) co_return fail(refused.value_or(index.error()));
    Directory& directory = *directories_[*index];
    auto writer = co_await directory.store->begin(name, shape, expected_bytes);
    if (writer || !(writer.error().is(Code::kNoSpace) || writer.error().is(Code::kIo)))
      co_return writer;
    directory.space.free_bytes = 0;  // until it is looked at again
    // One that is asked for nothing is never without room, so this ends all the same.
    if (expected_bytes == 0 && refused) co_return writer;
    refused = std::move(writer).error();
  }
}

// A shard lies on one disk, but for one that was written anew while its disk was away.
template <class T, class Act>
Task<Result<T>> Disks::first_success(ShardName name, Act act) {
  Result<T> result = fail(Code::kNotFound, "{} is not here", describe(name));
  for (Store* store : holders(name)) {
    result = co_await act(*store);
    if (result) break;
  }
  if (!result && doubt_ && speaks_against_shard(result.error().code)) doubt_(name);
  co_return result;
}

Task<Result<Buffer>> Disks::read(ShardName name, uint64_t offset, size_t length,
                                 std::optional<uint32_t> checksum) {
  return first_success<Buffer>(
      name, [=](Store& store) { return store.read(name, offset, length, checksum); });
}

Task<Result<CheckedBytes>> Disks::read_checked(ShardName name, uint64_t offset, size_t length,
                                               std::optional<uint32_t> checksum) {
  return first_success<CheckedBytes>(
      name, [=](Store& store) { return store.read_checked(name, offset, length, checksum); });
}

Task<Result<ShardFacts>> Disks::stat(ShardName name) {
  return first_success<ShardFacts>(name, [=](Store& store) { return store.stat(name); });
}

Task<Result<ShardFacts>> Disks::verify(ShardName name) {
  Result<ShardFacts> result = fail(Code::kNotFound, "{} is not here", describe(name));
  for (Store* store : holders(name)) {
    result = co_await store->verify(name);
    if (result) break;
  }
  co_return result;
}

Task<std::vector<Store::Listed>> Disks::list(ShardName after, size_t count) {
  std::vector<Store::Listed> page;
  for (const auto& directory : directories_) {
    if (directory->failed()) continue;
    auto part = co_await directory->store->list(after, count);
    if (directory->failed()) continue;  // meanwhile
    std::ranges::move(part, std::back_inserter(page));
  }
  // Of one that lies on two disks the readable one.
  std::ranges::sort(page, [](const Store::Listed& a, const Store::Listed& b) {
    return a.name != b.name ? a.name < b.name : a.facts.has_value() > b.facts.has_value();
  });
  page.erase(std::ranges::unique(page, {}, &Store::Listed::name).begin(), page.end());
  if (page.size() > count) page.erase(page.begin() + static_cast<ptrdiff_t>(count), page.end());
  co_return page;
}

Task<Result<void>> Disks::remove(ShardName name) {
  Result<void> result = fail(Code::kNotFound, "{} is not here", describe(name));
  for (auto& directory : directories_) {
    if (directory->failed()) continue;
    auto removed = co_await directory->store->remove(name);
    if (!removed && !removed.error().is(Code::kNotFound)) co_return removed;
    if (removed) result = removed;
  }
  co_return result;
}

size_t Disks::shard_count() const {
  size_t count = 0;
  for (const auto& directory : directories_)
    if (!directory->failed()) count += directory->store->shard_count();
  return count;
}

size_t Disks::writer_count() const {
  size_t count = 0;
  for (const auto& directory : directories_)
    if (directory->store) count += directory->store->writer_count();
  return count;
}

}  // namespace dogfs::chunk
