#pragma once
// --policy, --block and --cell as put, mkdir and admin policy take them: text of a person, for a
// directory or a single file. Nothing given means that the directory decides, and above all the
// cluster. Whether the cluster is large enough for it, only the cluster can tell.

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
};
void add_layout_options(CLI::App& command, LayoutText& text, const std::string& what);
// kInvalid for text that is no policy, or sizes that no layout can have.
Result<metadata::Layout> parse_layout(const LayoutText& text);

}  // namespace dogfs::tool
