#include "sim/world/world.h"

#include <boost/asio/system_executor.hpp>

#include "core/base/check.h"
#include "sim/world/fabric.h"
#include "sim/world/host.h"

namespace dogfs::sim {

// The world's own events (packets in flight, disk completions, faults), which no kill removes.
class World::OwnEvents final : public Operations, public World::Owner {
 public:
  explicit OwnEvents(World& world) : Operations(asio::system_executor()), world_(world) {}
  ~OwnEvents() override { kill(); }
  Operations& operations() override { return *this; }
  uint32_t owner_id() const override { return 0; }
  bool holds_back(OperationRef) override { return false; }

 protected:
  void schedule(OperationRef op) override { world_.schedule(world_.now(), *this, op); }

 private:
  World& world_;
};

World::World(uint64_t seed)
    : root_random_(seed),
      schedule_random_(root_random_.fork("schedule")),
      trace_(*this),
      own_events_(std::make_unique<OwnEvents>(*this)),
      fabric_(std::make_unique<Fabric>(*this)) {}

World::~World() {
  for (auto& host : hosts_) host->destroy();
  own_events_.reset();
  hosts_.clear();
}

Host& World::add_host(std::string name, const HostOptions& options) {
  const auto id = static_cast<uint32_t>(hosts_.size() + 1);
  for (const auto& host : hosts_) CHECK(host->name() != name, "two hosts are called {}", name);
  hosts_.push_back(std::make_unique<Host>(*this, id, std::move(name), options));
  return *hosts_.back();
}

Host& World::host(std::string_view name) {
  for (auto& host : hosts_)
    if (host->name() == name) return *host;
  UNREACHABLE("no host is called {}", name);
  std::abort();
}

void World::after(Duration delay, std::move_only_function<void()> action) {
  const auto op =
      own_events_->park([action = std::move(action)](error_code, size_t) mutable { action(); });
  schedule(now_ + delay, *own_events_, op);
}

void World::schedule(Instant when, Owner& owner, OperationRef op) {
  const Event event{std::max(when, now_), next_sequence_++, &owner, op};
  if (when <= now_)
    ready_.push_back(event);
  else
    heap_.push(event);
}

bool World::refill_ready(Instant until) {
  // Ended timers are dropped before time moves to them: they must not advance it.
  while (!heap_.empty() && !heap_.top().owner->operations().exists(heap_.top().op)) heap_.pop();
  if (heap_.empty() || heap_.top().when > until) return false;
  now_ = heap_.top().when;
  for (; !heap_.empty() && heap_.top().when == now_; heap_.pop()) ready_.push_back(heap_.top());
  return true;
}

bool World::step_until(Instant until) {
  for (;;) {
    if (ready_.empty() && !refill_ready(until)) return false;
    const size_t choice = ready_.size() > 1 ? schedule_random_.below(ready_.size()) : 0;
    const Event event = ready_[choice];
    ready_[choice] = ready_.back();
    ready_.pop_back();
    Operations& operations = event.owner->operations();
    if (!operations.exists(event.op) || event.owner->holds_back(event.op)) continue;
    ++events_;
    hash_.add(static_cast<uint64_t>(now_.time_since_epoch().count()));
    hash_.add(uint64_t{event.owner->owner_id()} << 32 | event.op.index);
    running_ = event.owner;
    operations.fire(event.op);
    running_ = nullptr;
    return true;
  }
}

void World::run_until(Instant until) {
  while (step_until(until)) {
  }
  now_ = std::max(now_, until);
}

}  // namespace dogfs::sim
