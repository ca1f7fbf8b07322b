// Every metadata disk is destroyed; a new group is founded with the cluster's id, the exported
// namespace is imported, and the files are read back from the chunk servers that were there.
#include <map>

#include "core/env/nursery.h"
#include "nodes/chunk/chunk_node.h"
#include "nodes/client/client.h"
#include "nodes/metadata/metadata_node.h"
#include "sim/world/host.h"
#include "sim/world/world.h"

#include "tests/nodes/local_cluster.h"

#include "tests/doctest.h"

namespace dogfs::nodes::testing {
namespace {

constexpr ClusterId kCluster{9};
constexpr uint32_t kMetadata = 3;
constexpr int kChunk = 6;

std::string metadata_name(uint32_t number) { return fmt::format("meta-{}", number); }

class Collected final : public RowSink {
 public:
  Task<Result<void>> take(metadata::BeginImport now,
                          std::vector<metadata::ImportedRow> part) override {
    settings = now;
    for (auto& row : part) rows.push_back(std::move(row));
    co_return Result<void>();
  }
  metadata::BeginImport settings;
  std::vector<metadata::ImportedRow> rows;
};

class Bench {
 public:
  using Script = std::function<Task<>(Client&)>;

  Bench() : world_(3), client_(world_.add_host("client", {})) {
    for (uint32_t i = 1; i <= kMetadata; ++i) {
      metadata_.push_back(&world_.add_host(metadata_name(i), {}));
      metadata_.back()->set_main([this, i](Env& env) { return metadata_main(env, i); });
    }
    for (int i = 1; i <= kChunk; ++i) {
      const auto name = fmt::format("chunk-{}", i);
      chunk_.push_back(&world_.add_host(name, {}));
      chunk_.back()->set_main([name](Env& env) { return chunk_main(env, name); });
      chunk_.back()->boot();
    }
    found();
  }

  // A new group of metadata servers with blank disks.
  void found() {
    ++life_;
    for (sim::Host* host : metadata_) {
      if (host->up()) host->lose_disk();
      host->boot();
    }
    world_.run_for(10s);
  }

  void run(Script script) {
    if (client_.up()) client_.crash();
    bool ended = false;
    client_.set_main([&](Env& env) { return client_main(env, script, ended); });
    client_.boot();
    for (int i = 0; i < 600 && !ended; ++i) world_.run_for(100ms);
    REQUIRE(ended);
  }

  void wait(Duration time) { world_.run_for(time); }

 private:
  static Address address(uint32_t number) { return {metadata_name(number), 7000}; }

  Task<> metadata_main(Env& env, uint32_t number) {
    MetadataNodeOptions options;
    options.listen = address(number);
    options.founding.policy = *placement::Policy::parse("rs-4-2");
    options.founding.block_bytes = limits::kMiB;
    options.founding.cell_bytes = life_ == 1 ? 16 * limits::kKiB : 64 * limits::kKiB;
    options.raft.node = NodeId(number);
    options.raft.cluster = kCluster;
    Bootstrap bootstrap{.store = StoreId(100 * life_ + number), .voters = {}};
    for (uint32_t i = 1; i <= kMetadata; ++i) {
      options.raft.peers.push_back({NodeId(i), metadata_name(i), address(i)});
      bootstrap.voters.push_back({NodeId(i), StoreId(100 * life_ + i)});
    }
    options.raft.bootstrap = bootstrap;
    MetadataNode node(env, options);
    auto ended = co_await node.run();
    env.log().error("the metadata server ended: {}", ended.error());
  }

  static Task<> chunk_main(Env& env, std::string name) {
    ChunkNodeOptions options;
    options.name = name;
    options.cluster = kCluster;
    options.listen = options.advertise = {name, 7100};
    for (uint32_t i = 1; i <= kMetadata; ++i) options.metadata.push_back(address(i));
    ChunkNode node(env, options);
    auto ended = co_await node.run();
    FAIL_CHECK("a chunk server ended: " << ended.error().message);
  }

  static Task<> client_main(Env& env, Script script, bool& ended) {
    ClientOptions options;
    options.cluster = kCluster;
    for (uint32_t i = 1; i <= kMetadata; ++i) options.metadata.push_back(address(i));
    Client client(env, options);
    co_await nursery(env, [&](Nursery& children) {
      children.spawn(client.run());
      return script(client);
    });
    ended = true;
  }

  sim::World world_;
  sim::Host& client_;
  std::vector<sim::Host*> metadata_, chunk_;
  uint64_t life_ = 0;
};

using Files = std::map<std::string, std::string>;

Task<> put_all(Client& client, const Files& files) {
  REQUIRE((co_await client.make_directory("/d/e", true, std::nullopt)).has_value());
  for (const auto& [path, bytes] : files) {
    MemorySource source(bytes);
    const auto stored = co_await client.put(path, source, {});
    REQUIRE_MESSAGE(stored.has_value(), stored.error().message);
  }
}

Task<> get_all(Client& client, const Files& files) {
  for (const auto& [path, bytes] : files) {
    CAPTURE(path);
    MemorySink sink;
    const auto got = co_await client.get(path, sink, {});
    REQUIRE_MESSAGE(got.has_value(), got.error().message);
    CHECK((sink.bytes == bytes));
  }
}

Task<> export_all(Client& client, Collected& collected) {
  const auto exported = co_await client.export_namespace(collected);
  REQUIRE_MESSAGE(exported.has_value(), exported.error().message);
  CHECK_EQ(exported->rows, collected.rows.size());
}

Task<> import_all(Client& client, const Collected& collected) {
  const auto refused = co_await client.import_rows({});
  REQUIRE_FALSE(refused.has_value());
  REQUIRE((co_await client.begin_import(collected.settings)).has_value());
  CHECK_EQ((co_await client.stat("/")).error().code, Code::kUnavailable);
  for (const auto& row : collected.rows) {
    const auto taken = co_await client.import_rows({row});
    REQUIRE_MESSAGE(taken.has_value(), taken.error().message);
  }
  const auto finished = co_await client.finish_import(collected.rows.size());
  REQUIRE_MESSAGE(finished.has_value(), finished.error().message);
}

TEST_CASE("files are read back after every metadata disk was destroyed and an export imported") {
  const Files files{{"/small", "some bytes"},
                    {"/d/medium", pattern(100'000, 1)},
                    {"/d/e/large", pattern(3'000'000, 2)},
                    {"/d/empty", ""}};
  const Files later{{"/d/after", pattern(200'000, 3)}, {"/new", "new"}};
  Bench bench;
  Collected collected;
  bench.run([&](Client& client) { return put_all(client, files); });
  bench.run([&](Client& client) { return export_all(client, collected); });
  bench.found();
  bench.run([&](Client& client) { return import_all(client, collected); });
  bench.wait(10s);  // the chunk servers find that they are known again
  bench.run([&](Client& client) { return get_all(client, files); });
  bench.run([&](Client& client) { return put_all(client, later); });
  bench.run([&](Client& client) { return get_all(client, later); });
  bench.run([&](Client& client) { return get_all(client, files); });
}

}  // namespace
}  // namespace dogfs::nodes::testing
