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
  struct OneWay {
    const OneWayHandler& handler;
    Call call;
    uint64_t cost;
  };

  std::optional<Ending> receive(Frame frame) override;
  void wrote() override { start_waiting(); }
  std::optional<Ending> request(Frame frame);
  std::optional<Ending> one_way(Frame frame);
  std::optional<Ending> cancel(uint64_t id);
  Call make_call(Frame frame) const;

  Task<> serve(Nursery& children);
  void start_waiting();
  Task<> run_call(uint64_t id);
  Task<> race(Nursery& children, Running& running);
  Task<> run_handler(Running& running);
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
  std::deque<OneWay> one_ways_;
  Event one_way_came_;
};

}  // namespace dogfs::rpc
