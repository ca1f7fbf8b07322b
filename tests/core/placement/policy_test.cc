#include "core/placement/policy.h"

#include <string>

#include "core/base/limits.h"

#include "tests/doctest.h"

namespace dogfs::placement {
namespace {

TEST_CASE("the named policies have the widths and margins of the design") {
  struct Row {
    const char* text;
    uint32_t k, m, width, min_shards;
  };
  for (const Row& row :
       {Row{"rs-4-2", 4, 2, 6, 5}, Row{"rs-6-3", 6, 3, 9, 8}, Row{"rs-8-3", 8, 3, 11, 10},
        Row{"rs-10-4", 10, 4, 14, 12}, Row{"rs-1-1", 1, 1, 2, 2}, Row{"rep-1", 1, 0, 1, 1},
        Row{"rep-2", 1, 1, 2, 2}, Row{"rep-3", 1, 2, 3, 2}, Row{"rep-5", 1, 4, 5, 3},
        Row{"rs-31-1", 31, 1, 32, 32}}) {
    CAPTURE(row.text);
    const auto policy = Policy::parse(row.text);
    REQUIRE(policy.has_value());
    CHECK_EQ(policy->data_shards(), row.k);
    CHECK_EQ(policy->parity_shards(), row.m);
    CHECK_EQ(policy->width(), row.width);
    CHECK_EQ(policy->min_shards(), row.min_shards);
    CHECK_EQ(policy->text(), row.text);
    CHECK((Policy::from_code(policy->code()) == *policy));
  }
  CHECK_EQ(Policy().text(), "rs-4-2");
}

TEST_CASE("every policy survives its text and its code") {
  int policies = 0;
  for (uint32_t code = 0; code <= UINT16_MAX; ++code) {
    const auto policy = Policy::from_code(static_cast<uint16_t>(code));
    if (!policy) continue;
    ++policies;
    CHECK_EQ(policy->code(), code);
    CHECK((Policy::parse(policy->text()) == *policy));
    CHECK_GE(policy->min_shards(), policy->data_shards());
    CHECK_LE(policy->min_shards(), policy->width());
    CHECK_LE(policy->width(), limits::kShardsMax);
  }
  CHECK_EQ(policies, 31 * 32 / 2 + 32);  // all k, m >= 1 with k + m <= 32, and rep-1 to rep-32
}

TEST_CASE("text that is no policy is refused with a reason") {
  for (const char* text : {"",
                           "rs",
                           "rs-",
                           "rs-4",
                           "rs-4-",
                           "rs-0-2",
                           "rs-4-0",
                           "rs-4-2 ",
                           " rs-4-2",
                           "RS-4-2",
                           "rs-4-2-1",
                           "rs--4-2",
                           "rs-4--2",
                           "rs-04-2",
                           "rs-30-3",
                           "rs-99999999999999999999-2",
                           "rs-18446744073709551615-1",
                           "rep-",
                           "rep-0",
                           "rep-33",
                           "rep-3x",
                           "rep--1",
                           "ec-4-2"}) {
    CAPTURE(text);
    const auto policy = Policy::parse(text);
    REQUIRE_FALSE(policy.has_value());
    CHECK_EQ(policy.error().code, Code::kInvalid);
    CHECK_FALSE(policy.error().message.empty());
  }
}

}  // namespace
}  // namespace dogfs::placement
