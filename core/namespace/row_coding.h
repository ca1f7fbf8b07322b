#pragma once
// How the fields of rows are written and read: numbers, ids, attributes. A row is a format byte and
// its fields; Reader checks as it goes, so that what it gives out can be. Internal to schema.cc and
// schema_blocks.cc.

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "core/base/coding.h"
#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/base/limits.h"
#include "core/namespace/commands.h"
#include "core/placement/policy.h"

namespace dogfs::metadata {

inline constexpr uint8_t kRowFormat = 2;
// Which attributes follow.
inline constexpr uint8_t kOwnerBit = 1;
inline constexpr uint8_t kGroupBit = 2;
inline constexpr uint8_t kModeBit = 4;
inline constexpr uint8_t kAccessedBit = 8;
inline constexpr uint8_t kLabelsBit = 16;
inline constexpr uint8_t kAttributeBits = 31;
inline constexpr uint16_t kModeMax = 07777;

inline bool label_before(const Label& a, const Label& b) {
  return std::tie(a.kind, a.name) < std::tie(b.kind, b.name);
}

// LEB128, the shortest form only: small numbers are what most rows hold.
inline void put_number(Encoder& out, uint64_t x) {
  for (; x >= 0x80; x >>= 7) out.u8(static_cast<uint8_t>(x | 0x80));
  out.u8(static_cast<uint8_t>(x));
}

// Eight bytes fixed are five or six when slot, incarnation and counter stand apart.
template <class Id>
void put_id(Encoder& out, Id id) {
  out.u16(slot_of(id).value);
  put_number(out, incarnation_of(id).value);
  put_number(out, counter_of(id));
}

inline void put_text(Encoder& out, std::string_view text) {
  put_number(out, text.size());
  out.raw(text);
}

inline void put_attributes(Encoder& out, const InodeAttributes& attributes) {
  out.u8(static_cast<uint8_t>(
      (attributes.owner.empty() ? 0 : kOwnerBit) | (attributes.group.empty() ? 0 : kGroupBit) |
      (attributes.mode ? kModeBit : 0) | (attributes.accessed ? kAccessedBit : 0) |
      (attributes.labels.empty() ? 0 : kLabelsBit)));
  if (!attributes.owner.empty()) put_text(out, attributes.owner);
  if (!attributes.group.empty()) put_text(out, attributes.group);
  if (attributes.mode) out.u16(*attributes.mode);
  if (attributes.accessed) out.i64(attributes.accessed->nanoseconds);
  if (attributes.labels.empty()) return;
  put_number(out, attributes.labels.size());
  for (const Label& label : attributes.labels) {
    out.u8(static_cast<uint8_t>(label.kind));
    put_text(out, label.name);
    put_text(out, label.value);
  }
}

// Reads fields of one row; bad() once anything was out of place.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : in_(bytes), size_(bytes.size()) { format_ = in_.u8(); }

  uint64_t number() {
    uint64_t x = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t byte = in_.u8();
      if (shift == 63 && byte > 1) break;
      x |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) {
        if (byte == 0 && shift > 0) break;  // not the shortest form
        return x;
      }
    }
    bad_ = true;
    return 0;
  }
  uint64_t number_up_to(uint64_t most) {
    const uint64_t x = number();
    if (x > most) bad_ = true;
    return bad_ ? 0 : x;
  }
  template <class Id>
  Id id() {
    return id_in<Id>(Slot(in_.u16()));
  }
  template <class Id>
  Id id_in(Slot slot) {
    const auto incarnation = number_up_to((1u << kIncarnationBits) - 1);
    const auto counter = number_up_to((uint64_t{1} << kCounterBits) - 1);
    return compose_id<Id>(slot, Incarnation(static_cast<uint16_t>(incarnation)), counter);
  }
  template <class Enum>
  Enum choice(Enum first, Enum last) {
    const uint8_t x = in_.u8();
    if (x < static_cast<uint8_t>(first) || x > static_cast<uint8_t>(last)) bad_ = true;
    return bad_ ? first : static_cast<Enum>(x);
  }
  placement::Policy policy() {
    const auto policy = placement::Policy::from_code(in_.u16());
    if (!policy) bad_ = true;
    return policy.value_or(placement::Policy());
  }
  std::string text(size_t least, size_t most) {
    const uint64_t size = number_up_to(most);
    if (size < least) bad_ = true;
    return std::string(bad_ ? std::string_view() : in_.raw(size));
  }
  // Those whose bit is set: none of them can be what an absent one stands for.
  InodeAttributes attributes_present() {
    InodeAttributes out;
    const uint8_t bits = in_.u8();
    if (bits == 0 || bits > kAttributeBits) bad_ = true;
    if (bits & kOwnerBit) out.owner = text(1, limits::kUserNameBytesMax);
    if (bits & kGroupBit) out.group = text(1, limits::kUserNameBytesMax);
    if (bits & kModeBit) out.mode = in_.u16();
    if (out.mode.value_or(0) > kModeMax) bad_ = true;
    if (bits & kAccessedBit) out.accessed = WallTime{in_.i64()};
    if (bits & kLabelsBit) read_labels(out);
    return out;
  }
  Decoder& plain() { return in_; }
  bool good() const { return !bad_ && in_.ok(); }
  void refuse() { bad_ = true; }

  template <class Row>
  Result<Row> finish(Row row, std::string_view kind) const {
    if (size_ > 0 && format_ != kRowFormat) {
      return fail(Code::kUnsupported, "{} row has format {}, this build knows {}", kind, format_,
                  kRowFormat);
    }
    if (bad_ || !in_.at_end()) {
      return fail(Code::kCorrupt, "{} row of {} bytes is damaged", kind, size_);
    }
    return row;
  }

 private:
  void read_labels(InodeAttributes& into) {
    const uint64_t count = number_up_to(limits::kLabelsMax);
    if (count == 0) bad_ = true;
    for (uint64_t i = 0; i < count && good(); ++i) {
      Label label{.kind = choice(LabelKind::kXattr, LabelKind::kTag), .name = {}, .value = {}};
      label.name = text(1, limits::kLabelNameBytesMax);
      label.value = text(0, limits::kLabelsBytesMax);
      if (i > 0 && !label_before(into.labels.back(), label)) bad_ = true;
      into.labels.push_back(std::move(label));
    }
  }

  Decoder in_;
  size_t size_;
  uint8_t format_ = 0;
  bool bad_ = false;
};

// What every row begins with.
inline Encoder begin_row() {
  Encoder out;
  out.u8(kRowFormat);
  return out;
}

}  // namespace dogfs::metadata
