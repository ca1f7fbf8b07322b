#include "tools/dogfs/sim/run_line.h"

#include <charconv>

#include <nlohmann/json.hpp>

namespace dogfs::tool {
namespace {

using nlohmann::json;
using sim::Oracle;

Oracle oracle_of(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Oracle::kCanary); ++i)
    if (sim::oracle_name(static_cast<Oracle>(i)) == name) return static_cast<Oracle>(i);
  return Oracle::kCrash;
}

uint64_t parse_hex(const std::string& text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return value;
}

RunLine read(const json& from) {
  RunLine line;
  sim::RunResult& result = line.result;
  result.seed = from.at("seed").get<uint64_t>();
  result.trace_hash = parse_hex(from.at("trace_hash").get<std::string>());
  result.events = from.at("events").get<uint64_t>();
  result.simulated = std::chrono::milliseconds(from.at("simulated_ms").get<int64_t>());
  result.operations = from.at("operations").get<uint64_t>();
  for (const json& violation : from.at("violations"))
    result.violations.push_back({oracle_of(violation.at("oracle").get<std::string>()),
                                 violation.at("text").get<std::string>()});
  for (const auto& [name, count] : from.at("figures").items())
    result.tally[name] = count.get<uint64_t>();
  line.mutant_visits = from.value("mutant_visits", uint64_t{0});
  return line;
}

}  // namespace

std::string format_run(const RunLine& line) {
  const sim::RunResult& result = line.result;
  json violations = json::array();
  for (const sim::Violation& violation : result.violations)
    violations.push_back(
        {{"oracle", sim::oracle_name(violation.oracle)}, {"text", violation.text}});
  json out = {{"type", "run"},
              {"seed", result.seed},
              {"ok", result.ok()},
              {"trace_hash", fmt::format("{:016x}", result.trace_hash)},
              {"events", result.events},
              {"simulated_ms", to_ms(result.simulated)},
              {"operations", result.operations},
              {"violations", std::move(violations)},
              {"figures", result.tally}};
  if (line.mutant_visits > 0) out["mutant_visits"] = line.mutant_visits;
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<RunLine> parse_run(std::string_view text) {
  try {
    return read(json::parse(text));
  } catch (const json::exception& error) {
    return fail(Code::kInvalid, "not the result of a run: {}", error.what());
  }
}

RunLine crashed_run(uint64_t seed, const Error& error) {
  RunLine line;
  line.result.seed = seed;
  line.result.violations.push_back({Oracle::kCrash, error.message});
  return line;
}

}  // namespace dogfs::tool
