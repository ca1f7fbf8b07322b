#include "tests/core/raft/cluster.h"

#include <algorithm>

#include "core/base/check.h"

namespace dogfs::raft {
namespace {

Member member_of(NodeId node, uint64_t life) { return {node, StoreId(node.value * 100 + life)}; }

Result<Recovered> replay(const std::vector<std::string>& disk) {
  Replay replay;
  for (const std::string& bytes : disk) {
    TRY(record, decode_record(as_bytes(bytes)));
    TRY_VOID(replay.add(record.body));
  }
  return std::move(replay).take();
}

}  // namespace

Cluster::Cluster(Options options, Shape shape, uint64_t seed)
    : options_(std::move(options)), random_(seed) {
  if (!options_.group) options_.group = GroupId(1);
  for (uint32_t n = 1; n <= shape.voters + shape.learners + shape.spares; ++n) {
    const Member member = member_of(NodeId(n), 1);
    if (n <= shape.voters) configuration_.voters.push_back(member);
    if (n > shape.voters && n <= shape.voters + shape.learners) {
      configuration_.learners.push_back(member);
    }
    servers_[NodeId(n)] = {.self = member, .core = {}, .disk = {}, .writing = {}, .lives = 0};
  }
  for (auto& [node, server] : servers_) {
    if (node.value <= shape.voters) {
      server.disk = {encode_record({options_.group, SnapshotMeta{{}, configuration_}})};
    }
    restart(node);
  }
}

void Cluster::step(NodeId node, Input input) {
  Server& server = servers_.at(node);
  if (!server.core) return;
  if (const auto* read = std::get_if<ReadIndex>(&input)) oracle_.read_asked(read->id);
  perform(server, server.core->step(std::move(input)));
}

void Cluster::perform(Server& server, Output output) {
  oracle_.observe(*server.core, output);
  if (on_output) on_output(server, output);
  if (output.persist) server.writing.push_back(std::move(*output.persist));
  for (Message& message : output.messages) network_.push_back(std::move(message));
  for (SnapshotOffer& offer : output.snapshots_to_send) offers_.push_back(std::move(offer));
}

void Cluster::persist(NodeId node, size_t count) {
  Server& server = servers_.at(node);
  PersistNumber done;
  for (; count > 0 && !server.writing.empty(); --count) {
    for (std::string& record : encode_records(options_.group, server.writing.front())) {
      server.disk.push_back(std::move(record));
    }
    done = server.writing.front().number;
    server.writing.pop_front();
  }
  if (done) step(node, Persisted{done});
}

void Cluster::crash(NodeId node, size_t kept) {
  Server& server = servers_.at(node);
  server.core.reset();
  for (const PersistRequest& request : std::exchange(server.writing, {})) {
    for (std::string& record : encode_records(options_.group, request)) {
      if (kept == 0) return;
      --kept;
      server.disk.push_back(std::move(record));
    }
  }
}

void Cluster::restart(NodeId node) {
  Server& server = servers_.at(node);
  Options options = options_;
  options.self = server.self;
  const uint64_t life = ++server.lives;
  auto recovered = replay(server.disk);
  if (!recovered) return oracle_.report(recovered.error().message);
  server.core.emplace(options, *std::move(recovered),
                      random_.fork("core", node.value * 1000 + life));
  oracle_.restarted(*server.core);
}

void Cluster::lose_disk(NodeId node) {
  crash(node);
  Server& server = servers_.at(node);
  server.disk.clear();
  server.self = member_of(node, server.lives + 1);
}

void Cluster::write_disk(NodeId node, HardState hard_state, const std::vector<Term>& terms) {
  PersistRequest request{.number = PersistNumber(1),
                         .hard_state = hard_state,
                         .snapshot = SnapshotMeta{{}, configuration_}};
  for (const Term term : terms) {
    const LogIndex index(request.entries.size() + 1);
    const auto payload = fmt::format("{}.{}", index, term);
    request.entries.push_back({index, term, EntryKind::kNormal, Buffer::copy(payload)});
  }
  server(node).disk = encode_records(options_.group, request);
}

Message Cluster::take(size_t position) {
  const auto at = network_.begin() + static_cast<ptrdiff_t>(position);
  Message message = std::move(*at);
  network_.erase(at);
  return message;
}

void Cluster::deliver(Message message) {
  const NodeId to = message.envelope.to.node;
  if (!is_cut(message.envelope.from.node, to)) step(to, std::move(message));
}

void Cluster::finish_offer(NodeId to, bool arrives) {
  const auto at = std::ranges::find_if(
      offers_, [&](const SnapshotOffer& offer) { return offer.envelope.to.node == to; });
  if (at == offers_.end()) return;
  const SnapshotOffer offer = *at;
  offers_.erase(at);
  const NodeId from = offer.envelope.from.node;
  arrives = arrives && core(to) && !is_cut(from, to);
  if (arrives) step(to, SnapshotReceived{offer});
  step(from, SnapshotSent{offer.envelope.to, arrives});
}

void Cluster::compact(NodeId node) {
  Core* self = core(node);
  if (!self) return;
  step(node, Compact{self->snapshot_meta(self->log().handed_out())});
}

void Cluster::settle() {
  for (bool moved = true; moved;) {
    moved = false;
    while (!network_.empty()) {
      deliver(take(0));
      moved = true;
    }
    for (auto& [node, server] : servers_) {
      moved = moved || !server.writing.empty();
      persist(node);
    }
    while (!offers_.empty()) {
      finish_offer(offers_.front().envelope.to.node, true);
      moved = true;
    }
  }
}

NodeId Cluster::leader() const {
  NodeId leader;
  Term term;
  for (const auto& [node, server] : servers_) {
    if (!server.core || server.core->role() != Role::kLeader || server.core->term() < term) {
      continue;
    }
    leader = node;
    term = server.core->term();
  }
  return leader;
}

}  // namespace dogfs::raft
