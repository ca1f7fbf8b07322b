#include "tests/core/raft/script.h"

#include <charconv>
#include <memory>
#include <sstream>

#include "tests/core/raft/cluster.h"

namespace dogfs::raft {
namespace {

using Words = std::vector<std::string>;

Words split(const std::string& line, char separator = ' ') {
  Words words;
  std::istringstream in(line);
  for (std::string word; std::getline(in, word, separator);) {
    if (!word.empty()) words.push_back(word);
  }
  return words;
}

uint64_t number(const std::string& text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

NodeId node_id(const std::string& text) { return NodeId(static_cast<uint32_t>(number(text))); }

std::string describe_role(const Core& core) {
  const std::string leader = core.leader() ? fmt::format(" leader {}", core.leader().node) : "";
  return fmt::format("{} t{}{}", role_name(core.role()), core.term(),
                     core.role() == Role::kLeader ? "" : leader);
}

std::string describe_entries(const std::vector<Entry>& entries) {
  std::string text;
  for (const Entry& entry : entries) {
    text += " " + describe(entry);
  }
  return text;
}

std::string describe_persist(const PersistRequest& request) {
  std::string text = fmt::format("writes #{}", request.number);
  if (const auto& hard = request.hard_state) {
    text += fmt::format(" term {}", hard->term);
    if (hard->voted_for) text += fmt::format(" vote {}", hard->voted_for.node);
  }
  if (request.snapshot) text += fmt::format(" snapshot {}", request.snapshot->last);
  return text + describe_entries(request.entries);
}

std::string_view refusal_name(Refusal refusal) {
  switch (refusal) {
    case Refusal::kNotLeader: return "not the leader";
    case Refusal::kBusy: return "busy";
    case Refusal::kTransferring: return "transferring";
    case Refusal::kTooLarge: return "too large";
    case Refusal::kUnsettled: return "unsettled";
    case Refusal::kInvalidGroup: return "no group";
    case Refusal::kNothingToChange: return "nothing to change";
    case Refusal::kNoQuorum: return "no quorum";
  }
  return "?";
}

class Run {
 public:
  std::string command(const std::string& line) {
    out_.clear();
    Words words = split(line);
    quiet_ = !words.empty() && words[0] == "quiet";
    if (quiet_) words.erase(words.begin());
    if (words.empty()) return "error: no command\n";
    if (words[0] != "group" && !cluster_) return "error: begin with a group\n";
    dispatch(words);
    if (cluster_) {
      for (; seen_ < cluster_->oracle().violations().size(); ++seen_) {
        out_ += "VIOLATION " + cluster_->oracle().violations()[seen_] + "\n";
      }
    }
    return out_;
  }

 private:
  void dispatch(const Words& words) {
    const std::string& verb = words[0];
    if (verb == "group") return group(words);
    if (verb == "status") return status();
    if (verb == "settle") return cluster_->settle();
    if (verb == "deliver") return deliver(words, /*lose=*/false, /*keep=*/false);
    if (verb == "drop") return deliver(words, /*lose=*/true, /*keep=*/false);
    if (verb == "repeat") return deliver(words, /*lose=*/false, /*keep=*/true);
    if (verb == "heal") return cluster_->heal();
    if (verb == "given") return given(words);
    if (words.size() < 2) return print("error: {} what?", verb);
    if (verb == "cut") return cut(words[1]);
    on_node(words);
  }

  void on_node(const Words& words) {
    const std::string& verb = words[0];
    const NodeId node = node_id(words[1]);
    const std::string argument = words.size() > 2 ? words[2] : "";
    if (!cluster_->servers().contains(node)) return print("error: no server {}", words[1]);
    if (verb == "tick") return tick(node, argument.empty() ? 1 : number(argument));
    if (verb == "timeout") return timeout(node);
    if (verb == "persist") {
      return cluster_->persist(node, argument.empty() ? SIZE_MAX : number(argument));
    }
    if (verb == "propose") return propose(node, words);
    if (verb == "change") return change(node, words);
    if (verb == "read") return cluster_->step(node, ReadIndex{ReadId(number(argument))});
    if (verb == "crash") return cluster_->crash(node, number(argument));
    if (verb == "restart") return restart(node);
    if (verb == "lose-disk") return cluster_->lose_disk(node);
    if (verb == "compact") return cluster_->compact(node);
    if (verb == "send-snapshot") return cluster_->finish_offer(node, argument != "fails");
    if (verb == "transfer") {
      return cluster_->step(node, TransferLeadership{cluster_->server(node_id(argument)).self});
    }
    if (verb == "step-down") return cluster_->step(node, StepDown{});
    if (verb == "allow-campaign") return cluster_->step(node, AllowCampaign{});
    print("error: unknown command {}", verb);
  }

  // group VOTERS [learners=N] [spares=N] [tail=N] [election=N] [window=N] [entries=N]
  //       [uncommitted=N]
  void group(const Words& words) {
    Options options;
    options.tail_entries = 0;
    Cluster::Shape shape{.voters = number(words.at(1))};
    for (size_t i = 2; i < words.size(); ++i) {
      const Words pair = split(words[i], '=');
      if (pair.size() != 2) return print("error: {} is not name=value", words[i]);
      const uint64_t value = number(pair[1]);
      if (pair[0] == "learners") shape.learners = value;
      if (pair[0] == "spares") shape.spares = value;
      if (pair[0] == "tail") options.tail_entries = value;
      if (pair[0] == "election") options.election_ticks = value;
      if (pair[0] == "window") options.appends_in_flight = value;
      if (pair[0] == "entries") options.append_entries = value;
      if (pair[0] == "uncommitted") options.uncommitted_bytes = value;
    }
    cluster_ = std::make_unique<Cluster>(options, shape, 1);
    cluster_->on_output = [this](const Cluster::Server& server, const Output& output) {
      show(server, output);
    };
  }

  // given NODE term=T log=1,1,2: what is on its disk; it restarts from that.
  void given(const Words& words) {
    const NodeId node = node_id(words.at(1));
    HardState hard_state;
    std::vector<Term> terms;
    for (size_t i = 2; i < words.size(); ++i) {
      const Words pair = split(words[i], '=');
      if (pair[0] == "term") hard_state.term = Term(number(pair.at(1)));
      if (pair[0] != "log" || pair.size() < 2) continue;
      for (const std::string& term : split(pair[1], ',')) terms.emplace_back(number(term));
    }
    cluster_->crash(node);
    cluster_->write_disk(node, hard_state, terms);
    cluster_->restart(node);
  }

  void tick(NodeId node, uint64_t count) {
    for (; count > 0; --count) cluster_->step(node, Tick{});
  }

  // As many ticks as its election timeout needs.
  void timeout(NodeId node) {
    const Core* core = cluster_->core(node);
    if (!core) return;
    const uint64_t most = 2 * core->options().election_ticks;
    const auto before = std::pair(core->role(), core->term());
    for (uint64_t i = 0; i < most && std::pair(core->role(), core->term()) == before; ++i) {
      cluster_->step(node, Tick{});
    }
  }

  void propose(NodeId node, const Words& words) {
    Propose propose;
    for (size_t i = 2; i < words.size(); ++i) {
      propose.proposals.push_back({ProposalId(++proposals_), Buffer::copy(words[i])});
    }
    cluster_->step(node, std::move(propose));
  }

  // change NODE VOTERS [LEARNERS]: nodes as 1,2,4; they enter as what they are now.
  void change(NodeId node, const Words& words) {
    const auto members = [&](size_t at) {
      std::vector<Member> list;
      if (at >= words.size()) return list;
      for (const std::string& name : split(words[at], ',')) {
        list.push_back(cluster_->server(node_id(name)).self);
      }
      return list;
    };
    cluster_->step(node, ChangeMembership{ProposalId(++proposals_), {members(2), members(3)}});
  }

  void restart(NodeId node) {
    cluster_->restart(node);
    if (quiet_) return;
    const Core& core = *cluster_->core(node);
    print("{} starts as {} in t{}, last {}", node, core.self(), core.term(), core.last());
  }

  // deliver|drop|repeat [FROM->TO]: what is under way now, not what that causes.
  void deliver(const Words& words, bool lose, bool keep) {
    NodeId from, to;
    if (words.size() > 1) {
      const Words ends = split(words[1], '-');
      from = node_id(ends.at(0));
      to = node_id(ends.at(1).substr(1));
    }
    std::deque<Message> under_way = std::exchange(cluster_->network(), {});
    std::deque<Message> now;
    for (Message& message : under_way) {
      const Envelope& e = message.envelope;
      const bool chosen = !from || (e.from.node == from && e.to.node == to);
      if (!chosen || keep) cluster_->network().push_back(message);
      if (chosen) now.push_back(std::move(message));
    }
    for (Message& message : now) {
      if (lose) {
        if (!quiet_) print("lost {}", describe(message));
        continue;
      }
      cluster_->deliver(std::move(message));
    }
  }

  // cut 1 | cut 1->2
  void cut(const std::string& what) {
    const Words ends = split(what, '-');
    const NodeId a = node_id(ends[0]);
    if (ends.size() == 2) return cluster_->cut(a, node_id(ends[1].substr(1)));
    for (const auto& [b, server] : cluster_->servers()) {
      cluster_->cut(a, b);
      cluster_->cut(b, a);
    }
  }

  void status() {
    for (auto& [node, server] : cluster_->servers()) {
      if (!server.core) {
        print("{} down", node);
        continue;
      }
      const Core& core = *server.core;
      std::string terms;
      for (LogIndex i = core.log().first_index(); i <= core.last().index; i = i.next()) {
        terms += fmt::format(" {}", *core.log().term_at(i));
      }
      print("{} {}, commit {}, durable {}, log from {}:{}", node, describe_role(core),
            core.commit(), core.durable(), core.log().first_index(), terms);
      if (core.configuration() != cluster_->first_configuration()) {
        print("    {}",
              core.configuration().empty() ? "no configuration" : describe(core.configuration()));
      }
      if (!core.followers()) continue;
      for (const auto& [member, progress] : *core.followers()) {
        print("    {} {} match {} next {}", member.node, progress_state_name(progress.state()),
              progress.match(), progress.next());
      }
    }
  }

  void show(const Cluster::Server& server, const Output& output) {
    if (quiet_) return;
    const NodeId node = server.self.node;
    if (output.role_change) print("{} is {}", node, describe_role(*server.core));
    if (output.persist) print("{} {}", node, describe_persist(*output.persist));
    for (const Message& message : output.messages) print("  {}", describe(message));
    if (output.restore) print("{} restores {}", node, output.restore->last);
    if (!output.committed.empty()) print("{} commits{}", node, describe_entries(output.committed));
    for (const Refused& refused : output.refused) {
      print("{} refuses proposal {}: {}", node, refused.id, refusal_name(refused.reason));
    }
    for (const ReadReady& read : output.reads)
      print("{} reads {} at {}", node, read.id, read.index);
    for (const RefusedRead& read : output.refused_reads) {
      print("{} refuses read {}: {}", node, read.id, refusal_name(read.reason));
    }
    for (const SnapshotOffer& offer : output.snapshots_to_send) {
      print("{} offers snapshot {} to {}", node, offer.snapshot.last, offer.envelope.to.node);
    }
  }

  template <class... Args>
  void print(fmt::format_string<Args...> text, Args&&... args) {
    out_ += fmt::format(text, std::forward<Args>(args)...) + "\n";
  }

  std::unique_ptr<Cluster> cluster_;
  std::string out_;
  bool quiet_ = false;
  uint64_t proposals_ = 0;
  size_t seen_ = 0;
};

}  // namespace

std::string run_script(const std::string& script) {
  Run run;
  std::string result;
  std::string output;
  bool expected = false;  // within an expected output, which is replaced
  std::istringstream in(script);
  for (std::string line; std::getline(in, line);) {
    if (expected && !line.empty()) continue;
    if (line == "----") {
      result += "----\n" + std::exchange(output, "");
      expected = true;
      continue;
    }
    expected = false;
    result += line + "\n";
    if (!line.empty() && line[0] != '#') output += run.command(line);
  }
  return result;
}

}  // namespace dogfs::raft
