#include "sim/check/content.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "core/base/random.h"

namespace dogfs::sim {

Content content_of(std::string_view bytes) {
  return {.length = bytes.size(), .digest = Digest().add(bytes).value()};
}

Buffer make_bytes(uint64_t length, uint64_t number) {
  MutableBuffer bytes(length);
  Random random(number);
  for (uint64_t offset = 0; offset < length; offset += 8) {
    const uint64_t word = random.next();
    std::memcpy(bytes.data() + offset, &word, std::min<uint64_t>(8, length - offset));
  }
  return std::move(bytes).freeze();
}

Pieces::Pieces(const Content& whole, uint64_t number) {
  if (whole.length > 0) pieces_.push_back({whole, number, whole.length});
}

uint64_t Pieces::length() const {
  uint64_t length = 0;
  for (const Piece& piece : pieces_) length += piece.length;
  return length;
}

void Pieces::cut(uint64_t length) {
  uint64_t left = length;
  for (Piece& piece : pieces_) {
    piece.length = std::min(piece.length, left);
    left -= piece.length;
  }
  std::erase_if(pieces_, [](const Piece& piece) { return piece.length == 0; });
}

void Pieces::append(const Pieces& other) {
  pieces_.insert(pieces_.end(), other.pieces_.begin(), other.pieces_.end());
}

Content Pieces::content() const {
  if (pieces_.empty()) return content_of("");
  const Piece& first = pieces_.front();
  if (pieces_.size() == 1 && first.length == first.whole.length) return first.whole;
  std::string bytes;
  bytes.reserve(length());
  for (const Piece& piece : pieces_) bytes += make_bytes(piece.length, piece.number).text();
  return content_of(bytes);
}

void Pieces::add_to(Digest& digest) const {
  digest.add(uint64_t{pieces_.size()});
  for (const Piece& piece : pieces_)
    digest.add(piece.length).add(piece.number).add(piece.whole.length).add(piece.whole.digest);
}

}  // namespace dogfs::sim
