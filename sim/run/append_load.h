#pragma once
// AppendLoad: clients that append records to a few files at once and read them meanwhile, beside
// the other load of a run, whose oracles know nothing of these files: they lie in a directory of
// their own. In the end each file is appended to once more and read. Owned by the run, outlives the
// processes.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/env/task.h"
#include "nodes/client/client.h"
#include "sim/check/appends.h"
#include "sim/run/scenario.h"

namespace dogfs {
class Env;
}
namespace dogfs::nodes {
class Appender;
}  // namespace dogfs::nodes

namespace dogfs::sim {

class Cluster;
class Host;
class World;

class AppendLoad {
 public:
  // The directory of the files; the others keep out of it.
  static constexpr const char* kDirectory = "/appended";

  AppendLoad(World& world, Cluster& cluster, const Appending& load);

  // When kDirectory is there.
  void start();
  void stop() { stopping_ = true; }
  bool ended() const { return running_ == 0; }
  // `told` hears of each record, at the moment that a client is told it is stored.
  void on_done(std::function<void()> told) { on_done_ = std::move(told); }
  // A client that no fault touches reads all of them.
  void verify();
  bool verified() const { return verified_; }

  const AppendHistory& history() const { return history_; }
  const std::vector<AppendedRead>& last_reads() const { return last_reads_; }

 private:
  Task<> client_main(Env& env, uint32_t number);
  Task<> run_lanes(Env& env, nodes::Client& client, uint32_t number);
  Task<> run_lane(Env& env, nodes::Client& client, uint32_t number, uint32_t lane);
  Task<> append(nodes::Appender& appender, uint32_t number, std::string path, uint64_t size);
  // False: it was refused.
  Task<bool> read(nodes::Client& client, std::string path, std::vector<AppendedRead>& reads);
  Task<> checker_main(Env& env);
  Task<> check_all(Env& env, nodes::Client& client);
  std::string path(uint64_t file) const;

  World& world_;
  const nodes::ClientOptions options_;
  const Appending load_;
  std::vector<Host*> hosts_;
  Host* checker_ = nullptr;
  std::function<void()> on_done_;
  AppendHistory history_;
  std::vector<AppendedRead> last_reads_;
  std::vector<bool> over_;  // clients that have ended
  uint32_t running_ = 0;
  uint64_t last_number_ = 0;
  bool stopping_ = false;
  bool verified_ = false;
};

}  // namespace dogfs::sim
