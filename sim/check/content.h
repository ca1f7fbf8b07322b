#pragma once
// What is known of the bytes of a file. Content: what somebody read or wrote, by length and digest.
// Pieces: where the bytes of a file come from, so that what is left of them after it was cut, and
// what they make with those of others, is known exactly, and nobody need keep them.

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/digest.h"

namespace dogfs::sim {

// Stands for the bytes of a file. The workload gives every put bytes of its own, so equal contents
// mean the same put (save for the empty file).
struct Content {
  uint64_t length = 0;
  uint64_t digest = 0;
  auto operator<=>(const Content&) const = default;
};
Content content_of(std::string_view bytes);

// Bytes that no other number gives (but for the lengths below 8, of which there are few). With less
// length, the beginning of the same.
Buffer make_bytes(uint64_t length, uint64_t number);

// Beginnings of what puts wrote, one behind the other: a cut takes away an end, and files are
// joined whole, so no piece is ever anything else.
class Pieces {
 public:
  Pieces() = default;  // no bytes
  // All that one put wrote: make_bytes(whole.length, number). A whole of other bytes is known only
  // as long as nothing is cut off it and nothing is joined to it.
  Pieces(const Content& whole, uint64_t number);

  uint64_t length() const;
  // To a length that it has or exceeds.
  void cut(uint64_t length);
  void append(const Pieces& other);

  // The bytes are made for that, unless they are what one put wrote.
  Content content() const;
  bool are(const Content& read) const { return read.length == length() && read == content(); }
  // Adds where the bytes come from; equal pieces are equal bytes.
  void add_to(Digest& digest) const;

 private:
  struct Piece {
    Content whole;  // of which this is the beginning
    uint64_t number = 0;
    uint64_t length = 0;
  };
  std::vector<Piece> pieces_;  // none of them empty
};

}  // namespace dogfs::sim
