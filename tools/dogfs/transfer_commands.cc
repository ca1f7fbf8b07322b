#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "nodes/client/client.h"
#include "tools/dogfs/client_session.h"
#include "tools/dogfs/cluster_target.h"
#include "tools/dogfs/destination.h"
#include "tools/dogfs/file_commands.h"
#include "tools/dogfs/local_file.h"
#include "tools/dogfs/output.h"
#include "tools/dogfs/policy_option.h"
#include "tools/dogfs/progress.h"

namespace dogfs::tool {
namespace {

struct Transfer {
  std::string cluster;
  std::string local;
  std::string path;
  std::string policy;
  bool no_overwrite = false;
  std::optional<std::string> if_version;  // "" is a mistake, not a wish for none
  uint64_t offset = 0;
  uint64_t length = UINT64_MAX;
};

// As `stat` shows it: the file's id, a dash, and how often it was changed.
Result<std::optional<metadata::FileVersion>> parse_version(
    const std::optional<std::string>& given) {
  if (!given) return std::nullopt;
  const std::string& text = *given;
  const size_t dash = text.find('-');
  metadata::FileVersion version;
  const char* const end = text.data() + text.size();
  const char* const middle = text.data() + std::min(dash, text.size());
  const auto file = std::from_chars(text.data(), middle, version.file.value, 16);
  const auto changes = dash == text.npos ? std::from_chars_result{end, std::errc::invalid_argument}
                                         : std::from_chars(middle + 1, end, version.changes);
  const bool good = file.ec == std::errc() && file.ptr == middle && changes.ec == std::errc() &&
                    changes.ptr == end;
  if (good) return version;
  return fail(Code::kInvalid, "'{}' is no version; `dogfs stat` shows that of a file", text);
}

Task<Result<void>> put(Env& env, nodes::Client& client, Output& output, Transfer transfer) {
  CO_TRY(policy, parse_policy(transfer.policy));
  CO_TRY(version, parse_version(transfer.if_version));
  CO_TRY(source, LocalSource::open(env, transfer.local));
  if (transfer.local == "-" && transfer.path.ends_with('/'))
    co_return fail(Code::kInvalid, "standard input has no name: name the file to be stored");
  const std::string path = destination(transfer.path, transfer.local);
  Progress progress(env, output, source->size());
  nodes::PutOptions options;
  options.policy = policy;
  options.overwrite = !transfer.no_overwrite;
  options.version = version;
  options.size = source->size();
  options.progress = progress.callback();
  CO_TRY(stored, co_await client.put(path, *source, std::move(options)));
  output.object({{"put", path},
                 {"bytes", stored.bytes},
                 {"blocks_below_full_width", stored.blocks_below_full_width}});
  co_return Result<void>();
}

Task<Result<void>> get(Env& env, nodes::Client& client, Output& output, Transfer transfer) {
  // What surely fails, fails before a local file is made.
  CO_TRY(found, co_await client.stat(transfer.path));
  if (found.attributes.kind == metadata::EntryKind::kDirectory)
    co_return fail(Code::kPrecondition, "{} is a directory; dogfs gets single files",
                   transfer.path);
  CO_TRY(sink, LocalSink::open(env, transfer.local, last_name(transfer.path)));
  const uint64_t behind =
      found.attributes.length - std::min(transfer.offset, found.attributes.length);
  Progress progress(env, output, std::min(transfer.length, behind));
  nodes::GetOptions options;
  options.offset = transfer.offset;
  options.length = transfer.length;
  options.progress = progress.callback();
  auto read = co_await client.get(transfer.path, *sink, std::move(options));
  if (!read) co_return fail(read.error().in(transfer.path));
  CO_TRY_VOID(sink->commit());
  output.object({{"got", transfer.path},
                 {"local", sink->path()},
                 {"bytes", read->bytes},
                 {"rebuilt_bytes", read->rebuilt_bytes}});
  co_return Result<void>();
}

using Perform = Task<Result<void>> (*)(Env&, nodes::Client&, Output&, Transfer);

struct Command {
  CLI::App* app;
  std::shared_ptr<Transfer> transfer;
};

Command add(CLI::App& app, Output& output, const std::string& name, const std::string& what,
            Perform perform) {
  Command command{app.add_subcommand(name, what), std::make_shared<Transfer>()};
  output.add_json_option(*command.app);
  add_cluster_option(*command.app, command.transfer->cluster);
  command.app->callback([&output, transfer = command.transfer, perform] {
    if (perform == get && transfer->local == "-") output.give_up_stdout();
    run_command(output, transfer->cluster, [&](Env& env, nodes::Client& client) {
      return perform(env, client, output, *transfer);
    });
  });
  return command;
}

}  // namespace

void add_transfer_commands(CLI::App& app, Output& output) {
  const Command store = add(app, output, "put", "Store a local file", put);
  store.app->add_option("LOCAL", store.transfer->local, "The file; - is standard input")
      ->required();
  store.app
      ->add_option("PATH", store.transfer->path,
                   "Where to; a file there is replaced. With a slash at its end: the directory")
      ->required();
  add_policy_option(*store.app, store.transfer->policy, "How its bytes become shards");
  store.app->add_flag("--no-overwrite", store.transfer->no_overwrite,
                      "Refuse when there is a file");
  store.app
      ->add_option_function<std::string>(
          "--if-version",
          [transfer = store.transfer](const std::string& text) { transfer->if_version = text; },
          "Refuse unless the file there has this version, by stat")
      ->excludes("--no-overwrite");

  const auto add_range = [](const Command& command) {
    command.app->add_option("--offset", command.transfer->offset, "First byte, as in 0 or 10MiB")
        ->transform(CLI::AsSizeValue(false));
    command.app
        ->add_option("--length", command.transfer->length,
                     "So many bytes, or what there is of them; else all that follow")
        ->transform(CLI::AsSizeValue(false));
  };
  const Command fetch = add(app, output, "get", "Read a file into a local one", get);
  fetch.app->add_option("PATH", fetch.transfer->path)->required();
  fetch.app
      ->add_option("LOCAL", fetch.transfer->local,
                   "File or directory; - is standard output, and then JSON goes to stderr")
      ->default_val(".");
  add_range(fetch);

  const Command print = add(app, output, "cat", "Read a file to standard output", get);
  print.transfer->local = "-";
  print.app->add_option("PATH", print.transfer->path)->required();
  add_range(print);
}

}  // namespace dogfs::tool
