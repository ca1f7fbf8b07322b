#include "tests/replicated_map/map_stages.h"

#include "tests/replicated_map/map_cluster.h"

namespace dogfs::nodes {
namespace {

constexpr Duration kElection = std::chrono::seconds(4);  // long enough for one, or more

}  // namespace

void MapStages::play() {
  if (cluster_.disk_lost() || !calm()) return;
  ++played_;
  switch (random_.below(may_lose_disk_ ? 5 : 4)) {
    case 0: vote_on_a_hung_disk(); break;
    case 1: entries_of_an_earlier_term(); break;
    case 2: power_loss_before_the_sync(); break;
    case 3: lag_behind_a_snapshot(); break;
    case 4: return_with_a_blank_disk(); break;
  }
  for (int i = 1; i <= MapCluster::kServers; ++i) {
    cluster_.mend(i);
    cluster_.start(i);
  }
  cluster_.world.fabric().heal();
}

// All servers run, are connected and have heard of the same leader.
bool MapStages::calm() {
  cluster_.world.fabric().heal();
  for (int i = 1; i <= MapCluster::kServers; ++i) {
    cluster_.mend(i);
    cluster_.start(i);
  }
  const auto before = cluster_.history.acknowledged();
  return cluster_.run_until([&] { return cluster_.history.acknowledged() > before + 5; },
                            kElection) &&
         cluster_.runs(cluster_.leader());
}

MapStages::Cast MapStages::cast() {
  const int leader = cluster_.leader();
  const int step = random_.chance(1, 2) ? 1 : 2;
  const auto other = [&](int by) { return (leader - 1 + by) % MapCluster::kServers + 1; };
  return {leader, other(step), other(3 - step)};
}

// A server whose disk hangs is asked for its vote and loses power before the vote is durable. Whom
// it voted for is away when the old leader asks for another vote of the same term.
void MapStages::vote_on_a_hung_disk() {
  const auto [leader, voter, candidate] = cast();
  const Term before = cluster_.term();
  cluster_.server(voter).disk_model().stall_until(kNever);
  cluster_.server(leader).power_off();
  cluster_.run_until([&] { return cluster_.term() > before; }, kElection);
  cluster_.server(voter).power_off();
  cluster_.server(candidate).power_off();
  cluster_.mend(voter);
  cluster_.start(leader);
  cluster_.start(voter);
  cluster_.world.run_for(kElection);
}

// Figure 8 of the Raft paper. A leader is cut off from its peers, not from its clients; so is the
// next, as soon as it is elected. The first returns, leads again and gives the third server what it
// holds of its earlier term, and both lose power before what the first wrote in its new term is
// durable on it. Then the first meets the second, whose entry is the newer one.
void MapStages::entries_of_an_earlier_term() {
  const auto [first, other, another] = cast();
  const auto elected_after = [this](Term term) {
    return cluster_.run_until([this, term] { return cluster_.term() > term; }, kElection);
  };
  const Term begin = cluster_.term();
  cluster_.cut_off(first);
  if (!elected_after(begin)) return;
  const int second = cluster_.leader();
  const int third = second == other ? another : other;
  const Term middle = cluster_.term();
  cluster_.cut_off(second);
  cluster_.world.run_for(100ms);
  cluster_.reconnect(first);
  cluster_.cut_off(second);
  if (!elected_after(middle) || cluster_.leader() != first) return;
  cluster_.server(first).disk_model().stall_until(kNever);
  cluster_.world.run_for(60ms);
  cluster_.server(first).power_off();
  cluster_.server(third).power_off();
  cluster_.mend(first);
  cluster_.start(first);
  cluster_.reconnect(second);
  cluster_.world.run_for(kElection);
}

// Disks that hang for a moment, and then no power anywhere.
void MapStages::power_loss_before_the_sync() {
  for (auto* server : cluster_.servers()) server->disk_model().stall_until(kNever);
  cluster_.world.run_for(std::chrono::milliseconds(random_.between(5, 100)));
  for (auto* server : cluster_.servers()) server->power_off();
}

// A server that was cut off for long is sent a snapshot, and may lose power before it has it.
void MapStages::lag_behind_a_snapshot() {
  const int lagging = cast().second;
  cluster_.cut_off(lagging);
  const auto enough = cluster_.history.acknowledged() + random_.between(60, 100);
  cluster_.run_until([&] { return cluster_.history.acknowledged() >= enough; }, kElection);
  cluster_.reconnect(lagging);
  cluster_.world.run_for(std::chrono::milliseconds(random_.between(50, 1000)));
  if (random_.chance(1, 2)) cluster_.server(lagging).power_off();
}

// One server lags; one that does not loses its disk; the leader, which holds the rest, is away when
// the first two meet.
void MapStages::return_with_a_blank_disk() {
  const auto [leader, blank, lagging] = cast();
  cluster_.cut_off(lagging);
  cluster_.world.run_for(std::chrono::milliseconds(random_.between(200, 1000)));
  cluster_.server(leader).power_off();
  cluster_.lose_disk(blank);
  cluster_.reconnect(lagging);
  cluster_.start(blank);
  cluster_.world.run_for(kElection);
}

}  // namespace dogfs::nodes
