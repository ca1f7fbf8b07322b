#include "tools/dogfs/held_signals.h"

#include <ctime>

#include <signal.h>

namespace dogfs::tool {
namespace {

sigset_t held() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

void change(int how) {
  const sigset_t set = held();
  pthread_sigmask(how, &set, nullptr);
}

}  // namespace

HeldSignals::HeldSignals() { change(SIG_BLOCK); }

HeldSignals::~HeldSignals() { change(SIG_UNBLOCK); }

int HeldSignals::signal() {
  const sigset_t set = held();
  const timespec now{};
  for (int taken = 0; (taken = sigtimedwait(&set, nullptr, &now)) > 0;)
    if (signal_ == 0) signal_ = taken;
  return signal_;
}

HeldSignals::Released::Released() { change(SIG_UNBLOCK); }

HeldSignals::Released::~Released() { change(SIG_BLOCK); }

}  // namespace dogfs::tool
