#include "sim/run/image_disk.h"

#include <algorithm>
#include <array>

#include "sim/world/disk_model.h"

namespace dogfs::sim {

// A disk that gives errors is given up, until its server is started again; one that does not say
// any more whose it is, for good.
bool ImageDisk::was_away() const {
  if (directories_.size() < 2) return false;
  const auto is_spoiled = [&](const std::string& path) {
    const DiskContent* content = image_.find_durable(path);
    return content != nullptr && content->spoiled();
  };
  for (const auto& directory : directories_)
    if (is_spoiled(prefix(directory) + "identity") &&
        is_spoiled(prefix(directory) + "identity.copy"))
      return true;
  const auto& counts = image_.counts();
  return std::ranges::any_of(
      std::array{DiskFault::kReadError, DiskFault::kWriteError, DiskFault::kSyncError,
                 DiskFault::kMetadataError, DiskFault::kLatentError, DiskFault::kDeadDisk},
      [&](DiskFault fault) { return counts[fault].took_effect > 0; });
}

// Of several, one that was not spoiled.
std::optional<DurableDisk::File> ImageDisk::find(const std::string& path) const {
  std::optional<File> found;
  for (const auto& directory : directories_) {
    const DiskContent* content = image_.find_durable(prefix(directory) + path);
    if (content == nullptr) continue;
    if (!found || found->spoiled) found = File{content->durable(), content->spoiled()};
  }
  return found;
}

std::vector<std::string> ImageDisk::files() const {
  std::vector<std::string> files;
  const auto paths = image_.durable_paths();
  for (const auto& directory : directories_) {
    const std::string begins = prefix(directory);
    for (const auto& path : paths)
      if (path.starts_with(begins) && (model_ == nullptr || !model_->is_dead(path)))
        files.push_back(path.substr(begins.size()));
  }
  return files;
}

}  // namespace dogfs::sim
