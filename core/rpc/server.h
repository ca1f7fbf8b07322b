#pragma once
// Server: answers calls on the connections of a listener. It belongs to a node, which registers
// handlers and then awaits serve(); both outlive that. One thread.
//
// A handler is a coroutine in its connection's nursery. It is cancelled when its caller cancels or
// its deadline passes (the caller then hears kUnknown), when the connection ends, and with serve().
// What it holds of the request counts against the connection's window until it ends: a slow handler
// slows its caller. A handler must not wait for another call of the same connection.
//
// A direct handler is a plain function for what is asked often: it does not wait, and answers now
// or later through the Responder that it is given. Nothing cancels it: when its caller gave up, its
// answer is dropped. Until it answers, or its deadline passes, the request counts as a running one.
//
// One-way messages of a connection are handled one after the other, in order.

#include <functional>
#include <map>
#include <memory>

#include "core/env/task.h"
#include "core/rpc/message_codec.h"
#include "core/rpc/types.h"

namespace dogfs {
class Env;
class Nursery;
}  // namespace dogfs

namespace dogfs::rpc {

using Handler = std::function<Task<Result<Reply>>(Call)>;
using OneWayHandler = std::function<Task<>(Call)>;

class Session;

// Answers one call, once, from the node's thread, at any time: also when the connection or the
// server is gone, and then nobody hears it. One that is dropped without an answer says kUnknown.
class Responder {
 public:
  Responder(std::shared_ptr<Session*> session, uint64_t call)
      : session_(std::move(session)), call_(call) {}
  Responder(Responder&&) noexcept = default;
  Responder& operator=(Responder&&) = delete;
  ~Responder();
  void operator()(Result<Reply> result);

 private:
  std::shared_ptr<Session*> session_;  // null when it has answered; points to null without session
  uint64_t call_;
};
using DirectHandler = std::function<void(Call, Responder)>;

struct ServerBounds {
  size_t connections = limits::kServerConnectionsMax;  // a further one is told: busy
  size_t calls = limits::kServerCallsMax;              // a further one gets kUnavailable
  size_t handlers_per_connection = limits::kHandlersPerConnectionMax;  // further calls wait
};

class Server {
 public:
  Server(Env& env, Identity identity, Options options = {}, ServerBounds bounds = {});
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Before serve(). A method that has no handler is answered with kUnsupported.
  void handle(Method method, Handler handler);
  void handle_directly(Method method, DirectHandler handler);
  void handle_one_way(Method method, OneWayHandler handler);
  // f(Request, Call) -> Task<Result<Answer<Response>>>, protobufs both. Bytes that are no Request
  // are answered with kInvalid. f is copied for each call: capture only pointers.
  template <class Request, class F>
  void handle(Method method, F f) {
    handle(method, Handler([f](Call call) { return typed<Request>(f, std::move(call)); }));
  }

  // Until cancelled, or until the listener is closed. Several may run side by side.
  Task<> serve(std::unique_ptr<Listener> listener);

  const Stats& stats() const { return stats_; }
  size_t connections() const { return connections_; }
  size_t calls() const { return calls_; }

 private:
  friend class Session;
  template <class Request, class F>
  static Task<Result<Reply>> typed(F f, Call call) {
    Request request;
    CO_TRY_VOID(parse(call.message, request));
    auto answer = co_await f(std::move(request), std::move(call));
    if (!answer) co_return fail(std::move(answer).error());
    co_return Reply{serialize(answer->message), std::move(answer->bulk), answer->bulk_crc};
  }
  Task<> accept(Nursery& children, Listener& listener);
  Task<> serve_connection(Stream stream);
  Task<> turn_away(Stream stream);

  Env& env_;
  const Identity identity_;
  const Options options_;
  const ServerBounds bounds_;
  Stats stats_;
  size_t connections_ = 0;
  size_t turned_away_ = 0;  // being told that they are too many
  size_t calls_ = 0;        // begun and not ended, of all connections
  std::map<Method, Handler> handlers_;
  std::map<Method, DirectHandler> direct_handlers_;
  std::map<Method, OneWayHandler> one_way_handlers_;
};

}  // namespace dogfs::rpc
