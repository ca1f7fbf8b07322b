#include "core/chunk/append_recovery.h"

#include "core/base/limits.h"
#include "sim/world/disk_image.h"

#include "tests/core/chunk/append_world.h"

#include "tests/doctest.h"

namespace dogfs::chunk {
namespace {

// A log as AppendLog wrote it, and where its batches end: {bytes of the file, entries}.
struct Written {
  std::vector<DrawnEntry> entries;
  std::vector<std::pair<size_t, size_t>> batches;
  std::string bytes;

  size_t entries_within(size_t file_bytes) const {
    size_t count = 0;
    for (const auto& [end, entries_before] : batches)
      if (end <= file_bytes) count = entries_before;
    return count;
  }
  size_t batches_end() const { return batches.back().first; }
};

Task<> write_log(Env& env, AppendLog& log, Written& written) {
  const auto& entries = written.entries;
  for (size_t i = 0; i < entries.size();) {
    // Several at once, so that a batch holds more than one.
    const size_t together = std::min<size_t>(1 + i % 4, entries.size() - i);
    for (const Result<void>& result : co_await append_together(env, log, entries, i, i + together))
      CHECK(result);
    i += together;
    if (i % 4 == 0) co_await env.sleep(10ms);
  }
  co_await env.sleep(10ms);
}

Written write_log(size_t count, uint64_t seed, size_t bytes_max = 200,
                  const AppendOrigin& origin = kOrigin) {
  Written written{.entries = draw_entries(origin, count, seed, bytes_max)};
  StoreWorld world(seed);
  world.run([&](Env& env) {
    return make_log(env, origin,
                    [&](Env& e, AppendLog& log) { return write_log(e, log, written); });
  });
  // A new life makes all of it durable.
  world.run([&](Env& env) {
    return open_log(env, origin, [](Env&, AppendLog&) -> Task<> { co_return; });
  });
  const std::string path = append_file_name(origin.identity.name);
  written.bytes = *world.host().disk_image().durable_bytes(path);
  for (size_t size = 0; size <= written.bytes.size(); ++size) {
    const std::string header = written.bytes.substr(size, kAppendBatchHeaderBytes);
    const auto payload = decode_batch_header(origin, size, as_bytes(header));
    if (!payload || *payload == 0) continue;
    const size_t end = size + kAppendBatchHeaderBytes + *payload;
    size_t held = written.batches.empty() ? 0 : written.batches.back().second;
    for (size_t at = size + kAppendBatchHeaderBytes; at < end; ++held)
      at += written.entries[held].entry.size();
    written.batches.emplace_back(end, held);
  }
  return written;
}

Task<> scan_text(std::string text, ShardIdentity identity, Result<AppendScan>& scan) {
  TextFile file(std::move(text));
  scan = co_await scan_append_file(file, identity);
}

// Many scans in one world.
class Scans {
 public:
  Result<AppendScan> of(std::string text, ShardIdentity identity = kOrigin.identity) {
    Result<AppendScan> scan;
    world_.run([&](Env&) { return scan_text(std::move(text), identity, scan); });
    return scan;
  }

 private:
  StoreWorld world_;
};

bool is_corrupt(const Result<AppendScan>& scan) { return !scan && scan.error().is(Code::kCorrupt); }

TEST_CASE("what was written is found, entry by entry") {
  const Written written = write_log(14, 1);
  REQUIRE_GE(written.batches.size(), 6u);
  REQUIRE_LT(written.batches.size(), 14u);
  const auto scan = Scans().of(written.bytes);
  REQUIRE(scan);
  CHECK((scan->origin == kOrigin));
  CHECK(scan->clean);
  CHECK_EQ(scan->sealed, Epoch(0));
  CHECK_EQ(scan->length, length_of(written.entries, 14));
  REQUIRE_EQ(scan->places.size(), 14u);
  for (size_t i = 0; i < 14; ++i) {
    const AppendPlace& place = scan->places[i];
    CHECK_EQ(place.header.offset, written.entries[i].offset);
    CHECK_EQ(written.bytes.substr(place.position, place.header.entry_bytes()),
             written.entries[i].entry.text());
  }
}

TEST_CASE("cut at any byte, a log has what was durable before it") {
  const Written written = write_log(12, 2);
  Scans scans;
  for (size_t size = 0; size <= written.bytes.size(); ++size) {
    CAPTURE(size);
    const auto scan = scans.of(written.bytes.substr(0, size));
    if (size < kAppendHeaderBytes) {
      REQUIRE(is_corrupt(scan));
      continue;
    }
    REQUIRE(scan);
    const size_t entries = written.entries_within(size);
    REQUIRE_EQ(scan->places.size(), entries);
    REQUIRE_EQ(scan->length, length_of(written.entries, entries));
    REQUIRE_LE(scan->end, size);
    REQUIRE_LE(scan->unproven.size(), scan->end - kAppendHeaderBytes);
  }
}

TEST_CASE("a log with a flipped bit in a batch that others follow does not open") {
  const Written written = write_log(12, 3);
  Scans scans;
  // The witness follows the last batch.
  REQUIRE_GT(written.bytes.size(), written.batches_end());
  for (size_t byte = kAppendHeaderBytes; byte < written.batches_end(); ++byte) {
    CAPTURE(byte);
    std::string bytes = written.bytes;
    bytes[byte] = static_cast<char>(bytes[byte] ^ (1 << byte % 8));
    REQUIRE(is_corrupt(scans.of(bytes)));
  }
  for (size_t byte = written.batches_end(); byte < written.bytes.size(); ++byte) {
    std::string bytes = written.bytes;
    bytes[byte] = static_cast<char>(bytes[byte] ^ (1 << byte % 8));
    const auto scan = scans.of(bytes);
    REQUIRE(scan);
    REQUIRE_EQ(scan->places.size(), 12u);
  }
}

TEST_CASE("a log whose header is damaged does not open, or takes nothing more") {
  const Written written = write_log(4, 4);
  Scans scans;
  for (size_t byte = 0; byte < kAppendHeaderBytes; ++byte) {
    std::string bytes = written.bytes;
    bytes[byte] = static_cast<char>(bytes[byte] ^ (1 << byte % 8));
    const auto scan = scans.of(bytes);
    if (!scan) {
      CHECK(is_corrupt(scan));
      continue;
    }
    CHECK_EQ(scan->places.size(), 4u);
    const bool in_seal = byte >= kAppendSealOffset && byte < kAppendSealOffset + kAppendSealBytes;
    CHECK_EQ(scan->sealed, in_seal ? Epoch(UINT64_MAX) : Epoch(0));
  }
}

TEST_CASE("sectors that were lost in the middle are damage, not the end") {
  const Written written = write_log(20, 5, 400);
  Scans scans;
  const size_t last_batch = written.batches[written.batches.size() - 2].first;
  for (size_t sector = kAppendHeaderBytes; sector + 1024 <= last_batch; sector += 512) {
    CAPTURE(sector);
    std::string zeroed = written.bytes;
    zeroed.replace(sector, 512, 512, '\0');
    REQUIRE(is_corrupt(scans.of(zeroed)));
    std::string elsewhere = written.bytes;
    elsewhere.replace(sector, 512, written.bytes.substr(sector + 512, 512));
    REQUIRE(is_corrupt(scans.of(elsewhere)));
  }
}

TEST_CASE("a file in another's place, and a batch in another's, are damage") {
  const Written written = write_log(8, 6);
  Scans scans;
  ShardIdentity other = kOrigin.identity;
  other.name.shard = 0;
  CHECK(is_corrupt(scans.of(written.bytes, other)));
  other = kOrigin.identity;
  other.cluster = ClusterId(8);
  CHECK(is_corrupt(scans.of(written.bytes, other)));
  other = kOrigin.identity;
  other.name.generation = Generation(5);
  CHECK(is_corrupt(scans.of(written.bytes, other)));

  // Another log's batches under this log's header, as if its file had been written over.
  AppendOrigin later_life = kOrigin;
  later_life.activation = 1;
  const Written later = write_log(8, 6, 200, later_life);
  const std::string mixed = written.bytes.substr(0, written.batches[2].first) +
                            later.bytes.substr(written.batches[2].first);
  const auto scan = scans.of(mixed);
  // Nothing of this log says that there was more.
  REQUIRE(scan);
  CHECK_EQ(scan->places.size(), written.batches[2].second);
  CHECK_FALSE(scan->clean);

  // A batch once more, behind the end or over the next.
  const size_t begin = written.batches[0].first;
  const std::string batch = written.bytes.substr(begin, written.batches[1].first - begin);
  const auto repeated = scans.of(written.bytes.substr(0, written.batches_end()) + batch);
  REQUIRE(repeated);
  CHECK_EQ(repeated->places.size(), 8u);
  std::string over = written.bytes;
  over.replace(written.batches[1].first, batch.size(), batch);
  CHECK(is_corrupt(scans.of(over)));
}

Task<> reopen_cut(Env& env, std::string bytes, const Written& written, size_t entries) {
  {
    auto file = (co_await env.disk().open(kLogPath, OpenMode::kAlways)).value();
    (co_await file->truncate(0)).value();
    (co_await file->write(0, Buffer::take(std::move(bytes)))).value();
    (co_await env.disk().sync_directory("")).value();
  }
  co_await open_log(env, kOrigin, [&](Env& e, AppendLog& log) -> Task<> {
    return [](Env&, AppendLog& opened, const Written& all, size_t count) -> Task<> {
      CHECK_EQ(opened.entries(), count);
      CHECK_EQ(opened.length(), length_of(all.entries, count));
      for (size_t i = count; i < all.entries.size(); ++i)
        (co_await append(opened, all.entries[i].entry)).value();
    }(e, log, written, entries);
  });
}

Task<> check_whole(Env& env, const Written& written) {
  co_await open_log(env, kOrigin, [&](Env&, AppendLog& log) -> Task<> {
    return [](AppendLog& opened, const Written& all) -> Task<> {
      CHECK_EQ(opened.entries(), all.entries.size());
      const auto bytes = co_await opened.read(0, opened.length());
      REQUIRE(bytes);
      std::string expected;
      for (const DrawnEntry& entry : all.entries) expected += entry.data;
      CHECK((bytes->text() == expected));
    }(log, written);
  });
}

TEST_CASE("cut anywhere, a log opens and goes on, and what follows survives power loss") {
  const Written written = write_log(9, 7, 120);
  for (size_t size = kAppendHeaderBytes; size <= written.bytes.size(); size += 13) {
    CAPTURE(size);
    StoreWorld world(size);
    // What a torn write leaves behind the cut, of no meaning.
    std::string bytes = written.bytes.substr(0, size);
    if (size % 2 == 0) bytes += block_text(700, size);
    world.run(
        [&](Env& env) { return reopen_cut(env, bytes, written, written.entries_within(size)); });
    world.host().power_off();
    world.run([&](Env& env) { return check_whole(env, written); });
  }
}

Task<> measure(std::string text, uint64_t& bytes_read) {
  TextFile file(std::move(text));
  CHECK(co_await scan_append_file(file, kOrigin.identity));
  bytes_read = file.bytes_read();
}

Task<> write_slowly(Env& env, AppendLog& log, const std::vector<DrawnEntry>& entries) {
  for (const DrawnEntry& entry : entries) {
    (co_await append(log, entry.entry)).value();
    co_await env.sleep(10ms);
  }
}

TEST_CASE("a log is read about once, however many pauses it had") {
  const auto entries = draw_entries(kOrigin, 60, 8, 20000);
  StoreWorld world;
  world.run([&](Env& env) {
    return make_log(env, kOrigin,
                    [&](Env& e, AppendLog& log) { return write_slowly(e, log, entries); });
  });
  world.run([&](Env& env) {
    return open_log(env, kOrigin, [](Env&, AppendLog&) -> Task<> { co_return; });
  });
  const std::string bytes = *world.host().disk_image().durable_bytes(kLogPath);
  REQUIRE_GT(bytes.size(), 500'000u);
  uint64_t bytes_read = 0;
  world.run([&](Env&) { return measure(bytes, bytes_read); });
  CHECK_LT(bytes_read, 2 * bytes.size());
}

}  // namespace
}  // namespace dogfs::chunk
