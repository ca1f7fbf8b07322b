#include "core/wal/numbered_name.h"

#include <fmt/format.h>

namespace dogfs::wal {
namespace {

constexpr size_t kDigits = 16;

}  // namespace

std::string numbered_name(std::string_view prefix, uint64_t number) {
  return fmt::format("{}{:016x}", prefix, number);
}

std::optional<uint64_t> number_in_name(std::string_view prefix, std::string_view name) {
  if (!name.starts_with(prefix) || name.size() != prefix.size() + kDigits) return std::nullopt;
  uint64_t number = 0;
  for (const char c : name.substr(prefix.size())) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'a' || c > 'f')) return std::nullopt;
    number = number << 4 | static_cast<uint64_t>(digit ? c - '0' : c - 'a' + 10);
  }
  return number;
}

}  // namespace dogfs::wal
