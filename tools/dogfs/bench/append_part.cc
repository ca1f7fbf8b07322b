// Appended records by one writer and by eight, beside the null append: three sinks that each get
// the same bytes and sync them before they answer. All writers append to one file.

#include <array>
#include <memory>
#include <vector>

#include "nodes/client/appender.h"
#include "nodes/client/client.h"
#include "tools/dogfs/bench/data_parts.h"
#include "tools/dogfs/bench/data_scene.h"

namespace dogfs::tool {
namespace {

constexpr uint64_t kRecordBytes = 4 * limits::kKiB;
constexpr uint32_t kReplicas = 3;
constexpr std::array<uint32_t, 2> kWriters{1, 8};

// The writer opens the file before its first record.
Task<Result<uint64_t>> append_one(DataScene& scene, nodes::Client& client,
                                  std::unique_ptr<nodes::Appender>& appender, uint64_t turn) {
  if (!appender) {
    CO_TRY(opened, co_await client.open_append("/appends", {}));
    appender = std::move(opened);
  }
  CO_TRY_VOID(co_await appender->append(scene.pattern().at(turn * kRecordBytes, kRecordBytes)));
  co_return kRecordBytes;
}

Result<void> append(DataScene& scene, uint32_t writers) {
  const double seconds = scene.options().seconds;
  const Label label{.part = "append",
                    .operation = "append",
                    .condition = "",
                    .bytes = kRecordBytes,
                    .clients = writers,
                    .round = 1};
  TRY(null, scene.run_null(
                [&] {
                  return scene.null_system().repeat({.request = NullSystem::Request::kAppend,
                                                     .bytes_each = kRecordBytes,
                                                     .sinks = kReplicas,
                                                     .clients = writers,
                                                     .seconds = seconds,
                                                     .file_bytes = kRecordBytes,
                                                     .range = 0});
                },
                kReplicas));
  scene.report_null(label, null);
  std::vector<std::unique_ptr<nodes::Appender>> appenders(writers);
  TRY(real,
      scene.run({.clients = writers, .seconds = seconds, .at_end = [&] { appenders.clear(); }},
                [&](nodes::Client& client, uint32_t writer, uint64_t turn) {
                  return append_one(scene, client, appenders[writer], turn);
                }));
  scene.report(label, real, &null);
  return {};
}

}  // namespace

Result<void> run_append_part(DataScene& scene) {
  for (const uint32_t writers : kWriters) TRY_VOID(append(scene, writers));
  return {};
}

}  // namespace dogfs::tool
