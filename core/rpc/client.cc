#include "core/rpc/client.h"

#include "core/env/nursery.h"
#include "core/rpc/channel.h"

namespace dogfs::rpc {

Client::Client(Env& env, Identity identity, Options options)
    : env_(env), identity_(std::move(identity)), options_(options) {}

Client::~Client() = default;

Task<> Client::run() {
  CHECK(children_ == nullptr, "run() runs already");
  co_await nursery(env_, [this](Nursery& children) { return keep(children); });
}

Task<> Client::keep(Nursery& children) {
  struct Leave {
    Client& client;
    ~Leave() { client.children_ = nullptr; }
  } leave{*this};
  children_ = &children;
  for (const auto& [address, channel] : channels_) children.spawn(channel->run());
  Event forever(env_);
  co_await forever.wait();
}

Channel* Client::channel(const Address& address) {
  if (const auto place = channels_.find(address); place != channels_.end())
    return place->second.get();
  if (channels_.size() >= limits::kNodesMax) return nullptr;
  auto& channel = channels_[address];
  channel = std::make_unique<Channel>(env_, address, identity_, options_, stats_);
  if (children_ != nullptr) children_->spawn(channel->run());
  return channel.get();
}

Task<Result<Reply>> Client::call(Address to, Method method, Buffer message, Duration limit,
                                 Buffer bulk, std::optional<uint32_t> bulk_crc) {
  Channel* const target = channel(to);
  if (target == nullptr)
    co_return fail(Code::kUnavailable, "{} addresses are in use; {} is one too many",
                   channels_.size(), to.to_string());
  co_return co_await target->call(method, std::move(message), limit, std::move(bulk), bulk_crc);
}

bool Client::send(const Address& to, Method method, Buffer message, Buffer bulk) {
  Channel* const target = channel(to);
  return target != nullptr && target->send(method, std::move(message), std::move(bulk));
}

std::optional<Peer> Client::peer(const Address& address) const {
  const auto place = channels_.find(address);
  return place == channels_.end() ? std::nullopt : place->second->peer();
}

std::optional<std::string> Client::refusal(const Address& address) const {
  const auto place = channels_.find(address);
  return place == channels_.end() ? std::nullopt : place->second->refusal();
}

}  // namespace dogfs::rpc
