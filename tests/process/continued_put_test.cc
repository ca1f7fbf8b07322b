// `put --continue`: what was stored of a file when its put was cut off is not sent again.

#include <csignal>

#include <nlohmann/json.hpp>

#include "tests/process/cluster.h"

#include "tests/doctest.h"

namespace dogfs::test {
namespace {

constexpr size_t kMiB = 1 << 20;

struct Store {
  const Cluster cluster{{"--chunk", "4", "--policy", "rs-2-1"}};
  const std::string local = cluster.scratch() / "local";
  const Arguments put{"put", local, "/dir/file", "--continue", "--piece", "8MiB", "--json"};

  Store() { CHECK_EQ(cluster.dogfs({"mkdir", "/dir"}).exit_code, 0); }
  Arguments there() const {
    Arguments arguments = put;
    arguments.insert(arguments.end(), {"--cluster", cluster.directory()});
    return arguments;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& line : cluster.dogfs({"ls", "/dir", "--json"}).lines())
      out.push_back(line.at("name"));
    return out;
  }
  // Stores a part of the local file, and is killed.
  void cut_off() const {
    Running running(cluster.scratch(), there());
    for (int tries = 0; tries < 1000 && names().empty();) ++tries;
    running.signal(SIGKILL);
    CHECK_EQ(running.wait().exit_code, 128 + SIGKILL);
    REQUIRE_FALSE(names().empty());
    CHECK_EQ(std::ranges::count(names(), "file"), 0);
  }
  nlohmann::json finish() const {
    const Outcome done = cluster.dogfs(put);
    REQUIRE_MESSAGE(done.exit_code == 0, done.out);
    return done.lines().at(0);
  }
};

TEST_CASE("a put that was cut off goes on behind its last whole piece") {
  const Store store;
  const std::string bytes = noise(90 * kMiB + 1, 1);
  write_file(store.local, bytes);
  store.cut_off();
  const auto done = store.finish();
  CHECK_GE(done.at("begun_at"), 8 * kMiB);
  CHECK_EQ(done.at("begun_at").get<uint64_t>() % (8 * kMiB), 0);
  CHECK_EQ(done.at("bytes"), bytes.size());
  CHECK((store.cluster.get("/dir/file") == bytes));
  CHECK((store.names() == std::vector<std::string>{"file"}));
  // It is a file like any other: put again, it is replaced.
  CHECK_EQ(store.finish().at("begun_at"), 0);
  CHECK((store.cluster.get("/dir/file") == bytes));
}

TEST_CASE("of a local file that was changed meanwhile nothing old is kept") {
  const Store store;
  write_file(store.local, noise(90 * kMiB, 2));
  store.cut_off();
  const std::string bytes = noise(20 * kMiB, 3);
  write_file(store.local, bytes);
  CHECK_EQ(store.finish().at("begun_at"), 0);
  CHECK((store.cluster.get("/dir/file") == bytes));
  CHECK((store.names() == std::vector<std::string>{"file"}));
}

TEST_CASE(
    "another local file of the same size and time is another file, and other names are kept") {
  const Store store;
  write_file(store.local, noise(90 * kMiB, 5));
  store.cut_off();
  const std::string other = store.cluster.scratch() / "other";
  const std::string bytes = noise(90 * kMiB, 6);
  write_file(other, bytes);
  std::filesystem::last_write_time(other, std::filesystem::last_write_time(store.local));
  // A part of another path, whose name only begins alike.
  REQUIRE_EQ(store.cluster.put("/dir/.file.gz.dogfs-part", "kept").exit_code, 0);
  std::filesystem::rename(other, store.local);
  CHECK_EQ(store.finish().at("begun_at"), 0);
  CHECK((store.cluster.get("/dir/file") == bytes));
  CHECK((store.names() == std::vector<std::string>{".file.gz.dogfs-part", "file"}));
}

TEST_CASE("two programs that put one file at once both end well") {
  const Store store;
  const std::string bytes = noise(60 * kMiB, 4);
  write_file(store.local, bytes);
  Running other(store.cluster.scratch(), store.there());
  (void)store.finish();
  CHECK_EQ(other.wait().exit_code, 0);
  CHECK((store.cluster.get("/dir/file") == bytes));
  CHECK((store.names() == std::vector<std::string>{"file"}));
}

TEST_CASE("small files, and what cannot be continued") {
  const Store store;
  for (const size_t size : {size_t{0}, size_t{100}, 8 * kMiB, 12 * kMiB - 1, 12 * kMiB}) {
    CAPTURE(size);
    write_file(store.local, noise(size, size));
    CHECK_EQ(store.finish().at("bytes"), size);
    CHECK((store.cluster.get("/dir/file") == noise(size, size)));
  }
  CHECK((store.names() == std::vector<std::string>{"file"}));
  const Cluster& cluster = store.cluster;
  CHECK_EQ(cluster.dogfs({"put", "-", "/dir/file", "--continue"}).exit_code, 2);
  CHECK_EQ(cluster.dogfs({"put", store.local, "/f", "--continue", "--piece", "1KiB"}).exit_code, 2);
  CHECK_EQ(cluster.dogfs({"put", store.local, "/f", "--piece", "8MiB"}).exit_code, 2);
  CHECK_EQ(cluster.dogfs({"put", store.local, "/f", "--continue", "--no-overwrite"}).exit_code, 2);
  CHECK_EQ(cluster.dogfs({"put", store.local, "/no/f", "--continue"}).exit_code, 3);
  CHECK_EQ(cluster.dogfs({"put", store.local, "/dir", "--continue"}).exit_code, 4);
}

}  // namespace
}  // namespace dogfs::test
