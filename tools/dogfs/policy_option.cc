#include "tools/dogfs/policy_option.h"

#include <CLI/CLI.hpp>

#include "core/base/limits.h"

namespace dogfs::tool {
namespace {

Result<void> check_size(const char* what, const std::optional<uint64_t>& bytes, uint64_t least,
                        uint64_t most) {
  if (!bytes || (*bytes >= least && *bytes <= most)) return {};
  return fail(Code::kInvalid, "{} of {} bytes: {} to {} are allowed", what, *bytes, least, most);
}

}  // namespace

void add_policy_option(CLI::App& command, std::string& text, const std::string& what) {
  command.add_option("--policy", text, what + ": rs-k-m or rep-N; else that of the directory");
}

Result<std::optional<placement::Policy>> parse_policy(const std::string& text) {
  if (text.empty()) return std::nullopt;
  TRY(policy, placement::Policy::parse(text));
  return policy;
}

void add_layout_options(CLI::App& command, LayoutText& text, const std::string& what) {
  add_policy_option(command, text.policy, what);
  command.add_option("--block", text.block_bytes, "Most of a block, as in 64MiB: 1MiB to 512MiB")
      ->transform(CLI::AsSizeValue(false));
  command.add_option("--cell", text.cell_bytes, "Unit of striping, as in 256KiB: up to 1MiB")
      ->transform(CLI::AsSizeValue(false));
}

Result<metadata::Layout> parse_layout(const LayoutText& text) {
  TRY(policy, parse_policy(text.policy));
  TRY_VOID(check_size("blocks", text.block_bytes, limits::kBlockBytesMin, limits::kBlockBytesMax));
  TRY_VOID(check_size("cells", text.cell_bytes, 1, limits::kCellBytesMax));
  metadata::Layout layout{.policy = policy, .block_bytes = text.block_bytes, .cell_bytes = {}};
  if (text.cell_bytes) layout.cell_bytes = static_cast<uint32_t>(*text.cell_bytes);
  return layout;
}

}  // namespace dogfs::tool
