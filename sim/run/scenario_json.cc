#include "sim/run/scenario_json.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/limits.h"
#include "core/placement/policy.h"
#include "sim/check/appends.h"
#include "sim/run/json_schema.h"

namespace dogfs::sim {
namespace {

using nlohmann::json;

// "10s", "4MiB": the schema has seen to the form.
std::pair<int64_t, std::string_view> split_unit(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return {number, text.substr(static_cast<size_t>(end - text.data()))};
}

Duration duration_of(const json& value) {
  const auto text = value.get<std::string>();
  const auto [number, unit] = split_unit(text);
  if (unit == "us") return std::chrono::microseconds(number);
  if (unit == "ms") return std::chrono::milliseconds(number);
  if (unit == "m") return std::chrono::minutes(number);
  return std::chrono::seconds(number);
}

uint64_t size_of(const json& value) {
  const auto text = value.get<std::string>();
  const auto [number, unit] = split_unit(text);
  const auto count = static_cast<uint64_t>(number);
  if (unit == "KiB") return count * limits::kKiB;
  if (unit == "MiB") return count * limits::kMiB;
  return count;
}

void read_duration(const json& from, const char* name, Duration& into) {
  if (from.contains(name)) into = duration_of(from.at(name));
}
template <class Number>
void read_number(const json& from, const char* name, Number& into) {
  if (from.contains(name)) into = from.at(name).get<Number>();
}

ClusterShape read_cluster(const json& from) {
  ClusterShape shape;
  read_number(from, "metadata", shape.metadata);
  read_number(from, "chunk", shape.chunk);
  read_number(from, "disks", shape.disks);
  read_number(from, "zones", shape.zones);
  shape.policy = from.at("policy").get<std::string>();
  if (from.contains("block")) shape.block_bytes = size_of(from.at("block"));
  if (from.contains("scrub")) shape.scrub_bytes_per_second = size_of(from.at("scrub"));
  if (from.contains("cell")) shape.cell_bytes = static_cast<uint32_t>(size_of(from.at("cell")));
  if (from.contains("inline"))
    shape.inline_bytes = static_cast<uint32_t>(size_of(from.at("inline")));
  if (from.contains("snapshot_after"))
    shape.snapshot_after_bytes = size_of(from.at("snapshot_after"));
  if (from.contains("log_tail")) shape.log_tail = from.at("log_tail").get<uint64_t>();
  read_duration(from, "tick", shape.tick);
  read_duration(from, "latency_max", shape.latency_max);
  read_duration(from, "session_silence", shape.session_silence);
  read_duration(from, "lease_silence", shape.lease_silence);
  read_duration(from, "operation_limit", shape.operation_limit);
  read_number(from, "removal_step", shape.removal_step);
  read_number(from, "drift_ppm", shape.drift_ppm_max);
  if (from.contains("lease_drift_percent"))
    shape.lease_drift_percent = from.at("lease_drift_percent").get<uint64_t>();
  return shape;
}

Workload read_workload(const json& from) {
  Workload load;
  read_duration(from, "from", load.from);
  read_duration(from, "until", load.until);
  read_number(from, "clients", load.clients);
  read_duration(from, "think", load.think);
  read_number(from, "paths", load.paths);
  read_number(from, "at_once", load.at_once);
  read_number(from, "depth", load.depth);
  read_number(from, "names", load.names);
  if (from.contains("size")) {
    load.size_min = size_of(from.at("size").at(0));
    load.size_max = size_of(from.at("size").at(1));
  }
  const json& mix = from.at("mix");
  read_number(mix, "put", load.mix.put);
  read_number(mix, "get", load.mix.get);
  read_number(mix, "stat", load.mix.stat);
  read_number(mix, "list", load.mix.list);
  read_number(mix, "mkdir", load.mix.mkdir);
  read_number(mix, "rename", load.mix.rename);
  read_number(mix, "remove", load.mix.remove);
  read_number(mix, "copy", load.mix.copy);
  read_number(mix, "truncate", load.mix.truncate);
  read_number(mix, "concatenate", load.mix.concatenate);
  read_number(mix, "quota", load.mix.quota);
  read_number(mix, "use", load.mix.use);
  read_number(mix, "attributes", load.mix.attributes);
  read_number(mix, "replace", load.mix.replace);
  return load;
}

Appending read_appending(const json& from) {
  Appending load;
  read_number(from, "clients", load.clients);
  read_number(from, "at_once", load.at_once);
  read_number(from, "files", load.files);
  if (from.contains("record"))
    load.size_max = std::max<uint64_t>(size_of(from.at("record")), kRecordBytesMin);
  read_duration(from, "think", load.think);
  read_duration(from, "until", load.until);
  return load;
}

void read_partition(const json& from, Fault& fault) {
  fault.kind = FaultKind::kPartition;
  fault.victim = from.at("isolate").get<std::string>();
  fault.peer = from.value("from", "");
  const auto direction = from.value("direction", "both");
  if (direction == "in") fault.direction = Direction::kIn;
  if (direction == "out") fault.direction = Direction::kOut;
}

void read_disk(const json& from, Fault& fault) {
  const auto kind = from.at("fault").get<std::string>();
  fault.victim = from.at("node").get<std::string>();
  fault.amount = from.value("sectors", uint64_t{1});
  if (kind == "errors") {
    fault.kind = FaultKind::kDiskErrors;
    fault.amount = from.value("per_million", uint64_t{100'000});
  } else if (kind == "slow") {
    fault.kind = FaultKind::kDiskSlow;
    fault.amount = from.value("factor", uint64_t{20});
  } else if (kind == "stall") {
    fault.kind = FaultKind::kDiskStall;
  } else if (kind == "bit-rot") {
    fault.kind = FaultKind::kBitRot;
  } else if (kind == "sector-errors") {
    fault.kind = FaultKind::kSectorErrors;
  } else if (kind == "lost") {
    fault.kind = FaultKind::kLostDisk;
  } else if (kind == "dead") {
    fault.kind = FaultKind::kDeadDisk;
  } else {
    fault.kind = FaultKind::kDiskFull;
  }
}

Fault read_fault(const json& from) {
  Fault fault{.victim = {}, .peer = {}};
  read_duration(from, "at", fault.at);
  if (from.contains("for")) fault.duration = duration_of(from.at("for"));
  const auto victim_of = [&](const char* name, FaultKind kind) {
    if (!from.contains(name)) return;
    fault.kind = kind;
    fault.victim = from.at(name).get<std::string>();
  };
  victim_of("kill", FaultKind::kKill);
  victim_of("power_loss", FaultKind::kPowerLoss);
  victim_of("pause", FaultKind::kPause);
  read_number(from, "disk_operation", fault.amount);
  if (from.contains("after_election"))
    fault.after_election = duration_of(from.at("after_election"));
  if (from.contains("after_reconfiguration"))
    fault.after_reconfiguration = duration_of(from.at("after_reconfiguration"));
  if (from.contains("partition")) read_partition(from.at("partition"), fault);
  if (from.contains("disk")) read_disk(from.at("disk"), fault);
  if (from.contains("reset")) {
    fault.kind = FaultKind::kReset;
    fault.amount = from.at("reset").get<uint64_t>();
  }
  if (from.contains("clog")) {
    fault.kind = FaultKind::kClog;
    fault.victim = from.at("clog").at("node").get<std::string>();
    fault.amount = static_cast<uint64_t>(to_ms(duration_of(from.at("clog").at("latency"))));
  }
  if (from.contains("clock")) {
    fault.kind = FaultKind::kWallClock;
    fault.victim = from.at("clock").at("node").get<std::string>();
    fault.amount = static_cast<uint64_t>(to_ms(duration_of(from.at("clock").at("jump"))));
  }
  return fault;
}

Expectation read_expectation(const json& from) {
  Expectation expect;
  read_number(from, "linearizable", expect.linearizable);
  read_number(from, "durable", expect.durable);
  read_number(from, "operations_min", expect.operations_min);
  if (from.contains("write_gap_max")) expect.write_gap_max = duration_of(from.at("write_gap_max"));
  if (from.contains("elections_max"))
    expect.elections_max = from.at("elections_max").get<uint64_t>();
  read_duration(from, "heals_within", expect.heals_within);
  return expect;
}

constexpr std::string_view kRoles[] = {"metadata:leader", "metadata:follower", "metadata:any",
                                       "metadata:all",    "chunk:any",         "chunk:all",
                                       "client:any",      "client:all",        "all"};

// What the schema cannot say. The mismatch that is found first.
class Sense {
 public:
  explicit Sense(const Scenario& scenario) : scenario_(scenario) {}

  std::optional<Mismatch> find() const {
    if (auto found = cluster()) return found;
    for (size_t i = 0; i < scenario_.workload.size(); ++i)
      if (auto found = workload(scenario_.workload[i], fmt::format("$.workload[{}]", i)))
        return found;
    if (auto found = appending()) return found;
    for (size_t i = 0; i < scenario_.faults.size(); ++i)
      if (auto found = fault(scenario_.faults[i], fmt::format("$.faults[{}]", i))) return found;
    for (size_t i = 0; i < scenario_.lasting.size(); ++i)
      if (auto found = fault(scenario_.lasting[i], fmt::format("$.lasting[{}]", i))) return found;
    if (scenario_.faults_until > scenario_.until)
      return Mismatch{"$.faults_until", "a time not after until", "a later one"};
    return std::nullopt;
  }

 private:
  std::optional<Mismatch> cluster() const {
    const ClusterShape& shape = scenario_.cluster;
    const auto policy = placement::Policy::parse(shape.policy);
    if (!policy)
      return Mismatch{"$.cluster.policy", "a policy that exists", policy.error().message};
    if (policy->width() > shape.chunk)
      return Mismatch{"$.cluster.policy",
                      fmt::format("a policy that {} chunk servers can hold", shape.chunk),
                      shape.policy};
    if (shape.block_bytes < limits::kBlockBytesMin || shape.block_bytes > limits::kBlockBytesMax)
      return Mismatch{"$.cluster.block", "1MiB to 512MiB", fmt::format("{}B", shape.block_bytes)};
    if (shape.cell_bytes == 0 || shape.cell_bytes > limits::kCellBytesMax)
      return Mismatch{"$.cluster.cell", "1B to 1MiB", fmt::format("{}B", shape.cell_bytes)};
    if (shape.inline_bytes > limits::kInlineBytesMax)
      return Mismatch{"$.cluster.inline", "0B to 64KiB", fmt::format("{}B", shape.inline_bytes)};
    return std::nullopt;
  }
  std::optional<Mismatch> workload(const Workload& load, const std::string& path) const {
    if (load.size_min > load.size_max)
      return Mismatch{path + ".size", "the least size first", "a greater one first"};
    if (load.mix.total() == 0) return Mismatch{path + ".mix", "a weight above 0", "none"};
    if (load.until <= load.from) return Mismatch{path + ".until", "a time after from", "none"};
    return std::nullopt;
  }
  std::optional<Mismatch> appending() const {
    const Appending& load = scenario_.appending;
    if (load.size_max > limits::kAppendRecordBytesMax)
      return Mismatch{"$.appending.record", "a size up to 1MiB", fmt::format("{}B", load.size_max)};
    if (load.clients > 0 && load.until > scenario_.until)
      return Mismatch{"$.appending.until", "a time not after until", "a later one"};
    return std::nullopt;
  }
  std::optional<Mismatch> fault(const Fault& fault, const std::string& path) const {
    for (const std::string& node : {fault.victim, fault.peer})
      if (!node.empty() && !exists(node))
        return Mismatch{path, "a node or a role of this cluster", fmt::format("\"{}\"", node)};
    if (fault.at >= scenario_.faults_until)
      return Mismatch{path + ".at", "a time before faults_until", "a later one"};
    return std::nullopt;
  }
  bool exists(std::string_view node) const {
    const size_t dash = node.find('-');
    if (dash == std::string_view::npos) return std::ranges::count(kRoles, node) > 0;
    const auto number = static_cast<uint64_t>(split_unit(node.substr(dash + 1)).first);
    if (node.starts_with("meta-")) return number <= scenario_.cluster.metadata;
    if (node.starts_with("chunk-")) return number <= scenario_.cluster.chunk;
    uint64_t clients = 0;
    for (const Workload& load : scenario_.workload) clients += load.clients;
    return number <= clients;
  }

  const Scenario& scenario_;
};

// "line 3, column 7", of a byte offset that counts from 1.
std::string place_of(std::string_view text, size_t byte) {
  const auto before = text.substr(0, std::min(byte > 0 ? byte - 1 : 0, text.size()));
  const auto line = 1 + std::ranges::count(before, '\n');
  const size_t start = before.rfind('\n');
  const size_t column = before.size() - (start == std::string_view::npos ? 0 : start + 1) + 1;
  return fmt::format("line {}, column {}", line, column);
}

Result<json> parse_json(std::string_view text, std::string_view name) {
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {
    return fail(Code::kInvalid, "{}: {}: not JSON: {}", name, place_of(text, error.byte),
                std::string_view(error.what()).substr(0, 200));
  }
}

}  // namespace

Result<Scenario> parse_scenario(std::string_view text, std::string_view name) {
  TRY(parsed, parse_json(text, name));
  static const json kSchema = json::parse(scenario_schema());
  if (const auto mismatch = find_mismatch(parsed, kSchema))
    return fail(Code::kInvalid, "{}: {}", name, mismatch->text());
  Scenario scenario;
  scenario.name = parsed.at("name").get<std::string>();
  scenario.cluster = read_cluster(parsed.at("cluster"));
  for (const json& load : parsed.at("workload")) scenario.workload.push_back(read_workload(load));
  if (parsed.contains("appending")) scenario.appending = read_appending(parsed.at("appending"));
  for (const json& fault : parsed.at("faults")) scenario.faults.push_back(read_fault(fault));
  if (parsed.contains("lasting"))
    for (const json& fault : parsed.at("lasting")) scenario.lasting.push_back(read_fault(fault));
  if (parsed.contains("catches"))
    scenario.catches = parsed.at("catches").get<std::vector<std::string>>();
  read_duration(parsed, "operator_every", scenario.operator_every);
  read_duration(parsed, "faults_until", scenario.faults_until);
  read_duration(parsed, "until", scenario.until);
  if (parsed.contains("expect")) scenario.expect = read_expectation(parsed.at("expect"));
  if (const auto mismatch = Sense(scenario).find())
    return fail(Code::kInvalid, "{}: {}", name, mismatch->text());
  return scenario;
}

}  // namespace dogfs::sim
