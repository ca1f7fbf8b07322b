#include "sim/world/process.h"

#include "core/base/check.h"
#include "core/env/nursery.h"
#include "sim/world/fabric.h"
#include "sim/world/host.h"

namespace dogfs::sim {

// The host's oscillator: an offset that is drawn anew at each boot, and a drift in parts per
// million.
class Process::LocalClock final : public Clock {
 public:
  LocalClock(Process& process, Duration offset, int drift_ppm)
      : process_(process), offset_(offset), drift_ppm_(drift_ppm) {}

  Instant now() const override {
    return Instant(offset_ + scale(world_now(), kMillion + drift_ppm_, kMillion));
  }
  WallTime wall_now() const override {
    const Duration since_start = world_now() + process_.host_.wall_offset();
    return WallTime{kWallEpoch.count() + since_start.count()};
  }
  void complete_at(Instant when, OperationRef op) override {
    if (when == kNever) return;
    // Rounded up: a timer never fires before its time on its own clock.
    const Duration world =
        scale(when.time_since_epoch() - offset_, kMillion, kMillion + drift_ppm_) + 1ns;
    process_.host_.world().schedule(Instant(world), process_, op);
  }

 private:
  static constexpr int64_t kMillion = 1'000'000;
  static constexpr Duration kWallEpoch = std::chrono::seconds(1'700'000'000);

  static Duration scale(Duration time, int64_t numerator, int64_t denominator) {
    const auto wide = static_cast<__int128>(time.count()) * numerator / denominator;
    return Duration(static_cast<int64_t>(wide));
  }
  Duration world_now() const { return process_.host_.world().now().time_since_epoch(); }

  Process& process_;
  Duration offset_;
  int drift_ppm_;
};

class Process::ModelledCompute final : public Compute {
 public:
  explicit ModelledCompute(Process& process) : process_(process) {}
  void run(std::shared_ptr<Job> job, size_t work_bytes, OperationRef op) override {
    constexpr size_t kBytesPerMicrosecond = 1000;
    const auto cost = std::chrono::microseconds(1 + work_bytes / kBytesPerMicrosecond);
    process_.host_.world().after(cost, [this, job = std::move(job), op] {
      if (!process_.pending(op)) return;
      job->run();
      process_.complete(op, {});
    });
  }

 private:
  Process& process_;
};

class Process::TraceLog final : public Log {
 public:
  explicit TraceLog(Process& process) : process_(process) {}
  bool enabled(LogLevel level) const override {
    return process_.host_.world().trace().enabled(level);
  }
  void write(LogLevel level, std::string_view text) override {
    process_.host_.world().trace().line(level, process_.host_.name(), text);
  }

 private:
  Process& process_;
};

// A point is armed or not for the whole run of a host, whatever the order of visits; an armed point
// fires on a small share of them.
class Process::ArmedBuggify final : public Buggify {
 public:
  ArmedBuggify(const Host& host, Random random) : host_(host), random_(random) {}
  bool fires(std::string_view point) override {
    if (!host_.options().buggify) return false;
    Random armed = host_.random("buggify-armed").fork(point);
    return armed.chance(1, 4) && random_.chance(1, 20);
  }

 private:
  const Host& host_;
  Random random_;
};

Process::Process(Host& host, uint32_t id) : Operations(Executor(*this)), host_(host), id_(id) {
  Random random = host.random("process", id);
  const auto offset = Duration(static_cast<int64_t>(random.below(1'000'000'000'000)));
  clock_ = std::make_unique<LocalClock>(*this, offset, host.options().drift_ppm);
  compute_ = std::make_unique<ModelledCompute>(*this);
  log_ = std::make_unique<TraceLog>(*this);
  buggify_ = std::make_unique<ArmedBuggify>(host, random.fork("buggify"));
  network_ = host.world().fabric().attach(*this);
  disk_ = host.make_disk(*this);
  env_.emplace(Env::Parts{.operations = *this,
                          .clock = *clock_,
                          .network = *network_,
                          .disk = *disk_,
                          .compute = *compute_,
                          .log = *log_,
                          .buggify = buggify_.get()},
               random.fork("node"));
}

Process::~Process() {
  kill();
  shutdown();
  destroy();
}

uint32_t Process::host_id() const { return host_.id(); }
bool Process::host_powered() const { return host_.powered(); }

void Process::start(Task<> main) {
  start_root(*env_, std::move(main), [this] { ended_ = true; });
}

void Process::kill() {
  if (!alive()) return;
  CHECK(host_.world().running() != this, "a process cannot kill itself");
  host_.world().fabric().detach(*this);
  Operations::kill();
  shutdown();  // Asio services of this incarnation: what waits in its channels
  CHECK(live_tasks() == 0, "{} tasks of {} outlived it", live_tasks(), host_.name());
}

void Process::pause() { paused_ = true; }

void Process::resume() {
  paused_ = false;
  for (const OperationRef op : std::exchange(held_back_, {}))
    host_.world().schedule(host_.world().now(), *this, op);
}

bool Process::holds_back(OperationRef op) {
  if (!paused_) return false;
  held_back_.push_back(op);
  return true;
}

bool Process::running() const { return host_.world().running() == this; }

void Process::post(std::move_only_function<void()> function) {
  const auto op =
      park([function = std::move(function)](error_code, size_t) mutable { function(); });
  if (alive()) schedule(op);
}

void Process::schedule(OperationRef op) { host_.world().schedule(host_.world().now(), *this, op); }

}  // namespace dogfs::sim
