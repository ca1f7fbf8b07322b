#include "sim/check/linearization_search.h"

#include <deque>
#include <string>

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

// A register that holds a number, 0 at first, with compare-and-set.
struct Register {
  enum class Kind { kWrite, kRead, kCompareAndSet };
  struct Asked {
    Kind kind;
    int value = 0;
    int expected = 0;  // of a compare-and-set
    bool ok = true;    // what that answered
  };
  using State = int;
  std::vector<Asked> asked;

  State start() const { return 0; }
  uint64_t digest(State state) const { return static_cast<uint64_t>(state); }
  std::optional<Effect<State>> apply(State state, size_t call) const {
    const Asked& operation = asked[call];
    switch (operation.kind) {
      case Kind::kWrite: return Effect<State>{operation.value};
      case Kind::kRead:
        if (operation.value != state) return std::nullopt;
        return Effect<State>{};
      case Kind::kCompareAndSet: break;
    }
    if ((state == operation.expected) != operation.ok) return std::nullopt;
    if (!operation.ok) return Effect<State>{};
    return Effect<State>{operation.value};
  }
};

class RegisterHistory {
 public:
  void write(int value, int began, int ended) {
    add({Register::Kind::kWrite, value}, began, ended);
  }
  void read(int value, int began, int ended) { add({Register::Kind::kRead, value}, began, ended); }
  void swap(int expected, int value, bool ok, int began, int ended) {
    add({Register::Kind::kCompareAndSet, value, expected, ok}, began, ended);
  }
  void unknown_write(int value, int began) {
    add({Register::Kind::kWrite, value}, began, 0);
    leave_open();
  }
  void unknown_swap(int expected, int value, int began) {
    swap(expected, value, true, began, 0);
    leave_open();
  }
  // Of the last one that was added.
  void hint(uint64_t hint) { calls_.back().hint = hint; }
  SearchResult search(uint64_t steps_max = 100'000) const {
    return LinearizationSearch(model_, calls_, steps_max).run();
  }
  Verdict verdict() const { return search().verdict; }

 private:
  void add(Register::Asked asked, int began, int ended) {
    model_.asked.push_back(asked);
    calls_.push_back({.began = Instant(Duration(began)),
                      .ended = Instant(Duration(ended)),
                      .changes = asked.kind == Register::Kind::kWrite || asked.ok});
  }
  void leave_open() {
    calls_.back().open = true;
    calls_.back().ended = kNever;
  }
  Register model_;
  std::vector<Call> calls_;
};

TEST_CASE("operations one after the other have one order") {
  RegisterHistory good;
  good.write(1, 0, 1);
  good.read(1, 2, 3);
  good.write(2, 4, 5);
  good.read(2, 6, 7);
  CHECK(good.verdict() == Verdict::kLinearizable);
  RegisterHistory stale;
  stale.write(1, 0, 1);
  stale.write(2, 2, 3);
  stale.read(1, 4, 5);
  CHECK(stale.verdict() == Verdict::kRefuted);
  CHECK_EQ(stale.search().stuck.value(), 2);
}

TEST_CASE("a read beside a write sees the old value or the new, and after the new not the old") {
  RegisterHistory good;
  good.write(1, 0, 100);
  good.read(0, 10, 20);
  good.read(1, 25, 75);
  good.read(1, 30, 60);
  CHECK(good.verdict() == Verdict::kLinearizable);
  RegisterHistory new_then_old;  // Lamport's new-old inversion: regular, not atomic
  new_then_old.write(1, 0, 100);
  new_then_old.read(1, 10, 30);
  new_then_old.read(0, 40, 90);
  CHECK(new_then_old.verdict() == Verdict::kRefuted);
}

TEST_CASE("two readers that see two writes in different orders have no order") {
  RegisterHistory history;
  history.write(1, 0, 100);
  history.write(2, 0, 100);
  history.read(1, 10, 20);
  history.read(2, 30, 40);
  CHECK(history.verdict() == Verdict::kLinearizable);
  history.read(1, 50, 60);
  CHECK(history.verdict() == Verdict::kRefuted);
}

TEST_CASE("the answer that came at the moment of the next call may be either way round") {
  RegisterHistory history;
  history.write(1, 0, 10);
  history.read(0, 10, 20);
  CHECK(history.verdict() == Verdict::kLinearizable);
  RegisterHistory later;
  later.write(1, 0, 10);
  later.read(0, 11, 20);
  CHECK(later.verdict() == Verdict::kRefuted);
}

TEST_CASE("compare-and-set succeeds once for each value it finds") {
  RegisterHistory good;
  good.write(1, 0, 50);
  good.swap(2, 4, true, 0, 60);
  good.swap(1, 2, true, 0, 60);
  good.swap(1, 4, false, 0, 40);
  good.read(4, 70, 80);
  CHECK(good.verdict() == Verdict::kLinearizable);
  RegisterHistory twice;
  twice.write(1, 0, 10);
  twice.swap(1, 2, true, 20, 60);
  twice.swap(1, 3, true, 20, 60);
  CHECK(twice.verdict() == Verdict::kRefuted);
}

TEST_CASE("an unknown write happens late, early or never, and not twice") {
  for (const int seen : {0, 1}) {
    RegisterHistory history;
    history.unknown_write(1, 0);
    history.read(seen, 10, 20);
    CHECK(history.verdict() == Verdict::kLinearizable);
  }
  RegisterHistory late;
  late.unknown_write(1, 0);
  late.write(2, 10, 20);
  late.read(2, 30, 40);
  late.read(1, 50, 60);
  CHECK(late.verdict() == Verdict::kLinearizable);
  late.write(3, 70, 80);
  CHECK(late.verdict() == Verdict::kLinearizable);
  late.read(1, 90, 100);
  CHECK(late.verdict() == Verdict::kRefuted);
  RegisterHistory early;
  early.read(1, 0, 10);
  early.unknown_write(1, 20);
  CHECK(early.verdict() == Verdict::kRefuted);
}

TEST_CASE("an unknown write that came before another shows in what read between them") {
  RegisterHistory history;
  history.unknown_write(1, 0);
  history.unknown_write(2, 0);
  history.unknown_write(3, 0);
  history.read(2, 10, 20);
  history.swap(3, 5, true, 30, 40);
  history.read(5, 50, 60);
  history.read(1, 70, 80);
  CHECK(history.verdict() == Verdict::kLinearizable);
  history.read(2, 90, 100);
  CHECK(history.verdict() == Verdict::kRefuted);
}

TEST_CASE("a search that is given up is undecided, neither good nor bad") {
  RegisterHistory history;
  for (int i = 1; i <= 16; ++i) history.write(i, 0, 100);
  for (int i = 1; i <= 16; ++i) history.swap(i, i + 100, true, 0, 100);
  history.read(777, 200, 300);
  CHECK(history.search(1000).verdict == Verdict::kUndecided);
  CHECK_LE(history.search(1000).steps, 1100);
}

TEST_CASE("each configuration is looked at once: commuting writes do not cost their factorial") {
  RegisterHistory history;
  for (int i = 0; i < 14; ++i) history.write(1, 0, 100);
  history.read(2, 200, 300);
  const SearchResult result = history.search(1'000'000);
  CHECK(result.verdict == Verdict::kRefuted);
  CHECK_LE(result.steps, 14 * (1 << 14) + 100);
}

TEST_CASE("an open operation that did nothing when its turn was is tried last from then on") {
  RegisterHistory history;
  for (int i = 1; i <= 14; ++i) {
    history.unknown_swap(1, 3, 0);
    history.hint(i);
  }
  history.write(1, 10, 20);
  history.hint(20);
  history.swap(1, 2, true, 30, 40);
  history.hint(21);
  history.read(2, 50, 60);
  const SearchResult result = history.search();
  CHECK(result.verdict == Verdict::kLinearizable);
  CHECK_LE(result.steps, 14 + 4);
}

// Drawn histories of six operations on a register, against the definition itself.
TEST_CASE("the search agrees with trying every order") {
  Random random(7);
  int linearizable = 0;
  for (int round = 0; round < 3000; ++round) {
    constexpr int kCalls = 6;
    Register model;
    std::vector<Call> calls;
    uint32_t certain = 0;
    for (int i = 0; i < kCalls; ++i) {
      const auto kind = static_cast<Register::Kind>(random.below(3));
      const int began = static_cast<int>(random.below(12));
      const int ended = began + static_cast<int>(random.below(8));
      Register::Asked asked{kind, static_cast<int>(random.below(3)),
                            static_cast<int>(random.below(3)), random.chance(1, 2)};
      const bool open = kind == Register::Kind::kWrite && random.chance(1, 3);
      model.asked.push_back(asked);
      if (!open) certain |= 1u << i;
      calls.push_back({.began = Instant(Duration(began)),
                       .ended = open ? kNever : Instant(Duration(ended)),
                       .open = open,
                       .changes = kind != Register::Kind::kRead});
    }
    // Orders of those chosen: all certain ones and any of the open ones.
    bool found = false;
    std::vector<size_t> order(kCalls);
    for (size_t i = 0; i < kCalls; ++i) order[i] = i;
    do {
      for (uint32_t chosen = 0; chosen < (1u << kCalls) && !found; ++chosen) {
        if ((chosen & certain) != certain) continue;
        bool fits = true;
        int state = 0;
        Instant latest{};
        for (const size_t i : order) {
          if ((chosen >> i & 1) == 0 || !fits) continue;
          latest = std::max(latest, calls[i].began);
          const auto effect = model.apply(state, i);
          fits = effect && calls[i].ended >= latest;
          if (effect && effect->state) state = *effect->state;
        }
        found = fits;
      }
    } while (!found && std::ranges::next_permutation(order).found);
    const Verdict verdict = LinearizationSearch(model, calls, 100'000).run().verdict;
    CHECK_EQ(verdict == Verdict::kLinearizable, found);
    linearizable += found ? 1 : 0;
  }
  CHECK(linearizable > 300);
  CHECK(linearizable < 2700);
}

// Herlihy and Wing (1990), figure 1: a queue.
struct Queue {
  struct Asked {
    char act;  // 'E' or 'D'
    char item;
  };
  using State = std::string;
  std::vector<Asked> asked;
  State start() const { return ""; }
  uint64_t digest(const State& state) const {
    uint64_t value = 0;
    for (const char item : state) value = value * 31 + static_cast<unsigned char>(item);
    return value;
  }
  std::optional<Effect<State>> apply(const State& state, size_t call) const {
    if (asked[call].act == 'E') return Effect<State>{state + asked[call].item};
    if (state.empty() || state.front() != asked[call].item) return std::nullopt;
    return Effect<State>{state.substr(1)};
  }
};

Verdict judge_queue(const std::vector<std::tuple<char, char, int, int>>& history) {
  Queue queue;
  std::vector<Call> calls;
  for (const auto& [act, item, began, ended] : history) {
    queue.asked.push_back({act, item});
    calls.push_back({.began = Instant(Duration(began)), .ended = Instant(Duration(ended))});
  }
  return LinearizationSearch(queue, calls, 10'000).run().verdict;
}

TEST_CASE("the queue histories of Herlihy and Wing have the verdicts of their paper") {
  CHECK(judge_queue({{'E', 'x', 0, 10},
                     {'E', 'y', 5, 15},
                     {'D', 'x', 16, 30},
                     {'D', 'y', 18, 40},
                     {'E', 'z', 20, 45}}) == Verdict::kLinearizable);  // H1
  CHECK(judge_queue({{'E', 'x', 0, 10}, {'E', 'y', 11, 20}, {'D', 'y', 21, 30}}) ==
        Verdict::kRefuted);  // H2: x, enqueued before, should have come first
  CHECK(judge_queue({{'E', 'x', 0, 10}, {'D', 'x', 5, 8}}) == Verdict::kLinearizable);  // H3
  CHECK(
      judge_queue({{'E', 'x', 0, 10}, {'E', 'y', 2, 12}, {'D', 'y', 15, 20}, {'D', 'y', 16, 30}}) ==
      Verdict::kRefuted);  // H4: y comes twice
}

}  // namespace
}  // namespace dogfs::sim
