// What only the real world can show: threads, signals, the operating system's limits (rules 9 and
// 10).
#include <atomic>
#include <csignal>
#include <fstream>
#include <latch>

#include <boost/asio/io_context.hpp>
#include <sys/resource.h>
#include <unistd.h>

#include "core/env/compute.h"
#include "core/env/disk.h"
#include "net/gate.h"
#include "net/root_directory.h"
#include "net/runtime.h"
#include "net/steady_clock.h"

#include "tests/conformance/connected.h"
#include "tests/temporary_directory.h"

#include "tests/doctest.h"

namespace dogfs::conformance {
namespace {

using net::LineLog;
using net::Loop;
using net::Process;
using net::ProcessOptions;
using net::Runtime;

ProcessOptions quiet(std::string name) {
  ProcessOptions options;
  options.name = std::move(name);
  options.log.level = LogLevel::kError;
  return options;
}

// A job that says when it runs and goes on when it is told.
struct Meeting {
  std::latch runs{1};
  std::latch may_end{1};
  std::atomic<bool> ended = false;
};

Task<> offload_meeting(Env& env, std::shared_ptr<Meeting> meeting, int& live) {
  const Live counted(live);
  co_await offload(env, 0, [meeting] {
    meeting->runs.count_down();
    meeting->may_end.wait();
    meeting->ended = true;
    return 0;
  });
}

TEST_CASE("rule 10: a node and its loop may be destroyed while the pool works for them") {
  const auto meeting = std::make_shared<Meeting>();
  int live = 0;
  {
    Loop loop({.disk_threads = 1, .compute_threads = 1});
    auto process = Process::make(loop, quiet("node"));
    REQUIRE(process);
    (*process)->start(offload_meeting((*process)->env(), meeting, live));
    while (live == 0) loop.run_one();
    meeting->runs.wait();
    process->reset();
    CHECK_EQ(live, 0);
    CHECK_FALSE(meeting->ended);
    meeting->may_end.count_down();
  }
  CHECK(meeting->ended);
}

TEST_CASE("rule 10: of a killed node no further job begins") {
  const auto meeting = std::make_shared<Meeting>();
  Loop loop({.disk_threads = 1, .compute_threads = 1});
  auto killed = Process::make(loop, quiet("killed"));
  auto other = Process::make(loop, quiet("other"));
  REQUIRE((killed && other));
  int live = 0;
  bool other_ended = false;
  (*other)->start(offload_meeting((*other)->env(), meeting, live), [&] { other_ended = true; });
  while (live == 0) loop.run_one();
  meeting->runs.wait();  // the only thread is busy
  const auto waiting = std::make_shared<Meeting>();
  (*killed)->start(offload_meeting((*killed)->env(), waiting, live));
  while (live == 1) loop.run_one();
  (*killed)->kill();
  CHECK_EQ(live, 1);
  meeting->may_end.count_down();
  while (!other_ended) loop.run_one();
  CHECK(waiting->runs.try_wait() == false);
}

TEST_CASE("a shut gate lets no job begin") {
  Loop loop({.disk_threads = 1, .compute_threads = 1});
  auto process = Process::make(loop, quiet("node"));
  REQUIRE(process);
  const auto gate = std::make_shared<net::Gate>(**process, loop.io());
  CHECK(gate->enter());
  gate->shut();
  gate->leave({});
  CHECK_FALSE(gate->enter());
  gate->shut_and_wait();
  CHECK_EQ(gate->process(), nullptr);
}

TEST_CASE("rule 9: timers that ended early do not pile up in the clock") {
  Loop loop({.disk_threads = 1, .compute_threads = 1});
  auto process = Process::make(loop, quiet("node"));
  REQUIRE(process);
  Operations& operations = (*process)->env().operations();
  auto& clock = static_cast<net::SteadyClock&>((*process)->env().clock());
  const Instant later = clock.now() + 1h;
  size_t largest = 0;
  for (int i = 0; i < 10'000; ++i) {
    const OperationRef op = operations.park([](error_code, size_t) {});
    clock.complete_at(later, op);
    operations.discard(op);
    largest = std::max(largest, clock.size());
  }
  CHECK(largest <= 64);
}

Task<> accept_one(Listener& listener, bool& accepted) {
  const auto stream = co_await listener.accept();
  accepted = stream.has_value();
}

// Leaves the program so many descriptors, until it is destroyed.
class FewDescriptors {
 public:
  explicit FewDescriptors(int left) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const int lowest_free = dup(0);
    close(lowest_free);
    rlimit few = before_;
    few.rlim_cur = static_cast<rlim_t>(lowest_free + left);
    setrlimit(RLIMIT_NOFILE, &few);
  }
  ~FewDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

Task<> connect_to(Env& env, Address address, Stream& out) {
  auto stream = co_await env.network().connect(address);
  if (stream) out = std::move(*stream);
}

TEST_CASE("a server that has run out of descriptors accepts again when it has some") {
  const auto world = make_real_world();
  Node& node = world->add_node();
  auto listener = node.env().network().listen({node.host(), 0});
  REQUIRE(listener);
  bool accepted = false;
  Stream stream;
  // The undefined behaviour sanitizer needs descriptors of its own to look at a class for the first
  // time; this shows it the log's.
  node.env().log().warning("descriptors are about to run out");
  {
    const FewDescriptors few(1);
    world->run(node, connect_to(node.env(), (*listener)->address(), stream));
    REQUIRE(stream.is_open());
    start_root(node.env(), accept_one(**listener, accepted), {});
    world->run_for(5ms);
    CHECK_FALSE(accepted);
    CHECK_EQ(node.live_tasks(), 1);
  }
  world->run_until([&] { return accepted; });
}

TEST_CASE("a name is looked up, and each of its addresses is tried") {
  const auto world = make_real_world();
  Node& node = world->add_node();
  auto listener = node.env().network().listen({"127.0.0.1", 0});
  REQUIRE(listener);
  Stream stream;
  world->run(node, connect_to(node.env(), {"localhost", (*listener)->address().port}, stream));
  CHECK(stream.is_open());
}

Task<> run_until_cancelled(Env& env, std::string& order) {
  order += "began ";
  try {
    co_await env.sleep(1h);
  } catch (const boost::system::system_error&) {
    order += "cancelled";
    throw;
  }
}

Task<> raise_signal(Env& env, int signal) {
  co_await env.sleep(1ms);
  std::raise(signal);
}

Task<> both(Env& env, Nursery& children, int signal, std::string& order) {
  children.spawn(raise_signal(env, signal));
  co_await run_until_cancelled(env, order);
}

TEST_CASE("a signal cancels main, which ends in order") {
  for (const int signal : {SIGTERM, SIGINT}) {
    auto runtime = Runtime::make({.process = quiet("server"), .loop = {}});
    REQUIRE(runtime);
    Env& env = (*runtime)->env();
    std::string order;
    CHECK_EQ((*runtime)->run(nursery(
                 env, [&](Nursery& children) { return both(env, children, signal, order); })),
             signal);
    CHECK_EQ(order, "began cancelled");
  }
}

Task<> sleep_briefly(Env& env) { co_await env.sleep(1ms); }

TEST_CASE("a main that returns ends its runtime's run") {
  auto runtime = Runtime::make({.process = quiet("tool"), .loop = {}});
  REQUIRE(runtime);
  CHECK_EQ((*runtime)->run(sleep_briefly((*runtime)->env())), 0);
}

TEST_CASE("a data directory that cannot be made or is a file is refused with its path") {
  const TemporaryDirectory directory;
  std::ofstream(directory / "file") << "text";
  for (const std::string& path : {directory / "none/data", directory / "file"}) {
    auto options = quiet("node");
    options.data_directory = path;
    const auto runtime = Runtime::make({.process = options, .loop = {}});
    REQUIRE_FALSE(runtime);
    CHECK(runtime.error().message.contains(path));
  }
}

TEST_CASE("a data directory is used by one process at a time") {
  const TemporaryDirectory directory;
  Loop loop({.disk_threads = 1, .compute_threads = 1});
  auto options = quiet("node");
  options.data_directory = directory / "data/";
  auto first = Process::make(loop, options);
  REQUIRE(first);
  const auto second = Process::make(loop, options);
  REQUIRE_FALSE(second);
  CHECK_EQ(second.error().code, Code::kUnavailable);
  (*first)->kill();
  CHECK(Process::make(loop, options));
}

TEST_CASE("paths do not follow a symbolic link out of the data directory") {
  const TemporaryDirectory directory;
  const auto root = net::RootDirectory::open(directory / "data");
  REQUIRE(root);
  REQUIRE_EQ(symlink("/etc/passwd", (directory / "data/link").c_str()), 0);
  CHECK_FALSE((*root)->open_file("link", OpenMode::kRead));
}

Task<> use_disk(Env& env, Code& code) {
  const auto file = co_await env.disk().open("file", OpenMode::kAlways);
  if (!file) code = file.error().code;
}

TEST_CASE("a process without a data directory has no disk") {
  auto runtime = Runtime::make({.process = quiet("tool"), .loop = {}});
  REQUIRE(runtime);
  Code code = Code::kInvalid;
  (*runtime)->run(use_disk((*runtime)->env(), code));
  CHECK_EQ(code, Code::kIo);
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_CASE("a log file gets the lines of its level and above, at once") {
  const TemporaryDirectory directory;
  const std::string path = directory / "log";
  auto log = LineLog::open("meta-1", {.level = LogLevel::kWarning, .file = path});
  REQUIRE(log);
  (*log)->info("not {}", "this");
  (*log)->warning("disk at {}%", 91);
  const std::string text = text_of(path);
  CHECK(text.contains("warning meta-1: disk at 91%"));
  CHECK_FALSE(text.contains("not this"));
  const auto bad = LineLog::open("meta-1", {.file = path + "/below-a-file"});
  REQUIRE_FALSE(bad);
  CHECK_EQ(bad.error().code, Code::kIo);
}

}  // namespace
}  // namespace dogfs::conformance
