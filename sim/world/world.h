#pragma once
// World: the seeded discrete-event simulator. One thread, one heap of events, virtual nanoseconds.
// It owns the hosts, their processes and the network between them.
//
// Determinism: a run is a function of its seed. Among the events that are ready at one instant the
// schedule stream picks, since a real machine would; whatever must stay in order (one direction of
// a stream, dependent operations of a file) is ordered by its own queue. Every event is mixed into
// trace_hash(); two runs of one seed agree on it, in every build.
//
// The heap owns nothing but numbers: handlers live in their process's Operations.

#include <cstdint>
#include <deque>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "core/base/digest.h"
#include "core/base/random.h"
#include "core/env/operations.h"
#include "sim/world/scheduler.h"
#include "sim/world/trace.h"

namespace dogfs::sim {

class Fabric;
class Host;
class Process;
struct HostOptions;

class World final : public Scheduler {
 public:
  explicit World(uint64_t seed);
  ~World() override;
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Hosts have unique names, which are also their network names. They live as long as the world.
  Host& add_host(std::string name, const HostOptions& options);
  Host& host(std::string_view name);
  const std::vector<std::unique_ptr<Host>>& hosts() const { return hosts_; }
  Fabric& fabric() { return *fabric_; }
  Trace& trace() { return trace_; }
  // An independent stream of randomness for one domain.
  Random random(std::string_view domain, uint64_t number = 0) const {
    return root_random_.fork(domain, number);
  }

  Instant now() const override { return now_; }
  void after(Duration delay, std::move_only_function<void()> action) override;

  // Runs the next event. False when there is none left.
  bool step() { return step_until(kNever); }
  // Runs events until virtual time reaches `until`; then it is that time.
  void run_until(Instant until);
  void run_for(Duration duration) { run_until(now_ + duration); }
  // Runs until nothing is left to happen.
  void run() {
    while (step()) {
    }
  }

  uint64_t events() const { return events_; }
  uint64_t trace_hash() const { return hash_.value(); }
  // Adds a fact to the trace hash: virtual facts only, never an address or a real time.
  void mix(uint64_t fact) { hash_.add(fact); }

  // For processes: makes `op` of `owner` fire at `when`.
  struct Owner {
    virtual ~Owner() = default;
    virtual Operations& operations() = 0;
    virtual uint32_t owner_id() const = 0;
    // True: keep the event back (a paused process); the owner schedules it again.
    virtual bool holds_back(OperationRef op) = 0;
  };
  void schedule(Instant when, Owner& owner, OperationRef op);
  // The owner whose event is running, or null.
  const Owner* running() const { return running_; }

 private:
  struct Event {
    Instant when;
    uint64_t sequence;
    Owner* owner;
    OperationRef op;
    bool operator<(const Event& other) const {  // the earliest on top
      return std::tie(when, sequence) > std::tie(other.when, other.sequence);
    }
  };
  class OwnEvents;

  // The next event that is not later than `until`, if there is one.
  bool step_until(Instant until);
  bool refill_ready(Instant until);

  Instant now_{};
  uint64_t next_sequence_ = 0;
  uint64_t events_ = 0;
  Random root_random_;
  Random schedule_random_;
  Digest hash_;
  Trace trace_;
  std::priority_queue<Event> heap_;
  std::vector<Event> ready_;
  Owner* running_ = nullptr;
  std::unique_ptr<OwnEvents> own_events_;
  std::unique_ptr<Fabric> fabric_;
  std::vector<std::unique_ptr<Host>> hosts_;
};

}  // namespace dogfs::sim
