#include "core/chunk/append_requests.h"

#include <map>
#include <set>

#include <rapidcheck.h>

#include "core/base/limits.h"
#include "core/base/random.h"

#include "tests/doctest.h"

namespace dogfs::chunk {
namespace {

using Id = std::pair<uint64_t, uint64_t>;  // writer, request

// Writers as they are: each has some requests under way, tries them again, learns of some answers.
struct Model {
  struct Request {
    uint64_t first_tried = 0;
    std::optional<uint64_t> offset;  // where it lies
  };
  explicit Model(uint64_t seed) : random(seed), requests(1) {}

  std::map<Id, Request> all;
  std::map<uint64_t, std::set<uint64_t>> unanswered;  // by writer
  std::map<uint64_t, uint64_t> next;
  std::map<uint64_t, uint64_t> last_stored;  // the ordinal, by writer
  uint64_t ordinal = 1;
  uint64_t end = 0;  // of the file
  Random random;
  AppendRequests requests;

  uint64_t acknowledged_below(uint64_t writer) {
    const auto& open = unanswered[writer];
    return open.empty() ? next[writer] + 1 : *open.begin();
  }
  void begin(uint64_t writer) {
    const uint64_t request = ++next[writer];
    all[{writer, request}] = {ordinal, std::nullopt};
    unanswered[writer].insert(request);
  }
  // What a primary does with a record that reaches it, the first time or again.
  void reach(Id id) {
    Request& request = all[id];
    if (requests.find(id.first, id.second)) return;
    if (!requests.is_new(id.first, id.second, request.first_tried)) return;
    RC_ASSERT(!request.offset);
    request.offset = end;
    last_stored[id.first] = ordinal;
    requests.add(ordinal, {id.first, id.second, acknowledged_below(id.first), 1}, end++);
  }
  void next_block() {
    requests.hand_over_to(++ordinal);
    const auto decoded = AppendRequests::decode(requests.encode());
    RC_ASSERT(decoded.has_value());
    RC_ASSERT(*decoded == requests);
    requests = *decoded;
  }
  Id draw() {
    auto at = all.begin();
    std::advance(at, static_cast<ptrdiff_t>(random.below(all.size())));
    return at->first;
  }
  void step() {
    switch (random.below(8)) {
      case 0:
      case 1: return begin(random.between(1, 4));
      case 2:
        if (random.chance(1, 4)) next_block();
        return;
      case 3: {  // an answer arrives
        if (all.empty()) return;
        const Id id = draw();
        if (all[id].offset) unanswered[id.first].erase(id.second);
        return;
      }
      default:
        if (!all.empty()) reach(draw());
    }
  }
  void check() {
    for (const auto& [id, request] : all) {
      const auto found = requests.find(id.first, id.second);
      const bool is_new = requests.is_new(id.first, id.second, request.first_tried);
      if (found) RC_ASSERT(found == request.offset);
      if (request.offset) RC_ASSERT(found || !is_new);
      // Nobody is refused for ever: what was never kept is new while its block is remembered.
      if (!request.offset && request.first_tried >= requests.since()) RC_ASSERT(is_new);
      // Nor is an answer lost that somebody waits for.
      if (request.offset && request.first_tried >= requests.since() &&
          unanswered[id.first].contains(id.second))
        RC_ASSERT(found.has_value());
    }
    RC_ASSERT(requests.since() <= ordinal);
    RC_ASSERT(ordinal < 3 || requests.since() + 2 == ordinal);
  }
};

TEST_CASE("what is stored is never called new, and what was never stored is never called known") {
  const bool passed = rc::check([] {
    Model model(*rc::gen::arbitrary<uint64_t>());
    for (int step = 0; step < 300; ++step) {
      model.step();
      model.check();
    }
  });
  CHECK(passed);
}

TEST_CASE("answers that a writer has are forgotten, and writers of old blocks as well") {
  AppendRequests requests(1);
  for (uint64_t i = 1; i <= 1000; ++i)
    requests.add(1, {.writer = 7, .request = i, .acknowledged_below = i, .length = 1}, i);
  CHECK_EQ(requests.size(), 1u);
  CHECK_EQ(requests.find(7, 1000), 1000u);
  CHECK_FALSE(requests.find(7, 999));
  CHECK_FALSE(requests.is_new(7, 999, 1));
  requests.hand_over_to(3);
  CHECK_EQ(requests.find(7, 1000), 1000u);
  requests.hand_over_to(4);
  CHECK_EQ(requests.size(), 0u);
  CHECK_EQ(requests.since(), 2u);
  CHECK_FALSE(requests.is_new(7, 1000, 1));
  CHECK(requests.is_new(7, 1001, 2));
}

TEST_CASE("as many as may be remembered fit into one entry, whoever wrote them") {
  AppendRequests one(1);
  AppendRequests many(1);
  AppendRequests answered(1);
  for (uint64_t i = 1; one.size() < limits::kAppendRequestsMax; ++i)
    one.add(1, {.writer = 1, .request = i, .length = 1}, i);
  for (uint64_t i = 1; many.size() < limits::kAppendRequestsMax; ++i)
    many.add(1, {.writer = i, .request = 1, .length = 1}, i);
  // Of such a writer there is nothing to find, but it is to be handed over all the same.
  for (uint64_t i = 1; i <= 2 * limits::kAppendRequestsMax; ++i) {
    if (answered.size() >= limits::kAppendRequestsMax) break;
    answered.add(1, {.writer = i, .request = 1, .acknowledged_below = 2, .length = 1}, i);
  }
  CHECK_EQ(answered.size(), limits::kAppendRequestsMax);
  for (const AppendRequests* requests : {&one, &many, &answered}) {
    const std::string bytes = requests->encode();
    CHECK_LE(bytes.size(), limits::kAppendHeadBytesMax);
    const auto decoded = AppendRequests::decode(bytes);
    REQUIRE(decoded);
    CHECK((*decoded == *requests));
  }
}

TEST_CASE("a table of requests that is cut, too long or twice in itself is corrupt") {
  AppendRequests requests(1);
  for (uint64_t i = 1; i <= 5; ++i)
    requests.add(i, {.writer = i % 2, .request = i, .length = 1}, 10 * i);
  const std::string bytes = requests.encode();
  REQUIRE(AppendRequests::decode(bytes));
  for (size_t size = 0; size < bytes.size(); ++size)
    CHECK_EQ(AppendRequests::decode(bytes.substr(0, size)).error().code, Code::kCorrupt);
  CHECK_EQ(AppendRequests::decode(bytes + '\0').error().code, Code::kCorrupt);
  const std::string none = AppendRequests(1).encode().substr(0, 8);
  const std::string writer(28, '\0');
  const std::string two("\2\0\0\0", 4);
  CHECK_EQ(AppendRequests::decode(none + two + writer + writer).error().code, Code::kCorrupt);
  const bool passed = rc::check([](const std::string& any) {
    const auto decoded = AppendRequests::decode(any);
    if (decoded) RC_ASSERT(decoded->encode().size() <= any.size());
  });
  CHECK(passed);
}

}  // namespace
}  // namespace dogfs::chunk
