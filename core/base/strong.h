#pragma once
// Strong<Tag>: an unsigned integer that is a type of its own. A Term is not a LogIndex, and the
// compiler knows. Ordered and formattable; arithmetic is spelled out (next(), value).

#include <compare>
#include <cstdint>

#include <fmt/format.h>

namespace dogfs {

template <class Tag, class Rep = uint64_t>
struct Strong {
  using rep = Rep;
  Rep value = 0;

  constexpr Strong() = default;
  constexpr explicit Strong(Rep v) : value(v) {}
  constexpr auto operator<=>(const Strong&) const = default;
  constexpr explicit operator bool() const { return value != 0; }
  constexpr Strong next() const { return Strong(value + 1); }
  constexpr Strong prev() const { return Strong(value - 1); }
};

}  // namespace dogfs

template <class Tag, class Rep>
struct fmt::formatter<dogfs::Strong<Tag, Rep>> : fmt::formatter<Rep> {
  auto format(const dogfs::Strong<Tag, Rep>& id, format_context& context) const {
    return formatter<Rep>::format(id.value, context);
  }
};
