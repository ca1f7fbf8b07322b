#include "tools/dogfs/file_commands.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>

#include <fmt/chrono.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "tools/dogfs/append_command.h"
#include "tools/dogfs/client_command.h"
#include "tools/dogfs/destination.h"
#include "tools/dogfs/inode_commands.h"
#include "tools/dogfs/policy_command.h"
#include "tools/dogfs/policy_option.h"
#include "tools/dogfs/sum_command.h"

namespace dogfs::tool {
namespace {

using nlohmann::json;

// What the command line said; which fields count depends on the command.
struct Request {
  std::string cluster;
  std::string path;
  std::string to;
  std::string policy;
  bool detailed = false;
  bool parents = false;
  bool recursive = false;
  bool no_overwrite = false;
  bool forever = false;
};

std::string utc(WallTime time) {
  const auto seconds = static_cast<std::time_t>(time.nanoseconds / 1'000'000'000);
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(seconds));
}

std::string_view type_name(const metadata::Attributes& attributes) {
  return attributes.kind == metadata::EntryKind::kDirectory ? "directory" : "file";
}

std::string version_text(const metadata::FileVersion& version) {
  return fmt::format("{:x}-{}", version.file.value, version.changes);
}

std::string_view label_group(metadata::LabelKind kind) {
  switch (kind) {
    case metadata::LabelKind::kXattr: return "xattrs";
    case metadata::LabelKind::kHeader: return "headers";
    case metadata::LabelKind::kTag: return "tags";
  }
  return "labels";
}

// What is absent is left away.
void add_inode(const metadata::Attributes& attributes, json& row) {
  const auto& inode = attributes.inode;
  if (attributes.kind == metadata::EntryKind::kFile)
    row["version"] = version_text(attributes.version());
  if (attributes.appending) row["appending"] = true;
  if (!inode.owner.empty()) row["owner"] = inode.owner;
  if (!inode.group.empty()) row["group"] = inode.group;
  if (inode.mode) row["mode"] = fmt::format("{:04o}", *inode.mode);
  if (inode.accessed) row["accessed"] = utc(*inode.accessed);
  for (const auto& label : inode.labels)
    row[std::string(label_group(label.kind))][label.name] = label.value;
}

json to_json(const metadata::Attributes& attributes) {
  return {{"type", type_name(attributes)},      {"bytes", attributes.length},
          {"blocks", attributes.blocks},        {"inline", attributes.is_inline()},
          {"policy", attributes.policy.text()}, {"modified", utc(attributes.modified)}};
}

// A name as one line of text: a terminal must not obey what somebody put into a name.
std::string printable(std::string name) {
  if (!::isatty(STDOUT_FILENO)) return name;
  const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  std::replace_if(name.begin(), name.end(), control, '?');
  return name;
}

void show_entry(Output& output, const Request& request, const std::string& name,
                const metadata::Attributes& attributes) {
  json row = to_json(attributes);
  row["name"] = name;
  output.object(row);
  const bool directory = attributes.kind == metadata::EntryKind::kDirectory;
  const std::string shown = printable(name) + (directory ? "/" : "");
  if (!request.detailed) return output.line(shown);
  output.line(fmt::format("{:>14}  {:<8}  {}  {}",
                          directory ? "-" : fmt::to_string(attributes.length),
                          attributes.policy.text(), utc(attributes.modified), shown));
}

Task<Result<void>> list(nodes::Client& client, Output& output, Request request) {
  CO_TRY(found, co_await client.stat(request.path));
  if (found.attributes.kind == metadata::EntryKind::kFile) {
    show_entry(output, request, request.path, found.attributes);
    co_return Result<void>();
  }
  std::string after;
  for (bool more = true; more;) {
    CO_TRY(page, co_await client.list(request.path, after, limits::kListPageMax));
    for (const auto& entry : page.listing.entries)
      show_entry(output, request, entry.name, entry.attributes);
    more = page.listing.more && !page.listing.entries.empty();
    if (more) after = page.listing.entries.back().name;
  }
  co_return Result<void>();
}

Task<Result<void>> show(nodes::Client& client, Output& output, Request request) {
  CO_TRY(found, co_await client.stat(request.path));
  json row = to_json(found.attributes);
  row["path"] = request.path;
  add_inode(found.attributes, row);
  add_layout(request.path, found.attributes, row);
  output.object(row);
  output.line(fmt::format("path      {}", printable(request.path)));
  show_layout(output, row);
  for (const auto* key : {"type", "bytes", "blocks", "inline", "appending", "modified", "version",
                          "owner", "group", "mode", "accessed", "xattrs", "headers", "tags"})
    if (row.contains(key))
      output.line(fmt::format(
          "{:<9} {}", key, row[key].is_string() ? row[key].get<std::string>() : row[key].dump()));
  co_return Result<void>();
}

Task<Result<void>> make_directory(nodes::Client& client, Output& output, Request request) {
  CO_TRY(policy, parse_policy(request.policy));
  CO_TRY_VOID(co_await client.make_directory(request.path, request.parents, policy));
  output.object({{"made", request.path}});
  co_return Result<void>();
}

Task<Result<void>> move(nodes::Client& client, Output& output, Request request) {
  const std::string to = destination(request.to, request.path);
  CO_TRY_VOID(co_await client.rename(request.path, to));
  output.object({{"moved", request.path}, {"to", to}});
  co_return Result<void>();
}

Task<Result<void>> copy(nodes::Client& client, Output& output, Request request) {
  const std::string to = destination(request.to, request.path);
  CO_TRY_VOID(co_await client.copy(request.path, to, !request.no_overwrite));
  output.object({{"copied", request.path}, {"to", to}});
  co_return Result<void>();
}

Task<Result<void>> show_use(nodes::Client& client, Output& output, Request request) {
  CO_TRY(found, co_await client.use(request.path));
  const auto& [use, quota] = found.use;
  json row{{"path", request.path}, {"bytes", use.bytes}, {"entries", use.entries}};
  const auto of = [](const std::optional<uint64_t>& most) {
    return most ? fmt::format(" of {}", *most) : "";
  };
  if (quota.bytes) row["quota_bytes"] = *quota.bytes;
  if (quota.entries) row["quota_entries"] = *quota.entries;
  output.object(row);
  output.line(fmt::format("{:>14}{} bytes  {:>10}{} entries  {}", use.bytes, of(quota.bytes),
                          use.entries, of(quota.entries), printable(request.path)));
  co_return Result<void>();
}

Task<Result<void>> remove(nodes::Client& client, Output& output, Request request) {
  CO_TRY_VOID(co_await client.remove(request.path, request.recursive, request.forever));
  output.object({{"removed", request.path}});
  co_return Result<void>();
}

using Command = ClientCommand<Request>;

}  // namespace

void add_file_commands(CLI::App& app, Output& output) {
  add_transfer_commands(app, output);

  const Command ls = add_client_command(app, output, "ls", "List a directory", list);
  ls.app->add_option("PATH", ls.request->path, "What to list")->default_val("/");
  ls.app->add_flag("-l,--long", ls.request->detailed, "With length, policy and time");

  const Command stat =
      add_client_command(app, output, "stat", "Show what is known of a file or directory", show);
  stat.app->add_option("PATH", stat.request->path)->required();

  const Command mkdir =
      add_client_command(app, output, "mkdir", "Make a directory", make_directory);
  mkdir.app->add_option("PATH", mkdir.request->path)->required();
  mkdir.app->add_flag("-p,--parents", mkdir.request->parents,
                      "Also those above; one that is there is no error");
  add_policy_option(*mkdir.app, mkdir.request->policy, "Policy of new files in it");

  const Command mv = add_client_command(app, output, "mv", "Rename a file or directory", move);
  mv.app->add_option("FROM", mv.request->path)->required();
  mv.app
      ->add_option("TO", mv.request->to,
                   "Its new path; a file there is replaced. With a slash at its end: the directory")
      ->required();

  const Command cp = add_client_command(
      app, output, "cp", "Copy a file within the cluster, without moving its bytes", copy);
  cp.app->add_option("FROM", cp.request->path)->required();
  cp.app
      ->add_option("TO", cp.request->to,
                   "The copy; a file there is replaced. With a slash at its end: the directory")
      ->required();
  cp.app->add_flag("--no-overwrite", cp.request->no_overwrite, "Refuse when there is a file");

  const Command du =
      add_client_command(app, output, "du", "Show what lies below a directory", show_use);
  du.app->add_option("PATH", du.request->path)->default_val("/");

  const Command rm = add_client_command(app, output, "rm", "Remove a file or directory", remove);
  rm.app->add_option("PATH", rm.request->path)->required();
  rm.app->add_flag("-r,--recursive", rm.request->recursive, "A directory with all that is in it");
  rm.app->add_flag("--forever", rm.request->forever, "Not into the trash, if there is one");

  add_inode_commands(app, output);
  add_append_command(app, output);
  add_sum_command(app, output);
}

}  // namespace dogfs::tool
