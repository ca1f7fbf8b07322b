#pragma once
// What the tests of append logs share: one log's place, entries made from their number, files in
// memory, and a log with its writing task.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/chunk/append_log.h"
#include "core/env/nursery.h"

#include "tests/core/chunk/store_world.h"

namespace dogfs::chunk {

inline AppendOrigin origin_of(uint64_t block) {
  return {.identity = {kCluster, {BlockId(block), 1, Generation(4)}},
          .epoch = Epoch(2),
          .activation = 99,
          .ordinal = 3,
          .file_offset = 1000};
}

inline const AppendOrigin kOrigin = origin_of(0xa3);
inline const std::string kLogPath = append_file_name(kOrigin.identity.name);

// The n-th entry of a block: one to three records of a writer, their bytes and sizes from `seed`.
struct DrawnEntry {
  Buffer entry;
  std::vector<AppendedRecord> records;
  std::string data;
  uint64_t offset = 0;
};

inline DrawnEntry draw_entry(const AppendOrigin& origin, uint64_t offset, uint64_t number,
                             Random& random, size_t bytes_max = 500) {
  DrawnEntry drawn;
  drawn.offset = offset;
  std::vector<Buffer> pieces;
  for (uint64_t count = random.between(1, 3), i = 0; i < count; ++i) {
    const std::string piece = block_text(random.between(1, bytes_max), random.next());
    drawn.records.push_back({.writer = 1 + number % 3,
                             .request = 10 * number + i + 1,
                             .length = static_cast<uint32_t>(piece.size())});
    drawn.data += piece;
    pieces.push_back(Buffer::copy(piece));
  }
  drawn.entry = encode_records(origin.block(), origin.epoch, offset, drawn.records, pieces);
  return drawn;
}

// All entries that a block is ever asked to hold, in their order.
inline std::vector<DrawnEntry> draw_entries(const AppendOrigin& origin, size_t count, uint64_t seed,
                                            size_t bytes_max = 500) {
  Random random(seed);
  std::vector<DrawnEntry> entries;
  uint64_t offset = 0;
  for (size_t i = 0; i < count; ++i) {
    entries.push_back(draw_entry(origin, offset, i, random, bytes_max));
    offset += entries.back().data.size();
  }
  return entries;
}

inline uint64_t length_of(const std::vector<DrawnEntry>& entries, size_t count) {
  return count == 0 ? 0 : entries[count - 1].offset + entries[count - 1].data.size();
}

// A file in memory that counts what is read.
class TextFile final : public File {
 public:
  explicit TextFile(std::string text) : text_(std::move(text)) {}
  Task<Result<Buffer>> read(uint64_t offset, size_t length) override {
    const size_t from = std::min<size_t>(offset, text_.size());
    const auto bytes = std::string_view(text_).substr(from, length);
    bytes_read_ += bytes.size();
    co_return Buffer::copy(bytes);
  }
  Task<Result<void>> write(uint64_t, Buffer) override { co_return fail(Code::kIo, "read only"); }
  Task<Result<void>> sync() override { co_return fail(Code::kIo, "read only"); }
  Task<Result<void>> truncate(uint64_t) override { co_return fail(Code::kIo, "read only"); }
  Task<Result<uint64_t>> size() override { co_return text_.size(); }
  uint64_t bytes_read() const { return bytes_read_; }

 private:
  std::string text_;
  uint64_t bytes_read_ = 0;
};

// Runs the script beside the log's own task.
using LogScript = std::function<Task<>(Env& env, AppendLog& log)>;

inline Task<> beside(Env& env, Nursery& children, std::shared_ptr<AppendLog> log,
                     LogScript script) {
  children.spawn(AppendLog::run(log));
  co_await script(env, *log);
  log->close();
}

inline Task<> with_log(Env& env, std::shared_ptr<AppendLog> log, LogScript script) {
  co_await nursery(env, [&](Nursery& children) { return beside(env, children, log, script); });
}

inline Task<> make_log(Env& env, AppendOrigin origin, LogScript script) {
  DirectorySync names(env, "");
  auto log = (co_await AppendLog::create(env, names, "", origin)).value();
  co_await with_log(env, std::move(log), std::move(script));
}

inline Task<> open_log(Env& env, AppendOrigin origin, LogScript script) {
  auto log = co_await AppendLog::open(env, "", origin.identity);
  if (!log) check_failed("the log opens", __FILE__, __LINE__, log.error().message);
  co_await with_log(env, *std::move(log), std::move(script));
}

inline Task<Result<void>> append(AppendLog& log, Buffer entry) {
  return log.append({std::move(entry)}, log.origin().epoch, log.origin().activation);
}

inline Task<> append_all(AppendLog& log, const std::vector<DrawnEntry>& entries) {
  for (const DrawnEntry& entry : entries) (co_await append(log, entry.entry)).value();
}

inline Task<> append_after(Env& env, AppendLog& log, Buffer entry, Duration delay,
                           std::vector<Result<void>>& results) {
  co_await env.sleep(delay);
  results.push_back(co_await append(log, std::move(entry)));
}

inline Task<> append_some(Env& env, Nursery& children, AppendLog& log,
                          const std::vector<DrawnEntry>& entries, size_t begin, size_t end,
                          std::vector<Result<void>>& results) {
  for (size_t i = begin; i < end; ++i)
    children.spawn(append_after(env, log, entries[i].entry,
                                Duration(1 + static_cast<int64_t>(i - begin)), results));
  co_await children.join();
}

// Entries [begin, end), each before the one before it is durable.
inline Task<std::vector<Result<void>>> append_together(Env& env, AppendLog& log,
                                                       const std::vector<DrawnEntry>& entries,
                                                       size_t begin, size_t end) {
  std::vector<Result<void>> results;
  co_await nursery(env, [&](Nursery& children) {
    return append_some(env, children, log, entries, begin, end, results);
  });
  co_return results;
}

}  // namespace dogfs::chunk
