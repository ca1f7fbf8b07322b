#pragma once
// Paths and names as people and wires give them: what is a valid one, and how to show a bad one.
//
// A path is absolute and normal: "/" or "/name/name", without empty names, "." or "..", without a
// slash at the end. A name is UTF-8 of 1 to 255 bytes without NUL and '/'.

#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace dogfs::metadata {

// Names from the root down, as views into `path`; none for "/". kInvalid with the reason, kTooLarge
// over kPathBytesMax, kPathDepthMax or kNameBytesMax.
Result<std::vector<std::string_view>> parse_path(std::string_view path);
Result<> check_name(std::string_view name);

// The text in quotes, cut and with control characters and broken UTF-8 replaced, fit for a message
// that may reach a terminal.
std::string shown(std::string_view text);

// The length of the well-formed UTF-8 character at the front (RFC 3629), or 0.
size_t utf8_length(std::string_view text);

}  // namespace dogfs::metadata
