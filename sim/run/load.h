#pragma once
// Load: the clients of a run and the checker beside them. Each client is a host of its own, with as
// many operations at a time as its workload says; its
// root task performs operations until it is told to stop. The checker, a client that no fault
// touches, makes the first directories, asks the metadata servers something every second to see
// that they answer, and, in the end, sees that every kind of operation works, reads every
// acknowledged file, and walks the whole tree.
//
// Owned by the run, outlives the processes. The run and the tasks talk through plain flags.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/env/task.h"
#include "sim/check/durability.h"
#include "sim/check/final_tree.h"
#include "sim/check/history.h"
#include "sim/run/group_operator.h"
#include "sim/run/scenario.h"
#include "sim/run/user.h"

namespace dogfs {
class Env;
}

namespace dogfs::sim {

class Cluster;
class Host;
class World;

class Load {
 public:
  static constexpr uint32_t kCheckerNumber = 0;  // of the checker's operations
  // In a healed cluster that does not wait with it.
  static constexpr Duration kCompactedWithin = std::chrono::seconds(60);

  Load(World& world, Cluster& cluster, const Scenario& scenario);

  // The checker boots and makes the first directories.
  void set_up();
  bool is_set_up() const { return set_up_; }
  void start_clients();
  // The operator brings back every server that it took out of the group.
  void bring_back() { bringing_back_ = true; }
  bool brought_back() const { return brought_back_; }
  // Clients end after the operation they are in.
  void stop() { stopping_ = true; }
  bool clients_ended() const { return running_.empty(); }
  // The checker tries everything and reads everything.
  void verify() { verifying_ = true; }
  bool verified() const { return verified_; }
  // Asked, behind all else, before it is verified, for a while: whether packs are compacted.
  void on_compaction(std::function<bool()> compacted) { compacted_ = std::move(compacted); }
  // It is verified, and that no garbage is left, too.
  bool quiet() const { return verified_ && quiet_; }

  // `told` hears of each operation, at the moment that a client is told it is done.
  void on_done(std::function<void(const Operation&)> told) { record_.on_done = std::move(told); }
  const Record& record() const { return record_; }
  // Called before each act of the operator and when it was answered.
  void on_operator(std::function<void()> acts) { operator_acts_ = std::move(acts); }
  const OperatorCounts& operator_counts() const { return operator_counts_; }
  const FinalReads& final_reads() const { return final_reads_; }
  const FinalTree& final_tree() const { return final_tree_; }

 private:
  struct Client {
    const Workload* workload;
    uint32_t number;
    std::string host;
  };
  Task<> client_main(Env& env, size_t index);
  Task<> run_lanes(Env& env, nodes::Client& client, size_t index);
  Task<> run_lane(Env& env, nodes::Client& client, size_t index, uint32_t lane);
  Task<> checker_main(Env& env);
  Task<> checker_loop(Env& env, nodes::Client& client, User& user);
  Task<> probe(Env& env, User& user);
  Task<> set_content_modes(Env& env, nodes::Client& client);
  Task<> operate(Env& env, GroupOperator& person);
  Task<> try_everything(Env& env, User& user);
  Task<> try_quota(Env& env, User& user, std::string directory);
  Task<> insist(Env& env, User& user, Operation operation, Buffer bytes);
  Task<size_t> ask(Env& env, User& user, Act act, std::string path);
  Task<> read_everything(Env& env, User& user);
  Task<> walk_everything(Env& env, User& user);
  Task<> visit(Env& env, User& user, std::string path);
  Task<> await_compaction(Env& env);
  Task<> await_no_garbage(Env& env, nodes::Client& client);
  bool load_is_over(const Workload& load) const;

  World& world_;
  Cluster& cluster_;
  const Scenario& scenario_;
  Record record_;
  FinalReads final_reads_;
  FinalTree final_tree_;
  Host* checker_;
  std::vector<Client> clients_;
  std::set<std::string> running_;  // hosts of clients that have not ended
  bool set_up_ = false;
  bool stopping_ = false;
  bool verifying_ = false;
  bool verified_ = false;
  bool quiet_ = false;
  uint64_t probes_ = 0;
  bool bringing_back_ = false;
  bool brought_back_ = false;
  OperatorCounts operator_counts_;
  std::function<void()> operator_acts_;
  std::function<bool()> compacted_ = [] { return true; };
};

}  // namespace dogfs::sim
