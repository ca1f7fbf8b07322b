// Reads of ranges anywhere in a large file. A range within a cell needs one server, one of a stripe
// four; the sinks beside them give as many bytes.

#include <array>

#include "core/base/random.h"
#include "tools/dogfs/bench/data_parts.h"
#include "tools/dogfs/bench/data_scene.h"

namespace dogfs::tool {
namespace {

constexpr uint32_t kDataShards = 4;
constexpr const char* kPath = "/ranges";

struct Shape {
  uint64_t bytes;
  uint32_t clients;
  uint32_t servers;  // that hold such a range
};
constexpr std::array kShapes{Shape{64 * limits::kKiB, 1, 1}, Shape{64 * limits::kKiB, 16, 1},
                             Shape{limits::kMiB, 1, kDataShards},
                             Shape{limits::kMiB, 16, kDataShards}};

Result<void> read(DataScene& scene, const Shape& shape) {
  const DataBenchOptions& options = scene.options();
  const Label label{.part = "range",
                    .operation = "read",
                    .condition = "",
                    .bytes = shape.bytes,
                    .clients = shape.clients,
                    .round = 1};
  TRY(null, scene.run_null(
                [&] {
                  return scene.null_system().repeat(
                      {.request = NullSystem::Request::kRead,
                       .bytes_each = static_cast<uint32_t>(shape.bytes / shape.servers),
                       .sinks = shape.servers,
                       .clients = shape.clients,
                       .seconds = options.seconds,
                       .file_bytes = shape.bytes,
                       .range = options.bytes / kDataShards});
                },
                0));
  scene.report_null(label, null);
  Random random(shape.bytes);
  TRY(real, scene.run({.clients = shape.clients, .seconds = options.seconds},
                      [&](nodes::Client& client, uint32_t, uint64_t) {
                        const uint64_t begin = random.below(options.bytes - shape.bytes);
                        return scene.get(client, kPath, begin, shape.bytes);
                      }));
  scene.report(label, real, &null);
  return {};
}

}  // namespace

Result<void> run_range_part(DataScene& scene) {
  const DataBenchOptions& options = scene.options();
  if (options.bytes <= limits::kMiB)
    return fail(Code::kInvalid, "--size {}: ranges of 1 MiB need more", options.bytes);
  TRY_VOID(scene.null_system().put(options.bytes / kDataShards));
  TRY_VOID(scene.run({.turns = 1}, [&](nodes::Client& client, uint32_t, uint64_t) {
    return scene.put(client, kPath, options.bytes);
  }));
  for (const Shape& shape : kShapes) TRY_VOID(read(scene, shape));
  return {};
}

}  // namespace dogfs::tool
