#include "tools/dogfs/policy_command.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/base/limits.h"
#include "tools/dogfs/client_command.h"
#include "tools/dogfs/policy_option.h"

namespace dogfs::tool {
namespace {

using nlohmann::json;

struct Request {
  std::string cluster;
  std::string path;
  LayoutText layout;
  bool inherit = false;
};

std::string size_text(uint64_t bytes) {
  if (bytes % limits::kMiB == 0) return fmt::format("{} MiB", bytes / limits::kMiB);
  if (bytes % limits::kKiB == 0) return fmt::format("{} KiB", bytes / limits::kKiB);
  return fmt::format("{} bytes", bytes);
}

void show_part(Output& output, const char* name, const std::string& value, const json& from) {
  output.line(fmt::format("{:<9} {:<10} from {}", name, value, from.get<std::string>()));
}

Task<Result<void>> policy(nodes::Client& client, Output& output, Request request) {
  CO_TRY(layout, parse_layout(request.layout));
  if (request.inherit || layout != metadata::Layout()) {
    CO_TRY_VOID(co_await client.set_layout(request.path, layout, request.inherit));
  }
  CO_TRY(found, co_await client.stat(request.path));
  json row{{"path", request.path}, {"policy", found.attributes.policy.text()}};
  add_layout(request.path, found.attributes, row);
  output.object(row);
  output.line(fmt::format("{:<9} {}", "path", request.path));
  show_layout(output, row);
  co_return Result<void>();
}

}  // namespace

std::string layout_source(const std::string& path, uint32_t level) {
  if (level == 0) return "cluster";
  if (level == 1) return "/";
  size_t end = 0;
  for (uint32_t names = 1; names < level && end != path.npos; ++names)
    end = path.find('/', end + 1);
  return path.substr(0, end);
}

void add_layout(const std::string& path, const metadata::Attributes& attributes, json& row) {
  row["policy_from"] = layout_source(path, attributes.layout_from.policy);
  row["block_bytes"] = attributes.block_bytes;
  row["block_from"] = layout_source(path, attributes.layout_from.block_bytes);
  row["cell_bytes"] = attributes.cell_bytes;
  row["cell_from"] = layout_source(path, attributes.layout_from.cell_bytes);
  row["content"] = content_mode_name(attributes.content_mode);
  row["content_from"] = layout_source(path, attributes.layout_from.content_mode);
}

void show_layout(Output& output, const json& row) {
  show_part(output, "policy", row.at("policy"), row.at("policy_from"));
  show_part(output, "block", size_text(row.at("block_bytes")), row.at("block_from"));
  show_part(output, "cell", size_text(row.at("cell_bytes")), row.at("cell_from"));
  show_part(output, "content", row.at("content"), row.at("content_from"));
}

void add_policy_command(CLI::App& admin, Output& output) {
  const auto command = add_client_command(
      admin, output, "policy",
      "Show or set how files are stored that are made in a directory and below", policy);
  command.app
      ->add_option("PATH", command.request->path,
                   "A directory to set it for; / sets it for the cluster")
      ->required();
  add_layout_options(*command.app, command.request->layout, "What files get there");
  add_content_option(*command.app, command.request->layout);
  command.app->add_flag("--inherit", command.request->inherit,
                        "Forget what the directory says so far: as above it");
}

}  // namespace dogfs::tool
