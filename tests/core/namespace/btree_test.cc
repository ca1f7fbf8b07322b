#include "core/namespace/btree.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <rapidcheck.h>

#include "core/base/digest.h"
#include "core/base/random.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

using Model = std::map<std::string, std::string>;

Model contents(const BTreeView& tree) {
  Model out;
  std::string last;
  for (auto at = tree.seek(""); at.valid(); at.next()) {
    RC_ASSERT(out.empty() || last < at.key());
    last = at.key();
    out.emplace(at.key(), at.value());
  }
  return out;
}

uint64_t digest_of(const Model& model) {
  uint64_t sum = 0;
  for (const auto& [key, value] : model) sum += Digest().add(key).add(value).value();
  return sum;
}

void check_equal(const BTreeView& tree, const Model& model) {
  RC_ASSERT(contents(tree) == model);
  RC_ASSERT(tree.size() == model.size());
  RC_ASSERT(tree.digest() == digest_of(model));
}

std::string random_key(Random& random, uint64_t space) {
  // Of different lengths, with shared prefixes, and every byte value.
  std::string key(random.below(3), '\0');
  const uint64_t number = random.below(space);
  key += static_cast<char>(number >> 8);
  key += static_cast<char>(number);
  return key;
}

std::string random_value(Random& random) {
  const uint64_t size = random.chance(1, 50) ? random.below(20'000) : random.below(200);
  return std::string(size, static_cast<char>(random.next()));
}

void random_write(Random& random, uint64_t space, uint64_t put_percent, BTree& tree, Model& model) {
  const std::string key = random_key(random, space);
  const auto known = model.find(key);
  const auto before = known == model.end() ? std::nullopt : std::optional(known->second);
  std::optional<std::string> gone;
  const auto replaced = [&](std::string_view old) { gone = old; };
  if (random.chance(put_percent, 100)) {
    const std::string value = random_value(random);
    tree.put(key, value, replaced);
    model[key] = value;
  } else {
    RC_ASSERT(tree.erase(key, replaced) == (model.erase(key) == 1));
  }
  RC_ASSERT(gone == before);
}

TEST_CASE("random writes give what std::map gives, and frozen views never change") {
  CHECK(rc::check([] {
    Random random(*rc::gen::arbitrary<uint64_t>());
    BTree tree;
    Model model;
    std::vector<std::pair<BTreeView, Model>> frozen;
    const uint64_t space = 1 + random.below(2000);
    for (int phase = 0; phase < 6; ++phase) {
      const uint64_t put_percent = phase % 2 == 0 ? 80 : 20;
      for (int i = 0; i < 300; ++i) random_write(random, space, put_percent, tree, model);
      check_equal(tree, model);
      if (random.chance(1, 2)) frozen.emplace_back(tree.freeze(), model);
    }
    for (const auto& [view, then] : frozen) check_equal(view, then);
    check_equal(tree, model);
  }));
}

TEST_CASE("find and seek agree with std::map at every key") {
  CHECK(rc::check([] {
    Random random(*rc::gen::arbitrary<uint64_t>());
    BTree tree;
    Model model;
    for (int i = 0; i < 500; ++i) random_write(random, 600, 70, tree, model);
    for (int i = 0; i < 200; ++i) {
      const std::string key = random_key(random, 700);
      const auto found = tree.find(key);
      const auto expected = model.find(key);
      RC_ASSERT(found.has_value() == (expected != model.end()));
      if (found) RC_ASSERT(*found == expected->second);
      const auto cursor = tree.seek(key);
      const auto next = model.lower_bound(key);
      RC_ASSERT(cursor.valid() == (next != model.end()));
      if (cursor.valid()) RC_ASSERT(cursor.key() == next->first);
    }
  }));
}

TEST_CASE("a tree of many rows empties to nothing, in any order") {
  for (const uint64_t order : {0u, 1u, 2u}) {
    BTree tree;
    std::vector<std::string> keys;
    for (int i = 0; i < 30'000; ++i) keys.push_back(fmt::format("{:08}", i));
    for (const auto& key : keys) tree.put(key, "some value of forty bytes, more or less.");
    REQUIRE_EQ(tree.size(), keys.size());
    const BTreeView full = tree.freeze();
    Random random(order);
    if (order == 1) std::reverse(keys.begin(), keys.end());
    if (order == 2) {
      for (size_t i = keys.size(); i > 1; --i) std::swap(keys[i - 1], keys[random.below(i)]);
    }
    for (const auto& key : keys) REQUIRE(tree.erase(key));
    CHECK_EQ(tree.size(), 0u);
    CHECK_EQ(tree.digest(), BTree().digest());
    CHECK_FALSE(tree.seek("").valid());
    CHECK_EQ(full.size(), keys.size());
    tree.put("again", "1");
    CHECK_EQ(tree.find("again"), "1");
  }
}

TEST_CASE("the digest tells apart what is swapped, moved between key and value, or missing") {
  const auto digest = [](std::initializer_list<std::pair<const char*, const char*>> rows) {
    BTree tree;
    for (const auto& [key, value] : rows) tree.put(key, value);
    return tree.digest();
  };
  CHECK_EQ(digest({{"a", "1"}, {"b", "2"}}), digest({{"b", "2"}, {"a", "1"}}));
  CHECK_NE(digest({{"a", "1"}, {"b", "2"}}), digest({{"a", "2"}, {"b", "1"}}));
  CHECK_NE(digest({{"ab", "c"}}), digest({{"a", "bc"}}));
  CHECK_NE(digest({{"a", ""}}), digest({}));
}

}  // namespace
}  // namespace dogfs::metadata
