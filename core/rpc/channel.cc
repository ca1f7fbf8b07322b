#include "core/rpc/channel.h"

#include <algorithm>

#include "core/env/deadline.h"

namespace dogfs::rpc {

// A call between its request and its reply, in its caller's frame. However that frame ends, nothing
// of the call is left behind: an unsent request is withdrawn, a sent one cancelled, a reply's bytes
// are given back.
class Channel::Pending {
 public:
  Pending(Channel& channel, Outgoing request)
      : done(channel.env_), channel_(channel), id_(++channel.last_call_) {
    request.header.call = id_;
    ticket_ = channel_.outbox_.push(std::move(request));
    channel_.calls_.emplace(id_, this);
  }
  ~Pending() {
    channel_.calls_.erase(id_);
    const bool unsent = withdraw();
    if (!channel_.connection_) return;
    if (cost > 0) channel_.connection_->consumed(cost);
    if (unsent || result) return;
    // A full queue means a peer that does not read: then the connection is about to end.
    [[maybe_unused]] const bool told =
        channel_.outbox_.push_control({.type = FrameType::kCancel, .call = id_});
  }
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

  // True if the request was not written, and now never will be.
  bool withdraw() {
    withdrawn_ = withdrawn_ || channel_.outbox_.withdraw(ticket_);
    return withdrawn_;
  }
  void finish(Result<Reply> outcome) {
    if (result) return;
    result.emplace(std::move(outcome));
    done.set();
  }

  std::optional<Result<Reply>> result;
  uint64_t cost = 0;  // of the reply, held until the caller has it
  Event done;

 private:
  Channel& channel_;
  const uint64_t id_;
  Outbox::Ticket ticket_ = 0;
  bool withdrawn_ = false;
};

Channel::Channel(Env& env, Address address, Identity& identity, const Options& options,
                 Stats& stats)
    : env_(env),
      address_(std::move(address)),
      identity_(identity),
      options_(options),
      stats_(stats),
      outbox_(env),
      demand_(env) {}

Channel::~Channel() = default;

Result<void> Channel::admit(const Buffer& message, const Buffer& bulk) const {
  if (message.size() > limits::kFrameMessageBytesMax || bulk.size() > limits::kFrameBulkBytesMax)
    return fail(Code::kTooLarge, "a message of {} + {} bytes; the most is {} + {}", message.size(),
                bulk.size(), limits::kFrameMessageBytesMax, limits::kFrameBulkBytesMax);
  if (!connection_ && env_.now() < retry_at_)
    return fail(Code::kUnavailable, "{}; next try in {} ms", last_failure_,
                to_ms(retry_at_ - env_.now()));
  return {};
}

Task<Result<Reply>> Channel::call(Method method, Buffer message, Duration limit, Buffer bulk,
                                  std::optional<uint32_t> bulk_crc) {
  ++stats_.calls;
  CO_TRY_VOID(admit(message, bulk));
  if (calls_.size() >= limits::kCallsPerConnectionMax) {
    ++stats_.calls_busy;
    co_return fail(Code::kUnavailable, "{} calls to {} are under way", calls_.size(),
                   address_.to_string());
  }
  const Instant deadline =
      env_.now() + std::clamp(limit, Duration(0), Duration(limits::kCallDeadlineMax));
  Pending pending(*this,
                  {.header = {.type = FrameType::kRequest, .method = static_cast<uint16_t>(method)},
                   .message = std::move(message),
                   .bulk = std::move(bulk),
                   .bulk_crc = bulk_crc,
                   .deadline = deadline});
  demand_.set();
  co_await pending.done.wait_until(deadline);
  if (pending.result) co_return std::move(*pending.result);
  if (pending.withdraw())
    co_return fail(Code::kUnavailable, "not sent to {} within {} ms", address_.to_string(),
                   to_ms(limit));
  co_return fail(Code::kUnknown, "{} did not answer {} within {} ms", address_.to_string(),
                 method_name(method), to_ms(limit));
}

bool Channel::send(Method method, Buffer message, Buffer bulk) {
  const bool fits = admit(message, bulk).has_value() &&
                    outbox_.bytes() + message.size() + bulk.size() <= limits::kOneWayQueueBytesMax;
  if (!fits) {
    ++stats_.one_ways_dropped;
    return false;
  }
  outbox_.push({.header = {.type = FrameType::kOneWay, .method = static_cast<uint16_t>(method)},
                .message = std::move(message),
                .bulk = std::move(bulk)});
  demand_.set();
  return true;
}

Task<> Channel::run() {
  struct Leave {
    Channel& channel;
    ~Leave() { channel.lost("this side is shutting down"); }
  } leave{*this};
  for (;;) {
    co_await demand_.wait();
    auto connection = co_await within(env_, options_.connect_limit, open());
    if (!connection) {
      failed(connection.error());
      continue;
    }
    opened(std::move(*connection));
    const Ending ending = co_await connection_->run(outbox_, *this);
    env_.log().info("rpc: the connection to {} ended, {}", address_.to_string(),
                    ending.to_string());
    lost(ending.to_string());
  }
}

Task<Result<std::unique_ptr<Connection>>> Channel::open() {
  CO_TRY(stream, co_await env_.network().connect(address_));
  auto connection = std::make_unique<Connection>(env_, std::move(stream), options_, stats_);
  auto peer = co_await connection->greet(identity_);
  if (!peer) {
    ++stats_.endings[static_cast<size_t>(peer.error().reason)];
    co_return fail(Code::kUnavailable, "{}", peer.error().to_string());
  }
  if (!identity_.cluster) identity_.cluster = peer->identity.cluster;
  peer_ = std::move(*peer);
  co_return connection;
}

void Channel::opened(std::unique_ptr<Connection> connection) {
  connection_ = std::move(connection);
  backoff_ = {};
  refused_ = false;
  outbox_.restart(peer_->window);
}

std::optional<std::string> Channel::refusal() const {
  return refused_ ? std::optional(last_failure_) : std::nullopt;
}

void Channel::failed(const Error& error) {
  ++stats_.connect_failures;
  backoff_ = std::clamp(backoff_ * 2, options_.backoff_min, options_.backoff_max);
  const auto half = static_cast<uint64_t>(backoff_.count()) / 2;
  retry_at_ = env_.now() + Duration(env_.random().between(half, 2 * half));
  last_failure_ = fmt::format("cannot reach {}: {}", address_.to_string(), error.message);
  refused_ = !error.is(Code::kDeadline);
  env_.log().info("rpc: {}", last_failure_);
  lost(last_failure_);
}

void Channel::lost(std::string_view why) {
  connection_.reset();
  demand_.reset();
  for (const auto& [id, pending] : calls_) {
    pending->cost = 0;  // was held of this connection's window, not of the next one's
    if (pending->withdraw())
      pending->finish(fail(Code::kUnavailable, "not sent to {}, {}", address_.to_string(), why));
    else
      pending->finish(
          fail(Code::kUnknown, "sent to {} and not answered, {}", address_.to_string(), why));
  }
  stats_.one_ways_dropped += outbox_.size();
  outbox_.clear();
}

std::optional<Ending> Channel::receive(Frame frame) {
  const FrameHeader& header = frame.header;
  if (header.type != FrameType::kResponse)
    return Ending{Reason::kProtocol,
                  fmt::format("a {} frame for a client", frame_type_name(header.type))};
  if (header.call == 0 || header.call > last_call_)
    return Ending{Reason::kProtocol,
                  fmt::format("a response to call {} of {}", header.call, last_call_)};
  const auto place = calls_.find(header.call);
  if (place == calls_.end() || place->second->result) {
    connection_->consumed(frame_cost(header));  // its caller has given up
    return std::nullopt;
  }
  Pending& pending = *place->second;
  pending.cost = frame_cost(header);
  if (header.code == 0)
    pending.finish(Reply{std::move(frame.message), std::move(frame.bulk), frame.bulk_crc});
  else
    pending.finish(fail(Error{static_cast<Code>(header.code), std::string(frame.message.text())}));
  return std::nullopt;
}

}  // namespace dogfs::rpc
