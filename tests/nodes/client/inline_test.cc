// Small files, which the metadata servers keep whole.
#include "nodes/client/client.h"

#include "tests/nodes/local_cluster.h"

#include "tests/doctest.h"

namespace dogfs::nodes::testing {
namespace {

constexpr uint32_t kLimit = 1000;

struct Outcome {
  Result<PutResult> put = fail(Code::kUnknown, "not ended");
  Result<GetResult> got = fail(Code::kUnknown, "not ended");
  std::string bytes;
};

Task<> put_and_get(Client& client, std::string bytes, size_t at_once, PutOptions put,
                   GetOptions get, Outcome& outcome) {
  MemorySource source(std::move(bytes), at_once);
  outcome.put = co_await client.put("/f", source, std::move(put));
  MemorySink sink;
  outcome.got = co_await client.get("/f", sink, std::move(get));
  outcome.bytes = std::move(sink.bytes);
}

struct Asked {
  size_t at_once = SIZE_MAX;
  PutOptions put;
  GetOptions get;
};

Outcome run(LocalCluster& cluster, const std::string& bytes, const Asked& asked = {}) {
  Outcome outcome;
  REQUIRE(cluster.run([&](Env&, Client& client) {
    return put_and_get(client, bytes, asked.at_once, asked.put, asked.get, outcome);
  }));
  return outcome;
}

TEST_CASE(
    "what ends within the limit is stored by one request, with no shard, and what is longer not") {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{kLimit - 1}, size_t{kLimit},
                            size_t{kLimit + 1}, size_t{100'000}}) {
    for (const bool size_known : {false, true}) {
      for (const size_t at_once : {SIZE_MAX, size_t{7}}) {
        CAPTURE(size);
        CAPTURE(size_known);
        LocalCluster cluster({.inline_bytes = kLimit});
        const std::string bytes = pattern(size, size + 1);
        Asked asked{.at_once = at_once};
        if (size_known) asked.put.size = size;
        const Outcome outcome = run(cluster, bytes, asked);
        REQUIRE(outcome.put.has_value());
        CHECK_EQ(outcome.put->bytes, size);
        REQUIRE(outcome.got.has_value());
        CHECK_EQ(outcome.got->bytes, size);
        CHECK((outcome.bytes == bytes));
        const bool small = size <= kLimit;
        CHECK_EQ(cluster.shards_on_disks() == 0, small);
        if (small) CHECK_EQ(cluster.metadata.executed, 2);  // the session, and the file
      }
    }
  }
}

TEST_CASE("a source that is longer or shorter than was said is stored as long as it is") {
  for (const size_t said : {size_t{10}, size_t{5000}}) {
    LocalCluster cluster({.inline_bytes = kLimit});
    const std::string bytes = pattern(said == 10 ? 5000 : 10, said);
    Asked asked;
    asked.put.size = said;
    const Outcome outcome = run(cluster, bytes, asked);
    REQUIRE(outcome.got.has_value());
    CHECK((outcome.bytes == bytes));
  }
}

TEST_CASE("any range of a small file is read") {
  const std::string bytes = pattern(500, 1);
  struct Row {
    uint64_t offset, length;
  };
  for (const Row& row : {Row{0, 500}, Row{0, UINT64_MAX}, Row{499, 1}, Row{100, 50}, Row{100, 0},
                         Row{500, 1}, Row{9999, 1}, Row{499, UINT64_MAX}}) {
    CAPTURE(row.offset);
    CAPTURE(row.length);
    LocalCluster cluster({.inline_bytes = kLimit});
    Asked asked;
    asked.get = {.offset = row.offset, .length = row.length, .progress = {}};
    const Outcome outcome = run(cluster, bytes, asked);
    REQUIRE(outcome.got.has_value());
    const size_t begin = std::min<uint64_t>(row.offset, bytes.size());
    CHECK((outcome.bytes == bytes.substr(begin, row.length)));
    CHECK_EQ(outcome.got->bytes, outcome.bytes.size());
  }
}

TEST_CASE("a small put that loses its replies is done once") {
  LocalCluster cluster({.inline_bytes = kLimit});
  cluster.metadata.replies_to_lose = 3;
  const Outcome outcome = run(cluster, "bytes");
  CHECK(outcome.put.has_value());
  CHECK((outcome.bytes == "bytes"));
  CHECK_EQ(cluster.metadata.machine.counters().files, 1u);
}

TEST_CASE("a small put that must not replace a file is refused") {
  LocalCluster cluster({.inline_bytes = kLimit});
  REQUIRE(run(cluster, "first").put.has_value());
  Asked asked;
  asked.put.overwrite = false;
  const Outcome outcome = run(cluster, "second", asked);
  REQUIRE_FALSE(outcome.put.has_value());
  CHECK_EQ(outcome.put.error().code, Code::kExists);
  CHECK((outcome.bytes == "first"));
}

}  // namespace
}  // namespace dogfs::nodes::testing
