#include "core/env/network.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace dogfs {

namespace {

// A numeric IPv6 host stands in brackets, since it has colons itself; nothing else does.
std::optional<std::string_view> parse_host(std::string_view text) {
  const bool bracketed = text.starts_with('[') && text.ends_with(']');
  if (bracketed) text = text.substr(1, text.size() - 2);
  if (text.empty() || text.find_first_of("[]") != std::string_view::npos) return std::nullopt;
  if (text.contains(':') != bracketed) return std::nullopt;
  return text;
}

std::optional<uint16_t> parse_port(std::string_view digits) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return port;
}

}  // namespace

Result<Address> Address::parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  const auto host = parse_host(text.substr(0, std::min(colon, text.size())));
  if (colon == std::string_view::npos || !host)
    return fail(Code::kInvalid, "'{}' is not an address; write HOST:PORT", text);
  const auto port = parse_port(text.substr(colon + 1));
  if (!port)
    return fail(Code::kInvalid, "'{}' has no port between 0 and 65535; write HOST:PORT", text);
  return Address{.host = std::string(*host), .port = *port};
}

std::string Address::to_string() const {
  const bool v6 = host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

}  // namespace dogfs
