#include "tests/replicated_map/map_node.h"

#include "core/base/coding.h"
#include "core/base/digest.h"
#include "core/env/deadline.h"
#include "core/env/nursery.h"

namespace dogfs::nodes {
namespace {

class FrozenMap final : public ReplicatedState::Frozen {
 public:
  FrozenMap(LogIndex applied, std::map<std::string, std::string> values)
      : applied_(applied), values_(std::move(values)), next_(values_.begin()) {}
  std::optional<std::string> next_piece(size_t) override {
    Encoder out;
    if (!std::exchange(head_given_, true)) return std::move(out.id(applied_)).take();
    if (next_ == values_.end()) return std::nullopt;
    out.text(next_->first).text(next_->second);
    ++next_;
    return std::move(out).take();
  }

 private:
  LogIndex applied_;
  std::map<std::string, std::string> values_;
  std::map<std::string, std::string>::const_iterator next_;
  bool head_given_ = false;
};

}  // namespace

class MapRestoring final : public ReplicatedState::Restoring {
 public:
  explicit MapRestoring(MapState& state) : state_(state) {}
  Result<void> add(std::string_view piece) override {
    Decoder in(piece);
    if (!std::exchange(head_taken_, true)) {
      applied_ = in.id<LogIndex>();
    } else {
      const std::string key(in.text());
      values_[key] = in.text();
    }
    if (!in.at_end()) return fail(Code::kCorrupt, "a piece of a map snapshot is damaged");
    return {};
  }
  Result<void> complete() override {
    if (!head_taken_) return fail(Code::kCorrupt, "a map snapshot without a head");
    return {};
  }
  Result<void> finish() override {
    state_.applied_ = applied_;
    std::swap(state_.values_, values_);
    return {};
  }

 private:
  MapState& state_;
  LogIndex applied_;
  std::map<std::string, std::string> values_;
  bool head_taken_ = false;
};

Result<Buffer> MapState::apply(LogIndex index, const Buffer& command) {
  applied_ = index;
  const std::string_view text = command.text();
  const size_t space = text.find(' ');
  if (space == std::string_view::npos) return fail(Code::kUnsupported, "no such command");
  std::string& value = values_[std::string(text.substr(0, space))];
  value += text.substr(space + 1);
  return Buffer::copy(value);
}

uint64_t MapState::digest() const {
  Digest digest;
  for (const auto& [key, value] : values_) digest.add(key).add(value);
  return digest.value();
}

std::unique_ptr<ReplicatedState::Frozen> MapState::freeze() {
  return std::make_unique<FrozenMap>(applied_, values_);
}
std::unique_ptr<ReplicatedState::Restoring> MapState::begin_restore() {
  return std::make_unique<MapRestoring>(*this);
}

std::string MapState::get(const std::string& key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? "" : found->second;
}

MapNodeOptions map_node_options(int number, const std::vector<Address>& servers) {
  constexpr ClusterId kCluster{77};
  const auto store_of = [](NodeId node) { return StoreId(100 + node.value); };
  MapNodeOptions options;
  options.listen = servers.at(static_cast<size_t>(number - 1));
  options.raft.node = NodeId(static_cast<uint32_t>(number));
  options.raft.cluster = kCluster;
  Bootstrap birth{store_of(options.raft.node), {}};
  for (const auto& address : servers) {
    const NodeId node(static_cast<uint32_t>(options.raft.peers.size() + 1));
    options.raft.peers.push_back({node, fmt::format("meta-{}", node), address});
    birth.voters.push_back({node, store_of(node)});
  }
  options.raft.bootstrap = std::move(birth);
  return options;
}

Task<Result<void>> MapNode::run() {
  auto raft = co_await RaftServer::open(env_, options_.raft, state_);
  if (!raft) co_return fail(raft.error());
  raft_ = std::move(*raft);
  auto listener = env_.network().listen(options_.listen);
  if (!listener) co_return fail(listener.error());
  server_ = std::make_unique<rpc::Server>(env_, raft_->identity());
  raft_->register_with(*server_);
  server_->handle(rpc::Method::kMetadataExecute,
                  [this](rpc::Call call) { return append(std::move(call)); });
  server_->handle(rpc::Method::kMetadataQuery,
                  [this](rpc::Call call) { return get(std::move(call)); });
  co_await nursery(env_, [&](Nursery& children) { return serve(children, std::move(*listener)); });
  co_return fail(failure_.value_or(Error{Code::kClosed, "stopped"}));
}

Task<> MapNode::serve(Nursery& children, std::unique_ptr<Listener> listener) {
  children.spawn(server_->serve(std::move(listener)));
  auto ended = co_await raft_->run();
  if (!ended) failure_ = ended.error();
}

Task<Result<rpc::Reply>> MapNode::append(rpc::Call call) {
  auto done = co_await raft_->host().propose(call.message);
  if (!done) co_return fail(done.error());
  co_return rpc::Reply{done->reply, {}};
}

Task<Result<rpc::Reply>> MapNode::get(rpc::Call call) {
  auto index = co_await raft_->host().read_barrier();
  if (!index) co_return fail(index.error());
  co_return rpc::Reply{Buffer::take(state_.get(std::string(call.message.text()))), {}};
}

Task<> map_node_main(Env& env, MapNodeOptions options) {
  MapNode node(env, std::move(options));
  auto ended = co_await node.run();
  env.log().warning("map node ended: {}", ended.error());
}

}  // namespace dogfs::nodes
