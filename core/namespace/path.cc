#include "core/namespace/path.h"

#include "core/base/limits.h"

namespace dogfs::metadata {
namespace {

constexpr size_t kShownBytesMax = 200;

// The lead byte's length and the range of the second byte, which rules out overlong forms,
// surrogates and what lies above U+10FFFF (RFC 3629, section 4).
struct Lead {
  size_t length = 0;
  uint8_t low = 0x80;
  uint8_t high = 0xbf;
};

Lead lead_of(uint8_t byte) {
  if (byte < 0x80) return {.length = 1};
  if (byte >= 0xc2 && byte <= 0xdf) return {.length = 2};
  if (byte == 0xe0) return {.length = 3, .low = 0xa0};
  if (byte == 0xed) return {.length = 3, .high = 0x9f};
  if (byte >= 0xe1 && byte <= 0xef) return {.length = 3};
  if (byte == 0xf0) return {.length = 4, .low = 0x90};
  if (byte >= 0xf1 && byte <= 0xf3) return {.length = 4};
  if (byte == 0xf4) return {.length = 4, .high = 0x8f};
  return {};
}

bool valid_utf8(std::string_view text) {
  while (!text.empty()) {
    // Most names are ASCII throughout.
    const size_t length = static_cast<uint8_t>(text[0]) < 0x80 ? 1 : utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace

size_t utf8_length(std::string_view text) {
  if (text.empty()) return 0;
  const Lead lead = lead_of(static_cast<uint8_t>(text[0]));
  if (lead.length > text.size()) return 0;
  for (size_t i = 1; i < lead.length; ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if (byte < (i == 1 ? lead.low : 0x80) || byte > (i == 1 ? lead.high : 0xbf)) return 0;
  }
  return lead.length;
}

Result<> check_name(std::string_view name) {
  if (name.empty()) return fail(Code::kInvalid, "a name is empty");
  if (name.size() > limits::kNameBytesMax) {
    return fail(Code::kTooLarge, "the name {} has {} bytes, at most {} are allowed", shown(name),
                name.size(), limits::kNameBytesMax);
  }
  if (name == "." || name == "..") {
    return fail(Code::kInvalid, "\"{}\" is not a name: write the full path", name);
  }
  if (name.find('/') != name.npos || name.find('\0') != name.npos) {
    return fail(Code::kInvalid, "the name {} holds a slash or a NUL byte", shown(name));
  }
  if (!valid_utf8(name)) return fail(Code::kInvalid, "the name {} is not UTF-8", shown(name));
  return {};
}

Result<std::vector<std::string_view>> parse_path(std::string_view path) {
  if (path.size() > limits::kPathBytesMax) {
    return fail(Code::kTooLarge,
                "the path {} has {} bytes, at most {} are allowed; to reach what lies deeper, move "
                "a directory on the way upwards",
                shown(path), path.size(), limits::kPathBytesMax);
  }
  if (!path.starts_with('/')) {
    return fail(Code::kInvalid, "the path {} does not start with a slash", shown(path));
  }
  std::vector<std::string_view> names;
  if (path == "/") return names;
  for (size_t at = 1; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const auto name = path.substr(at, end - at);
    if (auto valid = check_name(name); !valid) {
      return fail(valid.error().in(fmt::format("the path {}", shown(path))));
    }
    names.push_back(name);
    at = end + 1;
  }
  if (names.size() > limits::kPathDepthMax) {
    return fail(
        Code::kTooLarge,
        "the path {} has {} levels, at most {} are allowed; to reach what lies deeper, move a "
        "directory on the way upwards",
        shown(path), names.size(), limits::kPathDepthMax);
  }
  return names;
}

std::string shown(std::string_view text) {
  std::string out = "\"";
  const bool cut = text.size() > kShownBytesMax;
  text = text.substr(0, kShownBytesMax);
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    const auto byte = static_cast<uint8_t>(text[0]);
    const bool c1 = length == 2 && byte == 0xc2 && static_cast<uint8_t>(text[1]) < 0xa0;
    if (length == 0 || byte < 0x20 || byte == 0x7f || c1) {
      out += fmt::format("\\x{:02x}", byte);
      text.remove_prefix(1);
      continue;
    }
    out += text.substr(0, length);
    text.remove_prefix(length);
  }
  return out + (cut ? "...\"" : "\"");
}

}  // namespace dogfs::metadata
