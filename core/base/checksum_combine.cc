#include "core/base/checksum_combine.h"

#include <array>
#include <cstddef>

namespace dogfs {
namespace {

// Polynomials over GF(2) modulo Castagnoli's, bits reflected: the highest bit
// is the term x^0.
constexpr uint32_t kPolynomial = 0x82f63b78;
constexpr uint32_t kOne = uint32_t{1} << 31;

constexpr uint32_t product(uint32_t a, uint32_t b) {
  uint32_t sum = 0;
  for (uint32_t term = kOne; term != 0; term >>= 1) {
    if (a & term) sum ^= b;
    b = b & 1 ? (b >> 1) ^ kPolynomial : b >> 1;
  }
  return sum;
}

// x^(8 * 2^i): what 2^i zero bytes multiply a register with.
constexpr std::array<uint32_t, 64> kZeros = [] {
  std::array<uint32_t, 64> powers{};
  powers[0] = kOne >> 8;
  for (size_t i = 1; i < powers.size(); ++i) powers[i] = product(powers[i - 1], powers[i - 1]);
  return powers;
}();

// The part of a checksum that what stands in front leaves in it after so many
// more bytes.
uint32_t shifted(uint32_t crc, uint64_t bytes) {
  for (size_t i = 0; bytes != 0; ++i, bytes >>= 1)
    if (bytes & 1) crc = product(kZeros[i], crc);
  return crc;
}

}  // namespace

uint32_t crc32c_combine(uint32_t a, uint32_t b, uint64_t b_bytes) {
  return shifted(a, b_bytes) ^ b;
}

uint32_t crc32c_behind(uint32_t a, uint32_t joined, uint64_t b_bytes) {
  return shifted(a, b_bytes) ^ joined;
}

}  // namespace dogfs
