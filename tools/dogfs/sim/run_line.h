#pragma once
// RunLine: the result of one run as one line of JSON, for --json and on its way from a worker
// process. README.md of sim/run lists the members.

#include <string>
#include <string_view>

#include "core/base/error.h"
#include "sim/run/run.h"

namespace dogfs::tool {

struct RunLine {
  sim::RunResult result;
  uint64_t mutant_visits = 0;  // only in the mutation build
};

std::string format_run(const RunLine& line);
// kInvalid for anything else.
Result<RunLine> parse_run(std::string_view text);
// A run whose process died.
RunLine crashed_run(uint64_t seed, const Error& error);

}  // namespace dogfs::tool
