#pragma once
// BTree: an ordered map from byte strings to byte strings, copy-on-write. freeze() costs O(1) and
// gives a BTreeView that never changes; a write after it copies the few nodes on its path, once.
//
// A node belongs to the tree's current version or is shared: freeze() ends a version, and a node of
// an earlier one is copied before it is changed. So a view may be read and dropped on any thread
// while the one owner of the tree goes on writing.
//
// Leaves hold keys by what they differ from the one before (btree_leaf.h), so that rows of one
// directory cost little more than their values. Both tree and view keep an order-independent digest
// of their rows up to date with every change.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dogfs::metadata {

namespace btree {
struct Node;
}

// A position in ascending key order. Valid while the view it came from is, and for a tree until its
// next change.
class Cursor {
 public:
  bool valid() const { return !path_.empty(); }
  // Until the next call of next().
  std::string_view key() const { return key_; }
  std::string_view value() const;
  void next();

 private:
  friend class BTreeView;
  struct Step {
    const btree::Node* node;
    size_t at;  // of a leaf: the row's offset in its bytes; else which child
  };
  // Leaves a leaf that is used up and enters the next one.
  void settle();
  std::vector<Step> path_;
  std::string key_;
};

class BTreeView {
 public:
  BTreeView();

  // The value lives as long as the view, and for a tree until its next change.
  std::optional<std::string_view> find(std::string_view key) const;
  // At the first row whose key is not below `key`.
  Cursor seek(std::string_view key) const;

  uint64_t size() const { return size_; }
  // Equal for equal rows, whatever the order in which they were written.
  uint64_t digest() const { return digest_; }

 protected:
  std::shared_ptr<btree::Node> root_;
  uint64_t size_ = 0;
  uint64_t digest_ = 0;
};

class BTree : public BTreeView {
 public:
  BTree() = default;
  BTree(BTree&&) = default;
  BTree& operator=(BTree&&) = default;
  BTree(const BTree&) = delete;  // freeze() instead: two writers of one version would collide
  BTree& operator=(const BTree&) = delete;

  // Told of the value that goes, before it does.
  using Replaced = std::function<void(std::string_view)>;
  void put(std::string_view key, std::string_view value, const Replaced& replaced = {});
  // False when there was no such row.
  bool erase(std::string_view key, const Replaced& replaced = {});
  BTreeView freeze();

 private:
  using NodePointer = std::shared_ptr<btree::Node>;
  // A node that was split off, with a bound between the two.
  struct Split {
    NodePointer right;
    std::string bound;
  };
  struct Row {
    std::string_view key;
    std::string_view value;
    const Replaced& replaced;
  };
  enum class Erased { kNothing, kRow, kRowOfSmallNode };
  btree::Node& own(NodePointer& node) const;
  Split put_below(NodePointer& node, const Row& row);
  Split put_in_leaf(btree::Node& leaf, const Row& row);
  Erased erase_below(NodePointer& node, std::string_view key, const Replaced& replaced);
  Erased erase_in_leaf(btree::Node& leaf, std::string_view key, const Replaced& replaced);
  void join_children(btree::Node& inner, size_t index);

  uint64_t version_ = 1;
};

}  // namespace dogfs::metadata
