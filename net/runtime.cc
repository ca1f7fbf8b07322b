#include "net/runtime.h"

#include <csignal>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <unistd.h>

#include "core/env/event.h"
#include "core/env/nursery.h"

namespace dogfs::net {
namespace {

Task<> run_main(Event& stop, Task<> main) {
  const SetAtEnd ended(stop);
  co_await std::move(main);
}

Task<> run_until_stopped(Nursery& children, Event& stop, Task<> main) {
  children.spawn(run_main(stop, std::move(main)));
  co_await stop.wait();
}

Task<> supervise(Env& env, Event& stop, Task<> main) {
  co_await nursery(
      env, [&](Nursery& children) { return run_until_stopped(children, stop, std::move(main)); });
}

}  // namespace

struct Runtime::Signals {
  Signals(asio::io_context& io, Env& env) : set(io), reports(io), stop(env) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      struct sigaction now{};
      if (sigaction(signal, nullptr, &now) == 0 && now.sa_handler != SIG_IGN) set.add(signal);
    }
  }

  void wait() {
    set.async_wait([this](error_code error, int signal) {
      if (error) return;
      if (first != 0) _exit(128 + signal);
      first = signal;
      stop.set();
      wait();
    });
  }

  void report_to(Runtime& runtime) {
    reports.async_wait([this, &runtime](error_code error, int) {
      if (error) return;
      runtime.report_(*runtime.process_);
      report_to(runtime);
    });
  }

  asio::signal_set set;
  asio::signal_set reports;
  Event stop;
  int first = 0;
};

Result<std::unique_ptr<Runtime>> Runtime::make(Options options) {
  auto runtime = std::unique_ptr<Runtime>(new Runtime(options));
  TRY(process, Process::make(runtime->loop_, std::move(options.process)));
  runtime->process_ = std::move(process);
  return runtime;
}

Runtime::Runtime(Options& options) : loop_(options.loop), report_(std::move(options.report)) {}

// The members' order is the rule: the process dies (its gates shut, its frames destroyed), then the
// reactor, and the pools are joined last.
Runtime::~Runtime() {
  if (process_) process_->kill();
}

int Runtime::run(Task<> main) {
  signals_ = std::make_unique<Signals>(loop_.io(), env());
  signals_->wait();
  if (report_) {
    signals_->reports.add(SIGUSR1);
    signals_->report_to(*this);
  }
  process_->start(supervise(env(), signals_->stop, std::move(main)), [this] { loop_.stop(); });
  loop_.run();
  return signals_->first;
}

}  // namespace dogfs::net
