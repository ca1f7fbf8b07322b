#pragma once
// Policy: how the bytes of a block become shards, and how many must be durable before a write is
// acknowledged. Written `rs-k-m` (k data and m parity shards) or `rep-N` (N whole copies).
//
// A value; every Policy that exists is valid: 1 <= k, 1 <= m, k + m <= limits::kShardsMax, or
// 1 <= N <= limits::kShardsMax. A default-constructed one is rs-4-2.

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/error.h"

namespace dogfs::placement {

class Policy {
 public:
  Policy() = default;
  // kInvalid with the reason, for text of a person or a config file.
  static Result<Policy> parse(std::string_view text);
  // From code(); kInvalid for a number that no policy has.
  static Result<Policy> from_code(uint16_t code);

  // "rs-4-2", "rep-3"; parse() of it gives the same policy.
  std::string text() const;
  // A stable number for rows and messages.
  uint16_t code() const;

  bool replicated() const { return replicated_; }
  // k: shards that suffice to read. A replicated block has k = 1.
  uint32_t data_shards() const { return data_; }
  // m: shards that may be lost. N - 1 for rep-N.
  uint32_t parity_shards() const { return parity_; }
  uint32_t width() const { return uint32_t{data_} + parity_; }
  // Durable shards needed to acknowledge: k + ceil(m/2); of replicas a majority.
  uint32_t min_shards() const;

  bool operator==(const Policy&) const = default;

 private:
  static Result<Policy> make(bool replicated, uint64_t data, uint64_t parity,
                             std::string_view text);

  uint8_t data_ = 4;
  uint8_t parity_ = 2;
  bool replicated_ = false;
};

}  // namespace dogfs::placement
