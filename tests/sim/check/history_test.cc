#include "sim/check/history.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

Operation refused(Act act, Code code) {
  Operation operation;
  operation.act = act;
  operation.outcome = Outcome::kRefused;
  operation.code = code;
  return operation;
}

constexpr Act kActs[] = {Act::kPut,           Act::kGet,         Act::kStat,     Act::kList,
                         Act::kMakeDirectory, Act::kRename,      Act::kRemove,   Act::kCopy,
                         Act::kTruncate,      Act::kConcatenate, Act::kSetQuota, Act::kUse,
                         Act::kSetAttributes};

TEST_CASE("a refusal at the first try is never taken for success") {
  for (const Act act : kActs)
    for (const Code code : {Code::kNotFound, Code::kExists, Code::kPrecondition})
      CHECK(!is_done(refused(act, code), false));
}

TEST_CASE("a refusal that an unknown earlier try explains is success, but not of puts and reads") {
  for (const Act act : kActs) {
    CHECK_EQ(is_done(refused(act, Code::kExists), true), act == Act::kMakeDirectory);
    CHECK_EQ(is_done(refused(act, Code::kNotFound), true),
             act == Act::kRename || act == Act::kRemove || act == Act::kConcatenate);
    CHECK(!is_done(refused(act, Code::kUnavailable), true));
  }
}

TEST_CASE("only an answer makes it done") {
  Operation operation;
  for (const Outcome outcome : {Outcome::kPending, Outcome::kUnknown}) {
    operation.outcome = outcome;
    CHECK(!is_done(operation, true));
  }
  operation.outcome = Outcome::kDone;
  CHECK(is_done(operation, false));
}

TEST_CASE("an operation names its path, its target and its sources") {
  Operation operation{.act = Act::kRename, .path = "/a", .to = "/b"};
  CHECK((paths_of(operation) == std::vector<std::string>{"/a", "/b"}));
  Operation join{.act = Act::kConcatenate, .path = "/a"};
  join.sources = {"/b", "/c"};
  CHECK((paths_of(join) == std::vector<std::string>{"/a", "/b", "/c"}));
  CHECK_NE(describe(join).find("/c"), std::string::npos);
}

}  // namespace
}  // namespace dogfs::sim
