#include "core/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace dogfs {

void check_failed(std::string_view condition, std::string_view file, int line,
                  std::string_view detail) {
  fmt::print(stderr, "CHECK failed: {} at {}:{}{}{}\n", condition, file, line,
             detail.empty() ? "" : ": ", detail);
  std::fflush(stderr);
  std::abort();
}

}  // namespace dogfs
