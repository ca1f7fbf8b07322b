#pragma once
// What the operating system said, as an Error: the one place where an errno becomes a code and so
// an exit code. Take the errno at once, before another call replaces it. Text is the system's own,
// behind what it was about.

#include <string_view>

#include "core/base/error.h"

namespace dogfs::tool {

// "what: No such file or directory", with the code that the errno stands for.
std::unexpected<Error> fail_errno(int error, std::string_view what);

}  // namespace dogfs::tool
