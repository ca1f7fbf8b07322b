#pragma once
// HeldSignals: makes SIGINT, SIGTERM and SIGHUP wait, for a program that must clean up behind
// itself and looks from time to time whether one came. Made before any thread; threads and forks
// inherit it, processes that are spawned need not. One at a time; the one that came is taken by
// signal().

namespace dogfs::tool {

class HeldSignals {
 public:
  HeldSignals();
  ~HeldSignals();  // signals that came meanwhile, and were not taken, take effect now
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

  // The first that came since it was made, or 0.
  int signal();

  // Lets them through for its own lifetime, to code that handles them.
  class Released {
   public:
    Released();
    ~Released();
    Released(const Released&) = delete;
    Released& operator=(const Released&) = delete;
  };

 private:
  int signal_ = 0;
};

}  // namespace dogfs::tool
