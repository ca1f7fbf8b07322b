#include "core/rpc/server.h"

#include "core/env/deadline.h"
#include "core/env/nursery.h"
#include "core/rpc/session.h"

namespace dogfs::rpc {
namespace {

constexpr Duration kAcceptPause = 100ms;  // after an accept that failed: descriptors may be short
constexpr size_t kTurnedAwayMax = 64;     // at the same time; more are closed without a word

class Count {
 public:
  explicit Count(size_t& count) : count_(count) { ++count_; }
  ~Count() { --count_; }
  Count(const Count&) = delete;
  Count& operator=(const Count&) = delete;

 private:
  size_t& count_;
};

}  // namespace

Server::Server(Env& env, Identity identity, Options options, ServerBounds bounds)
    : env_(env), identity_(std::move(identity)), options_(options), bounds_(bounds) {}

Responder::~Responder() {
  if (session_) (*this)(fail(Code::kUnknown, "the server gave it up"));
}

void Responder::operator()(Result<Reply> result) {
  const auto session = std::exchange(session_, nullptr);
  CHECK(session != nullptr, "call {} was answered already", call_);
  if (*session != nullptr) (*session)->answer_directly(call_, std::move(result));
}

void Server::handle(Method method, Handler handler) {
  CHECK(!direct_handlers_.contains(method), "{} twice", method_name(method));
  CHECK(handlers_.emplace(method, std::move(handler)).second, "{} twice", method_name(method));
}

void Server::handle_directly(Method method, DirectHandler handler) {
  CHECK(!handlers_.contains(method), "{} twice", method_name(method));
  CHECK(direct_handlers_.emplace(method, std::move(handler)).second, "{} twice",
        method_name(method));
}

void Server::handle_one_way(Method method, OneWayHandler handler) {
  CHECK(one_way_handlers_.emplace(method, std::move(handler)).second, "{} twice",
        method_name(method));
}

Task<> Server::serve(std::unique_ptr<Listener> listener) {
  co_await nursery(env_,
                   [this, &listener](Nursery& children) { return accept(children, *listener); });
}

Task<> Server::accept(Nursery& children, Listener& listener) {
  for (;;) {
    auto stream = co_await listener.accept();
    if (stream) {
      children.spawn(serve_connection(std::move(*stream)));
      continue;
    }
    if (stream.error().is(Code::kClosed)) co_return;
    env_.log().warning("rpc: accept failed, {}", stream.error());
    co_await env_.sleep(kAcceptPause);
  }
}

Task<> Server::serve_connection(Stream stream) {
  if (connections_ >= bounds_.connections) {
    if (turned_away_ < kTurnedAwayMax) co_await turn_away(std::move(stream));
    co_return;
  }
  const Count counted(connections_);
  Session session(*this, std::move(stream));
  co_await session.run();
}

Task<> Server::turn_away(Stream stream) {
  const Count counted(turned_away_);
  ++stats_.endings[static_cast<size_t>(Reason::kBusy)];
  Connection connection(env_, std::move(stream), options_, stats_);
  co_await connection.turn_away(
      Ending{Reason::kBusy, fmt::format("{} connections are open", connections_)});
}

}  // namespace dogfs::rpc
