#pragma once
// Canonical byte encoding for what DogFS stores and checksums itself: log records, shard headers,
// rows and keys of the namespace. Fixed-width integers little-endian, except in keys, which are
// big-endian so that bytes sort as numbers. Strings carry a 32-bit length.
//
// Decoder never reads past its input: after a short or oversized field ok() is false for good and
// every further read gives zero or empty, so a caller decodes all fields and checks once.

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/checksum.h"
#include "core/base/strong.h"

namespace dogfs {

class Encoder {
 public:
  Encoder& u8(uint8_t x) { return little(x, 1); }
  Encoder& u16(uint16_t x) { return little(x, 2); }
  Encoder& u32(uint32_t x) { return little(x, 4); }
  Encoder& u64(uint64_t x) { return little(x, 8); }
  Encoder& i64(int64_t x) { return little(static_cast<uint64_t>(x), 8); }
  Encoder& text(std::string_view s) {
    u32(static_cast<uint32_t>(s.size()));
    out_ += s;
    return *this;
  }
  Encoder& raw(std::string_view s) {
    out_ += s;
    return *this;
  }
  template <class Tag, class Rep>
  Encoder& id(Strong<Tag, Rep> x) {
    return little(x.value, sizeof(Rep));
  }
  // Big-endian, for keys.
  template <class Tag, class Rep>
  Encoder& key(Strong<Tag, Rep> x) {
    char bytes[sizeof(Rep)];
    for (size_t i = 0; i < sizeof(Rep); ++i)
      bytes[i] = static_cast<char>(uint64_t{x.value} >> (8 * (sizeof(Rep) - 1 - i)));
    out_.append(bytes, sizeof(Rep));
    return *this;
  }

  size_t size() const { return out_.size(); }
  const std::string& bytes() const { return out_; }
  std::string take() && { return std::move(out_); }

 private:
  Encoder& little(uint64_t x, size_t width) {
    char bytes[sizeof(x)];
    for (size_t i = 0; i < sizeof(x); ++i) bytes[i] = static_cast<char>(x >> (8 * i));
    out_.append(bytes, width);
    return *this;
  }
  std::string out_;
};

class Decoder {
 public:
  explicit Decoder(std::string_view in) : in_(in) {}
  explicit Decoder(ByteView in) : in_(as_text(in)) {}

  uint8_t u8() { return static_cast<uint8_t>(little(1)); }
  uint16_t u16() { return static_cast<uint16_t>(little(2)); }
  uint32_t u32() { return static_cast<uint32_t>(little(4)); }
  uint64_t u64() { return little(8); }
  int64_t i64() { return static_cast<int64_t>(little(8)); }
  // A view into the input.
  std::string_view text() { return raw(u32()); }
  std::string_view raw(size_t length) {
    if (length > in_.size()) ok_ = false;
    if (!ok_) return {};
    const auto out = in_.substr(0, length);
    in_.remove_prefix(length);
    return out;
  }
  template <class Id>
  Id id() {
    return Id(static_cast<typename Id::rep>(little(sizeof(typename Id::rep))));
  }
  template <class Id>
  Id key() {
    uint64_t x = 0;
    for (const char c : raw(sizeof(typename Id::rep))) x = x << 8 | static_cast<uint8_t>(c);
    return Id(static_cast<typename Id::rep>(x));
  }

  bool ok() const { return ok_; }
  bool at_end() const { return ok_ && in_.empty(); }
  size_t remaining() const { return in_.size(); }

 private:
  uint64_t little(size_t width) {
    const auto bytes = raw(width);
    uint64_t x = 0;
    for (size_t i = bytes.size(); i-- > 0;) x = x << 8 | static_cast<uint8_t>(bytes[i]);
    return x;
  }
  std::string_view in_;
  bool ok_ = true;
};

}  // namespace dogfs
