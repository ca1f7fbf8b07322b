// Puts that share blocks by their content, and gets that check it.
#include <algorithm>
#include <optional>

#include "core/env/nursery.h"
#include "nodes/client/block_check.h"
#include "nodes/client/client.h"

#include "tests/nodes/gated_source.h"
#include "tests/nodes/local_cluster.h"

#include "tests/doctest.h"

namespace dogfs::nodes::testing {
namespace {

using metadata::ContentMode;

constexpr size_t kKiB = limits::kKiB;
constexpr size_t kMiB = limits::kMiB;

std::string code_of(const auto& result) {
  if (!result) return "not ended";
  return std::string(*result ? "ok" : code_name(result->error().code));
}

struct Volume {
  explicit Volume(ContentMode mode = ContentMode::kDedup, LocalClusterOptions options = {})
      : cluster(options) {
    bool done = false;
    REQUIRE(cluster.run([&](Env&, Client& client) { return set_mode(client, mode, done); }));
    REQUIRE(done);
  }
  static Task<> set_mode(Client& client, ContentMode mode, bool& done) {
    done = (co_await client.set_layout("/", {.content_mode = mode}, false)).has_value();
  }

  std::optional<Result<PutResult>> put(const std::string& path, const std::string& bytes) {
    std::optional<Result<PutResult>> done;
    REQUIRE(cluster.run([&](Env&, Client& client) { return put_to(client, path, bytes, done); }));
    return done;
  }
  static Task<> put_to(Client& client, std::string path, std::string bytes,
                       std::optional<Result<PutResult>>& done) {
    MemorySource source(std::move(bytes));
    done = co_await client.put(path, source, {});
  }
  static Task<> put_stopped(Env& env, Client& client, std::string path, const std::string& bytes,
                            size_t gate, const bool& open, bool fails,
                            std::optional<Result<PutResult>>& done) {
    GatedSource source(env, bytes, gate, open, fails);
    done = co_await client.put(path, source, {});
  }
  uint64_t shared(const std::string& path, const std::string& bytes) {
    const auto done = put(path, bytes);
    REQUIRE_EQ(code_of(done), "ok");
    return (*done)->deduplicated_bytes;
  }
  // What a get gives; the name of its error when it fails.
  std::string get(const std::string& path) {
    std::string bytes;
    REQUIRE(cluster.run([&](Env&, Client& client) { return get_from(client, path, bytes); }));
    return bytes;
  }
  static Task<> get_from(Client& client, std::string path, std::string& bytes) {
    MemorySink sink;
    const auto got = co_await client.get(path, sink, {});
    bytes = got ? std::move(sink.bytes) : std::string(code_name(got.error().code));
  }
  void remove(const std::string& path) {
    REQUIRE(cluster.run([&](Env&, Client& client) { return remove_from(client, path); }));
  }
  static Task<> remove_from(Client& client, std::string path) {
    (void)co_await client.remove(path, false);
  }
  metadata::Counters counters() const { return cluster.metadata.machine.counters(); }

  LocalCluster cluster;
};

TEST_CASE("what is there already is not sent again, whether chunk servers can be reached or not") {
  for (const size_t size : {5 * kKiB, kMiB, 2 * kMiB + 12345, 20 * kMiB}) {
    CAPTURE(size);
    Volume volume;
    const auto bytes = pattern(size, 1);
    CHECK_EQ(volume.shared("/f", bytes), 0u);
    const auto blocks = volume.counters().blocks;
    const uint64_t shards = volume.cluster.shards_on_disks();
    CHECK_EQ(volume.counters().known_blocks, blocks);
    volume.cluster.metadata.suspect_after = 1h;
    for (int i = 1; i <= 6; ++i) volume.cluster.chunk(i).crash();
    CHECK_EQ(volume.shared("/g", bytes), size);
    volume.cluster.boot_all();
    volume.cluster.world.run_for(2s);
    CHECK_EQ(volume.counters().blocks, blocks);
    CHECK_EQ(volume.cluster.shards_on_disks(), shards);
    CHECK((volume.get("/g") == bytes));
    volume.remove("/f");
    volume.cluster.world.run_for(5s);
    CHECK((volume.get("/g") == bytes));
    volume.remove("/g");
    volume.cluster.world.run_for(5s);
    CHECK_EQ(volume.cluster.shards_on_disks(), 0u);
    CHECK_EQ(volume.shared("/h", bytes), 0u);
  }
}

TEST_CASE("a file that differs in one block shares the others") {
  Volume volume;
  auto bytes = pattern(5 * kMiB + 100, 1);
  CHECK_EQ(volume.shared("/f", bytes), 0u);
  bytes[3 * kMiB + 5] ^= 1;
  CHECK_EQ(volume.shared("/g", bytes), bytes.size() - kMiB);
  CHECK((volume.get("/g") == bytes));
  // Blocks of one file are alike, too: the first is sent, and no other.
  const std::string alike(7 * kMiB, 'x');
  CHECK_EQ(volume.shared("/alike", alike), 6 * kMiB);
  CHECK((volume.get("/alike") == alike));
}

TEST_CASE("a block that is too large to be kept is not asked for, and known all the same") {
  Volume volume(ContentMode::kDedup, {.block_bytes = 2 * kMiB});
  const auto bytes = pattern(2 * kMiB, 1);
  volume.cluster.client_options.write_memory = kMiB;
  CHECK_EQ(volume.shared("/f", bytes), 0u);
  CHECK_EQ(volume.shared("/g", bytes), 0u);
  volume.cluster.client_options.write_memory = 72 * kMiB;
  CHECK_EQ(volume.shared("/h", bytes), bytes.size());
}

TEST_CASE("a block that cannot be written where it was placed is written elsewhere, and shared") {
  Volume volume(ContentMode::kDedup, {.chunks = 9});
  const auto bytes = pattern(3 * kMiB, 1);
  for (const int dead : {1, 2, 3}) volume.cluster.chunk(dead).crash();
  CHECK_EQ(volume.shared("/f", bytes), 0u);
  CHECK((volume.get("/f") == bytes));
  volume.cluster.boot_all();
  volume.cluster.world.run_for(2s);
  const uint64_t known = volume.counters().known_blocks;  // at full width
  CHECK_GT(known, 0u);
  CHECK_EQ(volume.shared("/g", bytes), known * kMiB);
  CHECK((volume.get("/g") == bytes));
}

TEST_CASE("puts of the same content at the same time all end well, and so do those after them") {
  Volume volume;
  const auto bytes = pattern(3 * kMiB, 1);
  std::optional<Result<PutResult>> done[3];
  REQUIRE(volume.cluster.run([&](Env& env, Client& client) -> Task<> {
    return nursery(env, [&](Nursery& children) {
      for (int i = 0; i < 3; ++i)
        children.spawn(Volume::put_to(client, fmt::format("/f{}", i), bytes, done[i]));
      return children.join();
    });
  }));
  for (int i = 0; i < 3; ++i) {
    CHECK_EQ(code_of(done[i]), "ok");
    CHECK((volume.get(fmt::format("/f{}", i)) == bytes));
  }
  CHECK_EQ(volume.counters().known_blocks, 3u);
  CHECK_EQ(volume.shared("/g", bytes), bytes.size());
  for (const char* path : {"/f0", "/f1", "/f2"}) volume.remove(path);
  volume.cluster.world.run_for(5s);
  CHECK((volume.get("/g") == bytes));
  CHECK_EQ(volume.counters().blocks, 3u);
}

Task<> remove_later(Env& env, Client& client, std::string path) {
  co_await env.sleep(2s);
  co_await Volume::remove_from(client, std::move(path));
}

TEST_CASE("a put that shares blocks keeps them when the file is removed that brought them") {
  Volume volume;
  const auto bytes = pattern(3 * kMiB, 1);
  CHECK_EQ(volume.shared("/f", bytes), 0u);
  bool open = false;
  std::optional<Result<PutResult>> done;
  volume.cluster.start([&](Env& env, Client& client) {
    return nursery(env, [&](Nursery& children) {
      children.spawn(
          Volume::put_stopped(env, client, "/g", bytes, 2 * kMiB + 5, open, false, done));
      children.spawn(remove_later(env, client, "/f"));
      return children.join();
    });
  });
  volume.cluster.world.run_for(7s);
  CHECK_EQ(volume.counters().known_blocks, 1u);
  open = true;
  REQUIRE(volume.cluster.finish(60s));
  REQUIRE_EQ(code_of(done), "ok");
  CHECK_EQ((*done)->deduplicated_bytes, kMiB);
  CHECK((volume.get("/g") == bytes));
}

TEST_CASE("a put that fails gives back what it shared") {
  Volume volume;
  const auto bytes = pattern(3 * kMiB, 1);
  CHECK_EQ(volume.shared("/f", bytes.substr(0, 2 * kMiB)), 0u);
  const bool open = true;
  std::optional<Result<PutResult>> done;
  REQUIRE(volume.cluster.run([&](Env& env, Client& client) {
    return Volume::put_stopped(env, client, "/g", bytes, 0, open, true, done);
  }));
  CHECK_EQ(code_of(done), "io");
  CHECK_EQ(volume.counters().uploads, 0u);
  CHECK_EQ(volume.counters().known_blocks, 2u);
  volume.remove("/f");
  volume.cluster.world.run_for(5s);
  CHECK_EQ(volume.cluster.shards_on_disks(), 0u);
}

TEST_CASE("with digests alone every block is sent, and carries the SHA-256 of its bytes") {
  Volume volume(ContentMode::kSha256);
  const auto bytes = pattern(2 * kMiB + 777, 1);
  CHECK_EQ(volume.shared("/f", bytes), 0u);
  CHECK_EQ(volume.shared("/g", bytes), 0u);
  CHECK((volume.get("/f") == bytes));
  const auto located = volume.cluster.metadata.machine.locate("/f", {});
  REQUIRE_EQ(located->blocks.size(), 3u);
  for (const auto& block : located->blocks)
    CHECK((block.digest == Sha256::of(bytes.substr(block.file_offset, block.length))));
  CHECK_EQ(volume.counters().known_blocks, 0u);
}

TEST_CASE("a block that is not what its digest says is disowned by who reads it, then sent") {
  Volume volume;
  const auto right = pattern(kMiB, 1);
  volume.cluster.metadata.falsify = [&](metadata::Operation& operation) {
    if (auto* commit = std::get_if<metadata::CommitBlocks>(&operation))
      for (auto& block : commit->blocks) block.digest = Sha256::of(right);
  };
  CHECK_EQ(volume.shared("/liar", pattern(kMiB, 2)), 0u);
  volume.cluster.metadata.falsify = [](metadata::Operation&) {};
  CHECK_EQ(volume.shared("/victim", right), kMiB);
  CHECK_EQ(volume.counters().known_blocks, 1u);
  CHECK_EQ(volume.get("/victim"), "corrupt");
  CHECK_EQ(volume.counters().known_blocks, 0u);
  CHECK_EQ(volume.shared("/f", right), 0u);
  CHECK((volume.get("/f") == right));
  CHECK_EQ(volume.shared("/g", right), kMiB);
  CHECK((volume.get("/g") == right));
  // What shared it before is as wrong as it was, and costs the true one nothing.
  CHECK_EQ(volume.get("/liar"), "corrupt");
  CHECK_EQ(volume.shared("/h", right), kMiB);
}

// --- BlockCheck ---

Task<> check_parts(Env& env, std::vector<BlockCheck::Part> parts, std::string& codes) {
  BlockCheck check(env);
  for (auto& part : parts) {
    const auto sound = co_await check.add(std::move(part));
    codes += (codes.empty() ? "" : " ") + std::string(sound ? "ok" : code_name(sound.error().code));
  }
}

BlockCheck::Part part(uint64_t block, uint64_t offset, const char* bytes, const char* content) {
  return {.block = BlockId(block),
          .block_length = std::string(content).size(),
          .digest = Sha256::of(content),
          .offset = offset,
          .pieces = {Buffer::copy(std::string_view(bytes))}};
}

TEST_CASE("blocks that are read whole are checked by their digest, and parts are not") {
  LocalCluster cluster({});
  const auto verdicts = [&](std::vector<BlockCheck::Part> parts) {
    std::string codes;
    REQUIRE(cluster.run([&](Env& env, Client&) { return check_parts(env, parts, codes); }));
    return codes;
  };
  CHECK_EQ(verdicts({part(1, 0, "abc", "abc")}), "ok");
  CHECK_EQ(verdicts({part(1, 0, "abd", "abc")}), "corrupt");
  CHECK_EQ(verdicts({part(1, 0, "ab", "abc"), part(1, 2, "c", "abc")}), "ok ok");
  CHECK_EQ(verdicts({part(1, 0, "ax", "abc"), part(1, 2, "c", "abc")}), "ok corrupt");
  CHECK_EQ(verdicts({part(1, 1, "xx", "abc")}), "ok");
  CHECK_EQ(verdicts({part(1, 0, "ax", "abc"), part(2, 0, "abc", "abc"), part(1, 2, "c", "abc")}),
           "ok ok ok");
  CHECK_EQ(verdicts({part(1, 0, "abc", "abc"), part(1, 0, "abd", "abc")}), "ok corrupt");
  auto silent = part(1, 0, "abd", "abc");
  silent.digest.reset();
  CHECK_EQ(verdicts({silent}), "ok");
}

}  // namespace
}  // namespace dogfs::nodes::testing
