#pragma once
// Leaf: the packed rows of one leaf of a BTree, ascending, in one string. A row is
//
//   number shared | number suffix length | number value length | suffix | value
//
// with LEB128 numbers; its key is the first `shared` bytes of the key before (0 in the first row),
// then the suffix. `shared` is as long as it can be, so equal rows have equal bytes.
//
// A value with one owner, the tree's node. Offsets are of the beginning of a row, or of the end.

#include <cstdint>
#include <string>
#include <string_view>

namespace dogfs::metadata::btree {

class Leaf {
 public:
  struct Row {
    size_t shared = 0;
    std::string_view suffix;
    std::string_view value;
    size_t end = 0;  // offset of the next row
  };
  // Where a key is or belongs.
  struct Place {
    size_t offset = 0;       // of the first row that is not below the key
    bool equal = false;      // that row has the key
    size_t shared = 0;       // bytes that the key has in common with the row before
    size_t next_shared = 0;  // and with the row at the offset, if there is one
  };

  // A row that is known, so that a search for what stands at or behind it can begin there.
  struct Mark {
    size_t begin = 0;
    size_t end = 0;  // 0: none is known
    std::string key;
  };

  size_t bytes() const { return rows_.size(); }
  bool empty() const { return rows_.empty(); }
  Row row(size_t offset) const;
  Place find(std::string_view key, const Mark& mark) const;
  // The key of the row at a place that find(key) gave; it must not be the end.
  std::string key_at(const Place& place, std::string_view key) const;

  void insert(const Place& place, std::string_view key, std::string_view value);
  void replace(const Place& place, std::string_view value);
  // A mark stays where its row is.
  void erase(const Place& place, Mark& mark);

  // Cuts before the row at `offset`, neither the first nor the end; returns what follows. `bound`
  // becomes a key that is above all rows kept and not above those returned, as short as can be.
  Leaf split(size_t offset, std::string& bound);
  // The offset of the row nearest behind the middle, never the first nor the end: there must be
  // two.
  size_t middle() const;
  void append(const Leaf& right);

 private:
  void splice(size_t offset, size_t old_size, size_t shared, std::string_view suffix,
              std::string_view value);
  std::string last_key() const;

  std::string rows_;
};

}  // namespace dogfs::metadata::btree
