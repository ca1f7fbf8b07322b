#pragma once
// Host: one machine of the simulated world. It outlives the processes that run on it: its disk
// image keeps what was written, its name stays, its clock drifts.
//
// What a host can suffer: crash() is `kill -9` (what was written stays in the page cache, the
// kernel resets its connections), power_off() is the plug (unsynced bytes are lost or torn, peers
// hear nothing), pause() is SIGSTOP. boot() runs the main that was given, as a new process.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/env/env.h"
#include "sim/world/disk_model.h"
#include "sim/world/process.h"

namespace dogfs::sim {

class DiskImage;
class SimDisk;

struct HostOptions {
  int drift_ppm = 0;  // of the monotonic clock
  bool buggify = false;
  uint64_t disk_bytes = uint64_t{1} << 34;
  DiskTiming disk_timing;
};

class Host {
 public:
  using Main = std::function<Task<>(Env&)>;

  Host(World& world, uint32_t id, std::string name, const HostOptions& options);
  ~Host();

  const std::string& name() const { return name_; }
  uint32_t id() const { return id_; }
  World& world() const { return world_; }
  const HostOptions& options() const { return options_; }
  Random random(std::string_view domain, uint64_t number = 0) const {
    return world_.random(domain, uint64_t{id_} << 32 | number);
  }

  void set_main(Main main) { main_ = std::move(main); }
  // Powers on if need be and starts a new process. Needs none running.
  Process& boot();
  // The running process, or null.
  Process* process() { return up() ? processes_.back().get() : nullptr; }
  bool up() const { return !processes_.empty() && processes_.back()->alive(); }
  bool powered() const { return powered_; }

  void crash();
  void power_off();
  // Power loss, and the disk is gone for good: the next boot finds an empty one.
  void lose_disk();

  void set_wall_offset(Duration offset) { wall_offset_ = offset; }
  Duration wall_offset() const { return wall_offset_; }

  // What the disk holds, and how it behaves; both outlive the processes.
  DiskImage& disk_image() { return *disk_image_; }
  DiskModel& disk_model() { return disk_model_; }
  std::unique_ptr<Disk> make_disk(Process& process);
  // Ends every process, for the end of the world.
  void destroy();

 private:
  void end_process();

  World& world_;
  const uint32_t id_;
  const std::string name_;
  const HostOptions options_;
  Main main_;
  bool powered_ = true;
  Duration wall_offset_{};
  std::unique_ptr<DiskImage> disk_image_;
  DiskModel disk_model_;
  Random disk_random_;
  SimDisk* disk_ = nullptr;  // of the latest process
  std::vector<std::unique_ptr<Process>> processes_;
};

}  // namespace dogfs::sim
