#include "core/raft/progress.h"

#include "tests/doctest.h"

namespace dogfs::raft {
namespace {

using State = Progress::State;

Progress replicating(uint64_t match) {
  Progress progress(LogIndex(match + 1), {2, 100});
  progress.acknowledged(LogIndex(match));
  progress.accepted(LogIndex(1));
  return progress;
}

TEST_CASE("a probe is one append at a time") {
  Progress progress(LogIndex(5), {2, 100});
  CHECK(progress.may_append());
  progress.sent(LogIndex(6), 10);
  CHECK_FALSE(progress.may_append());
  CHECK_EQ(progress.next(), LogIndex(5));
  progress.allow_probe();
  CHECK(progress.may_append());
}

TEST_CASE("the window closes by messages and by bytes, and acknowledgements open it") {
  Progress progress = replicating(4);
  progress.sent(LogIndex(5), 10);
  CHECK(progress.may_append());
  progress.sent(LogIndex(6), 10);
  CHECK_FALSE(progress.may_append());
  CHECK(progress.acknowledged(LogIndex(5)));
  CHECK(progress.may_append());
  progress.sent(LogIndex(7), 100);
  progress.acknowledged(LogIndex(6));
  CHECK_FALSE(progress.may_append());
}

TEST_CASE("late and repeated rejections and acknowledgements lower nothing") {
  Progress progress = replicating(4);
  progress.sent(LogIndex(5), 10);
  CHECK_FALSE(progress.rejected(LogIndex(4), LogIndex(2)));  // matched since
  CHECK_FALSE(progress.rejected(LogIndex(6), LogIndex(2)));  // never sent
  CHECK_FALSE(progress.acknowledged(LogIndex(3)));
  CHECK_EQ(progress.match(), LogIndex(4));
  CHECK_EQ(progress.next(), LogIndex(6));
  CHECK(progress.rejected(LogIndex(5), LogIndex(1)));
  CHECK_EQ(progress.next(), LogIndex(5));  // never at or below match
  CHECK(progress.state() == State::kProbe);
}

TEST_CASE("a probe goes back to where the logs may meet, always by at least one") {
  Progress progress(LogIndex(9), {2, 100});
  CHECK_FALSE(progress.rejected(LogIndex(5), LogIndex(1)));  // not the probe under way
  CHECK(progress.rejected(LogIndex(8), LogIndex(3)));
  CHECK_EQ(progress.next(), LogIndex(4));
  CHECK(progress.rejected(LogIndex(3), LogIndex(7)));
  CHECK_EQ(progress.next(), LogIndex(3));
}

TEST_CASE("a follower in need of a snapshot gets no appends until the log suffices again") {
  Progress progress = replicating(4);
  progress.start_snapshot(LogIndex(20));
  CHECK_FALSE(progress.may_append());
  progress.accepted(LogIndex(10));
  CHECK(progress.state() == State::kSnapshot);
  progress.acknowledged(LogIndex(9));
  progress.accepted(LogIndex(10));
  CHECK(progress.state() == State::kReplicate);

  progress.start_snapshot(LogIndex(20));
  progress.end_snapshot(true);
  CHECK_EQ(progress.next(), LogIndex(21));
  progress.start_snapshot(LogIndex(30));
  progress.end_snapshot(false);
  CHECK_EQ(progress.next(), LogIndex(10));
}

}  // namespace
}  // namespace dogfs::raft
