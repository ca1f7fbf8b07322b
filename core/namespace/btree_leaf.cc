#include "core/namespace/btree_leaf.h"

#include <algorithm>
#include <cstring>

namespace dogfs::metadata::btree {
namespace {

// What a leaf's storage grows by, instead of doubling.
constexpr size_t kSlackBytes = 128;
constexpr size_t kNumberBytesMax = 5;

size_t read_number(const char*& at) {
  auto byte = static_cast<uint8_t>(*at++);
  if (byte < 0x80) return byte;
  size_t x = byte & 0x7f;
  for (int shift = 7;; shift += 7) {
    byte = static_cast<uint8_t>(*at++);
    x |= size_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return x;
  }
}

char* write_number(char* at, size_t x) {
  for (; x >= 0x80; x >>= 7) *at++ = static_cast<char>(x | 0x80);
  *at++ = static_cast<char>(x);
  return at;
}

size_t common(std::string_view a, std::string_view b) {
  const size_t most = std::min(a.size(), b.size());
  size_t n = 0;
  while (n < most && a[n] == b[n]) ++n;
  return n;
}

}  // namespace

Leaf::Row Leaf::row(size_t offset) const {
  const char* at = rows_.data() + offset;
  Row row;
  row.shared = read_number(at);
  const size_t suffix = read_number(at);
  const size_t value = read_number(at);
  row.suffix = {at, suffix};
  row.value = {at + suffix, value};
  row.end = static_cast<size_t>(at - rows_.data()) + suffix + value;
  return row;
}

// A row that shares more with the one before than the key does compares to the key as that one; one
// that shares less lies behind the key. Only the others have to be looked at.
Leaf::Place Leaf::find(std::string_view key, const Mark& mark) const {
  Place place;
  const char* const begin = rows_.data();
  const char* const end = begin + rows_.size();
  const char* next = begin;
  if (mark.end > 0) {
    const int order = key.compare(mark.key);
    if (order == 0) return {mark.begin, true, row(mark.begin).shared, key.size()};
    if (order > 0) {
      place.shared = common(mark.key, key);
      next += mark.end;
    }
  }
  for (const char* at = next; at != end; at = next) {
    const char* suffix = at;
    const size_t shared = read_number(suffix);
    const size_t suffix_size = read_number(suffix);
    const size_t value_size = read_number(suffix);
    next = suffix + suffix_size + value_size;
    if (shared > place.shared) continue;
    place.offset = static_cast<size_t>(at - begin);
    if (shared < place.shared) {
      place.next_shared = shared;
      return place;
    }
    const std::string_view rest = key.substr(place.shared);
    const size_t same = common({suffix, suffix_size}, rest);
    const bool above = same < suffix_size && same < rest.size() &&
                       static_cast<uint8_t>(suffix[same]) > static_cast<uint8_t>(rest[same]);
    if (same == rest.size() || above) {
      place.next_shared = place.shared + same;
      place.equal = same == rest.size() && same == suffix_size;
      return place;
    }
    place.shared += same;
  }
  place.offset = rows_.size();
  return place;
}

std::string Leaf::key_at(const Place& place, std::string_view key) const {
  const Row here = row(place.offset);
  std::string out(key.substr(0, place.next_shared));
  return out.append(here.suffix.substr(place.next_shared - here.shared));
}

void Leaf::splice(size_t offset, size_t old_size, size_t shared, std::string_view suffix,
                  std::string_view value) {
  char head[3 * kNumberBytesMax];
  char* end = write_number(head, shared);
  end = write_number(end, suffix.size());
  end = write_number(end, value.size());
  const auto head_size = static_cast<size_t>(end - head);
  const size_t new_size = head_size + suffix.size() + value.size();
  if (rows_.size() + new_size > rows_.capacity() + old_size) {
    rows_.reserve(rows_.size() + new_size - old_size + kSlackBytes);
  }
  const size_t behind = rows_.size() - offset - old_size;
  if (new_size > old_size) rows_.resize(rows_.size() + new_size - old_size);
  char* const at = rows_.data() + offset;
  std::memmove(at + new_size, at + old_size, behind);
  rows_.resize(offset + new_size + behind);
  std::memcpy(at, head, head_size);
  std::memcpy(at + head_size, suffix.data(), suffix.size());
  std::memcpy(at + head_size + suffix.size(), value.data(), value.size());
}

void Leaf::insert(const Place& place, std::string_view key, std::string_view value) {
  if (place.offset < rows_.size()) {
    // The row behind now follows the new one, with which it may have more in common.
    const Row behind = row(place.offset);
    if (place.next_shared > behind.shared) {
      const std::string suffix(behind.suffix.substr(place.next_shared - behind.shared));
      const std::string kept(behind.value);
      splice(place.offset, behind.end - place.offset, place.next_shared, suffix, kept);
    }
  }
  splice(place.offset, 0, place.shared, key.substr(place.shared), value);
}

void Leaf::replace(const Place& place, std::string_view value) {
  const Row old = row(place.offset);
  const std::string suffix(old.suffix);
  splice(place.offset, old.end - place.offset, old.shared, suffix, value);
}

void Leaf::erase(const Place& place, Mark& mark) {
  const Row gone = row(place.offset);
  const size_t before = rows_.size();
  if (gone.end < rows_.size()) {
    // What the row behind had in common only with the one that goes, it must now hold itself.
    const Row behind = row(gone.end);
    if (behind.shared > gone.shared) {
      std::string suffix(gone.suffix.substr(0, behind.shared - gone.shared));
      suffix.append(behind.suffix);
      const std::string value(behind.value);
      splice(gone.end, behind.end - gone.end, gone.shared, suffix, value);
    }
  }
  rows_.erase(place.offset, gone.end - place.offset);
  if (place.offset > mark.begin) return;
  if (place.offset == mark.begin) {
    mark = {};
    return;
  }
  const size_t moved = before - rows_.size();
  mark.begin = gone.end == mark.begin ? place.offset : mark.begin - moved;
  mark.end -= moved;
}

Leaf Leaf::split(size_t offset, std::string& bound) {
  std::string key;
  Row first = row(0);
  for (size_t at = 0;; at = first.end, first = row(at)) {
    key.resize(first.shared);
    key.append(first.suffix);
    if (at == offset) break;
  }
  bound = key.substr(0, first.shared + 1);
  Leaf right;
  right.rows_.reserve(rows_.size() - offset + key.size() + kSlackBytes);
  right.splice(0, 0, 0, key, first.value);
  right.rows_.append(rows_, first.end);
  rows_.resize(offset);
  rows_.shrink_to_fit();
  return right;
}

size_t Leaf::middle() const {
  size_t at = row(0).end;
  while (at < rows_.size() / 2) {
    const size_t next = row(at).end;
    if (next == rows_.size()) break;
    at = next;
  }
  return at;
}

std::string Leaf::last_key() const {
  std::string key;
  for (size_t at = 0; at < rows_.size();) {
    const Row here = row(at);
    key.resize(here.shared);
    key.append(here.suffix);
    at = here.end;
  }
  return key;
}

void Leaf::append(const Leaf& right) {
  if (right.empty()) return;
  const Row first = right.row(0);
  const size_t shared = common(last_key(), first.suffix);
  splice(rows_.size(), 0, shared, first.suffix.substr(shared), first.value);
  rows_.append(right.rows_, first.end);
}

}  // namespace dogfs::metadata::btree
