#include "nodes/metadata/metadata_node.h"

#include <algorithm>

#include "core/env/nursery.h"
#include "core/rpc/server.h"
#include "nodes/metadata/metadata_service.h"

namespace dogfs::nodes {

// Everything of a server whose directory is open, in the order of dependence.
struct MetadataNode::Parts {
  Parts(Env& env, const MetadataNodeOptions& options, std::unique_ptr<RaftServer> opened,
        MetadataState& state)
      : raft(std::move(opened)),
        group(env, raft->host(), state),
        liveness(env, options.liveness, group),
        expiry(env, options.expiry, group),
        deletion(env, options.deletion, group),
        trash(env, options.trash, group),
        exports(env, group),
        service(options.raft.cluster, {group, raft->peers(), liveness, expiry, deletion, exports}),
        server(env, raft->identity()) {
    raft->register_with(server);
    service.register_with(server);
  }

  std::unique_ptr<RaftServer> raft;
  MetadataGroup group;
  Liveness liveness;
  Expiry expiry;
  Deletion deletion;
  Trash trash;
  Exports exports;
  MetadataService service;
  rpc::Server server;
};

MetadataNode::MetadataNode(Env& env, MetadataNodeOptions options)
    : env_(env), options_(std::move(options)) {}

MetadataNode::~MetadataNode() = default;

Task<Result<void>> MetadataNode::run() {
  auto raft = co_await RaftServer::open(env_, options_.raft, state_);
  if (!raft) co_return fail(raft.error());
  parts_ = std::make_unique<Parts>(env_, options_, std::move(*raft), state_);
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
  children.spawn(parts_->trash.run());
  children.spawn(parts_->exports.run());
  children.spawn(announce());
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
    if (whole)
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
        options_.founding.cell_bytes, options_.founding.inline_bytes});
    return operations;
  }
  const auto& peers = options_.raft.peers;
  for (const auto& member : parts_->group.host().core().configuration().members()) {
    const auto peer = std::find_if(peers.begin(), peers.end(),
                                   [&](const auto& p) { return p.node == member.node; });
    if (peer == peers.end()) continue;
    const placement::Node* known = state.cluster_map().find(member.node);
    if (known != nullptr && known->store == member.store &&
        known->address == peer->address.to_string())
      continue;
    metadata::RegisterNode node;
    node.node = member.node;
    node.kind = placement::NodeKind::kMetadata;
    node.name = peer->name;
    node.store = member.store;
    node.address = peer->address.to_string();
    operations.push_back(std::move(node));
  }
  return operations;
}

}  // namespace dogfs::nodes
