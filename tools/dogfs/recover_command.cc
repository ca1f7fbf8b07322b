#include "tools/dogfs/recover_command.h"

#include <filesystem>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "net/runtime.h"
#include "nodes/metadata/forced_recovery.h"

namespace dogfs::tool {
namespace {

struct Request {
  std::string directory;
  bool unsafe = false;
  bool dry_run = false;
};

Task<> perform(Env& env, bool write, Result<nodes::Survivor>& result) {
  result = write ? co_await nodes::recover_from(env) : co_await nodes::inspect_survivor(env);
}

Result<nodes::Survivor> run_on(const Request& request) {
  // A directory that is missing would be made.
  if (!std::filesystem::is_directory(request.directory))
    return fail(Code::kNotFound, "{} is no directory", request.directory);
  net::Runtime::Options options;
  options.process.name = "recover";
  options.process.data_directory = request.directory;
  TRY(runtime, net::Runtime::make(std::move(options)));
  Result<nodes::Survivor> result = fail(Code::kUnknown, "stopped before it was done");
  runtime->run(perform(runtime->env(), request.unsafe && !request.dry_run, result));
  return result;
}

void recover(Output& output, const Request& request) {
  if (!request.unsafe && !request.dry_run)
    return output.error(
        {Code::kInvalid,
         "this gives up whatever only the lost servers hold. See what that is with --dry-run, and "
         "do it with --unsafe"});
  const auto survivor = run_on(request);
  if (!survivor) return output.error(survivor.error().in(request.directory));
  const std::vector<std::string> plan = nodes::describe(*survivor);
  output.object({{"plan", plan}, {"dry_run", request.dry_run}, {"done", !request.dry_run}});
  for (const auto& line : plan) output.line(line);
  output.line(request.dry_run ? "nothing was done: --dry-run" : "done");
}

}  // namespace

void add_recover_command(CLI::App& admin, Output& output) {
  CLI::App& command = *admin.add_subcommand(
      "recover", "Start the metadata anew from one survivor, when a majority is lost for good");
  const auto request = std::make_shared<Request>();
  output.add_json_option(command);
  command
      .add_option("DIRECTORY", request->directory,
                  "Data directory of the surviving metadata server, which must not run")
      ->required();
  command.add_flag("--unsafe", request->unsafe, "Do it, whatever is lost");
  command.add_flag("--dry-run", request->dry_run, "Show what would be done, and do nothing");
  command.callback([&output, request] { recover(output, *request); });
}

}  // namespace dogfs::tool
