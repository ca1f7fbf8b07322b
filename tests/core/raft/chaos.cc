#include "tests/core/raft/chaos.h"

#include <algorithm>
#include <set>

#include "core/raft/quorum.h"

#include "tests/core/raft/cluster.h"

namespace dogfs::raft {
namespace {

// How often each kind of action comes, drawn per seed: some runs have no partitions, some hardly
// anything else.
struct Weights {
  uint64_t deliver, tick, persist, propose, read, crash, bounce, restart, blackout, cut, isolate,
      heal, compact, offer, transfer, change, lose_disk;
};

Options draw_options(Random& random) {
  Options options;
  options.election_ticks = random.between(2, 6);
  options.tail_entries = random.below(4);
  options.append_entries = random.between(1, 4);
  options.append_bytes = random.between(40, 200);
  options.appends_in_flight = random.between(1, 4);
  options.append_bytes_in_flight = random.between(40, 400);
  options.uncommitted_bytes = random.between(200, 2000);
  return options;
}

Weights draw_weights(Random& random) {
  const auto some = [&](uint64_t most) { return random.chance(1, 3) ? 0 : random.below(most + 1); };
  return {.deliver = random.between(200, 600),
          .tick = random.between(50, 400),
          .persist = random.between(50, 300),
          .propose = random.between(10, 100),
          .read = some(30),
          .crash = some(15),
          .bounce = some(15),
          .restart = random.between(15, 60),
          .blackout = some(2),
          .cut = some(8),
          .isolate = some(15),
          .heal = random.between(1, 15),
          .compact = some(30),
          .offer = random.between(1, 20),
          .transfer = some(5),
          .change = some(120),
          .lose_disk = some(1)};
}

class Chaos {
 public:
  explicit Chaos(uint64_t seed)
      : random_(seed),
        voters_(random_.chance(1, 3) ? 5 : 3),
        weights_(draw_weights(random_)),
        loss_(random_.below(20)),
        repeat_(random_.below(20)),
        cluster_(draw_options(random_),
                 {.voters = voters_, .learners = random_.below(2), .spares = random_.below(3)},
                 seed) {
    cluster_.on_output = [this](const Cluster::Server&, const Output& output) {
      for (const Entry& entry : output.committed) count(entry);
      report_.restores += output.restore ? 1 : 0;
      report_.reads += output.reads.size();
    };
  }

  ChaosReport run(uint64_t actions) {
    for (uint64_t i = 0; i < actions && violations().empty(); ++i) act();
    if (violations().empty()) heal_and_progress();
    for (const std::string& v : violations()) report_.violations.push_back(v);
    report_.leaders = cluster_.oracle().leaders();
    report_.committed = cluster_.oracle().committed().value;
    return report_;
  }

 private:
  const std::vector<std::string>& violations() { return cluster_.oracle().violations(); }

  void count(const Entry& entry) {
    if (entry.kind != EntryKind::kConfiguration || entry.index <= last_change_) return;
    last_change_ = entry.index;
    ++report_.changes;
    if (decode_configuration(entry.payload.view())->joint()) ++report_.joint;
  }

  NodeId any_node() {
    return NodeId(static_cast<uint32_t>(1 + random_.below(cluster_.servers().size())));
  }

  bool drawn(uint64_t& roll, uint64_t weight) {
    if (roll < weight) return true;
    roll -= weight;
    return false;
  }

  void act() {
    const Weights& w = weights_;
    uint64_t roll = random_.below(w.deliver + w.tick + w.persist + w.propose + w.read + w.crash +
                                  w.bounce + w.restart + w.blackout + w.cut + w.isolate + w.heal +
                                  w.compact + w.offer + w.transfer + w.change + w.lose_disk);
    if (drawn(roll, w.deliver)) {
      for (uint64_t n = random_.between(1, 8); n > 0; --n) deliver();
      return;
    }
    if (drawn(roll, w.tick)) {
      const NodeId node = any_node();
      for (uint64_t n = random_.between(1, 4); n > 0; --n) cluster_.step(node, Tick{});
      return;
    }
    if (drawn(roll, w.persist)) return cluster_.persist(any_node(), random_.between(1, 3));
    if (drawn(roll, w.propose)) return propose();
    if (drawn(roll, w.read)) return cluster_.step(likely_leader(), ReadIndex{ReadId(++reads_)});
    if (drawn(roll, w.crash)) return crash(likely_leader());
    if (drawn(roll, w.bounce)) return bounce(any_node());
    if (drawn(roll, w.restart)) return restart(any_node());
    if (drawn(roll, w.blackout)) return blackout();
    if (drawn(roll, w.cut)) return cluster_.cut(any_node(), any_node());
    if (drawn(roll, w.isolate)) return isolate(likely_leader());
    if (drawn(roll, w.heal)) return cluster_.heal();
    if (drawn(roll, w.compact)) return cluster_.compact(any_node());
    if (drawn(roll, w.offer)) return cluster_.finish_offer(any_node(), random_.chance(2, 3));
    if (drawn(roll, w.transfer)) {
      const Member to = cluster_.server(any_node()).self;
      return cluster_.step(likely_leader(), TransferLeadership{to});
    }
    if (drawn(roll, w.change)) return change(likely_leader());
    lose_disk(any_node());
  }

  void deliver() {
    auto& network = cluster_.network();
    if (network.empty()) return;
    // Mostly in order, so that anything is ever achieved.
    const size_t position = random_.chance(3, 4) ? 0 : random_.below(network.size());
    if (network.size() > 300 || random_.chance(loss_, 100)) {
      cluster_.take(position);
      return;
    }
    if (random_.chance(repeat_, 100)) network.push_back(network[position]);
    cluster_.deliver(cluster_.take(position));
  }

  NodeId likely_leader() {
    const NodeId leader = cluster_.leader();
    return leader && random_.chance(3, 4) ? leader : any_node();
  }

  void propose() {
    Propose propose;
    for (uint64_t n = random_.between(1, 3); n > 0; --n) {
      const auto payload = fmt::format("p{}", ++proposals_);
      propose.proposals.push_back({ProposalId(proposals_), Buffer::copy(payload)});
    }
    cluster_.step(likely_leader(), std::move(propose));
  }

  void crash(NodeId node) {
    if (!cluster_.core(node)) return;
    ++report_.crashes;
    cluster_.crash(node, random_.below(4));
  }

  void isolate(NodeId node) {
    cluster_.heal();
    for (const auto& [other, server] : cluster_.servers()) {
      cluster_.cut(node, other);
      cluster_.cut(other, node);
    }
  }

  void restart(NodeId node) {
    if (!cluster_.core(node)) cluster_.restart(node);
  }

  // Back at once, while the others have not noticed: what it forgot is still under way.
  void bounce(NodeId node) {
    crash(node);
    restart(node);
  }

  void blackout() {
    for (const auto& [node, server] : cluster_.servers()) crash(node);
  }

  // One member enters, leaves, or takes the place of another: first of all, a server with a new
  // disk that of its former self.
  void change(NodeId node) {
    const Core* core = cluster_.core(node);
    if (!core || core->configuration().empty()) return;
    // Mostly the change under way is let be done.
    if (!core->configuration().target.empty() && random_.chance(4, 5)) return;
    const Membership now = membership_of(core->configuration());
    const Member some = cluster_.server(any_node()).self;
    const Member voter = now.voters[random_.below(now.voters.size())];
    MemberChange change;
    const uint64_t kind = random_.below(6);
    if (kind != 1) change.add = some;
    if (kind != 2 && kind != 3) change.remove = voter;
    if (kind == 1 && !now.learners.empty() && random_.chance(1, 2)) {
      change.remove = now.learners.front();
    }
    change.learner = kind == 3;
    if (cluster_.server(voter.node).self != voter && random_.chance(2, 3)) {
      change = {cluster_.server(voter.node).self, voter};
    }
    auto wanted = changed(now, change);
    if (!wanted) return;
    cluster_.step(node, ChangeMembership{ProposalId(++proposals_), *std::move(wanted)});
  }

  // Every configuration that counts, or may come to, has its quorum without the lost and `more`.
  bool has_quorum_without(const std::set<NodeId>& more) {
    return std::ranges::all_of(cluster_.oracle().live_configurations(), [&](const auto& live) {
      return is_quorum(live, [&](const Member& member) {
        return cluster_.server(member.node).self == member && !more.contains(member.node);
      });
    });
  }

  // A minority may lose its disks for good.
  void lose_disk(NodeId node) {
    if (!has_quorum_without({node})) return;
    ++report_.lost_disks;
    cluster_.lose_disk(node);
  }

  // Everybody comes back, and all links but perhaps those to or from one server: within some
  // election timeouts a proposal must be committed on every other member that the configuration
  // names, and no joint configuration be left over. Of a group that gave itself a configuration
  // without a quorum, by a change while disks were lost, nothing is demanded.
  void heal_and_progress() {
    cluster_.heal();
    weights_ = {};
    for (const auto& [node, server] : cluster_.servers()) restart(node);
    if (!violations().empty() || !has_quorum_without({})) return;
    ++report_.progressed;
    if (random_.chance(1, 3)) cripple(any_node());
    const LogIndex before = cluster_.oracle().committed();
    for (int round = 0; round < 400; ++round) {
      for (const auto& [node, server] : cluster_.servers()) cluster_.step(node, Tick{});
      cluster_.settle();
      if (!violations().empty()) return;
      if (cluster_.leader() && round % 50 == 10) propose_at_leader();
      if (round > 60 && all_reached(before.next())) return;
    }
    report_.violations.push_back("no progress after healing: " + status());
  }

  // A partition in one direction that does not heal.
  void cripple(NodeId node) {
    if (!has_quorum_without({node})) return;
    ++report_.crippled;
    crippled_ = node;
    const bool hears = random_.chance(1, 2);
    for (const auto& [other, server] : cluster_.servers()) {
      if (hears) cluster_.cut(node, other);
      if (!hears) cluster_.cut(other, node);
    }
  }

  std::string status() {
    std::string text;
    for (const auto& [node, server] : cluster_.servers()) {
      const Core& core = *server.core;
      text += fmt::format("{} {} t{} commit {} log {}..{}; ", core.self(), role_name(core.role()),
                          core.term(), core.commit(), core.log().first_index(), core.last());
      text += "[" + describe(core.log().configuration()) + "] ";
      if (!core.followers()) continue;
      for (const auto& [member, progress] : *core.followers()) {
        text +=
            fmt::format("({} {} match {} next {}) ", member, progress_state_name(progress.state()),
                        progress.match(), progress.next());
      }
    }
    return text;
  }

  void propose_at_leader() {
    cluster_.step(cluster_.leader(), Propose{{{ProposalId(++proposals_), Buffer::copy("end")}}});
    cluster_.settle();
  }

  bool all_reached(LogIndex index) {
    const Core* leader = cluster_.leader() ? cluster_.core(cluster_.leader()) : nullptr;
    if (!leader || leader->configuration().joint()) return false;
    return std::ranges::all_of(leader->configuration().members(), [&](const Member& member) {
      const Cluster::Server& server = cluster_.server(member.node);
      return server.self != member || member.node == crippled_ ||
             server.core->log().handed_out() >= index;
    });
  }

  Random random_;
  uint64_t voters_;
  Weights weights_;
  uint64_t loss_, repeat_;  // per cent
  Cluster cluster_;
  ChaosReport report_;
  uint64_t reads_ = 0, proposals_ = 0;
  LogIndex last_change_;
  NodeId crippled_;
};

}  // namespace

ChaosReport run_chaos(uint64_t seed, uint64_t actions) { return Chaos(seed).run(actions); }

}  // namespace dogfs::raft
