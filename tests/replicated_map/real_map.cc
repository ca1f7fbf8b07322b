#include "tests/replicated_map/real_map.h"

#include <atomic>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <unistd.h>

#include "core/env/event.h"
#include "core/env/nursery.h"

#include "tests/replicated_map/map_node.h"

namespace dogfs::nodes {
namespace {

constexpr uint16_t kFirstPort = 7101;  // below those that the system gives away
constexpr Duration kTick = std::chrono::milliseconds(20);
constexpr uint64_t kSnapshotAfterBytes = 2000;
constexpr uint64_t kTailEntries = 10;  // whoever lags further is sent a snapshot
const std::vector<std::string> kKeys{"one", "two"};

// A loopback address of this process's own, so that its ports are free.
std::string own_host() {
  const auto pid = static_cast<uint32_t>(getpid());
  return fmt::format("127.{}.{}.{}", 64 + (pid >> 16) % 64, (pid >> 8) % 256, pid % 256);
}

Task<> serve(Nursery& children, Env& env, Event& stop, MapNodeOptions options) {
  children.spawn([](Env& e, Event& ended, MapNodeOptions o) -> Task<> {
    const SetAtEnd at_end(ended);
    co_await map_node_main(e, std::move(o));
  }(env, stop, std::move(options)));
  co_await stop.wait();
}

Task<> serve_until(Env& env, Event& stop, MapNodeOptions options) {
  co_await nursery(env, [&](Nursery& children) { return serve(children, env, stop, options); });
}

Task<> read_into(Env& env, MapClient& reader, std::string key, std::optional<std::string>& value) {
  value = co_await reader.read(env, std::move(key), 30s);
}

}  // namespace

// A server's directory and, while it runs, its process. All but the thread's own work is the
// caller's.
class RealMap::Server {
 public:
  Server(net::ProcessOptions process, MapNodeOptions node)
      : process_options_(std::move(process)), node_options_(std::move(node)) {}
  ~Server() { kill(); }

  // Only the first start founds the group.
  void start() {
    CHECK(!thread_.joinable());
    loop_.emplace(net::Loop::Options{.disk_threads = 2, .compute_threads = 1});
    auto made = net::Process::make(*loop_, process_options_);
    CHECK(made, "{}", made.error());
    process_ = std::move(*made);
    stop_.emplace(process_->env());
    process_->start(serve_until(process_->env(), *stop_, node_options_), [this] {
      ended_ = true;
      loop_->stop();
    });
    node_options_.raft.bootstrap.reset();
    thread_ = std::thread([this] { loop_->run(); });
  }

  // At some time before it was asked to.
  bool ended_by_itself() const { return ended_by_itself_; }

  void stop() {
    end([this] { stop_->set(); });
  }
  void kill() {
    end([this] {
      process_->kill();
      loop_->stop();
    });
  }

 private:
  template <class Act>
  void end(Act act) {
    if (!thread_.joinable()) return;
    if (ended_.exchange(false)) ended_by_itself_ = true;
    boost::asio::post(loop_->io(), act);
    thread_.join();
    ended_ = false;
    process_.reset();
    stop_.reset();
    loop_.reset();
  }

  const net::ProcessOptions process_options_;
  MapNodeOptions node_options_;
  std::optional<net::Loop> loop_;
  std::unique_ptr<net::Process> process_;
  std::optional<Event> stop_;
  std::atomic<bool> ended_ = false;  // the node's main has
  bool ended_by_itself_ = false;
  std::thread thread_;
};

RealMap::RealMap() {
  for (int number = 1; number <= kServers; ++number) {
    net::ProcessOptions process;
    process.name = fmt::format("meta-{}", number);
    process.data_directory = directory_ / process.name;
    process.log.level = LogLevel::kError;
    MapNodeOptions node = map_node_options(number, addresses());
    node.raft.tick = kTick;
    node.raft.snapshot_after_bytes = kSnapshotAfterBytes;
    node.raft.tail_entries = kTailEntries;
    node.raft.observer = &watch;
    servers_.push_back(std::make_unique<Server>(std::move(process), std::move(node)));
  }
  for (auto& server : servers_) server->start();
  for (uint32_t number = 1; number <= kClients; ++number) {
    MapClientOptions options{
        .number = number, .keys = kKeys, .servers = addresses(), .think_max = 2ms};
    clients_.push_back(std::make_unique<MapClient>(std::move(options), history));
    net::Process& process = add_process(fmt::format("client-{}", number));
    process.start(clients_.back()->run(process.env()), [this] { --clients_running_; });
    ++clients_running_;
  }
}

RealMap::~RealMap() {
  for (auto& process : processes_) process->kill();
}

std::vector<Address> RealMap::addresses() const {
  std::vector<Address> servers;
  for (uint16_t i = 0; i < kServers; ++i)
    servers.push_back({own_host(), static_cast<uint16_t>(kFirstPort + i)});
  return servers;
}

net::Process& RealMap::add_process(std::string name) {
  net::ProcessOptions options;
  options.name = std::move(name);
  options.log.level = LogLevel::kError;
  auto made = net::Process::make(loop_, std::move(options));
  CHECK(made, "{}", made.error());
  processes_.push_back(std::move(*made));
  return *processes_.back();
}

void RealMap::stop(int number) { servers_.at(static_cast<size_t>(number - 1))->stop(); }
void RealMap::kill(int number) { servers_.at(static_cast<size_t>(number - 1))->kill(); }
void RealMap::start(int number) { servers_.at(static_cast<size_t>(number - 1))->start(); }

bool RealMap::run_until(const std::function<bool()>& so) {
  constexpr Duration kPatience = 60s;
  Env& env = processes_.front()->env();
  for (const Instant end = env.now() + kPatience; !so();) {
    if (env.now() > end) return false;
    loop_.run_one(100ms);
  }
  return true;
}

bool RealMap::go_on(uint64_t appends) {
  const uint64_t enough = history.acknowledged() + appends;
  return run_until([&] { return history.acknowledged() >= enough; });
}

void RealMap::judge() {
  for (auto& client : clients_) client->stop();
  bool quiet = run_until([this] { return clients_running_ == 0; });
  std::map<std::string, std::optional<std::string>> values;
  for (const auto& key : kKeys) {
    MapClient reader({.number = 0, .keys = {key}, .servers = addresses()}, history);
    net::Process& process = add_process("reader-of-" + key);
    bool ended = false;
    process.start(read_into(process.env(), reader, key, values[key]), [&] { ended = true; });
    quiet = run_until([&] { return ended; }) && quiet;
    process.kill();
  }
  for (auto& server : servers_) {
    server->stop();
    if (server->ended_by_itself())
      watch.violations().add(sim::Oracle::kLiveness, "a server ended by itself");
  }
  if (!quiet) watch.violations().add(sim::Oracle::kLiveness, "clients do not come to an end");
  for (const auto& [key, value] : values) {
    if (value)
      history.judge(key, *value, watch.violations());
    else
      watch.violations().add(sim::Oracle::kLiveness, "no answer to a read in the end");
  }
}

}  // namespace dogfs::nodes
