#pragma once
// One simulated chunk server's disk, for tests of the store: run a task on it, kill it or cut its
// power at the N-th disk operation, look at what is left. WatchedDisk stands between the store and
// the simulated disk, counts operations and makes chosen ones fail.

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/chunk/store.h"
#include "core/ec/codec.h"
#include "core/ec/stripe.h"
#include "sim/world/host.h"
#include "sim/world/world.h"

namespace dogfs::chunk {

inline constexpr ClusterId kCluster{7};
inline constexpr NodeId kNode{3};
inline constexpr StoreIdentity kIdentity{kCluster, kNode, StoreId(99)};

enum class Act {
  kOpen,
  kRead,
  kWrite,
  kSync,
  kSize,
  kRename,
  kRemove,
  kList,
  kMake,
  kSyncNames,
  kSpace
};

// Sees each operation before it begins and may make it fail, instead of happening or afterwards.
class DiskWatch {
 public:
  struct Fault {
    Error error;
    bool happens = false;
  };
  std::function<std::optional<Fault>(uint64_t number, Act act)> decide;

  std::optional<Fault> next(Act act) {
    if (paused_) return std::nullopt;
    const uint64_t number = ++operations_;
    return decide ? decide(number, act) : std::nullopt;
  }
  uint64_t operations() const { return operations_; }
  void note_read(size_t length) { largest_read_ = std::max(largest_read_, length); }
  size_t largest_read() const { return largest_read_; }
  // The next operation of this kind waits for the event before it begins.
  void hold_next(Act act, Event& until) { held_ = {act, &until}; }
  Event* held(Act act) {
    return held_.second != nullptr && held_.first == act ? std::exchange(held_.second, nullptr)
                                                         : nullptr;
  }
  // While a test looks at the store, nothing is counted and nothing fails.
  void pause(bool paused) { paused_ = paused; }

 private:
  uint64_t operations_ = 0;
  size_t largest_read_ = 0;
  bool paused_ = false;
  std::pair<Act, Event*> held_{};
};

template <class T>
Task<Result<T>> watched(DiskWatch& watch, Act act, Task<Result<T>> operation) {
  if (Event* until = watch.held(act)) co_await until->wait();
  const auto fault = watch.next(act);
  if (fault && !fault->happens) co_return fail(fault->error);
  auto result = co_await std::move(operation);
  if (fault) co_return fail(fault->error);
  co_return result;
}

class WatchedFile final : public File {
 public:
  WatchedFile(std::unique_ptr<File> under, DiskWatch& watch)
      : under_(std::move(under)), watch_(watch) {}
  Task<Result<Buffer>> read(uint64_t offset, size_t length) override {
    watch_.note_read(length);
    return watched(watch_, Act::kRead, under_->read(offset, length));
  }
  Task<Result<void>> write(uint64_t offset, Buffer bytes) override {
    return watched(watch_, Act::kWrite, under_->write(offset, bytes));
  }
  Task<Result<void>> sync() override { return watched(watch_, Act::kSync, under_->sync()); }
  Task<Result<void>> truncate(uint64_t size) override {
    return watched(watch_, Act::kWrite, under_->truncate(size));
  }
  Task<Result<uint64_t>> size() override { return watched(watch_, Act::kSize, under_->size()); }

 private:
  std::unique_ptr<File> under_;
  DiskWatch& watch_;
};

class WatchedDisk final : public Disk {
 public:
  WatchedDisk(Disk& under, DiskWatch& watch) : under_(under), watch_(watch) {}
  Task<Result<std::unique_ptr<File>>> open(std::string path, OpenMode mode) override {
    CO_TRY(file, co_await watched(watch_, Act::kOpen, under_.open(path, mode)));
    co_return std::make_unique<WatchedFile>(std::move(file), watch_);
  }
  Task<Result<void>> rename(std::string from, std::string to) override {
    return watched(watch_, Act::kRename, under_.rename(from, to));
  }
  Task<Result<void>> remove(std::string path) override {
    return watched(watch_, Act::kRemove, under_.remove(path));
  }
  Task<Result<std::vector<DirectoryEntry>>> list(std::string directory) override {
    return watched(watch_, Act::kList, under_.list(directory));
  }
  Task<Result<void>> make_directory(std::string path) override {
    return watched(watch_, Act::kMake, under_.make_directory(path));
  }
  Task<Result<void>> sync_directory(std::string directory) override {
    return watched(watch_, Act::kSyncNames, under_.sync_directory(directory));
  }
  Task<Result<Space>> space() override { return watched(watch_, Act::kSpace, under_.space()); }

 private:
  Disk& under_;
  DiskWatch& watch_;
};

// The Env of a process with its disk watched.
class WatchedEnv {
 public:
  WatchedEnv(Env& env, DiskWatch& watch)
      : disk_(env.disk(), watch),
        env_({env.operations(), env.clock(), env.network(), disk_, env.compute(), env.log(),
              nullptr},
             Random(1)) {}
  Env& env() { return env_; }

 private:
  WatchedDisk disk_;
  Env env_;
};

class StoreWorld {
 public:
  using Main = sim::Host::Main;

  explicit StoreWorld(uint64_t seed = 1)
      : world_(seed), host_(world_.add_host("chunk-1", sim::HostOptions())) {}

  sim::World& world() { return world_; }
  sim::Host& host() { return host_; }

  // Boots a process that runs `main` to its end, and kills it; the page cache stays.
  void run(Main main) {
    begin(std::move(main));
    world_.run();
    ::dogfs::sim::Process* process = host_.process();
    if (process == nullptr || !process->ended())
      check_failed("the task ended", __FILE__, __LINE__, "it waits for ever");
    host_.crash();
  }
  // Runs it until it ends or `stop` holds after an event. The process is left as it is.
  void run_until(Main main, std::function<bool()> stop) {
    begin(std::move(main));
    while (!stop() && world_.step()) {
    }
  }

 private:
  void begin(Main main) {
    host_.set_main(std::move(main));
    host_.boot();
  }

  sim::World world_;
  sim::Host& host_;
};

// What one shard of a block must contain.
inline std::string shard_bytes(StripeShape shape, const std::string& block, uint32_t shard) {
  const auto codec = ec::Codec::create(shape.k, shape.m).value();
  const auto layout = ec::StripeLayout::create(shape, block.size()).value();
  std::string out;
  for (uint64_t stripe = 0; stripe < layout.stripe_count(); ++stripe) {
    const auto range = layout.block_range(stripe);
    out +=
        codec.encode_stripe(Buffer::copy(block.substr(range.offset, range.length)))[shard].text();
  }
  return out;
}

inline std::string block_text(size_t size, uint64_t seed) {
  Random random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random.next());
  return text;
}

// Writes one shard of a block.
template <class Shards>  // Store or Disks
Task<Result<ShardFacts>> put(Shards& store, ShardName name, StripeShape shape, std::string block) {
  const std::string bytes = shard_bytes(shape, block, name.shard);
  ShardChecksum checksum({kCluster, name});
  CO_TRY(writer, co_await store.begin(name, shape, bytes.size()));
  for (size_t at = 0; at < bytes.size(); at += shape.cell_bytes) {
    const Buffer cell = Buffer::copy(bytes.substr(at, shape.cell_bytes));
    checksum.add_cell(cell.view());
    CO_TRY_VOID(co_await writer->append(cell));
  }
  co_return co_await writer->finish({block.size(), checksum.value()});
}

// All bytes of a shard.
template <class Shards>
Task<Result<std::string>> get(Shards& store, ShardName name) {
  CO_TRY(facts, co_await store.stat(name));
  CO_TRY(bytes, co_await store.read(name, 0, facts.shard_length));
  co_return std::string(bytes.text());
}

inline Task<std::unique_ptr<Store>> format_and_open(Env& env) {
  (co_await Store::format(env, "store", kIdentity)).value();
  co_return (co_await Store::open(env, "store", kCluster, kNode)).value();
}

inline Task<std::unique_ptr<Store>> reopen(Env& env) {
  co_return (co_await Store::open(env, "store", kCluster, kNode)).value();
}

}  // namespace dogfs::chunk
