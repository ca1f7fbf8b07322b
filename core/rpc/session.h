#pragma once
// Session: a server's side of one connection: its handshake, the calls it has begun, the one-way
// messages it has yet to handle. Lives in the frame of the task that serves the connection.

#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "core/rpc/connection.h"
#include "core/rpc/server.h"

namespace dogfs::rpc {

class Session final : private Connection::Receiver {
 public:
  // The server outlives it.
  Session(Server& server, Stream stream);
  ~Session() override;

  // Until the connection ends, or cancelled.
  Task<> run();
  // What a Responder says; ignored when the call is over.
  void answer_directly(uint64_t id, Result<Reply> result);

 private:
  struct Running {
    Running(Env& env, const Handler& h, Call c, uint64_t bytes)
        : handler(h), deadline(c.deadline), call(std::move(c)), cost(bytes), over(env) {}
    const Handler& handler;
    const Instant deadline;
    Call call;            // until the handler takes it
    const uint64_t cost;  // held of the window
    Event over;           // it has a result, or was cancelled
    std::optional<Result<Reply>> result;
    bool cancelled = false;
  };
  // A call with a direct handler, begun and not answered.
  struct Direct {
    uint64_t cost;
    Instant deadline;
  };
  // One that has to wait for room.
  struct WaitingDirect {
    uint64_t id;
    const DirectHandler& handler;
    Call call;
  };
  struct OneWay {
    const OneWayHandler& handler;
    Call call;
    uint64_t cost;
  };

  std::optional<Ending> receive(Frame frame) override;
  void wrote() override { start_waiting(); }
  std::optional<Ending> request(Frame frame);
  void direct_request(const DirectHandler& handler, Frame frame);
  size_t calls() const { return calls_.size() + direct_.size(); }
  bool has_room() const { return outbox_.bytes() < server_.options_.window; }
  std::optional<Ending> one_way(Frame frame);
  std::optional<Ending> cancel(uint64_t id);
  Call make_call(Frame frame) const;

  Task<> serve(Nursery& children);
  void start_waiting();
  Task<> run_call(uint64_t id);
  Task<> race(Nursery& children, Running& running);
  Task<> run_handler(Running& running);
  Task<> end_overdue();
  Task<> run_one_ways();
  void finish(uint64_t id);
  void respond(uint64_t id, Result<Reply> result);

  Env& env_;
  Server& server_;
  Connection connection_;
  Outbox outbox_;
  Peer peer_;
  Nursery* children_ = nullptr;  // while serve() runs
  std::map<uint64_t, std::unique_ptr<Running>> calls_;
  std::deque<uint64_t> waiting_;  // of calls_, not yet begun
  size_t handlers_ = 0;           // of calls_, begun
  std::map<uint64_t, Direct> direct_;
  std::deque<WaitingDirect> waiting_direct_;  // of direct_, not yet begun
  Instant next_look_ = kNever;                // at the deadlines of direct_
  Event overdue_earlier_;
  const std::shared_ptr<Session*> self_;  // null behind it once this is gone
  std::deque<OneWay> one_ways_;
  Event one_way_came_;
};

}  // namespace dogfs::rpc
