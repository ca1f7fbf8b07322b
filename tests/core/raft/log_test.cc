#include "core/raft/log.h"

#include "core/raft/record.h"

#include "tests/doctest.h"

namespace dogfs::raft {
namespace {

Entry entry(uint64_t index, uint64_t term) {
  return {LogIndex(index), Term(term), EntryKind::kNormal, Buffer::copy(std::string(10, 'x'))};
}

Recovered recovered(const std::vector<uint64_t>& terms) {
  Recovered state;
  for (const uint64_t term : terms) state.entries.push_back(entry(state.entries.size() + 1, term));
  return state;
}

Configuration voters(std::initializer_list<uint32_t> nodes) {
  Configuration configuration;
  for (const uint32_t n : nodes) configuration.voters.push_back({NodeId(n), StoreId(n * 100)});
  return configuration;
}

TEST_CASE("section 5.4.1: the later last term wins, then the longer log") {
  const Log log(recovered({1, 2, 2}));
  CHECK(log.is_up_to_date({LogIndex(1), Term(3)}));
  CHECK(log.is_up_to_date({LogIndex(3), Term(2)}));
  CHECK(log.is_up_to_date({LogIndex(4), Term(2)}));
  CHECK_FALSE(log.is_up_to_date({LogIndex(2), Term(2)}));
  CHECK_FALSE(log.is_up_to_date({LogIndex(9), Term(1)}));
}

TEST_CASE("backtracking stops at the last position whose index and term are both small enough") {
  Log log(recovered({1, 1, 4, 4, 6}));
  const auto meet = [&](uint64_t index, uint64_t term) {
    return log.last_at_most({LogIndex(index), Term(term)}).index.value;
  };
  CHECK_EQ(meet(9, 9), 5u);
  CHECK_EQ(meet(9, 5), 4u);
  CHECK_EQ(meet(3, 5), 3u);
  CHECK_EQ(meet(9, 3), 2u);
  CHECK_EQ(meet(9, 0), 0u);
  log.commit_to(LogIndex(4));
  log.take_committed();
  log.compact({{LogIndex(3), Term(4)}, {}}, 0);
  CHECK_EQ(meet(9, 5), 4u);
  CHECK_EQ(meet(2, 9), 2u);  // forgotten: the follower needs a snapshot
  CHECK_FALSE(log.term_at(LogIndex(2)).has_value());
  CHECK_EQ(meet(9, 3), 2u);  // it differs somewhere before the base
}

TEST_CASE("a late completion does not speak for entries that replaced those it wrote") {
  Log log(recovered({1}));
  log.append(entry(2, 1));
  log.append(entry(3, 1));
  CHECK_EQ(log.take_unrequested(PersistNumber(1)).size(), 2u);
  log.truncate(LogIndex(3));
  log.append(entry(3, 2));
  log.append(entry(4, 2));
  CHECK_EQ(log.take_unrequested(PersistNumber(2)).size(), 2u);
  log.persisted(PersistNumber(1));
  CHECK_EQ(log.durable(), LogIndex(2));
  log.persisted(PersistNumber(2));
  CHECK_EQ(log.durable(), LogIndex(4));
}

TEST_CASE("truncation takes durability back") {
  Log log(recovered({1, 1, 1}));
  CHECK_EQ(log.durable(), LogIndex(3));
  log.truncate(LogIndex(2));
  log.append(entry(2, 2));
  CHECK_EQ(log.durable(), LogIndex(1));
}

TEST_CASE("a slice gives at least one entry and keeps its bounds after that") {
  const Log log(recovered({1, 1, 1, 1}));
  CHECK_EQ(log.slice(LogIndex(2), {9, 1}).size(), 1u);
  CHECK_EQ(log.slice(LogIndex(2), {2, 1000}).size(), 2u);
  CHECK_EQ(log.slice(LogIndex(1), {9, 2 * (10 + kEntryOverheadBytes)}).size(), 2u);
  CHECK(log.slice(LogIndex(5), {9, 1000}).empty());
}

TEST_CASE("compaction keeps the tail it was told to, and its size is what is held") {
  Log log(recovered({1, 1, 1, 2, 2}));
  log.commit_to(LogIndex(5));
  log.take_committed();
  log.compact({{LogIndex(4), Term(2)}, {}}, 2);
  CHECK_EQ(log.first_index(), LogIndex(3));
  CHECK_EQ(log.bytes(), 3 * (10 + kEntryOverheadBytes));
  CHECK(log.holds({LogIndex(2), Term(1)}));
  log.compact({{LogIndex(5), Term(2)}, {}}, 0);
  CHECK_EQ(log.bytes(), 0u);
  CHECK_EQ(log.last().index, LogIndex(5));
}

TEST_CASE("section 6: a configuration is in force when appended, and falls with its entry") {
  Recovered state = recovered({1});
  state.snapshot.configuration = voters({1, 2, 3});
  Log log(std::move(state));
  Entry change = entry(2, 1);
  change.kind = EntryKind::kConfiguration;
  change.payload = Buffer::take(encode_configuration(voters({1, 2, 3, 4})));
  log.append(change);
  CHECK((log.configuration() == voters({1, 2, 3, 4})));
  CHECK((log.configuration_at(LogIndex(1)) == voters({1, 2, 3})));
  log.truncate(LogIndex(2));
  CHECK((log.configuration() == voters({1, 2, 3})));
  log.append(change);
  log.commit_to(LogIndex(2));
  log.take_committed();
  log.compact({{LogIndex(2), Term(1)}, voters({1, 2, 3, 4})}, 0);
  CHECK((log.configuration() == voters({1, 2, 3, 4})));
}

TEST_CASE("a snapshot from elsewhere counts as durable once its record is") {
  Log log(recovered({1, 1, 1}));
  log.commit_to(LogIndex(2));
  log.take_committed();
  log.restore({{LogIndex(9), Term(3)}, {}});
  CHECK_EQ(log.durable(), LogIndex(2));
  CHECK(log.take_unrequested(PersistNumber(1)).empty());
  log.append(entry(10, 3));
  CHECK_EQ(log.take_unrequested(PersistNumber(2)).size(), 1u);
  log.persisted(PersistNumber(1));
  CHECK_EQ(log.durable(), LogIndex(9));
}

}  // namespace
}  // namespace dogfs::raft
