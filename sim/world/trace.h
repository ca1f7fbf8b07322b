#pragma once
// Trace: what happened in a run, for people. A line has the virtual time, who, and what. By default
// only the latest lines of note are kept, in a ring; a replay gives a sink and gets every line.
// Nothing that a run decides depends on it.

#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "core/env/log.h"
#include "sim/world/scheduler.h"

namespace dogfs::sim {

class Trace {
 public:
  using Sink = std::function<void(std::string_view line)>;
  static constexpr size_t kKeptLinesMax = 200;

  explicit Trace(const Scheduler& scheduler) : scheduler_(scheduler) {}

  // Everything from `level` up goes to the sink, too.
  void set_sink(LogLevel level, Sink sink) {
    level_ = level;
    sink_ = std::move(sink);
  }
  bool enabled(LogLevel level) const { return level >= level_; }
  void line(LogLevel level, std::string_view who, std::string_view what);
  const std::deque<std::string>& kept() const { return kept_; }

  // Faults and other acts of the world.
  template <class... Args>
  void act(std::string_view who, fmt::format_string<Args...> text, Args&&... args) {
    if (enabled(LogLevel::kWarning))
      line(LogLevel::kWarning, who, fmt::format(text, std::forward<Args>(args)...));
  }

 private:
  const Scheduler& scheduler_;
  LogLevel level_ = LogLevel::kWarning;
  Sink sink_;
  std::deque<std::string> kept_;
};

}  // namespace dogfs::sim
