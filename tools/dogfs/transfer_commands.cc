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
#include "tools/dogfs/continued_put.h"
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
  LayoutText layout;
  bool no_overwrite = false;
  bool no_pack = false;
  std::optional<std::string> if_version;  // "" is a mistake, not a wish for none
  uint64_t offset = 0;
  uint64_t length = UINT64_MAX;
  bool continues = false;
  uint64_t piece_bytes = 256 * limits::kMiB;
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
  CO_TRY(layout, parse_layout(transfer.layout));
  CO_TRY(version, parse_version(transfer.if_version));
  CO_TRY(source, LocalSource::open(env, transfer.local));
  if (transfer.local == "-" && transfer.path.ends_with('/'))
    co_return fail(Code::kInvalid, "standard input has no name: name the file to be stored");
  const std::string path = destination(transfer.path, transfer.local);
  Progress progress(env, output, source->size());
  nodes::PutOptions options;
  options.policy = layout.policy;
  options.block_bytes = layout.block_bytes.value_or(0);
  options.cell_bytes = layout.cell_bytes.value_or(0);
  options.overwrite = !transfer.no_overwrite;
  options.pack = !transfer.no_pack;
  options.version = version;
  options.size = source->size();
  options.progress = progress.callback();
  if (transfer.continues) {
    CO_TRY(done,
           co_await put_further(client, *source, path, transfer.piece_bytes, std::move(options)));
    output.object({{"put", path},
                   {"bytes", done.bytes},
                   {"begun_at", done.begun_at},
                   {"blocks_below_full_width", done.blocks_below_full_width},
                   {"deduplicated_bytes", done.deduplicated_bytes}});
    co_return Result<void>();
  }
  CO_TRY(stored, co_await client.put(path, *source, std::move(options)));
  output.object({{"put", path},
                 {"bytes", stored.bytes},
                 {"blocks_below_full_width", stored.blocks_below_full_width},
                 {"deduplicated_bytes", stored.deduplicated_bytes}});
  co_return Result<void>();
}

Result<void> refuse_directory(const nodes::StatResult& found, const std::string& path) {
  if (found.attributes.kind == metadata::EntryKind::kDirectory)
    return fail(Code::kPrecondition, "{} is a directory; dogfs gets single files", path);
  return {};
}

void say_got(Output& output, const std::string& path, const LocalSink& sink,
             const nodes::GetResult& read) {
  output.object({{"got", path},
                 {"local", sink.path()},
                 {"bytes", read.bytes},
                 {"begun_at", sink.begins_at()},
                 {"rebuilt_bytes", read.rebuilt_bytes}});
}

Task<Result<void>> get(Env& env, nodes::Client& client, Output& output, Transfer transfer) {
  // What surely fails, fails before a local file is made.
  CO_TRY(found, co_await client.stat(transfer.path));
  CO_TRY_VOID(refuse_directory(found, transfer.path));
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
  say_got(output, transfer.path, *sink, *read);
  co_return Result<void>();
}

// Goes on where an earlier one stopped. What is there already counts only if it is of the same
// version as what follows: a file that is changed meanwhile makes all of it worthless.
Task<Result<void>> get_further(Env& env, nodes::Client& client, Output& output, Transfer transfer) {
  CO_TRY(found, co_await client.stat(transfer.path));
  CO_TRY_VOID(refuse_directory(found, transfer.path));
  const metadata::FileVersion version = found.attributes.version();
  CO_TRY(sink,
         LocalSink::open_to_continue(env, transfer.local, last_name(transfer.path),
                                     fmt::format("{:x}-{}", version.file.value, version.changes)));
  const uint64_t length = found.attributes.length;
  Progress progress(env, output, length - std::min(length, sink->begins_at()));
  nodes::GetOptions options;
  options.offset = sink->begins_at();
  options.length = length - std::min(length, sink->begins_at());  // it may be appended to
  options.progress = progress.callback();
  auto read = co_await client.get(transfer.path, *sink, std::move(options));
  const auto after = co_await client.stat(transfer.path);
  if (after ? after->attributes.version() != version : after.error().is(Code::kNotFound)) {
    sink->give_up();
    co_return fail(Code::kUnavailable, "{} was changed while it was read; get it again",
                   transfer.path);
  }
  if (!read) co_return fail(read.error().in(transfer.path));
  if (!after) co_return fail(after.error().in(transfer.path));
  if (sink->begins_at() + read->bytes != length) {
    sink->give_up();
    co_return fail(Code::kCorrupt, "{} of {} bytes were there already; get it again",
                   sink->begins_at(), length);
  }
  CO_TRY_VOID(sink->commit());
  say_got(output, transfer.path, *sink, *read);
  co_return Result<void>();
}

Task<Result<void>> get_either(Env& env, nodes::Client& client, Output& output, Transfer transfer) {
  return transfer.continues ? get_further(env, client, output, std::move(transfer))
                            : get(env, client, output, std::move(transfer));
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
    if (perform == get_either && transfer->local == "-") output.give_up_stdout();
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
  add_layout_options(*store.app, store.transfer->layout, "How its bytes become shards");
  store.app->add_flag("--no-overwrite", store.transfer->no_overwrite,
                      "Refuse when there is a file");
  store.app->add_flag("--no-pack", store.transfer->no_pack,
                      "Give it blocks of its own, however small it is");
  store.app
      ->add_option_function<std::string>(
          "--if-version",
          [transfer = store.transfer](const std::string& text) { transfer->if_version = text; },
          "Refuse unless the file there has this version, by stat")
      ->excludes("--no-overwrite");
  CLI::Option* const continues =
      store.app
          ->add_flag("--continue", store.transfer->continues,
                     "Keep what was stored when it is cut off, and go on there the next time")
          ->excludes("--no-overwrite")
          ->excludes("--if-version");
  store.app
      ->add_option("--piece", store.transfer->piece_bytes,
                   "With --continue: bytes that are lost at most when it is cut off")
      ->transform(CLI::AsSizeValue(false))
      ->needs(continues);

  const auto add_range = [](const Command& command) {
    command.app->add_option("--offset", command.transfer->offset, "First byte, as in 0 or 10MiB")
        ->transform(CLI::AsSizeValue(false));
    command.app
        ->add_option("--length", command.transfer->length,
                     "So many bytes, or what there is of them; else all that follow")
        ->transform(CLI::AsSizeValue(false));
  };
  const Command fetch = add(app, output, "get", "Read a file into a local one", get_either);
  fetch.app->add_option("PATH", fetch.transfer->path)->required();
  fetch.app
      ->add_option("LOCAL", fetch.transfer->local,
                   "File or directory; - is standard output, and then JSON goes to stderr")
      ->default_val(".");
  add_range(fetch);
  fetch.app
      ->add_flag("--continue", fetch.transfer->continues,
                 "Keep what came when it is cut off, and go on there the next time")
      ->excludes("--offset")
      ->excludes("--length");

  const Command print = add(app, output, "cat", "Read a file to standard output", get_either);
  print.transfer->local = "-";
  print.app->add_option("PATH", print.transfer->path)->required();
  add_range(print);
}

}  // namespace dogfs::tool
