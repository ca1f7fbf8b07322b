#pragma once
// Digest: a running 64-bit hash over a canonical sequence of fields. It compares the states of
// replicas and the traces of runs; it is not cryptographic and guards no stored bytes (checksum.h
// does). Never feed it protobuf's own bytes, addresses or times of the real world.

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace dogfs {

class Digest {
 public:
  Digest& add(uint64_t x) {
    value_ = (std::rotl(value_, 23) ^ x) * 0x9fb21c651e98df25;
    value_ ^= value_ >> 32;
    return *this;
  }
  Digest& add(std::string_view bytes) {
    add(uint64_t{bytes.size()});
    while (bytes.size() >= 8) {
      uint64_t word;
      std::memcpy(&word, bytes.data(), 8);
      add(word);
      bytes.remove_prefix(8);
    }
    if (bytes.empty()) return *this;  // and no memcpy: an empty view may have no address
    uint64_t tail = 0;
    std::memcpy(&tail, bytes.data(), bytes.size());
    return add(tail);
  }
  uint64_t value() const { return value_; }
  bool operator==(const Digest&) const = default;

 private:
  uint64_t value_ = 0xcbf29ce484222325;
};

}  // namespace dogfs
