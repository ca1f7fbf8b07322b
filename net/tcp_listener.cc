#include "net/tcp_listener.h"

#include <cerrno>

#include <fcntl.h>

#include "core/env/event.h"
#include "net/tcp_socket.h"

namespace dogfs::net {
namespace {

using asio::ip::tcp;

// How long to wait for descriptors or memory that the machine has run out of.
constexpr Duration kExhaustedPause = std::chrono::milliseconds(50);

enum class After { kAccepted, kWait, kRetry, kPause, kFailed };

After after(const error_code& error) {
  if (!error) return After::kAccepted;
  switch (error.value()) {
    case EAGAIN: return After::kWait;
    case EINTR:
    case ECONNABORTED:  // the peer left before it was accepted
    case EPROTO: return After::kRetry;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return After::kPause;
    default: return After::kFailed;
  }
}

}  // namespace

// Shared with the frames that accept, which look here whether the listener is still there.
struct TcpListener::State : std::enable_shared_from_this<State> {
  State(Env& e, tcp::acceptor a) : env(e), acceptor(std::move(a)), arrived(e) {}

  // Has `arrived` notified when there is something to accept.
  void arm() {
    if (std::exchange(armed, true)) return;
    acceptor.async_wait(tcp::acceptor::wait_read, [weak = weak_from_this()](error_code) {
      const auto self = weak.lock();
      if (!self) return;
      self->armed = false;
      self->arrived.notify();
    });
  }

  Env& env;
  tcp::acceptor acceptor;
  Event arrived;
  bool armed = false;
  bool stopped = false;
};

TcpListener::TcpListener(Env& env, tcp::acceptor acceptor, Address address)
    : state_(std::make_shared<State>(env, std::move(acceptor))), address_(std::move(address)) {
  error_code ignored;
  address_.port = state_->acceptor.local_endpoint(ignored).port();
}

TcpListener::~TcpListener() {
  state_->stopped = true;
  error_code ignored;
  state_->acceptor.close(ignored);
  state_->arrived.notify();
}

Task<Result<Stream>> TcpListener::accept() { return accept_from(state_); }

Task<Result<Stream>> TcpListener::accept_from(std::shared_ptr<State> state) {
  Env& env = state->env;
  while (!state->stopped) {
    tcp::socket socket(state->acceptor.get_executor());
    error_code error;
    state->acceptor.accept(socket, error);
    switch (after(error)) {
      case After::kAccepted:
        fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
        co_return Stream(env.operations(),
                         std::make_unique<TcpSocket>(env.operations(), std::move(socket)));
      case After::kWait:
        state->arm();
        co_await state->arrived.wait();
        break;
      case After::kRetry: break;
      case After::kPause:
        env.log().warning("cannot accept a connection for now: {}", error.message());
        co_await env.sleep(kExhaustedPause);
        break;
      case After::kFailed: co_return fail(Code::kIo, "cannot accept: {}", error.message());
    }
  }
  co_return fail(Code::kClosed, "the listener was stopped");
}

}  // namespace dogfs::net
