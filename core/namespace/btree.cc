#include "core/namespace/btree.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/digest.h"
#include "core/namespace/btree_leaf.h"

namespace dogfs::metadata {
namespace btree {

// A leaf is split above this size, unless one row alone exceeds it.
constexpr size_t kLeafBytesMax = 2048;  // it is searched row by row
constexpr size_t kLeafBytesMin = kLeafBytesMax / 4;
constexpr size_t kChildrenMax = 64;
constexpr size_t kChildrenMin = kChildrenMax / 4;

// A leaf has rows and no children; an inner node has children, and between two of them a bound.
struct Node {
  uint64_t version = 0;
  Leaf rows;
  Leaf::Mark latest;                // the row that was written last, unless it is gone
  std::vector<std::string> bounds;  // bounds[i] is above children[i], not above children[i + 1]
  std::vector<std::shared_ptr<Node>> children;

  bool leaf() const { return children.empty(); }
  // The child under which `key` belongs.
  size_t child_for(std::string_view key) const {
    return static_cast<size_t>(std::ranges::upper_bound(bounds, key) - bounds.begin());
  }
};

namespace {

uint64_t row_digest(std::string_view key, std::string_view value) {
  return Digest().add(key).add(value).value();
}

// Where a leaf that grew too large is cut: in the middle of its bytes, but where ascending keys
// come in, so that these leave full leaves behind: what lies behind them moves on with them, unless
// it is most of the leaf.
size_t leaf_cut(const Node& leaf, size_t added, bool ascending) {
  const size_t end = leaf.rows.row(added).end;
  if (added == 0 || (end < leaf.rows.bytes() && !ascending)) return leaf.rows.middle();
  return leaf.rows.bytes() - end > kLeafBytesMax / 2 ? end : added;
}

// bounds[cut - 1] goes up to the parent, as `bound`.
std::shared_ptr<Node> split_inner(Node& inner, size_t cut, std::string& bound) {
  auto right = std::make_shared<Node>();
  right->version = inner.version;
  const auto at = static_cast<ptrdiff_t>(cut);
  right->children.assign(std::make_move_iterator(inner.children.begin() + at),
                         std::make_move_iterator(inner.children.end()));
  right->bounds.assign(std::make_move_iterator(inner.bounds.begin() + at),
                       std::make_move_iterator(inner.bounds.end()));
  bound = std::move(inner.bounds[cut - 1]);
  inner.children.resize(cut);
  inner.bounds.resize(cut - 1);
  return right;
}

bool small(const Node& node) {
  return node.leaf() ? node.rows.bytes() < kLeafBytesMin : node.children.size() < kChildrenMin;
}

bool fit_together(const Node& left, const Node& right) {
  if (left.leaf()) return left.rows.bytes() + right.rows.bytes() <= kLeafBytesMax;
  return left.children.size() + right.children.size() <= kChildrenMax;
}

// Appends right, all of whose keys are at or above `bound`.
void append(Node& left, const Node& right, std::string_view bound) {
  if (left.leaf()) {
    left.rows.append(right.rows);
    return;
  }
  left.bounds.emplace_back(bound);
  left.bounds.insert(left.bounds.end(), right.bounds.begin(), right.bounds.end());
  left.children.insert(left.children.end(), right.children.begin(), right.children.end());
}

// Also true for an inner node whose only child is empty: its parent drops both.
bool empty(const Node& node) {
  if (node.leaf()) return node.rows.empty();
  return node.children.size() == 1 && empty(*node.children.front());
}

}  // namespace
}  // namespace btree

using btree::Node;

std::string_view Cursor::value() const {
  return path_.back().node->rows.row(path_.back().at).value;
}

void Cursor::next() {
  path_.back().at = path_.back().node->rows.row(path_.back().at).end;
  settle();
}

void Cursor::settle() {
  while (!path_.empty()) {
    const Step step = path_.back();
    if (step.node->leaf()) {
      if (step.at < step.node->rows.bytes()) {
        const auto row = step.node->rows.row(step.at);
        key_.resize(row.shared);
        key_.append(row.suffix);
        return;
      }
    } else if (step.at < step.node->children.size()) {
      path_.push_back({step.node->children[step.at].get(), 0});
      continue;
    }
    path_.pop_back();
    if (!path_.empty()) ++path_.back().at;
  }
}

BTreeView::BTreeView() : root_(std::make_shared<Node>()) {}

std::optional<std::string_view> BTreeView::find(std::string_view key) const {
  const Node* node = root_.get();
  while (!node->leaf()) node = node->children[node->child_for(key)].get();
  const auto place = node->rows.find(key, node->latest);
  if (!place.equal) return std::nullopt;
  return node->rows.row(place.offset).value;
}

Cursor BTreeView::seek(std::string_view key) const {
  Cursor cursor;
  const Node* node = root_.get();
  while (!node->leaf()) {
    const size_t index = node->child_for(key);
    cursor.path_.push_back({node, index});
    node = node->children[index].get();
  }
  const auto place = node->rows.find(key, node->latest);
  cursor.path_.push_back({node, place.offset});
  if (place.offset < node->rows.bytes()) {
    cursor.key_ = node->rows.key_at(place, key);
  } else {
    cursor.settle();
  }
  return cursor;
}

BTreeView BTree::freeze() {
  ++version_;
  return *this;
}

Node& BTree::own(NodePointer& node) const {
  if (node->version != version_) {
    node = std::make_shared<Node>(*node);
    node->version = version_;
  }
  return *node;
}

void BTree::put(std::string_view key, std::string_view value, const Replaced& replaced) {
  CHECK(key.size() <= UINT16_MAX && value.size() <= UINT32_MAX / 2);
  auto split = put_below(root_, {key, value, replaced});
  digest_ += btree::row_digest(key, value);
  if (!split.right) return;
  auto root = std::make_shared<Node>();
  root->version = version_;
  root->bounds.push_back(std::move(split.bound));
  root->children.push_back(std::move(root_));
  root->children.push_back(std::move(split.right));
  root_ = std::move(root);
}

BTree::Split BTree::put_below(NodePointer& node, const Row& row) {
  Node& here = own(node);
  if (here.leaf()) return put_in_leaf(here, row);
  const size_t index = here.child_for(row.key);
  auto below = put_below(here.children[index], row);
  if (!below.right) return {};
  const auto at = static_cast<ptrdiff_t>(index);
  here.bounds.insert(here.bounds.begin() + at, std::move(below.bound));
  here.children.insert(here.children.begin() + at + 1, std::move(below.right));
  if (here.children.size() <= btree::kChildrenMax) return {};
  const bool appended = index + 2 == here.children.size();
  Split split;
  split.right = btree::split_inner(
      here, appended ? btree::kChildrenMax - 1 : btree::kChildrenMax / 2, split.bound);
  return split;
}

BTree::Split BTree::put_in_leaf(Node& leaf, const Row& row) {
  const auto place = leaf.rows.find(row.key, leaf.latest);
  const bool ascending = !place.equal && place.offset == leaf.latest.end;
  if (place.equal) {
    const std::string_view old = leaf.rows.row(place.offset).value;
    if (row.replaced) row.replaced(old);
    digest_ -= btree::row_digest(row.key, old);
    leaf.rows.replace(place, row.value);
  } else {
    leaf.rows.insert(place, row.key, row.value);
    ++size_;
  }
  const size_t end = leaf.rows.row(place.offset).end;
  leaf.latest.begin = place.offset;
  leaf.latest.end = end;
  leaf.latest.key = row.key;
  const bool alone = place.offset == 0 && end == leaf.rows.bytes();
  if (leaf.rows.bytes() <= btree::kLeafBytesMax || alone) return {};
  Split split;
  split.right = std::make_shared<Node>();
  split.right->version = version_;
  const size_t cut = btree::leaf_cut(leaf, place.offset, ascending);
  split.right->rows = leaf.rows.split(cut, split.bound);
  if (cut == place.offset)
    split.right->latest = {0, split.right->rows.row(0).end, std::string(row.key)};
  if (cut < end) leaf.latest = {};
  return split;
}

bool BTree::erase(std::string_view key, const Replaced& replaced) {
  if (erase_below(root_, key, replaced) == Erased::kNothing) return false;
  while (!root_->leaf() && root_->children.size() == 1) root_ = root_->children.front();
  return true;
}

// The way to a row that is not there is copied for nothing; hardly anybody asks for that.
BTree::Erased BTree::erase_below(NodePointer& node, std::string_view key,
                                 const Replaced& replaced) {
  Node& here = own(node);
  if (here.leaf()) return erase_in_leaf(here, key, replaced);
  const size_t index = here.child_for(key);
  const Erased below = erase_below(here.children[index], key, replaced);
  if (below == Erased::kNothing) return below;
  if (below == Erased::kRowOfSmallNode) join_children(here, index);
  return btree::small(here) ? Erased::kRowOfSmallNode : Erased::kRow;
}

BTree::Erased BTree::erase_in_leaf(Node& leaf, std::string_view key, const Replaced& replaced) {
  const auto place = leaf.rows.find(key, leaf.latest);
  if (!place.equal) return Erased::kNothing;
  const std::string_view old = leaf.rows.row(place.offset).value;
  if (replaced) replaced(old);
  digest_ -= btree::row_digest(key, old);
  leaf.rows.erase(place, leaf.latest);
  --size_;
  return btree::small(leaf) ? Erased::kRowOfSmallNode : Erased::kRow;
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
