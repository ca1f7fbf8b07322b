#include "core/ec/codec.h"

#include <algorithm>
#include <numeric>
#include <string>

#include <rapidcheck.h>

#include "core/base/limits.h"

#include "tests/core/ec/model.h"

#include "tests/doctest.h"

namespace dogfs::ec {
namespace {

// All cells of one random stripe.
struct Stripe {
  Codec codec;
  std::vector<std::string> cells;
};

Stripe random_stripe(uint32_t k, uint32_t m, size_t cell_bytes, uint64_t seed) {
  Random random(seed);
  Stripe stripe{Codec::create(k, m).value(), {}};
  for (uint32_t i = 0; i < k; ++i) stripe.cells.push_back(random_text(random, cell_bytes));
  stripe.cells.resize(k + m, std::string(cell_bytes, 'x'));
  std::vector<ByteView> data;
  std::vector<MutableBytes> parity;
  for (uint32_t i = 0; i < k; ++i) data.push_back(as_bytes(stripe.cells[i]));
  for (uint32_t i = k; i < k + m; ++i)
    parity.emplace_back(reinterpret_cast<uint8_t*>(stripe.cells[i].data()), cell_bytes);
  stripe.codec.encode(data, parity);
  return stripe;
}

// Decodes every shard that is no source from the sources.
bool decodes(const Stripe& stripe, const std::vector<uint32_t>& sources) {
  std::vector<uint32_t> wanted;
  for (uint32_t i = 0; i < stripe.cells.size(); ++i)
    if (std::ranges::find(sources, i) == sources.end()) wanted.push_back(i);
  const auto plan = stripe.codec.plan_decode(sources, wanted).value();
  std::vector<std::string> rebuilt(wanted.size(), std::string(stripe.cells[0].size(), 'y'));
  std::vector<ByteView> inputs;
  std::vector<MutableBytes> outputs;
  for (const uint32_t i : sources) inputs.push_back(as_bytes(stripe.cells[i]));
  for (auto& cell : rebuilt)
    outputs.emplace_back(reinterpret_cast<uint8_t*>(cell.data()), cell.size());
  plan.decode(inputs, outputs);
  for (size_t i = 0; i < wanted.size(); ++i)
    if (rebuilt[i] != stripe.cells[wanted[i]]) return false;
  return true;
}

// Returns how many subsets there were.
size_t check_all_subsets(uint32_t k, uint32_t m) {
  const Stripe stripe = random_stripe(k, m, 5, 100 * k + m);
  std::vector<bool> chosen(k + m, false);
  std::fill_n(chosen.begin(), k, true);
  size_t subsets = 0;
  do {
    std::vector<uint32_t> sources;
    for (uint32_t i = 0; i < k + m; ++i)
      if (chosen[i]) sources.push_back(i);
    REQUIRE(decodes(stripe, sources));
    ++subsets;
  } while (std::prev_permutation(chosen.begin(), chosen.end()));
  return subsets;
}

TEST_CASE("every k shards of the named policies give back all others") {
  CHECK_EQ(check_all_subsets(4, 2), 15u);
  CHECK_EQ(check_all_subsets(6, 3), 84u);
  CHECK_EQ(check_all_subsets(8, 3), 165u);
  CHECK_EQ(check_all_subsets(10, 4), 1001u);
  CHECK_EQ(check_all_subsets(2, 1), 3u);
  CHECK_EQ(check_all_subsets(1, 1), 2u);
  CHECK_EQ(check_all_subsets(1, 2), 3u);
  CHECK_EQ(check_all_subsets(1, 4), 5u);
}

TEST_CASE("the shapes whose Vandermonde matrix has singular subsets decode from each subset") {
  CHECK_EQ(check_all_subsets(6, 5), 462u);
  CHECK_EQ(check_all_subsets(22, 4), 14950u);
}

TEST_CASE("random k shards of every k and m give back all others") {
  Random random(1);
  for (uint32_t k = 1; k <= limits::kShardsMax; ++k) {
    for (uint32_t m = 0; k + m <= limits::kShardsMax; ++m) {
      const Stripe stripe = random_stripe(k, m, 3, random.next());
      std::vector<uint32_t> shards(k + m);
      std::iota(shards.begin(), shards.end(), 0);
      for (int round = 0; round < 4; ++round) {
        for (size_t i = shards.size(); i > 1; --i)
          std::swap(shards[i - 1], shards[random.below(i)]);
        REQUIRE(decodes(stripe, {shards.begin(), shards.begin() + k}));
      }
    }
  }
}

TEST_CASE("any cell length decodes, and no byte beside the output is touched") {
  for (const size_t length : {0, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 1000, 4096, 4099}) {
    const Stripe stripe = random_stripe(4, 2, length, length);
    CHECK(decodes(stripe, {5, 3, 0, 4}));
    const auto plan = stripe.codec.plan_decode({5, 3, 0, 4}, {2}).value();
    std::vector<ByteView> inputs;
    for (const uint32_t i : plan.sources()) inputs.push_back(as_bytes(stripe.cells[i]));
    std::string out(length + 128, 'z');
    plan.decode(inputs,
                std::vector{MutableBytes(reinterpret_cast<uint8_t*>(out.data()) + 64, length)});
    CHECK_EQ(out.substr(64, length), stripe.cells[2]);
    CHECK_EQ(out.substr(0, 64), std::string(64, 'z'));
    CHECK_EQ(out.substr(64 + length), std::string(64, 'z'));
  }
}

TEST_CASE("replicas are exact copies that share the bytes") {
  const Codec codec = Codec::create(1, 2).value();
  const Buffer stripe = Buffer::copy("some bytes of a block");
  const auto cells = codec.encode_stripe(stripe);
  REQUIRE_EQ(cells.size(), 3u);
  for (const Buffer& cell : cells) {
    CHECK(cell == stripe);
    CHECK_EQ(cell.data(), stripe.data());
  }
  const Stripe copied = random_stripe(1, 2, 50, 7);
  CHECK_EQ(copied.cells[1], copied.cells[0]);
  CHECK_EQ(copied.cells[2], copied.cells[0]);
}

TEST_CASE("a stripe is cut as the layout says, with zeros after its end") {
  Random random(3);
  for (const StripeShape shape : {StripeShape{4, 2, 8}, {1, 2, 8}, {6, 3, 5}, {3, 0, 4}}) {
    const Codec codec = Codec::create(shape.k, shape.m).value();
    for (size_t size = 0; size <= shape.stripe_bytes(); ++size) {
      const std::string bytes = random_text(random, size);
      const auto cells = codec.encode_stripe(Buffer::copy(bytes));
      REQUIRE_EQ(cells.size(), shape.shard_count());
      const auto model = model_data_shards(shape, bytes);
      Stripe stripe{codec, {}};
      for (size_t i = 0; i < cells.size(); ++i) {
        if (i < shape.k) CHECK_EQ(cells[i].text(), model[i]);
        stripe.cells.emplace_back(cells[i].text());
      }
      std::vector<uint32_t> last(shape.k);
      std::iota(last.begin(), last.end(), shape.m);
      CHECK(decodes(stripe, last));
    }
  }
}

TEST_CASE("a wanted shard that is a source is copied") {
  const Stripe stripe = random_stripe(3, 2, 9, 1);
  const auto plan = stripe.codec.plan_decode({4, 1, 2}, {1, 4}).value();
  std::vector<ByteView> inputs;
  for (const uint32_t i : plan.sources()) inputs.push_back(as_bytes(stripe.cells[i]));
  MutableBuffer one(9), four(9);
  plan.decode(inputs, std::vector{one.span(), four.span()});
  CHECK_EQ(as_text(one.span()), stripe.cells[1]);
  CHECK_EQ(as_text(four.span()), stripe.cells[4]);
}

TEST_CASE("an impossible code or plan is refused") {
  const auto invalid = [](const auto& result) {
    return !result && result.error().is(Code::kInvalid);
  };
  CHECK(invalid(Codec::create(0, 3)));
  CHECK(invalid(Codec::create(30, 3)));
  CHECK(invalid(Codec::create(1, UINT32_MAX)));
  const Codec codec = Codec::create(3, 2).value();
  CHECK(invalid(codec.plan_decode({0, 1}, {2})));
  CHECK(invalid(codec.plan_decode({0, 1, 1}, {2})));
  CHECK(invalid(codec.plan_decode({0, 1, 5}, {2})));
  CHECK(invalid(codec.plan_decode({0, 1, 2, 3}, {4})));
  CHECK(invalid(codec.plan_decode({0, 1, 2}, {5})));
  CHECK(invalid(codec.plan_decode({0, 1, 2}, {3, 3})));
}

}  // namespace
}  // namespace dogfs::ec
