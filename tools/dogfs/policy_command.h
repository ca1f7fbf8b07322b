#pragma once
// `dogfs admin policy PATH`: in which policy, blocks and cells files are stored that are made in a
// directory and below, and what is known of their content; shows what is in force and what says so,
// or changes what the directory says. `stat` shows the same of any path.

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "core/namespace/queries.h"
#include "tools/dogfs/output.h"

namespace CLI {
class App;
}

namespace dogfs::tool {

void add_policy_command(CLI::App& admin, Output& output);

// What says so, of a path: "cluster", a directory above it, or the path itself.
std::string layout_source(const std::string& path, uint32_t level);
// Adds block and cell sizes and the mode of content, and where they and the policy come from.
void add_layout(const std::string& path, const metadata::Attributes& attributes,
                nlohmann::json& row);
void show_layout(Output& output, const nlohmann::json& row);

}  // namespace dogfs::tool
