#include "core/rpc/session.h"

#include <algorithm>

#include "core/env/deadline.h"
#include "core/env/nursery.h"

namespace dogfs::rpc {

Session::Session(Server& server, Stream stream)
    : env_(server.env_),
      server_(server),
      connection_(server.env_, std::move(stream), server.options_, server.stats_),
      outbox_(server.env_),
      overdue_earlier_(server.env_),
      self_(std::make_shared<Session*>(this)),
      one_way_came_(server.env_) {}

Session::~Session() {
  *self_ = nullptr;
  server_.calls_ -= calls();
}

Task<> Session::run() {
  auto greeted = co_await connection_.welcome(server_.identity_);
  if (!greeted) {
    ++server_.stats_.endings[static_cast<size_t>(greeted.error().reason)];
    env_.log().info("rpc: a handshake failed, {}", greeted.error().to_string());
    co_return;
  }
  peer_ = std::move(*greeted);
  outbox_.restart(peer_.window);
  co_await nursery(env_, [this](Nursery& children) { return serve(children); });
}

Task<> Session::serve(Nursery& children) {
  children_ = &children;
  children.spawn(run_one_ways());
  children.spawn(end_overdue());
  const Ending ending = co_await connection_.run(outbox_, *this);
  children_ = nullptr;
  env_.log().info("rpc: the connection from {} (node {}) ended, {}", peer_.address.to_string(),
                  peer_.identity.node, ending.to_string());
}

std::optional<Ending> Session::receive(Frame frame) {
  switch (frame.header.type) {
    case FrameType::kRequest: return request(std::move(frame));
    case FrameType::kOneWay: return one_way(std::move(frame));
    case FrameType::kCancel: return cancel(frame.header.call);
    default:
      return Ending{Reason::kProtocol,
                    fmt::format("a {} frame for a server", frame_type_name(frame.header.type))};
  }
}

Call Session::make_call(Frame frame) const {
  Call call{.method = static_cast<Method>(frame.header.method),
            .peer = peer_,
            .message = std::move(frame.message),
            .bulk = std::move(frame.bulk),
            .bulk_crc = frame.bulk_crc};
  if (frame.header.deadline_ms != 0)
    call.deadline = env_.now() + std::min<Duration>(limits::kCallDeadlineMax,
                                                    frame.header.deadline_ms * Duration(1ms));
  return call;
}

std::optional<Ending> Session::request(Frame frame) {
  const uint64_t id = frame.header.call;
  const uint64_t cost = frame_cost(frame.header);
  if (calls_.contains(id) || direct_.contains(id))
    return Ending{Reason::kProtocol, fmt::format("call {} is under way already", id)};
  if (outbox_.size() > 2 * limits::kCallsPerConnectionMax)
    return Ending{Reason::kProtocol, "requests are sent and their responses not read"};
  const auto method = static_cast<Method>(frame.header.method);
  const auto handler = server_.handlers_.find(method);
  const auto direct = server_.direct_handlers_.find(method);
  if (handler == server_.handlers_.end() && direct == server_.direct_handlers_.end()) {
    respond(id, fail(Code::kUnsupported, "method {} is not served here", frame.header.method));
    connection_.consumed(cost);
    return std::nullopt;
  }
  if (server_.calls_ >= server_.bounds_.calls || calls() >= limits::kCallsPerConnectionMax) {
    ++server_.stats_.calls_busy;
    respond(id, fail(Code::kUnavailable, "busy with {} calls", server_.calls_));
    connection_.consumed(cost);
    return std::nullopt;
  }
  ++server_.stats_.calls;
  ++server_.calls_;
  if (direct != server_.direct_handlers_.end()) {
    direct_request(direct->second, std::move(frame));
    return std::nullopt;
  }
  calls_.emplace(
      id, std::make_unique<Running>(env_, handler->second, make_call(std::move(frame)), cost));
  waiting_.push_back(id);
  start_waiting();
  return std::nullopt;
}

// Its answer may come before this returns.
void Session::direct_request(const DirectHandler& handler, Frame frame) {
  const uint64_t id = frame.header.call;
  const uint64_t cost = frame_cost(frame.header);
  Call call = make_call(std::move(frame));
  direct_.emplace(id, Direct{cost, call.deadline});
  if (call.deadline < next_look_) overdue_earlier_.notify();
  if (has_room() && waiting_direct_.empty())
    handler(std::move(call), Responder(self_, id));
  else
    waiting_direct_.push_back({id, handler, std::move(call)});
}

void Session::answer_directly(uint64_t id, Result<Reply> result) {
  const auto place = direct_.find(id);
  if (place == direct_.end()) return;
  const uint64_t cost = place->second.cost;
  direct_.erase(place);
  --server_.calls_;
  respond(id, std::move(result));
  connection_.consumed(cost);
}

// One task watches the deadlines of all direct calls: most never come up, so nothing is kept in
// their order.
Task<> Session::end_overdue() {
  for (;;) {
    next_look_ = kNever;
    std::vector<uint64_t> overdue;
    for (const auto& [id, direct] : direct_) {
      if (direct.deadline <= env_.now())
        overdue.push_back(id);
      else
        next_look_ = std::min(next_look_, direct.deadline);
    }
    for (const uint64_t id : overdue)
      answer_directly(id, fail(Code::kUnknown, "its time was over while it was executed"));
    co_await overdue_earlier_.wait_until(next_look_);
  }
}

std::optional<Ending> Session::one_way(Frame frame) {
  const uint64_t cost = frame_cost(frame.header);
  const auto handler = server_.one_way_handlers_.find(static_cast<Method>(frame.header.method));
  if (handler == server_.one_way_handlers_.end()) {
    ++server_.stats_.one_ways_dropped;
    connection_.consumed(cost);
    return std::nullopt;
  }
  one_ways_.push_back({handler->second, make_call(std::move(frame)), cost});
  one_way_came_.notify();
  return std::nullopt;
}

std::optional<Ending> Session::cancel(uint64_t id) {
  if (const auto direct = direct_.find(id); direct != direct_.end()) {
    connection_.consumed(direct->second.cost);
    direct_.erase(direct);
    --server_.calls_;
    return std::nullopt;
  }
  const auto place = calls_.find(id);
  if (place == calls_.end()) return std::nullopt;  // it ended while the cancel was under way
  place->second->cancelled = true;
  place->second->over.set();
  const auto waiting = std::ranges::find(waiting_, id);
  if (waiting == waiting_.end()) return std::nullopt;  // run_call sees it
  waiting_.erase(waiting);
  finish(id);
  return std::nullopt;
}

// Requests wait, holding their credit, while too many handlers run, or while the peer does not take
// the responses that there are: so unsent responses stay bounded, too.
void Session::start_waiting() {
  while (!waiting_direct_.empty() && has_room()) {
    WaitingDirect next = std::move(waiting_direct_.front());
    waiting_direct_.pop_front();
    if (direct_.contains(next.id)) next.handler(std::move(next.call), Responder(self_, next.id));
  }
  while (children_ != nullptr && !waiting_.empty() &&
         handlers_ < server_.bounds_.handlers_per_connection && has_room()) {
    const uint64_t id = waiting_.front();
    waiting_.pop_front();
    ++handlers_;
    children_->spawn(run_call(id));
  }
}

Task<> Session::run_call(uint64_t id) {
  Running& running = *calls_.at(id);
  if (env_.now() < running.deadline) {
    co_await nursery(env_, [&](Nursery& children) { return race(children, running); });
  } else {
    running.result = fail(Code::kUnavailable, "its time was over before it was begun");
  }
  --handlers_;
  finish(id);
  start_waiting();
}

Task<> Session::race(Nursery& children, Running& running) {
  children.spawn(run_handler(running));
  co_await running.over.wait_until(running.deadline);
}

Task<> Session::run_handler(Running& running) {
  running.result = co_await running.handler(std::move(running.call));
  running.over.set();
}

void Session::finish(uint64_t id) {
  const auto place = calls_.find(id);
  const std::unique_ptr<Running> running = std::move(place->second);
  calls_.erase(place);
  --server_.calls_;
  if (!running->cancelled) {
    if (!running->result)
      running->result = fail(Code::kUnknown, "its time was over while it was executed");
    respond(id, std::move(*running->result));
  }
  connection_.consumed(running->cost);
}

void Session::respond(uint64_t id, Result<Reply> result) {
  if (result && (result->message.size() > limits::kFrameMessageBytesMax ||
                 result->bulk.size() > limits::kFrameBulkBytesMax))
    result = fail(Code::kTooLarge, "a reply of {} + {} bytes; the most is {} + {}",
                  result->message.size(), result->bulk.size(), limits::kFrameMessageBytesMax,
                  limits::kFrameBulkBytesMax);
  Outgoing response{
      .header = {.type = FrameType::kResponse, .call = id}, .message = {}, .bulk = {}};
  if (result) {
    response.message = std::move(result->message);
    response.bulk = std::move(result->bulk);
    response.bulk_crc = result->bulk_crc;
  } else {
    response.header.code = static_cast<uint16_t>(result.error().code);
    response.message = Buffer::copy(
        std::string_view(result.error().message).substr(0, limits::kErrorTextBytesMax));
  }
  outbox_.push(std::move(response));
}

Task<> Session::run_one_ways() {
  for (;;) {
    while (one_ways_.empty()) co_await one_way_came_.wait();
    OneWay next = std::move(one_ways_.front());
    one_ways_.pop_front();
    co_await next.handler(std::move(next.call));
    connection_.consumed(next.cost);
  }
}

}  // namespace dogfs::rpc
