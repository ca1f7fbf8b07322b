#pragma once
// Names of files that are numbered: a prefix and sixteen hexadecimal digits, so that names sort as
// their numbers do. Pure; used for segments and for snapshot files.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dogfs::wal {

std::string numbered_name(std::string_view prefix, uint64_t number);
// The number in a name that numbered_name() made with this prefix; nothing for any other.
std::optional<uint64_t> number_in_name(std::string_view prefix, std::string_view name);

}  // namespace dogfs::wal
