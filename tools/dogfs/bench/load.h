#pragma once
// Load: a closed loop of clients in one thread: so many operations under way over a few
// connections, each followed by the next as soon as it is answered. What is said on a connection is
// its Dialect's: DogFS, etcd and the null system get the same driver, which is cheap enough (a few
// microseconds of CPU for an operation) not to be what is measured.
//
// Owned by a benchmark; blocks. After an error it can only be destroyed.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/env/network.h"

namespace dogfs::tool {

// One connection's side of a protocol. Slots number the operations under way on it.
class Dialect {
 public:
  virtual ~Dialect() = default;
  // What is said before anything else, and whether the answers to it have come.
  virtual void greet(std::string& out) = 0;
  virtual bool ready() const = 0;
  // Begins the next operation of a slot.
  virtual void begin(uint32_t slot, std::string& out) = 0;
  // Takes the whole messages that stand at the front of `in`, gives their bytes. Adds what has to
  // be said next to `out`, and the slots whose operation ended well to `ended`. Any other answer
  // is an error.
  virtual Result<size_t> take(std::string_view in, std::string& out,
                              std::vector<uint32_t>& ended) = 0;
};

struct Latencies {
  uint64_t operations = 0;
  double p50_us = 0;
  double p99_us = 0;
  double p999_us = 0;
  double max_us = 0;
};

struct LoadFigures : Latencies {  // of all that ended while it was measured
  double seconds = 0;
  double client_cpu_us = 0;
  Latencies usual;  // without those apart
  Latencies apart;  // of operations that were under way while Length::apart said so

  double per_second() const { return static_cast<double>(operations) / seconds; }
};

class Load {
 public:
  // Connects and greets. kIo, kUnavailable, kDeadline, or an error of the dialect.
  static Result<Load> connect(const Address& address,
                              std::vector<std::unique_ptr<Dialect>> dialects);
  Load(Load&&) noexcept;
  Load& operator=(Load&&) = delete;
  ~Load();

  struct Length {
    double seconds = 0;       // stops after so long,
    uint64_t operations = 0;  // or after so many, unless 0
    // Asked every few milliseconds, unless empty.
    std::function<bool()> apart;
  };
  // Keeps `in_flight` operations under way, spread evenly, and waits for the last of them.
  Result<LoadFigures> run(uint32_t in_flight, const Length& length);

 private:
  struct Line;
  Load();
  Result<void> drain();
  Result<void> move_bytes(int timeout_ms);
  Result<void> serve(Line& line);
  void begin(Line& line, uint32_t slot);
  void ended(Line& line, uint32_t slot);

  std::vector<std::unique_ptr<Line>> lines_;
  // Of the run under way.
  uint64_t begun_ = 0;
  uint64_t under_way_ = 0;
  uint64_t begin_at_most_ = 0;
  bool measuring_ = false;
  bool apart_ = false;  // at the moment
  std::vector<float> usual_us_;
  std::vector<float> apart_us_;
};

}  // namespace dogfs::tool
