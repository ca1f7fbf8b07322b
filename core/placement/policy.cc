#include "core/placement/policy.h"

#include <charconv>

#include "core/base/limits.h"

namespace dogfs::placement {
namespace {

constexpr uint16_t kReplicatedBit = 0x8000;

// A decimal number without sign, blanks or leading zeros, taken off the front of `text`.
bool take_number(std::string_view& text, uint64_t& out) {
  if (text.empty() || text[0] == '0') return false;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (problem != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

Result<Policy> Policy::make(bool replicated, uint64_t data, uint64_t parity,
                            std::string_view text) {
  const uint64_t width_max = limits::kShardsMax;
  if (data > width_max || parity > width_max || data + parity > width_max) {
    return fail(Code::kInvalid, "policy {} spreads a block over more than {} servers", text,
                width_max);
  }
  if (!replicated && parity == 0) {
    return fail(Code::kInvalid, "policy {} has no parity shard: use rep-1 to store one copy", text);
  }
  Policy policy;
  policy.replicated_ = replicated;
  policy.data_ = static_cast<uint8_t>(data);
  policy.parity_ = static_cast<uint8_t>(parity);
  return policy;
}

Result<Policy> Policy::parse(std::string_view text) {
  uint64_t first = 0, second = 0;
  std::string_view rest = text;
  if (take_prefix(rest, "rep-") && take_number(rest, first) && rest.empty()) {
    return make(true, 1, first - 1, text);
  }
  rest = text;
  if (take_prefix(rest, "rs-") && take_number(rest, first) && take_prefix(rest, "-")) {
    if (rest == "0") return make(false, first, 0, text);
    if (take_number(rest, second) && rest.empty()) return make(false, first, second, text);
  }
  return fail(
      Code::kInvalid,
      "unknown policy \"{}\": write rs-K-M (K data and M parity shards, K+M <= {}) or rep-N",
      text.substr(0, 64), limits::kShardsMax);
}

Result<Policy> Policy::from_code(uint16_t code) {
  const bool replicated = (code & kReplicatedBit) != 0;
  const uint32_t data = (code & ~kReplicatedBit) >> 8;
  const uint32_t parity = code & 0xff;
  // Every row of a file is read through here: no text is made unless it is needed.
  const auto policy = make(replicated, data, parity, {});
  if (!policy || data == 0 || (replicated && data != 1)) {
    return fail(Code::kInvalid, "policy code {:#x} stands for no policy", code);
  }
  return policy;
}

std::string Policy::text() const {
  if (replicated_) return fmt::format("rep-{}", width());
  return fmt::format("rs-{}-{}", data_, parity_);
}

uint16_t Policy::code() const {
  return static_cast<uint16_t>((replicated_ ? kReplicatedBit : 0) | data_ << 8 | parity_);
}

uint32_t Policy::min_shards() const {
  if (replicated_) return width() / 2 + 1;
  return data_ + (uint32_t{parity_} + 1) / 2;
}

}  // namespace dogfs::placement
