// Small files, many clients. Files of 4 KiB lie inline with the metadata: beside them stand 3 sinks
// that append each and sync it. Those of 64 KiB are shards on 6 chunk servers: beside them stand 6
// sinks with a synced file each.

#include <vector>

#include "core/base/random.h"
#include "tools/dogfs/bench/data_parts.h"
#include "tools/dogfs/bench/data_scene.h"

namespace dogfs::tool {
namespace {

using Request = NullSystem::Request;

constexpr uint32_t kClients = 16;
constexpr uint32_t kDataShards = 4;
constexpr uint32_t kShards = 6;
constexpr uint32_t kReplicas = 3;  // of metadata

std::string path_of(uint64_t bytes, uint32_t worker, uint64_t file) {
  return fmt::format("/small-{}-{}-{}", bytes, worker, file);
}

// Beside a size of files: what the null system does for it.
struct Size {
  uint64_t bytes;
  NullSystem::Work put;
  NullSystem::Work get;
};

std::vector<Size> sizes(double seconds) {
  NullSystem::Work work;
  work.clients = kClients;
  work.seconds = seconds;
  std::vector<Size> all;
  for (const uint64_t bytes : {4 * limits::kKiB, 64 * limits::kKiB}) {
    const bool is_inline = bytes <= limits::kInlineBytesDefault;
    Size size{bytes, work, work};
    const auto shard = static_cast<uint32_t>(is_inline ? bytes : bytes / kDataShards);
    size.put.request = is_inline ? Request::kAppend : Request::kFile;
    size.put.sinks = is_inline ? kReplicas : kShards;
    size.get.request = Request::kRead;
    size.get.sinks = is_inline ? 1 : kDataShards;
    size.get.range = limits::kMiB;
    size.put.bytes_each = size.get.bytes_each = shard;
    size.put.file_bytes = size.get.file_bytes = bytes;
    all.push_back(size);
  }
  return all;
}

Result<void> put(DataScene& scene, Label label, const Size& size, std::vector<uint64_t>& stored) {
  TRY(null, scene.run_null([&] { return scene.null_system().repeat(size.put); }, size.put.sinks));
  scene.report_null(label, null);
  TRY(real, scene.run({.clients = kClients, .seconds = scene.options().seconds},
                      [&](nodes::Client& client, uint32_t worker, uint64_t turn) {
                        stored[worker] = turn;
                        return scene.put(client, path_of(size.bytes, worker, turn), size.bytes);
                      }));
  scene.report(label, real, &null);
  return {};
}

Result<void> get(DataScene& scene, Label label, const Size& size,
                 const std::vector<uint64_t>& stored) {
  TRY(null, scene.run_null([&] { return scene.null_system().repeat(size.get); }, 0));
  scene.report_null(label, null);
  Random random(size.bytes);
  TRY(real, scene.run({.clients = kClients, .seconds = scene.options().seconds},
                      [&](nodes::Client& client, uint32_t worker, uint64_t) {
                        const uint64_t file = random.below(stored[worker] + 1);
                        return scene.get(client, path_of(size.bytes, worker, file), 0, size.bytes);
                      }));
  scene.report(label, real, &null);
  return {};
}

}  // namespace

Result<void> run_small_part(DataScene& scene) {
  TRY_VOID(scene.null_system().put(limits::kMiB));  // what is read
  for (const Size& size : sizes(scene.options().seconds)) {
    std::vector<uint64_t> stored(kClients);  // the last file of each client
    Label label{.part = "small",
                .operation = "put",
                .condition = "",
                .bytes = size.bytes,
                .clients = kClients,
                .round = 1};
    TRY_VOID(put(scene, label, size, stored));
    label.operation = "get";
    TRY_VOID(get(scene, label, size, stored));
  }
  return {};
}

}  // namespace dogfs::tool
