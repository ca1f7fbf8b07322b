#pragma once
// GroupOperator: the person who runs the metadata servers. Now and then it moves leadership, takes
// one server out of the group, brings one back, or puts one in the place of another; when told to,
// it brings back whoever is out. It leaves the group three voters at least, and looks at the group
// before each act: what was refused, or whose outcome is unknown, is not insisted on.
//
// Node code: owned by the root task of a client that no fault touches.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/time.h"
#include "core/env/network.h"
#include "core/env/task.h"

namespace dogfs {
class Env;
}
namespace dogfs::nodes {
class GroupAdmin;
struct GroupView;
}  // namespace dogfs::nodes

namespace dogfs::sim {

// Acts that were accepted, and those that were not.
struct OperatorCounts {
  uint64_t transfers = 0;  // of leadership, that were done
  uint64_t additions = 0;
  uint64_t removals = 0;
  uint64_t replacements = 0;
  uint64_t refused = 0;
  uint64_t unknown = 0;
};

class GroupOperator {
 public:
  // A group that gives one of three away can lose none of the rest.
  static constexpr size_t kVotersMin = 3;
  struct Server {
    std::string name;
    Address address;
  };
  // All outlive it. `acts` is called before each act and when it was answered.
  GroupOperator(Env& env, nodes::GroupAdmin& admin, std::vector<Server> servers,
                OperatorCounts& counts, std::function<void()> acts)
      : env_(env),
        admin_(admin),
        servers_(std::move(servers)),
        counts_(counts),
        acts_(std::move(acts)) {}

  // One thing at a time, with pauses up to twice as long, until `*done`.
  Task<> work(Duration pause, const bool* done);
  // Returns when each of these is a voter.
  Task<> bring_back(std::vector<std::string> names);

 private:
  struct Change {
    const Server* add = nullptr;
    std::string remove = {};
  };
  Task<> move_leadership();
  Task<> change_members();
  std::optional<Change> draw_change(const nodes::GroupView& view);
  Task<> make(Change change);
  void count(const Error& error);

  Env& env_;
  nodes::GroupAdmin& admin_;
  const std::vector<Server> servers_;
  OperatorCounts& counts_;
  const std::function<void()> acts_;
};

}  // namespace dogfs::sim
