#include "sim/world/trace.h"

namespace dogfs::sim {

void Trace::line(LogLevel level, std::string_view who, std::string_view what) {
  constexpr std::string_view kMarks = "DIWE";
  const int64_t us = scheduler_.now().time_since_epoch().count() / 1000;
  std::string text = fmt::format("{:>4}.{:06} {} {:<10} {}", us / 1'000'000, us % 1'000'000,
                                 kMarks[static_cast<size_t>(level)], who, what);
  if (sink_) sink_(text);
  kept_.push_back(std::move(text));
  if (kept_.size() > kKeptLinesMax) kept_.pop_front();
}

}  // namespace dogfs::sim
