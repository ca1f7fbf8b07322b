#include "core/env/network.h"

#include <charconv>

namespace dogfs {

Result<Address> Address::parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0)
    return fail(Code::kInvalid, "'{}' is not an address; write HOST:PORT", text);
  Address address{.host = std::string(text.substr(0, colon)), .port = 0};
  const std::string_view digits = text.substr(colon + 1);
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.empty())
    return fail(Code::kInvalid, "'{}' has no port between 0 and 65535; write HOST:PORT", text);
  if (address.host.starts_with('[') && address.host.ends_with(']'))
    address.host = address.host.substr(1, address.host.size() - 2);
  return address;
}

std::string Address::to_string() const {
  const bool v6 = host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

}  // namespace dogfs
