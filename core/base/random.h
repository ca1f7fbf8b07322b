#pragma once
// Random: the only source of randomness in core, nodes and sim. Xoshiro256++ (Blackman and Vigna),
// seeded through SplitMix64. The same seed gives the same draws on every machine, which the
// distributions of the standard library do not promise; so they are not used.
//
// fork() makes an independent stream for one domain and node, so that one more draw in one place
// does not re-roll all the others.

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

#include "core/base/check.h"

namespace dogfs {

class Random {
 public:
  explicit Random(uint64_t seed) {
    for (auto& word : state_) word = split_mix(seed);
  }

  uint64_t next() {
    const uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
    const uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // Uniform in [0, n); n > 0. Lemire's multiplication; the bias is below n / 2^64.
  uint64_t below(uint64_t n) {
    CHECK(n > 0);
    return static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * n) >> 64);
  }
  // Uniform in [low, high].
  uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
  // True with probability numerator / denominator.
  bool chance(uint64_t numerator, uint64_t denominator) { return below(denominator) < numerator; }

  // A stream of its own for (this generator's seed, domain, number). Draws nothing from this one.
  Random fork(std::string_view domain, uint64_t number = 0) const {
    uint64_t hash = state_[0] ^ std::rotl(state_[2], 17);
    for (char c : domain) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return Random(hash ^ (number * 0x9e3779b97f4a7c15 + 0x7f4a7c15));
  }

 private:
  static uint64_t split_mix(uint64_t& x) {
    uint64_t z = (x += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  std::array<uint64_t, 4> state_;
};

}  // namespace dogfs
