// Server processes and the commands that run them.

#include <csignal>
#include <filesystem>
#include <map>
#include <memory>
#include <thread>

#include <arpa/inet.h>
#include <nlohmann/json.hpp>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/process/cluster.h"

#include "tests/doctest.h"

namespace dogfs::test {
namespace {

size_t count_done(const Outcome& outcome, const std::string& what) {
  size_t count = 0;
  for (const auto& line : outcome.lines())
    if (line.value("done", "").starts_with(what)) ++count;
  return count;
}

// Somebody else who listens on a port of loopback.
class Squatter {
 public:
  explicit Squatter(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int reuse = 1;
    ::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    REQUIRE_EQ(::listen(socket_, 8), 0);
  }
  ~Squatter() { ::close(socket_); }
  Squatter(const Squatter&) = delete;
  Squatter& operator=(const Squatter&) = delete;

 private:
  int socket_;
};

// A process in the state of a server that was killed a moment ago.
class ThreadOutlivesMain {
 public:
  ThreadOutlivesMain() : pid_(::fork()) {
    if (pid_ == 0) {
      std::thread([] {
        for (;;) ::pause();
      }).detach();
      ::syscall(SYS_exit, 0);
    }
    REQUIRE_GT(pid_, 0);
    const auto status = std::filesystem::path("/proc") / std::to_string(pid_) / "status";
    while (read_file(status).find("State:\tZ") == std::string::npos) ::sched_yield();
  }
  ~ThreadOutlivesMain() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ThreadOutlivesMain(const ThreadOutlivesMain&) = delete;
  ThreadOutlivesMain& operator=(const ThreadOutlivesMain&) = delete;
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

uint16_t port_of(const Cluster& cluster, const std::string& node) {
  for (const auto& line : cluster.control({"status", "--json"}).lines())
    if (line.value("name", "") == node) {
      const std::string address = line.at("address");
      return static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
    }
  FAIL("no server ", node);
  return 0;
}

}  // namespace

TEST_CASE("up starts what does not run, down stops all, and files outlive both") {
  const Cluster cluster({"--meta", "1", "--chunk", "3", "--policy", "rs-2-1"});
  CHECK_EQ(cluster.put("/file", "bytes").exit_code, 0);
  const auto before = cluster.pids();
  CHECK_EQ(before.size(), 4);

  CHECK_EQ(cluster.control({"kill", "chunk-2"}).exit_code, 0);
  const Outcome again = cluster.control({"kill", "chunk-2"});
  CHECK_EQ(again.exit_code, 4);
  CHECK(again.err.find("chunk-2 does not run") != std::string::npos);
  CHECK_EQ(cluster.control({"kill", "chunk-9"}).exit_code, 3);
  CHECK_EQ(cluster.control({"start", "chunk-1"}).exit_code, 4);
  const Outcome up = cluster.control({"up", "--json"});
  CHECK_EQ(up.exit_code, 0);
  CHECK_EQ(count_done(up, "started"), 1);
  CHECK_EQ(count_done(up, "runs already"), 3);
  CHECK_EQ(cluster.control({"up", "--chunk", "4"}).exit_code, 4);

  const Outcome down = cluster.control({"down", "--json"});
  CHECK_EQ(down.exit_code, 0);
  CHECK_EQ(count_done(down, "stopped"), 4);
  CHECK(cluster.pids().empty());
  cluster.up();
  CHECK((cluster.get("/file") == "bytes"));
}

TEST_CASE("status tells what every server does and what the cluster holds") {
  const Cluster cluster({"--meta", "1", "--chunk", "3", "--policy", "rs-2-1"});
  CHECK_EQ(cluster.put("/file", noise(100'000, 1), {"--no-pack"}).exit_code, 0);
  const auto lines = cluster.control({"status", "--json"}).lines();
  REQUIRE_EQ(lines.size(), 5);
  CHECK_EQ(lines[0].at("type"), "cluster");
  CHECK_EQ(lines[0].at("leader"), "meta-1");
  CHECK_EQ(lines[0].at("whole"), true);
  CHECK_EQ(lines[0].at("files"), 1);
  CHECK_EQ(lines[0].at("blocks"), 1);
  CHECK_EQ(lines[0].at("blocks_below_full_width"), 0);
  CHECK_EQ(lines[0].at("garbage_bytes"), 0);
  CHECK_EQ(lines[1].at("role"), "leader");
  for (size_t i = 1; i < lines.size(); ++i) {
    CHECK_EQ(lines[i].at("type"), "node");
    CHECK_EQ(lines[i].at("running"), true);
    CHECK_EQ(lines[i].at("state"), "live");
  }
  CHECK_EQ(cluster.dogfs({"rm", "/file"}).exit_code, 0);
  const auto after = cluster.control({"status", "--json"}).lines();
  CHECK_EQ(after[0].at("files"), 0);
  CHECK(after[0].at("garbage_bytes") >= 150'000);
  const Outcome table = cluster.control({"status"});
  for (const char* text : {"meta-1", "chunk-3", "leader", "live"})
    CHECK(table.out.find(text) != std::string::npos);
}

TEST_CASE("a metadata server that lost its directory joins again, as a new member in its place") {
  const Cluster cluster({"--chunk", "1", "--policy", "rep-1"});
  const auto stores = [&] {
    std::map<std::string, std::string> by_name;
    const auto lines = cluster.dogfs({"admin", "group", "--json"}).lines();
    for (const auto& member : lines.at(0).at("members"))
      by_name[member.at("name")] = member.at("store");
    return by_name;
  };
  const auto before = stores();
  const std::string lost = cluster.leader() == "meta-1" ? "meta-2" : "meta-1";
  cluster.kill(lost);
  std::filesystem::remove_all(cluster.directory() + "/" + lost + "/data");
  const Outcome up = cluster.control({"up"});
  CAPTURE(up.err);
  CHECK_EQ(up.exit_code, 0);
  for (const auto& line : cluster.control({"status", "--json"}).lines()) {
    if (line.at("type") == "cluster") CHECK_EQ(line.at("whole"), true);
    if (line.at("type") == "node") CHECK_EQ(line.at("state"), "live");
  }
  const auto after = stores();
  CHECK_EQ(after.size(), 3u);
  for (const auto& [name, store] : after) CHECK_EQ(store != before.at(name), name == lost);
}

TEST_CASE("a first member that lost its directory is none any more, whoever else is down") {
  const Cluster cluster({"--chunk", "1", "--policy", "rep-1"});
  const std::string third = cluster.leader() == "meta-3" ? "meta-2" : "meta-3";
  const std::string second = third == "meta-3" ? "meta-2" : "meta-3";
  cluster.kill(third);
  CHECK_EQ(cluster.put("/acknowledged", "by meta-1 and the second alone").exit_code, 0);
  for (const std::string& name : {std::string("meta-1"), second}) cluster.kill(name);
  std::filesystem::remove_all(cluster.directory() + "/meta-1");
  for (const std::string& name : {std::string("meta-1"), third})
    CHECK_EQ(cluster.control({"start", name}).exit_code, 0);
  const auto config = nlohmann::json::parse(read_file(cluster.directory() + "/meta-1/server.json"));
  CHECK_FALSE(config.contains("bootstrap"));
  CHECK_EQ(cluster.dogfs({"ls", "/"}).exit_code, 6);  // one of two that know the group
  CHECK_EQ(cluster.control({"start", second}).exit_code, 0);
  cluster.up();
  CHECK((cluster.get("/acknowledged") == "by meta-1 and the second alone"));
}

TEST_CASE("an operator sees the group, moves its leadership and is refused what would stop it") {
  const Cluster cluster({"--chunk", "1", "--policy", "rep-1"});
  const std::string leader = cluster.leader();
  const std::string heir = leader == "meta-1" ? "meta-2" : "meta-1";
  const Outcome dry = cluster.dogfs({"admin", "transfer", heir, "--dry-run"});
  CHECK_EQ(dry.exit_code, 0);
  CHECK(dry.out.find("nothing was done") != std::string::npos);
  CHECK_EQ(cluster.leader(), leader);
  CHECK_EQ(cluster.dogfs({"admin", "transfer", heir}).exit_code, 0);
  while (cluster.leader() != heir) {
  }
  const std::string down = leader;
  const std::string third = leader == "meta-3" || heir == "meta-3" ? "meta-2" : "meta-3";
  cluster.kill(down);
  Outcome refused = cluster.dogfs({"admin", "remove", third, "--dry-run"});
  while (refused.exit_code == 0)  // until it is missed
    refused = cluster.dogfs({"admin", "remove", third, "--dry-run"});
  CHECK_EQ(refused.exit_code, 4);
  CHECK(refused.err.find(down) != std::string::npos);
  CHECK_EQ(cluster.dogfs({"admin", "remove", "meta-9"}).exit_code, 3);
  CHECK_EQ(cluster.dogfs({"admin", "remove", down}).exit_code, 0);
  const auto lines = cluster.dogfs({"admin", "group", "--json"}).lines();
  CHECK_EQ(lines.at(0).at("members").size(), 2u);
  CHECK_EQ(lines.at(0).at("changing"), false);
}

TEST_CASE("two servers never share a data directory, and one that is asked to stops in order") {
  const Cluster cluster({"--meta", "1", "--chunk", "3", "--policy", "rs-2-1"});
  for (const std::string name : {"meta-1", "chunk-1"}) {
    const std::string kind = name.substr(0, name.find('-'));
    const Arguments serve{kind, "--config", cluster.directory() + "/" + name + "/server.json"};
    const Outcome second = run(cluster.scratch(), serve);
    CHECK_EQ(second.exit_code, 6);
    CHECK(second.err.find("in use") != std::string::npos);
    cluster.kill(name);
    Running alone(cluster.scratch(), serve);
    while (cluster.dogfs({"put", "/dev/null", "/" + kind}).exit_code != 0) {
    }
    alone.signal(SIGTERM);
    CHECK_EQ(alone.wait().exit_code, 143);
    CHECK_EQ(cluster.control({"start", name}).exit_code, 0);
  }
}

TEST_CASE("a server that cannot run is named by up, with the end of its log") {
  const Cluster cluster({"--meta", "1", "--chunk", "3", "--policy", "rs-2-1"});
  CHECK_EQ(cluster.control({"down"}).exit_code, 0);
  for (const char* copy : {"identity", "identity.copy"})
    write_file(cluster.directory() + "/chunk-2/data/" + copy, "not what a chunk server wrote");
  const Outcome up = cluster.control({"up"});
  CHECK_EQ(up.exit_code, 1);
  CAPTURE(up.err);
  CHECK(up.err.find("chunk-2 ended") != std::string::npos);
  CHECK(up.err.find("identity") != std::string::npos);
  // Not with the words of its life before.
  CHECK(up.err.find("ended as asked") == std::string::npos);
}

TEST_CASE("a server whose port somebody took is not said to have started") {
  const Cluster cluster({"--meta", "1", "--chunk", "3", "--policy", "rs-2-1"});
  const uint16_t port = port_of(cluster, "chunk-1");
  cluster.kill("chunk-1");
  {
    const Squatter squatter(port);
    for (const Arguments& command : {Arguments{"start", "chunk-1"}, Arguments{"up"}}) {
      const Outcome refused = cluster.control(command);
      CAPTURE(refused.err);
      CHECK_EQ(refused.exit_code, 4);
      CHECK(refused.err.find(std::to_string(port)) != std::string::npos);
    }
  }
  CHECK_EQ(cluster.control({"start", "chunk-1"}).exit_code, 0);
}

TEST_CASE("a server whose first thread has ended runs until the others have") {
  const Cluster cluster({"--meta", "1", "--chunk", "3", "--policy", "rs-2-1"});
  cluster.kill("chunk-1");
  const ThreadOutlivesMain dying;
  {
    // proc(5): what field 22 says is after 20 blanks that follow the name.
    const std::string stat =
        read_file(std::filesystem::path("/proc") / std::to_string(dying.pid()) / "stat");
    size_t at = stat.rfind(')');
    REQUIRE_EQ(stat.substr(at, 4), ") Z ");
    for (int i = 0; i < 20; ++i) at = stat.find(' ', at + 1);
    write_file(cluster.directory() + "/chunk-1/pid",
               std::to_string(dying.pid()) + stat.substr(at, stat.find(' ', at + 1) - at) + " 0\n");
  }
  const Outcome refused = cluster.control({"start", "chunk-1"});
  CHECK_EQ(refused.exit_code, 4);
  CAPTURE(refused.err);
  CHECK(refused.err.find("running already") != std::string::npos);
  cluster.kill("chunk-1");
  CHECK_EQ(cluster.control({"start", "chunk-1"}).exit_code, 0);
}

TEST_CASE("no other cluster is acted on than the one that DOGFS_CLUSTER names") {
  const Cluster cluster({"--meta", "1", "--chunk", "1", "--policy", "rep-1"});
  RunOptions elsewhere;
  for (const char* other : {"/nowhere", "127.0.0.1:1"}) {
    elsewhere.environment = std::string("DOGFS_CLUSTER=") + other;
    for (const char* verb : {"up", "status", "down"}) {
      const Outcome refused = run(cluster.scratch(), {"cluster", verb}, elsewhere);
      CHECK_EQ(refused.exit_code, 2);
      CHECK(refused.err.find(other) != std::string::npos);
    }
  }
  CHECK_EQ(cluster.pids().size(), 2);
}

TEST_CASE("a server whose process id cannot be written down is not left running") {
  const Cluster cluster({"--meta", "1", "--chunk", "3", "--policy", "rs-2-1"});
  cluster.kill("chunk-1");
  const std::string pid = cluster.directory() + "/chunk-1/pid";
  std::filesystem::remove(pid);
  std::filesystem::create_directory(pid);
  const Outcome refused = cluster.control({"start", "chunk-1"});
  CAPTURE(refused.err);
  CHECK_EQ(refused.exit_code, 2);
  CHECK(refused.err.find(pid) != std::string::npos);
  std::filesystem::remove(pid);
  CHECK_EQ(cluster.control({"start", "chunk-1"}).exit_code, 0);
  CHECK_EQ(cluster.pids().size(), 4);
}

TEST_CASE("down waits for all hung servers at once, and then kills them") {
  const Cluster cluster({"--meta", "1", "--chunk", "3", "--policy", "rs-2-1"});
  for (const pid_t pid : cluster.pids()) ::kill(pid, SIGSTOP);
  const Outcome down = cluster.control({"down", "--json"});
  CHECK_EQ(down.exit_code, 0);
  CHECK_EQ(count_done(down, "killed"), 4);
  CHECK(down.seconds < 20);  // 10 for each would be 40
  CHECK(cluster.pids().empty());
}

TEST_CASE("of many who bring up a new cluster at once, the cluster becomes one of them's") {
  const TemporaryDirectory scratch;
  const std::string directory = scratch / "cluster";
  struct Stop {
    const TemporaryDirectory& scratch;
    const std::string& directory;
    ~Stop() { (void)run(scratch, {"cluster", "down", "--dir", directory}); }
  } stop{scratch, directory};
  std::vector<std::unique_ptr<Running>> all;
  for (int i = 0; i < 6; ++i)
    all.push_back(
        std::make_unique<Running>(scratch, Arguments{"cluster", "up", "--dir", directory, "--meta",
                                                     "1", "--chunk", "1", "--policy", "rep-1"}));
  int came_up = 0;
  for (auto& one : all) {
    const Outcome outcome = one->wait();
    CAPTURE(outcome.err);
    CHECK((outcome.exit_code == 0 || outcome.exit_code == 4 || outcome.exit_code == 6));
    came_up += outcome.exit_code == 0 ? 1 : 0;
  }
  CHECK(came_up >= 1);
  const auto cluster_of = [&](const std::string& file) {
    return nlohmann::json::parse(read_file(directory + file)).at("cluster");
  };
  for (const char* server : {"/meta-1", "/chunk-1"})
    CHECK_EQ(cluster_of(std::string(server) + "/server.json"), cluster_of("/cluster.json"));
}

}  // namespace dogfs::test
