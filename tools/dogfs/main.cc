// The program `dogfs`: servers, local clusters, files, the simulator and benchmarks in one binary.

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <unistd.h>

#include "tools/dogfs/admin_commands.h"
#include "tools/dogfs/allocator.h"
#include "tools/dogfs/bench/bench_commands.h"
#include "tools/dogfs/cluster_commands.h"
#include "tools/dogfs/export_commands.h"
#include "tools/dogfs/file_commands.h"
#include "tools/dogfs/output.h"
#include "tools/dogfs/server_commands.h"
#include "tools/dogfs/sim_commands.h"

namespace dogfs::tool {
namespace {

// A standard stream that the program was started without would be the next file or connection that
// it opens. Opened the wrong way round instead, every use of it fails.
void occupy_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) == -1) (void)::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

// Every flag --some-thing is also the variable DOGFS_SOME_THING.
void name_variables(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option->get_lnames().empty() || option == app.get_help_ptr()) continue;
    std::string name = "DOGFS_";
    for (const unsigned char c : option->get_lnames().front())
      name += c == '-' ? '_' : static_cast<char>(std::toupper(c));
    option->envname(name);
  }
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; }))
    name_variables(*command);
}

// CLI11 takes -1 for the largest number there is.
void refuse_negative_numbers(CLI::App& app) {
  const CLI::Validator not_negative(
      [](std::string& text) { return text.starts_with('-') ? text + " is negative" : ""; }, "");
  for (CLI::Option* option : app.get_options())
    if (option->get_type_name().starts_with("UINT")) option->transform(not_negative);
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; }))
    refuse_negative_numbers(*command);
}

bool wants_json(int argc, char** argv) {
  const auto is_json = [](const char* argument) { return std::strcmp(argument, "--json") == 0; };
  const char* variable = std::getenv("DOGFS_JSON");
  bool wanted = false;  // what is neither true nor false is the mistake to be told
  return std::any_of(argv, argv + argc, is_json) ||
         (variable != nullptr && CLI::detail::lexical_cast(std::string(variable), wanted) &&
          wanted);
}

int wrong_usage(const CLI::App& app, const CLI::ParseError& wrong, Output& output, int argc,
                char** argv) {
  if (wrong.get_exit_code() == 0) return app.exit(wrong);  // --help
  if (wants_json(argc, argv)) output.use_json();
  std::string command = "dogfs";
  for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    command += " " + at->get_name();
  }
  output.error({Code::kInvalid, fmt::format("{}; see: {} --help", wrong.what(), command)});
  return output.exit_code();
}

int run(int argc, char** argv) {
  set_up_allocator();
  occupy_standard_streams();
  Output output;
  CLI::App app("DogFS: a distributed file and object store", "dogfs");
  app.require_subcommand(1);
  add_file_commands(app, output);
  add_cluster_commands(app, output);
  add_server_commands(app, output);
  CLI::App& admin = *app.add_subcommand("admin", "Look after a cluster");
  admin.require_subcommand(1);
  add_admin_commands(admin, output);
  add_export_commands(admin, output);
  add_bench_commands(app, output);
  add_sim_commands(app, output);
  name_variables(app);
  refuse_negative_numbers(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    return wrong_usage(app, wrong, output, argc, argv);
  } catch (const std::exception& wrong) {  // of a third party; ours are results
    output.error({Code::kIo, wrong.what()});
  }
  return output.exit_code();
}

}  // namespace
}  // namespace dogfs::tool

int main(int argc, char** argv) { return dogfs::tool::run(argc, argv); }
