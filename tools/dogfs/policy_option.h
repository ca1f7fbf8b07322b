#pragma once
// --policy as put and mkdir take it: text of a person, for a directory or a single file. Nothing
// given means that the directory decides, and above all the cluster. Whether the cluster is large
// enough for it, only the cluster can tell.

#include <optional>
#include <string>

#include "core/base/error.h"
#include "core/placement/policy.h"

namespace CLI {
class App;
}

namespace dogfs::tool {

void add_policy_option(CLI::App& command, std::string& text, const std::string& what);
// Nothing for empty text; kInvalid for text that is no policy.
Result<std::optional<placement::Policy>> parse_policy(const std::string& text);

}  // namespace dogfs::tool
