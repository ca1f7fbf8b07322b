#include "sim/world/host.h"

#include "core/base/check.h"
#include "sim/world/fabric.h"

namespace dogfs::sim {
namespace {

// Stands in until the simulated disk is attached: a machine without a disk.
class NoDisk final : public Disk {
 public:
  Task<Result<std::unique_ptr<File>>> open(std::string, OpenMode) override { co_return none(); }
  Task<Result<void>> rename(std::string, std::string) override { co_return none(); }
  Task<Result<void>> remove(std::string) override { co_return none(); }
  Task<Result<std::vector<DirectoryEntry>>> list(std::string) override { co_return none(); }
  Task<Result<void>> make_directory(std::string) override { co_return none(); }
  Task<Result<void>> sync_directory(std::string) override { co_return none(); }
  Task<Result<Space>> space() override { co_return none(); }

 private:
  static std::unexpected<Error> none() { return fail(Code::kIo, "this host has no disk"); }
};

}  // namespace

class DiskImage {};

Host::Host(World& world, uint32_t id, std::string name, const HostOptions& options)
    : world_(world), id_(id), name_(std::move(name)), options_(options) {}

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

void Host::crash() {
  if (!up()) return;
  world_.trace().act(name_, "is killed");
  processes_.back()->kill();
}

void Host::power_off() {
  if (!std::exchange(powered_, false)) return;
  world_.trace().act(name_, "loses power");
  if (up()) {
    world_.fabric().silence(*processes_.back());
    processes_.back()->kill();
  }
}

void Host::lose_disk() {
  power_off();
  world_.trace().act(name_, "loses its disk");
}

std::unique_ptr<Disk> Host::make_disk(Process&) { return std::make_unique<NoDisk>(); }

void Host::destroy() {
  for (auto& process : processes_) process->kill();
}

}  // namespace dogfs::sim
