#include "tools/dogfs/policy_option.h"

#include <array>

#include <CLI/CLI.hpp>

#include "core/base/limits.h"

namespace dogfs::tool {
namespace {

constexpr std::array<std::string_view, 3> kContentModes{"none", "sha256", "dedup"};

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

void add_content_option(CLI::App& command, LayoutText& text) {
  command.add_option("--content", text.content_mode,
                     "What is known of the content of blocks: none; sha256: their digests, which "
                     "readers check; dedup: and those that are there already are not stored again");
}

std::string_view content_mode_name(metadata::ContentMode mode) {
  return kContentModes.at(static_cast<size_t>(mode));
}

std::optional<metadata::ContentMode> content_mode_of(std::string_view name) {
  for (size_t i = 0; i < kContentModes.size(); ++i)
    if (kContentModes[i] == name) return static_cast<metadata::ContentMode>(i);
  return std::nullopt;
}

Result<metadata::Layout> parse_layout(const LayoutText& text) {
  TRY(policy, parse_policy(text.policy));
  TRY_VOID(check_size("blocks", text.block_bytes, limits::kBlockBytesMin, limits::kBlockBytesMax));
  TRY_VOID(check_size("cells", text.cell_bytes, 1, limits::kCellBytesMax));
  metadata::Layout layout{.policy = policy, .block_bytes = text.block_bytes, .cell_bytes = {}};
  if (text.cell_bytes) layout.cell_bytes = static_cast<uint32_t>(*text.cell_bytes);
  if (text.content_mode.empty()) return layout;
  layout.content_mode = content_mode_of(text.content_mode);
  if (!layout.content_mode)
    return fail(Code::kInvalid, "--content {}: none, sha256 or dedup", text.content_mode);
  return layout;
}

}  // namespace dogfs::tool
