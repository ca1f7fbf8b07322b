#pragma once
// Process: one incarnation of a node on a host: its executor, clock and operations, and the Env
// made of them. Owned by its Host, which keeps dead ones as tombstones, since copies of their
// executors may still point at them.
//
// kill() destroys every coroutine frame of the process at once and CHECKs that none is left. It is
// called from the world (between events), never from the process's own code.

#include <deque>
#include <memory>
#include <optional>

#include "core/env/compute.h"
#include "core/env/disk.h"
#include "core/env/env.h"
#include "core/env/executor.h"
#include "core/env/network.h"
#include "sim/world/world.h"

namespace dogfs::sim {

class Host;

class Process final : public Operations, public World::Owner, private ExecutorTarget {
 public:
  Process(Host& host, uint32_t id);
  ~Process() override;

  Env& env() { return *env_; }
  Host& host() { return host_; }
  uint32_t host_id() const;
  bool host_powered() const;

  // Runs the node's main as the root task.
  void start(Task<> main);
  // True once main has returned by itself.
  bool ended() const { return ended_; }

  void kill();
  // While paused (SIGSTOP) nothing of the process runs; what would have happened waits.
  void pause();
  void resume();
  bool paused() const { return paused_; }

  // World::Owner
  Operations& operations() override { return *this; }
  uint32_t owner_id() const override { return id_; }
  bool holds_back(OperationRef op) override;

 protected:
  void schedule(OperationRef op) override;

 private:
  class LocalClock;
  class ModelledCompute;
  class TraceLog;
  class ArmedBuggify;

  // ExecutorTarget
  bool refuses() const override { return !alive(); }
  bool running() const override;
  void post(std::move_only_function<void()> function) override;

  Host& host_;
  const uint32_t id_;
  bool ended_ = false;
  bool paused_ = false;
  std::deque<OperationRef> held_back_;
  std::unique_ptr<LocalClock> clock_;
  std::unique_ptr<ModelledCompute> compute_;
  std::unique_ptr<TraceLog> log_;
  std::unique_ptr<ArmedBuggify> buggify_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<Disk> disk_;
  std::optional<Env> env_;
};

}  // namespace dogfs::sim
