#include "nodes/metadata/metadata_node.h"

#include <algorithm>

#include "core/env/nursery.h"
#include "core/namespace/cluster_version.h"
#include "core/rpc/server.h"
#include "nodes/metadata/group_service.h"
#include "nodes/metadata/metadata_service.h"

namespace dogfs::nodes {

// Everything of a server whose directory is open, in the order of dependence.
struct MetadataNode::Parts {
  Parts(Env& env, const MetadataNodeOptions& options, std::unique_ptr<RaftServer> opened,
        MetadataState& state, Admission::Self self, std::vector<Address> seeds, PeerAddresses known)
      : raft(std::move(opened)),
        group(env, raft->host(), state),
        liveness(env, options.liveness, group),
        expiry(env, options.expiry, group),
        deletion(env, options.deletion, group),
        append_tasks(env, options.append_tasks, group),
        compaction(env, options.compaction, group),
        trash(env, options.trash, group),
        exports(env, group),
        service(options.raft.cluster, {group, raft->peers(), liveness, expiry, deletion,
                                       append_tasks, compaction, exports}),
        group_service(env, group, raft->peers(), raft->client()),
        admission(env, *raft, state.machine(), std::move(self), std::move(seeds), std::move(known)),
        server(env, raft->identity()) {
    raft->peers().set_directory([&state](NodeId node) -> std::string_view {
      const placement::Node* known = state.machine().cluster_map().find(node);
      if (known == nullptr || known->kind != placement::NodeKind::kMetadata) return {};
      return known->address;
    });
    raft->register_with(server);
    service.register_with(server);
    group_service.register_with(server);
  }

  std::unique_ptr<RaftServer> raft;
  MetadataGroup group;
  Liveness liveness;
  Expiry expiry;
  Deletion deletion;
  AppendTasks append_tasks;
  Compaction compaction;
  Trash trash;
  Exports exports;
  MetadataService service;
  GroupService group_service;
  Admission admission;
  rpc::Server server;
};

MetadataNode::MetadataNode(Env& env, MetadataNodeOptions options)
    : env_(env), options_(std::move(options)) {}

MetadataNode::~MetadataNode() = default;

Task<Result<void>> MetadataNode::run() {
  co_await learn_addresses();
  RaftServerOptions raft_options = options_.raft;
  raft_options.seeds = seeds();
  auto raft = co_await RaftServer::open(env_, std::move(raft_options), state_);
  if (!raft) co_return fail(raft.error());
  parts_ =
      std::make_unique<Parts>(env_, options_, std::move(*raft), state_, self(), seeds(), known_);
  for (const auto& [node, address] : known_) parts_->raft->peers().learn(node, address);
  auto listener = env_.network().listen(options_.listen);
  if (!listener) co_return fail(listener.error());
  co_await nursery(env_, [&](Nursery& children) { return serve(children, std::move(*listener)); });
  co_return fail(failure_.value_or(Error{Code::kClosed, "stopped"}));
}

Task<> MetadataNode::serve(Nursery& children, std::unique_ptr<Listener> listener) {
  children.spawn(parts_->server.serve(std::move(listener)));
  children.spawn(parts_->liveness.run());
  children.spawn(parts_->expiry.run());
  children.spawn(parts_->deletion.run());
  children.spawn(parts_->append_tasks.run());
  children.spawn(parts_->compaction.run());
  children.spawn(parts_->trash.run());
  children.spawn(parts_->exports.run());
  children.spawn(announce());
  children.spawn(parts_->admission.run());
  auto ended = co_await parts_->raft->run();
  if (!ended) failure_ = ended.error();
}

// What a leader must bring about once: the cluster itself, and the metadata servers in its map.
Task<> MetadataNode::announce() {
  MetadataGroup& group = parts_->group;
  for (;;) {
    co_await group.leadership();
    // A leader's state is whole only when an entry of its own term has committed.
    auto whole = co_await group.host().read_barrier();
    // First the cluster, then who belongs to it.
    for (int pass = 0; whole && pass < 2; ++pass)
      for (auto& operation : missing())
        if (auto done = co_await group.propose(std::move(operation)); !done)
          env_.log().info("announce: {}", done.error());
    const Term term = group.term();
    while (group.leads(term) && missing().empty()) co_await group.host().role_changed().wait();
    co_await env_.sleep(1s);  // what was refused is tried again, at leisure
  }
}

std::vector<metadata::Operation> MetadataNode::missing() const {
  std::vector<metadata::Operation> operations;
  const auto& state = parts_->group.state();
  if (!state.settings().cluster) {
    operations.push_back(metadata::CreateCluster{
        options_.raft.cluster, options_.founding.policy, options_.founding.block_bytes,
        options_.founding.cell_bytes, options_.founding.inline_bytes,
        metadata::newest_cluster_version()});
    return operations;
  }
  // What a server said of itself when it joined stands; this one knows only its own address better.
  const auto& core = parts_->group.host().core();
  for (const auto& member : core.configuration().members()) {
    const bool own = member == core.self();
    const placement::Node* known = state.cluster_map().find(member.node);
    if (known != nullptr && !(own && is_news(*known))) continue;
    const auto& peers = options_.raft.peers;
    const auto peer = std::ranges::find(peers, member.node, &MetadataPeer::node);
    if (peer == peers.end() && !own) continue;
    metadata::RegisterNode node;
    node.node = member.node;
    node.kind = placement::NodeKind::kMetadata;
    node.name = own ? self().name : peer->name;
    node.store = member.store;
    node.address = own ? self().address.to_string() : peer->address.to_string();
    node.newest_version = own ? metadata::newest_cluster_version() : 0;
    operations.push_back(std::move(node));
  }
  return operations;
}

// The map's row of this server says what is not so any more.
bool MetadataNode::is_news(const placement::Node& known) const {
  return known.store != parts_->group.host().core().self().store ||
         known.address != self().address.to_string() ||
         known.newest_version != metadata::newest_cluster_version();
}

Admission::Self MetadataNode::self() const {
  const auto& peers = options_.raft.peers;
  const auto peer = std::ranges::find(peers, options_.raft.node, &MetadataPeer::node);
  if (peer != peers.end()) return {peer->name, peer->address};
  const bool told = !options_.advertise.host.empty();
  const std::string name = fmt::format("meta-{}", options_.raft.node);
  return {options_.name.empty() ? name : options_.name,
          told ? options_.advertise : options_.listen};
}

std::vector<Address> MetadataNode::seeds() const {
  std::vector<Address> seeds = options_.raft.seeds;
  for (const auto& peer : options_.raft.peers)
    if (peer.node != options_.raft.node) seeds.push_back(peer.address);
  for (const auto& [node, address] : known_) {
    const bool told = std::ranges::find(seeds, address) != seeds.end();
    if (node != options_.raft.node && !told) seeds.push_back(address);
  }
  return seeds;
}

// The file knows better than what this server was given when it was set up.
Task<> MetadataNode::learn_addresses() {
  for (const auto& peer : options_.raft.peers) known_[peer.node] = peer.address;
  for (auto& [node, address] : co_await read_peer_file(env_)) known_[node] = std::move(address);
}

}  // namespace dogfs::nodes
