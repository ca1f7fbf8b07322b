// What a cluster still does when some of its servers are dead, and after all of them were.

#include <atomic>
#include <csignal>
#include <map>
#include <mutex>
#include <thread>

#include <nlohmann/json.hpp>

#include "tests/process/cluster.h"

#include "tests/doctest.h"

namespace dogfs::test {
namespace {

constexpr size_t kMiB = 1 << 20;

bool says(const Outcome& outcome, const std::string& text) {
  return outcome.err.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("with 1 of 6 chunk servers dead all works, with 2 reading, with 3 errors in time") {
  const Cluster cluster;
  std::map<std::string, std::string> stored;
  const auto put = [&](const std::string& path, uint64_t seed) {
    stored[path] = noise(5 * kMiB + seed, seed);
    return cluster.put(path, stored[path]);
  };
  const auto check_all = [&] {
    for (const auto& [path, bytes] : stored) {
      CAPTURE(path);
      CHECK((cluster.get(path) == bytes));
    }
  };
  CHECK_EQ(put("/whole", 1).exit_code, 0);

  cluster.kill("chunk-2");
  CHECK_EQ(put("/one-dead", 2).exit_code, 0);
  check_all();

  cluster.kill("chunk-5");
  check_all();
  const Outcome refused = cluster.put("/two-dead", noise(2 * kMiB, 3));
  CAPTURE(refused.err);
  CHECK_EQ(refused.exit_code, 6);
  CHECK(says(refused, "5 needed and 4 live"));
  CHECK_EQ(cluster.dogfs({"stat", "/two-dead"}).exit_code, 3);

  cluster.kill("chunk-1");
  const std::string copy = cluster.scratch() / "copy";
  const Outcome unreadable = cluster.dogfs({"get", "/whole", copy});
  CAPTURE(unreadable.err);
  CHECK_EQ(unreadable.exit_code, 6);
  CHECK(unreadable.seconds < 10);
  CHECK(says(unreadable, "/whole: "));
  CHECK(says(unreadable, "3 of its 6 shards can be, 4 are needed"));
  CHECK(!std::filesystem::exists(copy));

  cluster.up();
  check_all();
  CHECK_EQ(put("/again", 4).exit_code, 0);
  check_all();
}

TEST_CASE("with 8 chunk servers put works when 2 are dead") {
  const Cluster cluster({"--meta", "1", "--chunk", "8"});
  cluster.kill("chunk-3");
  cluster.kill("chunk-8");
  const std::string bytes = noise(9 * kMiB, 1);
  const Outcome put = cluster.put("/file", bytes);
  INFO(put.err);
  CHECK_EQ(put.exit_code, 0);
  CHECK((cluster.get("/file") == bytes));
}

TEST_CASE("files stay at hand when the metadata leader is killed, and status in every state") {
  const Cluster cluster;
  const std::string bytes = noise(2 * kMiB, 1);
  CHECK_EQ(cluster.put("/file", bytes).exit_code, 0);
  const std::string first = cluster.leader();
  cluster.kill(first);
  CHECK((cluster.get("/file") == bytes));
  CHECK_EQ(cluster.put("/more", bytes).exit_code, 0);
  const std::string second = cluster.leader();
  CHECK(second != first);

  cluster.kill(second);  // no majority is left
  const Outcome half = cluster.control({"status", "--json"});
  CHECK_EQ(half.exit_code, 6);
  CHECK(half.seconds < 8);
  size_t nodes = 0;
  size_t running = 0;
  for (const auto& line : half.lines()) {
    if (line.value("type", "") != "node") continue;
    ++nodes;
    running += line.at("running") ? 1 : 0;
  }
  CHECK_EQ(nodes, 9);
  CHECK_EQ(running, 7);
  const Outcome stuck = cluster.dogfs({"ls", "/"});
  CHECK_EQ(stuck.exit_code, 6);
  CHECK(says(stuck, "1 of 3 metadata servers run"));

  CHECK_EQ(cluster.control({"start", first}).exit_code, 0);
  CHECK_EQ(cluster.control({"start", second}).exit_code, 0);
  CHECK((cluster.get("/more") == bytes));
}

namespace {

// Writers that put one file after the other until they are stopped, and know what was acknowledged.
class Load {
 public:
  Load(const Cluster& cluster, int writers) : cluster_(cluster) {
    for (int i = 0; i < writers; ++i) threads_.emplace_back([this, i] { write(i); });
  }
  ~Load() { stop(); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  void wait_for(size_t files) {
    while (acknowledged().size() < files) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  void stop() {
    stopped_ = true;
    for (auto& thread : threads_)
      if (thread.joinable()) thread.join();
  }
  // Path and seed.
  std::map<std::string, uint64_t> acknowledged() {
    const std::lock_guard lock(mutex_);
    return acknowledged_;
  }
  std::map<std::string, uint64_t> doubtful() {
    const std::lock_guard lock(mutex_);
    return doubtful_;
  }
  static std::string bytes(uint64_t seed) { return noise(seed * 7919 % (3 * kMiB), seed); }

 private:
  void write(int writer) {
    for (uint64_t n = 1; !stopped_; ++n) {
      const uint64_t seed = static_cast<uint64_t>(writer) * 1000 + n;
      const std::string path = "/load-" + std::to_string(seed);
      const Outcome put = cluster_.dogfs({"put", "-", path},
                                         {.input = bytes(seed), .limit = std::chrono::seconds(5)});
      const std::lock_guard lock(mutex_);
      (put.exit_code == 0 ? acknowledged_ : doubtful_)[path] = seed;
    }
  }

  const Cluster& cluster_;
  std::atomic<bool> stopped_ = false;
  std::mutex mutex_;
  std::map<std::string, uint64_t> acknowledged_;
  std::map<std::string, uint64_t> doubtful_;
  std::vector<std::thread> threads_;
};

}  // namespace

TEST_CASE("after kill -9 of every process under load, what was acknowledged reads back") {
  const Cluster cluster;
  std::map<std::string, uint64_t> acknowledged;
  std::map<std::string, uint64_t> doubtful;
  {
    Load load(cluster, 3);
    load.wait_for(12);
    cluster.kill_all();
    load.stop();
    acknowledged = load.acknowledged();
    doubtful = load.doubtful();
  }
  cluster.up();
  for (const auto& [path, seed] : acknowledged) {
    CAPTURE(path);
    CHECK((cluster.get(path) == Load::bytes(seed)));
  }
  // What was not acknowledged is there whole, or not at all.
  for (const auto& [path, seed] : doubtful) {
    CAPTURE(path);
    const Outcome read = cluster.dogfs({"cat", path});
    CHECK((read.exit_code == 3 || (read.exit_code == 0 && read.out == Load::bytes(seed))));
  }
  CHECK(!doubtful.empty());
}

}  // namespace dogfs::test
