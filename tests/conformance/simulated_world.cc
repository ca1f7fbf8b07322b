// The simulated world as the suite sees it: one host for each node, without faults.
#include "sim/world/fabric.h"
#include "sim/world/host.h"
#include "sim/world/process.h"
#include "sim/world/world.h"

#include "tests/conformance/world.h"

#include "tests/doctest.h"

namespace dogfs::conformance {
namespace {

constexpr uint64_t kSeed = 1;
constexpr Duration kPatience = std::chrono::hours(1);

class SimulatedNode final : public Node {
 public:
  explicit SimulatedNode(sim::Host& host) : host_(host), process_(host.boot()) {}
  Env& env() override { return process_.env(); }
  std::string host() const override { return host_.name(); }
  void kill() override { host_.crash(); }
  sim::Host& machine() { return host_; }

 private:
  sim::Host& host_;
  sim::Process& process_;
};

class SimulatedWorld final : public World {
 public:
  Node& add_node() override {
    const std::string name = "node-" + std::to_string(nodes_.size());
    nodes_.push_back(std::make_unique<SimulatedNode>(world_.add_host(name, {})));
    return *nodes_.back();
  }

  Node& restart(Node& killed) override {
    auto& machine = static_cast<SimulatedNode&>(killed).machine();
    nodes_.push_back(std::make_unique<SimulatedNode>(machine));
    return *nodes_.back();
  }

  Address silent_address(Node& node) override {
    auto& machine = static_cast<SimulatedNode&>(node).machine();
    if (deaf_ == nullptr) deaf_ = &world_.add_host("deaf", {});
    world_.fabric().block(machine, *deaf_);
    return {deaf_->name(), 1};
  }

  bool step() override { return world_.step(); }
  void run_for(Duration duration) override { world_.run_for(duration); }

  void run_until(const std::function<bool()>& done) override {
    const Instant end = world_.now() + kPatience;
    while (!done()) {
      if (!world_.step()) FAIL("nothing is left to happen");
      if (world_.now() > end) FAIL("not done in time");
    }
  }

 private:
  sim::World world_{kSeed};
  sim::Host* deaf_ = nullptr;
  std::vector<std::unique_ptr<SimulatedNode>> nodes_;
};

}  // namespace

std::unique_ptr<World> make_simulated_world() { return std::make_unique<SimulatedWorld>(); }

}  // namespace dogfs::conformance
