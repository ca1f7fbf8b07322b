#include "core/namespace/btree.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"
#include "core/base/digest.h"

namespace dogfs::metadata {
namespace btree {

// A leaf is split above this size, unless one row alone exceeds it.
constexpr size_t kLeafBytesMax = 4096;
constexpr size_t kLeafBytesMin = kLeafBytesMax / 4;
constexpr size_t kChildrenMax = 64;
constexpr size_t kChildrenMin = kChildrenMax / 4;
// What a leaf's storage grows by, instead of doubling.
constexpr size_t kLeafSlackBytes = 256;

// Row layout in a leaf: u16 key length | u32 value length | key | value.
constexpr size_t kRowHeaderBytes = 6;

struct Row {
  std::string_view key;
  std::string_view value;
};

// A leaf has rows and no children; an inner node has children, and before each but the first the
// smallest key that may be below it.
struct Node {
  uint64_t version = 0;
  std::string rows;                 // packed, ascending
  std::vector<uint32_t> offsets;    // of each row in `rows`
  std::vector<std::string> bounds;  // bounds[i] <= every key below children[i + 1]
  std::vector<std::shared_ptr<Node>> children;

  bool leaf() const { return children.empty(); }
  size_t row_count() const { return offsets.size(); }

  Row row(size_t index) const {
    const char* at = rows.data() + offsets[index];
    uint16_t key_size;
    uint32_t value_size;
    std::memcpy(&key_size, at, sizeof key_size);
    std::memcpy(&value_size, at + sizeof key_size, sizeof value_size);
    return {{at + kRowHeaderBytes, key_size}, {at + kRowHeaderBytes + key_size, value_size}};
  }

  // The first row not below `key`.
  size_t lower_bound(std::string_view key) const {
    size_t low = 0, high = row_count();
    while (low < high) {
      const size_t middle = (low + high) / 2;
      row(middle).key < key ? low = middle + 1 : high = middle;
    }
    return low;
  }
  // The child under which `key` belongs.
  size_t child_for(std::string_view key) const {
    return static_cast<size_t>(std::ranges::upper_bound(bounds, key) - bounds.begin());
  }

  size_t row_end(size_t index) const {
    return index + 1 < row_count() ? offsets[index + 1] : rows.size();
  }

  // Replaces `old_size` bytes at the row's place by a new row; offsets behind it move.
  void splice(size_t index, size_t at, size_t old_size, std::string_view key,
              std::string_view value) {
    const size_t new_size = kRowHeaderBytes + key.size() + value.size();
    if (rows.size() + new_size > rows.capacity()) {
      rows.reserve(rows.size() + new_size + kLeafSlackBytes);
    }
    std::string bytes;
    bytes.reserve(new_size);
    const auto key_size = static_cast<uint16_t>(key.size());
    const auto value_size = static_cast<uint32_t>(value.size());
    bytes.append(reinterpret_cast<const char*>(&key_size), sizeof key_size);
    bytes.append(reinterpret_cast<const char*>(&value_size), sizeof value_size);
    bytes.append(key).append(value);
    rows.replace(at, old_size, bytes);
    for (size_t i = index + 1; i < row_count(); ++i) {
      offsets[i] = static_cast<uint32_t>(offsets[i] + new_size - old_size);
    }
  }

  void remove_row(size_t index) {
    const size_t size = row_end(index) - offsets[index];
    rows.erase(offsets[index], size);
    offsets.erase(offsets.begin() + static_cast<ptrdiff_t>(index));
    for (size_t i = index; i < row_count(); ++i) offsets[i] -= static_cast<uint32_t>(size);
  }

  std::string_view first_key() const {
    const Node* node = this;
    while (!node->leaf()) node = node->children.front().get();
    return node->row(0).key;
  }
};

namespace {

uint64_t row_digest(std::string_view key, std::string_view value) {
  return Digest().add(key).add(value).value();
}

// Where a leaf that grew too large is cut: in the middle of its bytes, but right before its last
// row when that is the one that was added, so that ascending insertion leaves full leaves behind.
size_t leaf_cut(const Node& leaf, bool appended) {
  if (appended) return leaf.row_count() - 1;
  size_t cut = 1;
  while (cut + 1 < leaf.row_count() && leaf.offsets[cut] < leaf.rows.size() / 2) ++cut;
  return cut;
}

std::shared_ptr<Node> split_leaf(Node& leaf, size_t cut) {
  auto right = std::make_shared<Node>();
  right->version = leaf.version;
  const uint32_t base = leaf.offsets[cut];
  right->rows = leaf.rows.substr(base);
  for (size_t i = cut; i < leaf.row_count(); ++i) right->offsets.push_back(leaf.offsets[i] - base);
  leaf.rows.resize(base);
  leaf.rows.shrink_to_fit();
  leaf.offsets.resize(cut);
  return right;
}

// bounds[cut - 1] is dropped: the caller takes it from right's first key.
std::shared_ptr<Node> split_inner(Node& inner, size_t cut) {
  auto right = std::make_shared<Node>();
  right->version = inner.version;
  const auto at = static_cast<ptrdiff_t>(cut);
  right->children.assign(std::make_move_iterator(inner.children.begin() + at),
                         std::make_move_iterator(inner.children.end()));
  right->bounds.assign(std::make_move_iterator(inner.bounds.begin() + at),
                       std::make_move_iterator(inner.bounds.end()));
  inner.children.resize(cut);
  inner.bounds.resize(cut - 1);
  return right;
}

bool small(const Node& node) {
  return node.leaf() ? node.rows.size() < kLeafBytesMin : node.children.size() < kChildrenMin;
}

bool fit_together(const Node& left, const Node& right) {
  if (left.leaf()) return left.rows.size() + right.rows.size() <= kLeafBytesMax;
  return left.children.size() + right.children.size() <= kChildrenMax;
}

// Appends right, all of whose keys are at or above `bound`.
void append(Node& left, const Node& right, std::string_view bound) {
  if (left.leaf()) {
    const auto base = static_cast<uint32_t>(left.rows.size());
    left.rows += right.rows;
    for (const uint32_t offset : right.offsets) left.offsets.push_back(base + offset);
    return;
  }
  left.bounds.emplace_back(bound);
  left.bounds.insert(left.bounds.end(), right.bounds.begin(), right.bounds.end());
  left.children.insert(left.children.end(), right.children.begin(), right.children.end());
}

// Also true for an inner node whose only child is empty: its parent drops both.
bool empty(const Node& node) {
  if (node.leaf()) return node.row_count() == 0;
  return node.children.size() == 1 && empty(*node.children.front());
}

}  // namespace
}  // namespace btree

using btree::Node;

std::string_view Cursor::key() const { return path_.back().node->row(path_.back().index).key; }

std::string_view Cursor::value() const { return path_.back().node->row(path_.back().index).value; }

void Cursor::next() {
  ++path_.back().index;
  settle();
}

void Cursor::settle() {
  while (!path_.empty()) {
    const Step step = path_.back();
    if (step.node->leaf()) {
      if (step.index < step.node->row_count()) return;
    } else if (step.index < step.node->children.size()) {
      path_.push_back({step.node->children[step.index].get(), 0});
      continue;
    }
    path_.pop_back();
    if (!path_.empty()) ++path_.back().index;
  }
}

BTreeView::BTreeView() : root_(std::make_shared<Node>()) {}

std::optional<std::string_view> BTreeView::find(std::string_view key) const {
  const Node* node = root_.get();
  while (!node->leaf()) node = node->children[node->child_for(key)].get();
  const size_t index = node->lower_bound(key);
  if (index == node->row_count()) return std::nullopt;
  const auto row = node->row(index);
  if (row.key != key) return std::nullopt;
  return row.value;
}

Cursor BTreeView::seek(std::string_view key) const {
  Cursor cursor;
  const Node* node = root_.get();
  while (!node->leaf()) {
    const size_t index = node->child_for(key);
    cursor.path_.push_back({node, index});
    node = node->children[index].get();
  }
  cursor.path_.push_back({node, node->lower_bound(key)});
  cursor.settle();
  return cursor;
}

BTreeView BTree::freeze() {
  ++version_;
  return *this;
}

Node& BTree::own(std::shared_ptr<Node>& node) const {
  if (node->version != version_) {
    node = std::make_shared<Node>(*node);
    node->version = version_;
  }
  return *node;
}

void BTree::put(std::string_view key, std::string_view value) {
  CHECK(key.size() <= UINT16_MAX && value.size() <= UINT32_MAX / 2);
  auto right = put_below(root_, key, value);
  digest_ += btree::row_digest(key, value);
  if (!right) return;
  auto root = std::make_shared<Node>();
  root->version = version_;
  root->bounds.emplace_back(right->first_key());
  root->children.push_back(std::move(root_));
  root->children.push_back(std::move(right));
  root_ = std::move(root);
}

// The new right neighbour of `node`, when it had to be split.
std::shared_ptr<Node> BTree::put_below(std::shared_ptr<Node>& node, std::string_view key,
                                       std::string_view value) {
  Node& here = own(node);
  if (here.leaf()) {
    const size_t index = here.lower_bound(key);
    put_in_leaf(here, index, key, value);
    if (here.rows.size() <= btree::kLeafBytesMax || here.row_count() < 2) return nullptr;
    return btree::split_leaf(here, btree::leaf_cut(here, index + 1 == here.row_count()));
  }
  const size_t index = here.child_for(key);
  auto right = put_below(here.children[index], key, value);
  if (!right) return nullptr;
  const auto at = static_cast<ptrdiff_t>(index);
  here.bounds.emplace(here.bounds.begin() + at, right->first_key());
  here.children.insert(here.children.begin() + at + 1, std::move(right));
  if (here.children.size() <= btree::kChildrenMax) return nullptr;
  const bool appended = index + 2 == here.children.size();
  return btree::split_inner(here, appended ? btree::kChildrenMax - 1 : btree::kChildrenMax / 2);
}

void BTree::put_in_leaf(Node& leaf, size_t index, std::string_view key, std::string_view value) {
  if (index < leaf.row_count() && leaf.row(index).key == key) {
    digest_ -= btree::row_digest(key, leaf.row(index).value);
    const size_t at = leaf.offsets[index];
    leaf.splice(index, at, leaf.row_end(index) - at, key, value);
    return;
  }
  const size_t at = index < leaf.row_count() ? leaf.offsets[index] : leaf.rows.size();
  leaf.offsets.insert(leaf.offsets.begin() + static_cast<ptrdiff_t>(index),
                      static_cast<uint32_t>(at));
  leaf.splice(index, at, 0, key, value);
  ++size_;
}

bool BTree::erase(std::string_view key) {
  if (!find(key)) return false;
  erase_below(root_, key);
  while (!root_->leaf() && root_->children.size() == 1) root_ = root_->children.front();
  return true;
}

bool BTree::erase_below(std::shared_ptr<Node>& node, std::string_view key) {
  Node& here = own(node);
  if (here.leaf()) {
    const size_t index = here.lower_bound(key);
    digest_ -= btree::row_digest(key, here.row(index).value);
    here.remove_row(index);
    --size_;
    return btree::small(here);
  }
  const size_t index = here.child_for(key);
  if (erase_below(here.children[index], key)) join_children(here, index);
  return btree::small(here);
}

// children[index] became small: drops it when empty, or joins it with a neighbour that has room.
// An only child stays, even empty; then the inner node itself counts as empty one level up.
void BTree::join_children(Node& inner, size_t index) {
  if (btree::empty(*inner.children[index]) && inner.children.size() > 1) {
    inner.children.erase(inner.children.begin() + static_cast<ptrdiff_t>(index));
    inner.bounds.erase(inner.bounds.begin() + static_cast<ptrdiff_t>(index == 0 ? 0 : index - 1));
    return;
  }
  for (size_t left = index == 0 ? 0 : index - 1; left <= index; ++left) {
    if (left + 1 >= inner.children.size()) return;
    if (!btree::fit_together(*inner.children[left], *inner.children[left + 1])) continue;
    btree::append(own(inner.children[left]), *inner.children[left + 1], inner.bounds[left]);
    inner.children.erase(inner.children.begin() + static_cast<ptrdiff_t>(left) + 1);
    inner.bounds.erase(inner.bounds.begin() + static_cast<ptrdiff_t>(left));
    return;
  }
}

}  // namespace dogfs::metadata
