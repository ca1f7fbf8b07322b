#pragma once
// DataScene: what every part of `dogfs bench data` works on: a running local cluster, the null
// system beside it, the pattern of bytes, and the one place where work is measured and reported.
// Owned by the benchmark; one thread; blocks.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "tools/dogfs/bench/data_bench.h"
#include "tools/dogfs/bench/null_system.h"
#include "tools/dogfs/bench/pattern.h"
#include "tools/dogfs/bench/timed_work.h"
#include "tools/dogfs/local_cluster.h"

namespace dogfs::tool {

class HeldSignals;
class Output;

// What some work took, and what it cost whom.
struct Measured {
  Timed timed;
  double client_cpu_us = 0;
  double chunk_cpu_us = 0;  // of the null system: all of its sinks
  double metadata_cpu_us = 0;
  double syncs = 0;                // by all servers
  uint64_t copied_bytes = 0;       // by the clients and the chunk servers
  uint64_t client_peak_bytes = 0;  // resident, of the process; of the largest server of its kind
  uint64_t chunk_peak_bytes = 0;
  uint64_t metadata_peak_bytes = 0;
};

// How a measurement is named in the report.
struct Label {
  std::string_view part;
  std::string_view operation;  // "put", "get", "read", "append"
  std::string_view condition;  // "", "1 dead"
  uint64_t bytes = 0;          // of one operation
  uint32_t clients = 1;
  uint32_t round = 1;
};

class DataScene {
 public:
  DataScene(Output& output, const DataBenchOptions& options, LocalCluster& cluster,
            NullSystem& null_system, HeldSignals& signals, int& signal);

  Output& output() { return output_; }
  const DataBenchOptions& options() const { return options_; }
  LocalCluster& cluster() { return cluster_; }
  NullSystem& null_system() { return null_system_; }
  const Pattern& pattern() const { return pattern_; }

  // kUnavailable when the benchmark was interrupted.
  Result<void> go_on();
  // The same, before and after work that measure() runs; with the clients' costs and the servers'.
  Result<Measured> run(const Effort& effort, const Operation& operation);
  // Work through the null system; `syncs` are those of one operation.
  Result<Measured> run_null(const std::function<Result<Timed>()>& work, double syncs);

  // A line for each. `null`, if given, is what the ratio is taken to; the ratio comes out, of bytes
  // per second or of operations per second, which is the same.
  double report(const Label& label, const Measured& measured, const Measured* null);
  void report_null(const Label& label, const Measured& measured);

  // Stores `bytes` of the pattern at a path. An operation for run().
  Task<Result<uint64_t>> put(nodes::Client& client, std::string path, uint64_t bytes);
  // Reads a range of what put() stored, and checks it.
  Task<Result<uint64_t>> get(nodes::Client& client, std::string path, uint64_t offset,
                             uint64_t bytes);

 private:
  void write(std::string_view system, const Label& label, const Measured& measured,
             std::optional<double> ratio);

  Output& output_;
  const DataBenchOptions& options_;
  LocalCluster& cluster_;
  NullSystem& null_system_;
  HeldSignals& signals_;
  int& signal_;  // that interrupted it
  const Pattern pattern_;
};

double median(std::vector<double> values);

}  // namespace dogfs::tool
