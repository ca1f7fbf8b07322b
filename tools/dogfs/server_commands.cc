#include "tools/dogfs/server_commands.h"

#include <chrono>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "net/runtime.h"
#include "tools/dogfs/inspect_command.h"
#include "tools/dogfs/output.h"
#include "tools/dogfs/server_flags.h"
#include "tools/dogfs/text_file.h"

namespace dogfs::tool {
namespace {

Task<> run_metadata(Env& env, ServerConfig config, Result<void>& ended) {
  ended = co_await find_identity(env, config);
  if (!ended) co_return;
  nodes::MetadataNode node(env, config.metadata_options());
  env.log().info("metadata server {} starts on {}", config.name, config.listen.to_string());
  ended = co_await node.run();
}

Task<> run_chunk(Env& env, ServerConfig config, Result<void>& ended) {
  nodes::ChunkNode node(env, config.chunk_options());
  env.log().info("chunk server {} starts on {}", config.name, config.listen.to_string());
  ended = co_await node.run();
}

using RunServer = Task<> (*)(Env&, ServerConfig, Result<void>&);

// Writes what the server has used so far to a file, when it is asked and when it ends.
class UsageFile {
 public:
  explicit UsageFile(std::string path) : path_(std::move(path)) {}
  void write(net::Process& process) {
    if (path_.empty()) return;
    const std::chrono::duration<double, std::micro> turn = process.take_longest_turn();
    const nlohmann::json usage{{"report", fmt::format("{}.{}", ::getpid(), ++reports_)},
                               {"syncs", process.syncs()},
                               {"longest_turn_us", turn.count()}};
    if (const auto written = replace_file(path_, usage.dump() + '\n'); !written)
      process.env().log().warning("{}", written.error());
  }

 private:
  const std::string path_;
  uint64_t reports_ = 0;
};

// The exit code: 128 and the signal that ended it. An error when it failed by itself.
Result<int> serve(const ServerConfig& config, RunServer run) {
  net::Runtime::Options options;
  options.process.name = config.name;
  options.process.data_directory = config.data_directory;
  UsageFile usage(config.usage_file);
  options.report = [&usage](net::Process& process) { usage.write(process); };
  TRY(runtime, net::Runtime::make(std::move(options)));
  Result<void> ended;
  const int signal = runtime->run(run(runtime->env(), config, ended));
  runtime->env().log().info("ended{}", signal == 0 ? "" : " as asked");
  usage.write(runtime->process());
  if (signal == 0 && !ended) return fail(ended.error().in(config.name));
  return signal == 0 ? kFailed : kSignalled + signal;
}

struct Kind {
  const char* name;
  const char* what;
  bool metadata;
  void (*add_flags)(CLI::App&, ServerFlags&);
  RunServer run;
};

CLI::App& add_server(CLI::App& app, Output& output, const Kind& kind) {
  CLI::App* command = app.add_subcommand(kind.name, kind.what);
  auto flags = std::make_shared<ServerFlags>();
  kind.add_flags(*command, *flags);
  command->callback([&output, flags, kind, command] {
    if (!command->get_subcommands().empty()) return;
    const auto config = config_of(*flags, kind.metadata);
    if (!config) return output.error(config.error());
    if (const auto code = serve(*config, kind.run))
      output.set_exit_code(*code);
    else
      output.error(code.error());
  });
  return *command;
}

}  // namespace

void add_server_commands(CLI::App& app, Output& output) {
  add_server(
      app, output,
      {"meta", "Run a metadata server in this process", true, add_metadata_flags, run_metadata});
  CLI::App& chunk = add_server(
      app, output,
      {"chunk", "Run a chunk server in this process", false, add_chunk_flags, run_chunk});
  add_inspect_command(chunk, output);
}

}  // namespace dogfs::tool
