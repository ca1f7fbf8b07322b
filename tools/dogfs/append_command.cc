#include "tools/dogfs/append_command.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/base/limits.h"
#include "nodes/client/appender.h"
#include "nodes/client/client.h"
#include "tools/dogfs/client_session.h"
#include "tools/dogfs/cluster_target.h"
#include "tools/dogfs/local_file.h"
#include "tools/dogfs/output.h"
#include "tools/dogfs/policy_option.h"
#include "tools/dogfs/progress.h"

namespace dogfs::tool {
namespace {

constexpr size_t kRecordBytes = limits::kAppendRecordBytesMax;
constexpr size_t kLineBytesMax = kRecordBytes - 1;  // without its end

struct Request {
  std::string cluster;
  std::string local;
  std::string path;
  std::string policy;
  bool lines = false;
  bool existing = false;
};

// What a source gives, record by record: pieces as they come, or as many whole lines as are there.
class Records {
 public:
  Records(LocalSource& source, bool lines) : source_(source), lines_(lines) {}

  // Empty at the end, and only there. kTooLarge: a line that fits no record.
  Task<Result<Buffer>> next() {
    if (!lines_) co_return co_await source_.read(kRecordBytes);
    for (;;) {
      if (rest_.size() == kRecordBytes)
        co_return fail(Code::kTooLarge, "a line of more than {} bytes", kLineBytesMax);
      CO_TRY(bytes, co_await source_.read(kRecordBytes - rest_.size()));
      if (bytes.empty()) co_return last();
      const size_t end = bytes.text().rfind('\n');
      if (end == std::string_view::npos) {
        rest_ += bytes.text();
        continue;
      }
      std::string lines = std::move(rest_);
      lines += bytes.text().substr(0, end + 1);
      rest_ = bytes.text().substr(end + 1);
      co_return Buffer::take(std::move(lines));
    }
  }

 private:
  Buffer last() {
    if (rest_.empty()) return {};
    std::string line = std::move(rest_);
    rest_.clear();
    line += '\n';
    return Buffer::take(std::move(line));
  }

  LocalSource& source_;
  const bool lines_;
  std::string rest_;  // of a line that is not over
};

struct Appended {
  uint64_t bytes = 0;
  uint64_t records = 0;
  std::optional<uint64_t> offset;  // of the first
};

Task<Result<void>> append_all(nodes::Appender& file, Records& records, Progress& progress,
                              Appended& appended) {
  const auto moved = progress.callback();
  for (;;) {
    CO_TRY(record, co_await records.next());
    if (record.empty()) co_return Result<void>();
    const size_t size = record.size();
    CO_TRY(offset, co_await file.append(std::move(record)));
    if (!appended.offset) appended.offset = offset;
    appended.bytes += size;
    ++appended.records;
    if (moved) moved(appended.bytes);
  }
}

Task<Result<void>> append(Env& env, nodes::Client& client, Output& output, Request request) {
  CO_TRY(policy, parse_policy(request.policy));
  CO_TRY(source, LocalSource::open(env, request.local));
  Progress progress(env, output, source->size());
  nodes::AppendOptions options;
  options.create = !request.existing;
  options.policy = policy;
  CO_TRY(file, co_await client.open_append(request.path, std::move(options)));
  Records records(*source, request.lines);
  Appended appended;
  auto done = co_await append_all(*file, records, progress, appended);
  if (!done) {
    const auto before =
        fmt::format("{}, behind {} bytes that are stored: ", request.path, appended.bytes);
    co_return fail(Error{done.error().code, before + done.error().message});
  }
  nlohmann::json answer{
      {"appended", request.path}, {"bytes", appended.bytes}, {"records", appended.records}};
  if (appended.offset) answer["offset"] = *appended.offset;
  output.object(answer);
  co_return Result<void>();
}

}  // namespace

void add_append_command(CLI::App& app, Output& output) {
  auto request = std::make_shared<Request>();
  CLI::App* command = app.add_subcommand(
      "append", "Put bytes behind the end of a file, which others may append to meanwhile");
  output.add_json_option(*command);
  add_cluster_option(*command, request->cluster);
  command->add_option("LOCAL", request->local, "The file; - is standard input")->required();
  command->add_option("PATH", request->path, "What to append to; made when it is not there")
      ->required();
  command->add_flag("--lines", request->lines,
                    "No line of others comes between the bytes of one line. Else bytes go as they "
                    "come, at most 1 MiB in one piece");
  command->add_flag("--existing", request->existing, "Refuse to make the file");
  add_policy_option(*command, request->policy,
                    "Policy of a file that this makes; else its directory's");
  command->callback([&output, request] {
    run_command(output, request->cluster, [&](Env& env, nodes::Client& client) {
      return append(env, client, output, *request);
    });
  });
}

}  // namespace dogfs::tool
