#pragma once
// CHECK: an invariant of this program, tested in every build. It is for what can only be false
// when the code is wrong. What a wire, a disk, a file or a person sent is validated and answered
// with an Error instead (error.h).
//
// A failed CHECK prints the condition, the place and the values given, then aborts: a server that
// is wrong about itself must not go on writing.

#include <string>
#include <string_view>

#include <fmt/format.h>

namespace dogfs {

[[noreturn]] void check_failed(std::string_view condition, std::string_view file, int line,
                               std::string_view detail);

}  // namespace dogfs

// CHECK(cond) or CHECK(cond, "term {} below {}", a, b).
#define CHECK(condition, ...)                                                   \
  do {                                                                          \
    if (!(condition)) [[unlikely]]                                              \
      ::dogfs::check_failed(#condition, __FILE__, __LINE__,                     \
                            std::string{__VA_OPT__(fmt::format(__VA_ARGS__))}); \
  } while (false)

#define UNREACHABLE(...) CHECK(false __VA_OPT__(, ) __VA_ARGS__)
