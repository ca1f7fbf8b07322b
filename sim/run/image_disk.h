#pragma once
// ImageDisk: the disk of one host as the oracles see it, whichever process runs there, or none. It
// keeps nothing: every question looks at the image, which outlives it. What it shows stays valid
// until the image changes.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/check/durable_disk.h"
#include "sim/world/disk_image.h"

namespace dogfs::sim {

class ImageDisk final : public DurableDisk {
 public:
  ImageDisk(std::string name, const DiskImage& image) : name_(std::move(name)), image_(image) {}

  const std::string& name() const override { return name_; }
  bool was_lost() const override { return image_.counts()[DiskFault::kLostDisk].took_effect > 0; }
  std::optional<File> find(const std::string& path) const override {
    const DiskContent* content = image_.find_durable(path);
    if (content == nullptr) return std::nullopt;
    return File{.bytes = content->durable(), .spoiled = content->spoiled()};
  }
  std::vector<std::string> files() const override { return image_.durable_paths(); }

 private:
  const std::string name_;
  const DiskImage& image_;
};

}  // namespace dogfs::sim
