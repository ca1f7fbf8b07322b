#pragma once
// Scenarios as JSON: the files of scenarios/ and the capsules that failing runs leave. What is read
// is checked against the schema (scenarios/schema.json, kept here as text so that the program needs
// no file) and then for sense: nodes that exist, a policy that the cluster can hold.

#include <string>
#include <string_view>

#include "core/base/error.h"
#include "sim/run/scenario.h"

namespace dogfs::sim {

// `name` stands in front of errors: "scenarios/x.json: $.faults[2].for: expected ..., found ...".
Result<Scenario> parse_scenario(std::string_view json, std::string_view name);

// As scenarios/schema.json has it.
std::string_view scenario_schema();

}  // namespace dogfs::sim
