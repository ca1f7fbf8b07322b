#include "tools/dogfs/bench/namespace_bench.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/base/random.h"
#include "core/namespace/state_machine.h"
#include "core/namespace/tables.h"
#include "tools/dogfs/allocator.h"
#include "tools/dogfs/bench/process_usage.h"
#include "tools/dogfs/output.h"

namespace dogfs::tool {
namespace {

using namespace metadata;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr uint32_t kServers = 12;
constexpr size_t kPieceBytes = limits::kSnapshotPieceBytes;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// What one kind of work came to.
struct Work {
  uint64_t count = 0;
  double seconds = 0;
  double per_second() const { return static_cast<double>(count) / std::max(seconds, 1e-9); }
};

class Bench {
 public:
  explicit Bench(const NamespaceBenchOptions& options) : options_(options), random_(1) {
    lead(CreateCluster{.cluster = ClusterId(1),
                       .policy = {},
                       .block_bytes = limits::kBlockBytesDefault,
                       .cell_bytes = limits::kCellBytesDefault,
                       .inline_bytes = limits::kInlineBytesDefault});
    for (uint32_t i = 1; i <= kServers; ++i) lead(server(i));
    client_ = std::get<ClientRegistered>(lead(RegisterClient{})).client;
    for (uint32_t i = 0; i < options.directories; ++i) ask(MakeDirectory{.path = directory(i)});
  }

  // Names in the order in which they are made; those of one directory sort anyhow.
  std::string next_path() {
    const std::string name = fmt::format("{:016x}{:08}", random_.next(), made_);
    return directory(made_++ % options_.directories) + "/" + name;
  }

  void put(const std::string& path) {
    const auto upload = std::get<UploadStarted>(ask(StartUpload{.path = path, .policy = {}}));
    constexpr uint64_t kLength = 1'000'000;
    const auto placed = std::get<BlocksAllocated>(ask(AllocateBlocks{
        .file = upload.file, .epoch = upload.epoch, .file_offset = 0, .lengths = {kLength}}));
    CommittedBlock block{.block = placed.blocks[0].block,
                         .generation = placed.blocks[0].generation,
                         .file_offset = 0,
                         .length = kLength,
                         .shards = {}};
    for (const auto& shard : placed.blocks[0].shards)
      block.shards.push_back({shard.index, static_cast<uint32_t>(random_.next())});
    ask(CommitBlocks{.file = upload.file, .epoch = upload.epoch, .blocks = {std::move(block)}});
    ask(Publish{.file = upload.file, .epoch = upload.epoch, .path = path, .length = kLength});
  }

  void put_inline(const std::string& path, const std::string& content) {
    ask(PutInline{.path = path, .policy = {}, .content = content});
  }

  StateMachine& machine() { return machine_; }
  uint64_t applied() const { return index_; }
  const NamespaceBenchOptions& options() const { return options_; }

  static std::string directory(uint32_t number) { return fmt::format("/directory-{:06}", number); }

 private:
  static RegisterNode server(uint32_t number) {
    RegisterNode node;
    node.name = fmt::format("chunk-{}", number);
    node.store = StoreId(number);
    node.address = fmt::format("127.0.0.1:{}", 7000 + number);
    node.capacity_bytes = limits::kGiB << 10;
    return node;
  }
  Reply lead(Operation operation) {
    Command command;
    command.operation = std::move(operation);
    return apply(command);
  }
  Reply ask(Operation operation) {
    Command command;
    command.client = client_;
    command.request = command.acknowledged_below = RequestId(++request_);
    command.wall = WallTime{1'800'000'000'000'000'000 + static_cast<int64_t>(index_) * 1'000'001};
    command.operation = std::move(operation);
    return apply(command);
  }
  Reply apply(const Command& command) {
    auto response = machine_.apply(LogIndex(++index_), command);
    CHECK(response, "{}: {}", operation_name(command.operation), response.error());
    return *std::move(response);
  }

  const NamespaceBenchOptions options_;
  Random random_;
  StateMachine machine_;
  uint64_t index_ = 0;
  uint64_t request_ = 0;
  uint64_t made_ = 0;
  ClientId client_;
};

template <class Act>
Work measure(uint64_t count, Act act) {
  Work work{.count = count};
  const auto begin = Clock::now();
  for (uint64_t i = 0; i < count; ++i) act();
  work.seconds = seconds_since(begin);
  return work;
}

// The same rows, put one after the other into a std::map.
Work fill_map(const StateMachine& machine) {
  std::map<std::string, std::string> rows;
  Work work;
  const auto begin = Clock::now();
  for (auto at = machine.tables().rows().seek(""); at.valid(); at.next()) {
    rows.insert_or_assign(std::string(at.key()), std::string(at.value()));
    ++work.count;
  }
  work.seconds = seconds_since(begin);
  return work;
}

// Keys and values of each kind of row.
json bytes_by_tag(const StateMachine& machine) {
  std::map<char, uint64_t> bytes;
  for (auto at = machine.tables().rows().seek(""); at.valid(); at.next())
    bytes[static_cast<char>(key::parse(at.key())->tag)] += at.key().size() + at.value().size();
  json out = json::object();
  for (const auto& [tag, count] : bytes) out[std::string(1, tag)] = count;
  return out;
}

struct Copied {
  double freeze_us = 0, snapshot_s = 0, restore_s = 0;
  uint64_t bytes = 0;
};

Result<Copied> copy_state(StateMachine& machine) {
  Copied out;
  auto begin = Clock::now();
  const Snapshot snapshot = machine.freeze();
  out.freeze_us = seconds_since(begin) * 1e6;
  std::vector<std::string> pieces;
  std::string position;
  begin = Clock::now();
  while (auto piece = snapshot.next_piece(position, kPieceBytes)) {
    out.bytes += piece->size();
    pieces.push_back(*std::move(piece));
  }
  out.snapshot_s = seconds_since(begin);
  StateMachine copy;
  auto restore = copy.begin_restore();
  begin = Clock::now();
  for (const auto& piece : pieces) TRY_VOID(restore.add(piece));
  TRY_VOID(restore.finish());
  out.restore_s = seconds_since(begin);
  if (copy.digest() != machine.digest()) return fail(Code::kCorrupt, "the copy differs");
  return out;
}

}  // namespace

Result<void> run_namespace_bench(Output& output, const NamespaceBenchOptions& options) {
  Bench bench(options);
  const uint64_t allocated = allocated_bytes();
  const uint64_t resident = process_usage(::getpid()).memory_bytes;
  const uint64_t applied = bench.applied();
  Work creates = measure(options.files, [&] { bench.put(bench.next_path()); });
  const auto per_file = [&](uint64_t bytes) { return static_cast<double>(bytes) / options.files; };
  const double file_bytes = per_file(allocated_bytes() - allocated);
  const double file_resident = per_file(process_usage(::getpid()).memory_bytes - resident);
  const Work applies{.count = bench.applied() - applied, .seconds = creates.seconds};
  const Work yardstick = fill_map(bench.machine());
  TRY(copied, copy_state(bench.machine()));
  Random random(2);
  const Work stats = measure(std::min(options.files, 200'000u), [&] {
    const auto number = static_cast<uint32_t>(random.below(options.directories));
    CHECK(bench.machine().stat(Bench::directory(number)));
  });
  const Work inlined = measure(std::min(options.files, 100'000u),
                               [&] { bench.put_inline(bench.next_path(), "sixteen bytes..."); });
  json row{{"files", options.files},
           {"directories", options.directories},
           {"bytes_per_file", file_bytes},
           {"resident_bytes_per_file", file_resident},
           {"row_bytes", bytes_by_tag(bench.machine())},
           {"creates_per_second", creates.per_second()},
           {"applies_per_second", applies.per_second()},
           {"map_inserts_per_second", yardstick.per_second()},
           {"applies_per_map_insert", applies.per_second() / yardstick.per_second()},
           {"inline_creates_per_second", inlined.per_second()},
           {"stats_per_second", stats.per_second()},
           {"freeze_us", copied.freeze_us},
           {"snapshot_seconds", copied.snapshot_s},
           {"snapshot_bytes", copied.bytes},
           {"restore_seconds", copied.restore_s}};
  output.object(row);
  output.line(fmt::format("{} files: {:.0f} bytes each allocated, {:.0f} resident", options.files,
                          file_bytes, file_resident));
  output.line(fmt::format(
      "{:.0f} commands a second, {:.2f} of what std::map takes in rows; {:.0f} small files a "
      "second",
      applies.per_second(), applies.per_second() / yardstick.per_second(), inlined.per_second()));
  output.line(fmt::format("freeze {:.1f} us, snapshot {:.2f} s ({} MiB), restore {:.2f} s",
                          copied.freeze_us, copied.snapshot_s, copied.bytes / limits::kMiB,
                          copied.restore_s));
  return {};
}

}  // namespace dogfs::tool
