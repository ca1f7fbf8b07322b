#pragma once
// Time as nodes see it. Instant is monotonic, in nanoseconds since an arbitrary origin of the
// node's own clock: instants of two nodes are never compared. WallTime is for people's eyes only
// (display, mtime); no decision reads it.

#include <chrono>
#include <cstdint>

namespace dogfs {

using Duration = std::chrono::nanoseconds;

struct MonotonicClock {  // a tag: there is deliberately no now()
  using rep = int64_t;
  using period = std::nano;
  using duration = Duration;
  static constexpr bool is_steady = true;
};
using Instant = std::chrono::time_point<MonotonicClock, Duration>;

struct WallTime {
  int64_t nanoseconds = 0;  // since 1970-01-01 UTC
  auto operator<=>(const WallTime&) const = default;
};

using namespace std::chrono_literals;

inline constexpr int64_t to_ms(Duration d) { return d.count() / 1'000'000; }
inline constexpr Instant kNever = Instant(Duration(INT64_MAX));

}  // namespace dogfs
