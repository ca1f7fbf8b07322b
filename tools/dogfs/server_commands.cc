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

// Writes what the server has used so far to a file, when it is asked and when it ends.
class UsageFile {
 public:
  explicit UsageFile(std::string path) : path_(std::move(path)) {}
  void write(net::Process& process) {
    if (path_.empty()) return;
    const std::chrono::duration<double, std::micro> turn = process.take_longest_turn();
    if (node_ != nullptr) copied_bytes_ = node_->copied_bytes();
    const nlohmann::json usage{{"report", fmt::format("{}.{}", ::getpid(), ++reports_)},
                               {"syncs", process.syncs()},
                               {"copied_bytes", copied_bytes_},
                               {"longest_turn_us", turn.count()}};
    if (const auto written = replace_file(path_, usage.dump() + '\n'); !written)
      process.env().log().warning("{}", written.error());
  }

  // The node that counts copies, for as long as this lives.
  class Watch {
   public:
    Watch(UsageFile& file, const nodes::ChunkNode& node) : file_(file) { file_.node_ = &node; }
    ~Watch() {
      file_.copied_bytes_ = file_.node_->copied_bytes();
      file_.node_ = nullptr;
    }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    UsageFile& file_;
  };

 private:
  const std::string path_;
  const nodes::ChunkNode* node_ = nullptr;
  uint64_t copied_bytes_ = 0;
  uint64_t reports_ = 0;
};

Task<> run_metadata(net::Process& process, ServerConfig config, UsageFile&, Result<void>& ended) {
  Env& env = process.env();
  ended = co_await find_identity(env, config);
  if (!ended) co_return;
  nodes::MetadataNode node(env, config.metadata_options());
  env.log().info("metadata server {} starts on {}", config.name, config.listen.to_string());
  ended = co_await node.run();
}

Task<> run_chunk(net::Process& process, ServerConfig config, UsageFile& usage,
                 Result<void>& ended) {
  Env& env = process.env();
  nodes::ChunkNode node(env, config.chunk_options(process.disks()));
  const UsageFile::Watch watch(usage, node);
  env.log().info("chunk server {} starts on {}", config.name, config.listen.to_string());
  ended = co_await node.run();
}

using RunServer = Task<> (*)(net::Process&, ServerConfig, UsageFile&, Result<void>&);

// The exit code: 128 and the signal that ended it. An error when it failed by itself.
Result<int> serve(const ServerConfig& config, RunServer run) {
  net::Runtime::Options options;
  options.process.name = config.name;
  options.process.data_directory = config.data_directory;
  options.process.more_directories = config.more_directories;
  UsageFile usage(config.usage_file);
  options.report = [&usage](net::Process& process) { usage.write(process); };
  TRY(runtime, net::Runtime::make(std::move(options)));
  Result<void> ended;
  const int signal = runtime->run(run(runtime->process(), config, usage, ended));
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
