#include "tools/dogfs/policy_option.h"

#include <CLI/CLI.hpp>

namespace dogfs::tool {

void add_policy_option(CLI::App& command, std::string& text, const std::string& what) {
  command.add_option("--policy", text, what + ": rs-k-m or rep-N; else that of the directory");
}

Result<std::optional<placement::Policy>> parse_policy(const std::string& text) {
  if (text.empty()) return std::nullopt;
  TRY(policy, placement::Policy::parse(text));
  return policy;
}

}  // namespace dogfs::tool
