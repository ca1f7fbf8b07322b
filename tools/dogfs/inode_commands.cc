#include "tools/dogfs/inode_commands.h"

#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "tools/dogfs/client_command.h"

namespace dogfs::tool {
namespace {

using nlohmann::json;

// What the command line said; which fields count depends on the command.
struct Request {
  std::string cluster;
  std::string path;
  std::string value;
  std::vector<std::string> values;
  uint64_t length = 0;
  std::optional<uint64_t> bytes;
  std::optional<uint64_t> entries;
};

Task<Result<void>> change(nodes::Client& client, Output& output, metadata::SetAttributes changes) {
  const std::string path = changes.path;
  CO_TRY_VOID(co_await client.set_attributes(std::move(changes)));
  output.object({{"changed", path}});
  co_return Result<void>();
}

Result<uint16_t> parse_mode(const std::string& text) {
  uint16_t mode = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, mode, 8);
  if (error != std::errc() || rest != end || mode > 07777)
    return fail(Code::kInvalid, "'{}' is no mode: give octal digits, as in 0640", text);
  return mode;
}

Task<Result<void>> change_mode(nodes::Client& client, Output& output, Request request) {
  metadata::SetAttributes changes;
  changes.path = request.path;
  CO_TRY(mode, parse_mode(request.value));
  changes.mode = mode;
  co_return co_await change(client, output, std::move(changes));
}

// "ada", "ada:staff", ":staff".
Task<Result<void>> change_owner(nodes::Client& client, Output& output, Request request) {
  metadata::SetAttributes changes;
  changes.path = request.path;
  const size_t colon = request.value.find(':');
  if (colon != 0) changes.owner = request.value.substr(0, colon);
  if (colon != std::string::npos) changes.group = request.value.substr(colon + 1);
  co_return co_await change(client, output, std::move(changes));
}

Result<metadata::LabelKind> parse_kind(const std::string& text) {
  if (text == "xattr") return metadata::LabelKind::kXattr;
  if (text == "header") return metadata::LabelKind::kHeader;
  if (text == "tag") return metadata::LabelKind::kTag;
  return fail(Code::kInvalid, "'{}' is no kind of label: xattr, header and tag are", text);
}

// "tag:colour=red"; "tag:colour" takes it away.
Result<metadata::LabelChange> parse_label(const std::string& text) {
  const size_t colon = text.find(':');
  if (colon == std::string::npos)
    return fail(Code::kInvalid, "'{}' is no label: KIND:NAME=VALUE is, or KIND:NAME", text);
  TRY(kind, parse_kind(text.substr(0, colon)));
  const size_t equals = text.find('=', colon);
  metadata::LabelChange change{
      .kind = kind, .name = text.substr(colon + 1, equals - colon - 1), .value = std::nullopt};
  if (equals != std::string::npos) change.value = text.substr(equals + 1);
  return change;
}

Task<Result<void>> label(nodes::Client& client, Output& output, Request request) {
  metadata::SetAttributes changes;
  changes.path = request.path;
  for (const auto& text : request.values) {
    CO_TRY(one, parse_label(text));
    changes.labels.push_back(std::move(one));
  }
  co_return co_await change(client, output, std::move(changes));
}

Task<Result<void>> truncate(nodes::Client& client, Output& output, Request request) {
  CO_TRY_VOID(co_await client.truncate(request.path, request.length));
  output.object({{"truncated", request.path}, {"bytes", request.length}});
  co_return Result<void>();
}

Task<Result<void>> concatenate(nodes::Client& client, Output& output, Request request) {
  CO_TRY_VOID(co_await client.concatenate(request.path, request.values));
  output.object({{"concatenated", request.values}, {"to", request.path}});
  co_return Result<void>();
}

Task<Result<void>> set_quota(nodes::Client& client, Output& output, Request request) {
  CO_TRY_VOID(co_await client.set_quota(
      request.path, metadata::Quota{.bytes = request.bytes, .entries = request.entries}));
  json row{{"quota", request.path}};
  if (request.bytes) row["bytes"] = *request.bytes;
  if (request.entries) row["entries"] = *request.entries;
  output.object(row);
  co_return Result<void>();
}

Task<Result<void>> set_trash(nodes::Client& client, Output& output, Request request) {
  CO_TRY_VOID(co_await client.set_trash(request.length));
  output.object({{"trash_seconds", request.length}});
  co_return Result<void>();
}

using Command = ClientCommand<Request>;

}  // namespace

void add_inode_commands(CLI::App& app, Output& output) {
  const Command chmod =
      add_client_command(app, output, "chmod", "Change who may do what", change_mode);
  chmod.app->add_option("MODE", chmod.request->value, "Octal, as in 0640")->required();
  chmod.app->add_option("PATH", chmod.request->path)->required();

  const Command chown =
      add_client_command(app, output, "chown", "Change owner and group", change_owner);
  chown.app->add_option("OWNER", chown.request->value, "OWNER, OWNER:GROUP or :GROUP")->required();
  chown.app->add_option("PATH", chown.request->path)->required();

  const Command labels =
      add_client_command(app, output, "label", "Set or remove what is noted on a file", label);
  labels.app->add_option("PATH", labels.request->path)->required();
  labels.app
      ->add_option("LABEL", labels.request->values,
                   "xattr:NAME=VALUE, header:NAME=VALUE or tag:NAME=VALUE; without =VALUE it goes")
      ->required();

  const Command cut =
      add_client_command(app, output, "truncate", "Cut a file to a length", truncate);
  cut.app->add_option("PATH", cut.request->path)->required();
  cut.app->add_option("LENGTH", cut.request->length, "Bytes, or as in 10MiB")
      ->required()
      ->transform(CLI::AsSizeValue(false));

  const Command concat = add_client_command(app, output, "concat",
                                            "Append files to a file, moving no bytes", concatenate);
  concat.app->add_option("PATH", concat.request->path, "Grows by the others")->required();
  concat.app->add_option("SOURCE", concat.request->values, "Are no more then")->required();

  const Command quota =
      add_client_command(app, output, "quota", "Limit what a directory may hold", set_quota);
  quota.app->add_option("PATH", quota.request->path)->required();
  quota.app->add_option("--bytes", quota.request->bytes, "At most, as in 10GiB; else no limit")
      ->transform(CLI::AsSizeValue(false));
  quota.app->add_option("--entries", quota.request->entries, "At most; else no limit");

  const Command trash = add_client_command(
      app, output, "trash", "Keep what is removed for a while, below /.trash", set_trash);
  trash.app->add_option("SECONDS", trash.request->length, "How long; 0: not at all")->required();
}

}  // namespace dogfs::tool
