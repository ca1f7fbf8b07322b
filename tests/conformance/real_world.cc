// The real world as the suite sees it: all nodes in this program, on one loop, over loopback, each
// with a data directory of its own under the system's directory for temporary files.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "net/loop.h"
#include "net/process.h"

#include "tests/conformance/world.h"
#include "tests/temporary_directory.h"

#include "tests/doctest.h"

namespace dogfs::conformance {
namespace {

using asio::ip::tcp;

constexpr auto kPatience = std::chrono::seconds(20);

class RealNode final : public Node {
 public:
  RealNode(net::Loop& loop, net::ProcessOptions options) : options_(std::move(options)) {
    auto process = net::Process::make(loop, options_);
    REQUIRE(process);
    process_ = std::move(*process);
  }
  Env& env() override { return process_->env(); }
  std::string host() const override { return "127.0.0.1"; }
  void kill() override { process_->kill(); }
  const net::ProcessOptions& options() const { return options_; }

 private:
  net::ProcessOptions options_;
  std::unique_ptr<net::Process> process_;
};

class RealWorld final : public World {
 public:
  Node& add_node() override {
    net::ProcessOptions options;
    options.name = "node-" + std::to_string(nodes_.size());
    options.data_directory = directory_ / options.name;
    options.log.level = LogLevel::kError;
    return add(std::move(options));
  }

  Node& restart(Node& killed) override { return add(static_cast<RealNode&>(killed).options()); }

  // A listener whose queue is full: the kernel drops further requests.
  Address silent_address(Node&) override {
    if (!deaf_) {
      deaf_.emplace(loop_.io(), tcp::v4());
      deaf_->bind({asio::ip::address_v4::loopback(), 0});
      deaf_->listen(0);
      for (int i = 0; i < 2; ++i) {
        auto& caller = callers_.emplace_back(loop_.io(), tcp::v4());
        caller.native_non_blocking(true);
        const auto endpoint = deaf_->local_endpoint();
        ::connect(caller.native_handle(), endpoint.data(), endpoint.size());
      }
    }
    return {"127.0.0.1", deaf_->local_endpoint().port()};
  }

  bool step() override { return loop_.run_one(std::chrono::milliseconds(1)); }

  // On a loaded machine the time may be over before anything ran: what was ready at its end runs,
  // too.
  void run_for(Duration duration) override {
    constexpr int kHandlersMin = 64;
    const auto end = std::chrono::steady_clock::now() + duration;
    for (int ran = 0;; ++ran) {
      const Duration left = end - std::chrono::steady_clock::now();
      const bool idle = !loop_.run_one(std::max(left, Duration(1ms)));
      if (left <= Duration(0) && (idle || ran >= kHandlersMin)) return;
    }
  }

  void run_until(const std::function<bool()>& done) override {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) FAIL("not done in time");
      loop_.run_one(std::chrono::milliseconds(100));
    }
  }

 private:
  Node& add(net::ProcessOptions options) {
    nodes_.push_back(std::make_unique<RealNode>(loop_, std::move(options)));
    return *nodes_.back();
  }

  TemporaryDirectory directory_;
  net::Loop loop_{net::Loop::Options{.disk_threads = 2, .compute_threads = 2}};
  std::optional<tcp::acceptor> deaf_;
  std::deque<tcp::socket> callers_;
  std::vector<std::unique_ptr<RealNode>> nodes_;
};

}  // namespace

std::unique_ptr<World> make_real_world() { return std::make_unique<RealWorld>(); }

}  // namespace dogfs::conformance
