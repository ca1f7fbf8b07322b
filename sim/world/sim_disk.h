#pragma once
// SimDisk: the Disk of one process incarnation, over the image and the model of its host.
//
// An operation takes effect at the instant it completes. The device works on a few at a time;
// independent ones overtake each other, dependent ones of one file (overlapping ranges, changes of
// length) and changes of names keep their order. A sync covers the writes that had completed when
// it began, not more.
//
// When the process ends, each operation under way has happened, or in part, or not, as drawn:
// kill() settles that at once, so that nothing of a dead process reaches the image later. The host
// calls it before power_loss() of the image. A cancelled operation may still happen.

#include <memory>

#include "core/env/disk.h"
#include "core/env/operations.h"
#include "sim/world/scheduler.h"

namespace dogfs::sim {

class DiskImage;
class DiskModel;

class SimDisk final : public Disk {
 public:
  SimDisk(Scheduler& scheduler, Operations& operations, DiskImage& image, DiskModel& model);
  ~SimDisk() override;

  void kill();

  Task<Result<std::unique_ptr<File>>> open(std::string path, OpenMode mode) override;
  Task<Result<void>> rename(std::string from, std::string to) override;
  Task<Result<void>> remove(std::string path) override;
  Task<Result<std::vector<DirectoryEntry>>> list(std::string directory) override;
  Task<Result<void>> make_directory(std::string path) override;
  Task<Result<void>> sync_directory(std::string directory) override;
  Task<Result<Space>> space() override;

  class Queue;  // of operations under way; outlives the frames that wait for them

 private:
  std::shared_ptr<Queue> queue_;
};

}  // namespace dogfs::sim
