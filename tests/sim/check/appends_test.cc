// The judge of appends, on histories that were made up: good ones pass, each bad one is caught by
// the oracle that is meant for it.
#include "sim/check/appends.h"

#include <string>

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

constexpr RecordName kFirst{1, 1};
constexpr RecordName kSecond{2, 1};

AppendedOperation appended(RecordName name, Outcome outcome, uint64_t offset, Duration ended) {
  return {
      .path = "/log", .name = name, .outcome = outcome, .offset = offset, .ended = Instant(ended)};
}

AppendedRead read_of(Records records, Duration began, Duration ended) {
  return {.path = "/log",
          .began = Instant(began),
          .ended = Instant(ended),
          .wrong = {},
          .records = std::move(records)};
}

struct Forged {
  // Two records that were acknowledged, both in the one last read.
  AppendHistory history{.appends = {appended(kFirst, Outcome::kDone, 0, 1s),
                                    appended(kSecond, Outcome::kDone, 100, 2s)},
                        .reads = {}};
  std::vector<AppendedRead> last{read_of({{0, kFirst}, {100, kSecond}}, 10s, 11s)};

  // The names of the oracles that fire, each as often as it does.
  std::string verdict() const {
    Violations violations;
    check_appends(history, last, violations);
    std::string out;
    for (const Violation& violation : violations.kept())
      out += (out.empty() ? "" : ", ") + std::string(oracle_name(violation.oracle));
    return out;
  }
};

TEST_CASE("records that were acknowledged and are there, each once, are as they must be") {
  Forged forged;
  forged.history.reads = {read_of({}, 0s, 1s), read_of({{0, kFirst}}, 1s, 3s),
                          read_of({{0, kFirst}, {100, kSecond}}, 3s, 4s)};
  CHECK_EQ(forged.verdict(), "");
}

TEST_CASE("what nobody knows the outcome of may be there or not") {
  Forged forged;
  forged.history.appends[1].outcome = Outcome::kUnknown;
  CHECK_EQ(forged.verdict(), "");
  forged.last = {read_of({{0, kFirst}}, 10s, 11s)};
  CHECK_EQ(forged.verdict(), "");
}

TEST_CASE("an acknowledged record that is lost or elsewhere is a breach of durability") {
  Forged forged;
  forged.last = {read_of({{0, kFirst}}, 10s, 11s)};
  CHECK_EQ(forged.verdict(), "durability");
  forged.last = {read_of({{0, kFirst}, {90, kSecond}}, 10s, 11s)};
  CHECK_EQ(forged.verdict(), "durability");
  forged.last = {};
  CHECK_EQ(forged.verdict(), "durability");
}

TEST_CASE("a record that is there twice, or was refused and is there, is told") {
  Forged forged;
  forged.last = {read_of({{0, kFirst}, {100, kSecond}, {200, kFirst}}, 10s, 11s)};
  CHECK_EQ(forged.verdict(), "exactly_once");
  forged = {};
  forged.history.appends[1].outcome = Outcome::kRefused;
  CHECK_EQ(forged.verdict(), "exactly_once");
}

TEST_CASE("a read that begins after an answer sees the record, an earlier one need not") {
  Forged forged;
  forged.history.reads = {read_of({}, 2s, 3s)};
  CHECK_EQ(forged.verdict(), "linearizability, linearizability");
  forged.history.reads = {read_of({{0, kFirst}}, 1999ms, 3s)};
  CHECK_EQ(forged.verdict(), "");
}

TEST_CASE("what one read saw, no later one misses, also of records that nobody acknowledged") {
  Forged forged;
  forged.history.appends[1].outcome = Outcome::kUnknown;
  forged.last = {read_of({{0, kFirst}}, 10s, 11s)};
  forged.history.reads = {read_of({{0, kFirst}, {100, kSecond}}, 2s, 3s)};
  CHECK_EQ(forged.verdict(), "linearizability");
  forged = {};
  forged.history.appends[1].outcome = Outcome::kUnknown;
  forged.history.reads = {read_of({{0, kFirst}, {100, kSecond}}, 2s, 3s),
                          read_of({{0, kFirst}}, 3s, 4s)};
  CHECK_EQ(forged.verdict(), "linearizability");
  // Reads at the same time may see one more than the other.
  forged.history.reads[1].began = Instant(2999ms);
  CHECK_EQ(forged.verdict(), "");
}

TEST_CASE("files are judged apart, and bytes that are no record are told") {
  Forged forged;
  forged.last[0].path = "/other";
  CHECK_EQ(forged.verdict(), "durability");
  forged = {};
  forged.last[0].wrong = "no record";
  CHECK_EQ(forged.verdict(), "wrong_bytes");
}

TEST_CASE("bytes are taken apart into whole records, or not at all") {
  const std::string one(make_record(kFirst, kRecordBytesMin).text());
  const std::string two(make_record(kSecond, 1000).text());
  uint64_t where = 0;
  CHECK((take_apart(one + two, where) == Records{{0, kFirst}, {one.size(), kSecond}}));
  CHECK((take_apart("", where) == Records{}));
  CHECK_FALSE(take_apart(one + two.substr(0, 999), where).has_value());
  CHECK_EQ(where, one.size());
  CHECK_FALSE(take_apart(one.substr(1) + two, where).has_value());
  std::string flipped = one + two;
  flipped[one.size() + 500] ^= 1;
  CHECK_FALSE(take_apart(flipped, where).has_value());
  CHECK_EQ(where, one.size());
}

}  // namespace
}  // namespace dogfs::sim
