#pragma once
// --policy, --block and --cell as put, mkdir and admin policy take them, and --content as the last
// of them does: text of a person, for a directory or a single file. Nothing given means that the
// directory decides, and above all the cluster. Whether the cluster is large enough for it, only
// the cluster can tell.

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/error.h"
#include "core/namespace/commands.h"
#include "core/placement/policy.h"

namespace CLI {
class App;
}

namespace dogfs::tool {

void add_policy_option(CLI::App& command, std::string& text, const std::string& what);
// Nothing for empty text; kInvalid for text that is no policy.
Result<std::optional<placement::Policy>> parse_policy(const std::string& text);

struct LayoutText {
  std::string policy;
  std::optional<uint64_t> block_bytes;
  std::optional<uint64_t> cell_bytes;
  std::string content_mode;
};
void add_layout_options(CLI::App& command, LayoutText& text, const std::string& what);
void add_content_option(CLI::App& command, LayoutText& text);
// "sha256", for one.
std::string_view content_mode_name(metadata::ContentMode mode);
std::optional<metadata::ContentMode> content_mode_of(std::string_view name);
// kInvalid for text that is no policy or mode, or sizes that no layout can have.
Result<metadata::Layout> parse_layout(const LayoutText& text);

}  // namespace dogfs::tool
