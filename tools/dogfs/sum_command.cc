#include "tools/dogfs/sum_command.h"

#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/base/sha256.h"
#include "nodes/client/client.h"
#include "tools/dogfs/client_session.h"
#include "tools/dogfs/cluster_target.h"
#include "tools/dogfs/local_file.h"
#include "tools/dogfs/output.h"
#include "tools/dogfs/progress.h"

namespace dogfs::tool {
namespace {

constexpr size_t kPieceBytes = 1 << 20;

struct Request {
  std::string cluster;
  std::string path;
  std::string local;
};

class SumSink final : public nodes::ByteSink {
 public:
  Task<Result<void>> write(Buffer bytes) override {
    sum_.add(bytes.text());
    co_return Result<void>();
  }
  std::string text() const { return sum_.digest().text(); }

 private:
  Sha256 sum_;
};

Task<Result<std::string>> sum_local(Env& env, std::string path) {
  CO_TRY(source, LocalSource::open(env, path));
  Sha256 sum;
  for (;;) {
    CO_TRY(bytes, co_await source->read(kPieceBytes));
    if (bytes.empty()) co_return sum.digest().text();
    sum.add(bytes.text());
  }
}

Task<Result<void>> sum(Env& env, nodes::Client& client, Output& output, Request request) {
  CO_TRY(found, co_await client.stat(request.path));
  if (found.attributes.kind == metadata::EntryKind::kDirectory)
    co_return fail(Code::kPrecondition, "{} is a directory; give a file", request.path);
  SumSink digest;
  Progress progress(env, output, found.attributes.length);
  nodes::GetOptions options;
  options.progress = progress.callback();
  auto read = co_await client.get(request.path, digest, std::move(options));
  if (!read) co_return fail(read.error().in(request.path));
  const std::string value = digest.text();
  nlohmann::json row{{"path", request.path}, {"bytes", read->bytes}, {"sha256", value}};
  if (request.local.empty()) {
    output.object(row);
    output.line(fmt::format("{}  {}", value, request.path));
    co_return Result<void>();
  }
  CO_TRY(local, co_await sum_local(env, request.local));
  row["local"] = request.local;
  row["local_sha256"] = local;
  row["same"] = local == value;
  output.object(row);
  output.line(fmt::format("{}  {}\n{}  {}", value, request.path, local, request.local));
  output.line(local == value ? "the same" : "NOT the same");
  if (local != value) output.set_exit_code(kFailed);
  co_return Result<void>();
}

}  // namespace

void add_sum_command(CLI::App& app, Output& output) {
  CLI::App& command = *app.add_subcommand(
      "sum", "Show the SHA-256 of a file's content, and whether a local file has the same");
  const auto request = std::make_shared<Request>();
  output.add_json_option(command);
  add_cluster_option(command, request->cluster);
  command.add_option("PATH", request->path)->required();
  command.add_option("LOCAL", request->local, "A local file to compare with; - is standard input");
  command.callback([&output, request] {
    run_command(output, request->cluster, [&](Env& env, nodes::Client& client) {
      return sum(env, client, output, *request);
    });
  });
}

}  // namespace dogfs::tool
