#include "sim/world/host.h"

#include "core/base/check.h"
#include "sim/world/disk_image.h"
#include "sim/world/fabric.h"
#include "sim/world/sim_disk.h"

namespace dogfs::sim {

Host::Host(World& world, uint32_t id, std::string name, const HostOptions& options)
    : world_(world),
      id_(id),
      name_(std::move(name)),
      options_(options),
      disk_image_(std::make_unique<DiskImage>(options.disk_bytes)),
      disk_model_(random("disk"), options.disk_timing),
      disk_random_(random("disk-image")) {}

Host::~Host() = default;

Process& Host::boot() {
  CHECK(!up(), "{} is running already", name_);
  const bool was_off = !std::exchange(powered_, true);
  const auto incarnation = static_cast<uint32_t>(processes_.size());
  // Owner ids: unique over hosts and incarnations, the world itself is 0.
  processes_.push_back(std::make_unique<Process>(*this, id_ << 16 | incarnation));
  world_.trace().act(name_, "boots, incarnation {}", incarnation);
  if (was_off) world_.fabric().powered_on(*this);
  Process& process = *processes_.back();
  if (main_) process.start(main_(process.env()));
  return process;
}

// Frames first; then what they had asked of the disk happens or does not.
void Host::end_process() {
  processes_.back()->kill();
  disk_->kill();
}

void Host::crash() {
  if (!up()) return;
  world_.trace().act(name_, "is killed");
  end_process();
  disk_image_->process_crash(disk_random_);
}

void Host::power_off() {
  if (!std::exchange(powered_, false)) return;
  world_.trace().act(name_, "loses power");
  if (up()) {
    world_.fabric().silence(*processes_.back());
    end_process();
  }
  disk_image_->power_loss(disk_random_);
}

void Host::lose_disk() {
  power_off();
  world_.trace().act(name_, "loses its disk");
  disk_image_->wipe();
  disk_model_.revive();
}

std::unique_ptr<Disk> Host::make_disk(Process& process) {
  auto disk = std::make_unique<SimDisk>(world_, process, *disk_image_, disk_model_);
  disk_ = disk.get();
  return disk;
}

void Host::destroy() {
  for (auto& process : processes_) process->kill();
}

}  // namespace dogfs::sim
