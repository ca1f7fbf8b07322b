#pragma once
// ImageDisk: the disks of one chunk server as the oracles see them, as one, whichever process runs
// there, or none. It keeps nothing: every question looks at the image, which outlives it. What it
// shows stays valid until the image changes. What lies on a disk that is dead for good is there,
// but nobody can be asked to remove it: it is found, and not listed.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/check/durable_disk.h"
#include "sim/world/disk_image.h"

namespace dogfs::sim {

class DiskModel;

class ImageDisk final : public DurableDisk {
 public:
  // `directories`: of its data, "" for the root. `model` knows which of them are dead, if any.
  ImageDisk(std::string name, const DiskImage& image, std::vector<std::string> directories = {""},
            const DiskModel* model = nullptr)
      : name_(std::move(name)),
        image_(image),
        directories_(std::move(directories)),
        model_(model) {}

  const std::string& name() const override { return name_; }
  bool was_lost() const override { return image_.counts()[DiskFault::kLostDisk].took_effect > 0; }
  bool was_away() const override;
  std::optional<File> find(const std::string& path) const override;
  std::vector<std::string> files() const override;

 private:
  static std::string prefix(const std::string& directory) {
    return directory.empty() ? "" : directory + "/";
  }

  const std::string name_;
  const DiskImage& image_;
  const std::vector<std::string> directories_;
  const DiskModel* model_;
};

}  // namespace dogfs::sim
