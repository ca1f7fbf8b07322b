// The rules of figure 2 of the Raft paper, one test each, on a single core; the limits; and what a
// core does with messages that no correct member sends. Scripts and chaos cover the rest.

#include "core/raft/core.h"

#include <set>

#include <rapidcheck.h>

#include "core/raft/record.h"

#include "tests/doctest.h"

namespace dogfs::raft {
namespace {

constexpr GroupId kGroup{1};

Member member(uint32_t node, uint64_t life = 1) {
  return {NodeId(node), StoreId(node * 100 + life)};
}

Configuration voters(uint32_t count) {
  Configuration configuration;
  for (uint32_t n = 1; n <= count; ++n) configuration.voters.push_back(member(n));
  return configuration;
}

Entry entry(uint64_t index, uint64_t term) {
  return {LogIndex(index), Term(term), EntryKind::kNormal, Buffer::copy("x")};
}

// Member 1 of three, with a log of these terms, all on its disk.
struct Server {
  explicit Server(uint64_t term, const std::vector<uint64_t>& terms = {}, Options options = {})
      : core(prepare(options), state(term, terms), Random(1)) {}

  static Options prepare(Options options) {
    options.group = kGroup;
    options.self = member(1);
    return options;
  }
  static Recovered state(uint64_t term, const std::vector<uint64_t>& terms) {
    Recovered recovered{{Term(term), {}}, {{}, voters(3)}, {}};
    for (const uint64_t t : terms) {
      recovered.entries.push_back(entry(recovered.entries.size() + 1, t));
    }
    return recovered;
  }

  Output from(uint32_t node, uint64_t term, Body body) {
    return core.step(Message{{kGroup, member(node), member(1), Term(term)}, std::move(body)});
  }
  Output persisted() { return core.step(Persisted{core.persist_issued()}); }
  // Leads the next term, with its no-op durable.
  void lead() {
    while (core.role() == Role::kFollower) core.step(Tick{});
    from(2, core.term().value, VoteReply{.pre_vote = true, .granted = true});
    persisted();
    from(2, core.term().value, VoteReply{.granted = true});
    persisted();
    REQUIRE(core.role() == Role::kLeader);
  }

  Core core;
};

VoteRequest vote(uint64_t index, uint64_t term) { return {.last = {LogIndex(index), Term(term)}}; }

AppendRequest append(uint64_t index, uint64_t term, std::vector<Entry> entries = {},
                     uint64_t commit = 0) {
  return {{LogIndex(index), Term(term)}, std::move(entries), LogIndex(commit), {}};
}

const VoteReply& vote_in(const Output& output) {
  REQUIRE_EQ(output.messages.size(), 1u);
  return std::get<VoteReply>(output.messages[0].body);
}

const AppendReply& answer_in(const Output& output) {
  REQUIRE_EQ(output.messages.size(), 1u);
  return std::get<AppendReply>(output.messages[0].body);
}

TEST_CASE("all servers: a higher term in any message makes a follower of that term") {
  Server server(3);
  server.lead();
  const Output output = server.from(2, 9, AppendReply{});
  CHECK(server.core.role() == Role::kFollower);
  CHECK_EQ(server.core.term(), Term(9));
  CHECK((output.persist->hard_state == HardState{Term(9), {}}));
}

TEST_CASE("request vote 1: a candidate of an earlier term is refused and told the term") {
  Server server(5);
  const Output output = server.from(2, 4, vote(9, 4));
  CHECK_FALSE(vote_in(output).granted);
  CHECK_EQ(output.messages[0].envelope.term, Term(5));
}

TEST_CASE("request vote 2: one vote a term, to the first whose log is as up to date") {
  Server server(1, {1, 1});
  CHECK_FALSE(vote_in(server.from(2, 2, vote(1, 1))).granted);
  const Output first = server.from(2, 3, vote(2, 1));
  CHECK(first.messages.empty());  // not before it is durable
  CHECK((first.persist->hard_state == HardState{Term(3), member(2)}));
  CHECK(vote_in(server.persisted()).granted);
  CHECK_FALSE(vote_in(server.from(3, 3, vote(9, 2))).granted);
  const Output again = server.from(2, 3, vote(2, 1));
  CHECK_FALSE(again.persist.has_value());
  CHECK(vote_in(again).granted);
}

TEST_CASE("a vote is still given after a crash and a restart") {
  Server server(1);
  const Output output = server.from(2, 2, vote(0, 0));
  Replay replay;
  CHECK(replay.add(SnapshotMeta{{}, voters(3)}).has_value());
  for (const std::string& record : encode_records(kGroup, *output.persist)) {
    CHECK(replay.add(decode_record(as_bytes(record))->body).has_value());
  }
  Core restarted(Server::prepare({}), *std::move(replay).take(), Random(2));
  const Output other = restarted.step(Message{{kGroup, member(3), member(1), Term(2)}, vote(7, 1)});
  CHECK_FALSE(vote_in(other).granted);
}

TEST_CASE("append entries 1: a leader of an earlier term is told the later one") {
  Server server(5, {1});
  const Output output = server.from(2, 4, append(1, 1, {entry(2, 4)}));
  CHECK_EQ(output.messages[0].envelope.term, Term(5));
  CHECK_EQ(server.core.last().index, LogIndex(1));
  CHECK_FALSE(server.core.leader());
}

TEST_CASE("append entries 2: refused without the previous entry, with a hint of a whole term") {
  Server server(4, {1, 1, 2, 2, 4});
  const auto rejection = answer_in(server.from(2, 5, append(7, 5))).rejection;
  CHECK((rejection->hint == LogPosition{LogIndex(5), Term(4)}));
  const auto conflict = answer_in(server.from(2, 5, append(4, 1))).rejection;
  CHECK((conflict->hint == LogPosition{LogIndex(2), Term(1)}));
}

TEST_CASE("append entries 3 and 4: a conflict removes what follows it, agreement removes nothing") {
  Server server(4, {1, 2, 2, 2});
  server.from(2, 5, append(1, 1, {entry(2, 2)}));
  CHECK_EQ(server.core.last().index, LogIndex(4));
  const Output output = server.from(2, 5, append(1, 1, {entry(2, 2), entry(3, 5)}));
  CHECK((server.core.last() == LogPosition{LogIndex(3), Term(5)}));
  CHECK((output.persist->entries == std::vector<Entry>{entry(3, 5)}));
  CHECK(output.messages.empty());
  CHECK_EQ(answer_in(server.persisted()).match, LogIndex(3));
}

TEST_CASE("append entries 5: commit is at most the last entry that the append verified") {
  Server server(4, {1, 2, 2, 2});
  server.from(2, 5, append(2, 2, {}, 4));
  CHECK_EQ(server.core.commit(), LogIndex(2));
  const Output output = server.from(2, 5, append(2, 2, {entry(3, 5)}, 9));
  CHECK_EQ(server.core.commit(), LogIndex(3));
  CHECK_EQ(output.committed.size(), 1u);
}

TEST_CASE("candidates: a leader of the same term makes a follower of it") {
  Server server(1);
  while (server.core.role() == Role::kFollower) server.core.step(Tick{});
  server.from(2, 1, VoteReply{.pre_vote = true, .granted = true});
  CHECK(server.core.role() == Role::kCandidate);
  server.from(3, 2, append(0, 0));
  CHECK(server.core.role() == Role::kFollower);
  CHECK_EQ(server.core.leader(), member(3));
}

TEST_CASE("candidates: elections time out within one and two timeouts, differently") {
  std::set<int> waits;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Core core(Server::prepare({}), Server::state(1, {}), Random(seed));
    int ticks = 0;
    for (; core.role() == Role::kFollower; ++ticks) core.step(Tick{});
    CHECK_GE(ticks, 10);
    CHECK_LT(ticks, 20);
    waits.insert(ticks);
  }
  CHECK_GT(waits.size(), 5u);
}

TEST_CASE("leaders: a no-op begins the term, and only entries of the term commit by counting") {
  Server server(2, {1, 2});
  server.lead();
  CHECK((server.core.last() == LogPosition{LogIndex(3), Term(3)}));
  server.from(2, 3, AppendReply{.match = LogIndex(2)});
  CHECK_EQ(server.core.commit(), LogIndex(0));
  server.from(2, 3, AppendReply{.match = LogIndex(3)});
  CHECK_EQ(server.core.commit(), LogIndex(3));
}

TEST_CASE("leaders: the own copy counts only when it is durable") {
  Server server(1);
  server.lead();
  server.core.step(Propose{{{ProposalId(1), Buffer::copy("x")}}});
  server.from(2, 2, AppendReply{.match = LogIndex(2)});
  CHECK_EQ(server.core.commit(), LogIndex(1));
  server.persisted();
  CHECK_EQ(server.core.commit(), LogIndex(2));
}

TEST_CASE("a reply under a wrong store id counts for nothing") {
  Server server(1);
  server.lead();
  const Message stranger{{kGroup, member(2, 7), member(1), Term(2)},
                         AppendReply{.match = LogIndex(1)}};
  server.core.step(stranger);
  CHECK_EQ(server.core.commit(), LogIndex(0));

  Server candidate(1);
  while (candidate.core.role() == Role::kFollower) candidate.core.step(Tick{});
  candidate.core.step(Message{{kGroup, member(2, 7), member(1), Term(1)}, VoteReply{true, true}});
  CHECK(candidate.core.role() == Role::kPreCandidate);
}

TEST_CASE("a message to a wrong store id, or of another group, is ignored") {
  Server server(1, {1});
  server.core.step(Message{{kGroup, member(2), member(1, 7), Term(9)}, append(1, 1)});
  server.core.step(Message{{GroupId(2), member(2), member(1), Term(9)}, append(1, 1)});
  CHECK_EQ(server.core.term(), Term(1));
  CHECK_EQ(server.core.ignored_messages(), 2u);
}

TEST_CASE("a blank data directory neither votes nor campaigns, even when asked by its new name") {
  Core blank(Server::prepare({}), {}, Random(1));
  for (int i = 0; i < 100; ++i) CHECK(blank.step(Tick{}).messages.empty());
  const Envelope envelope{kGroup, member(2), member(1), Term(3)};
  CHECK_FALSE(vote_in(blank.step(Message{envelope, vote(9, 2)})).granted);
  CHECK_FALSE(vote_in(blank.step(Message{envelope, VoteRequest{.pre_vote = true}})).granted);
  blank.step(Message{envelope, append(0, 0)});
  CHECK(blank.step(Message{envelope, TimeoutNow{}}).messages.empty());
  CHECK(blank.role() == Role::kFollower);
}

TEST_CASE("a follower refuses proposals and reads, and names the leader") {
  Server server(1);
  server.from(2, 1, append(0, 0));
  const Output output = server.core.step(Propose{{{ProposalId(4), Buffer()}}});
  CHECK(output.refused.at(0).reason == Refusal::kNotLeader);
  CHECK_EQ(output.refused.at(0).leader, member(2));
  CHECK(server.core.step(ReadIndex{ReadId(5)}).refused_reads.at(0).leader == member(2));
}

TEST_CASE("proposals that are too large or too many are refused one by one") {
  Options options;
  options.uncommitted_bytes = 2 * limits::kMiB;
  Server server(1, {}, options);
  server.lead();
  const Buffer half = Buffer::copy(std::string(limits::kMiB - 100, 'x'));
  const Buffer large = Buffer::copy(std::string(limits::kProposalBytesMax + 1, 'x'));
  const Output output = server.core.step(Propose{{{ProposalId(1), half},
                                                  {ProposalId(2), large},
                                                  {ProposalId(3), half},
                                                  {ProposalId(4), half}}});
  REQUIRE_EQ(output.accepted.size(), 2u);
  REQUIRE_EQ(output.refused.size(), 2u);
  CHECK(output.refused[0].reason == Refusal::kTooLarge);
  CHECK(output.refused[1].reason == Refusal::kBusy);
  server.persisted();
  server.from(2, 2, AppendReply{.match = server.core.last().index});
  CHECK(server.core.step(Propose{{{ProposalId(4), half}}}).refused.empty());
}

TEST_CASE("waiting reads are bounded") {
  Server server(1);
  server.lead();
  uint64_t id = 0;
  Output output;
  while (output.refused_reads.empty()) output = server.core.step(ReadIndex{ReadId(++id)});
  CHECK_EQ(id, limits::kReadsWaitingMax + 1);
  CHECK(output.refused_reads[0].reason == Refusal::kBusy);
}

TEST_CASE("an acknowledgement beyond what the leader has is ignored") {
  Server server(1);
  server.lead();
  server.from(2, 2, AppendReply{.match = LogIndex(50)});
  CHECK_EQ(server.core.commit(), LogIndex(0));
  server.from(2, 2, AppendReply{.match = LogIndex(1), .read_round = ReadRound(9)});
  CHECK_EQ(server.core.commit(), LogIndex(0));
}

TEST_CASE("an image alone restarts the member as it was") {
  Server server(4, {1, 1, 2});
  server.from(2, 4, append(3, 2, {entry(4, 4)}, 3));
  server.core.step(Compact{server.core.snapshot_meta(LogIndex(2))});
  Replay replay;
  for (const std::string& record : encode_records(kGroup, server.core.image())) {
    CHECK(replay.add(decode_record(as_bytes(record))->body).has_value());
  }
  const Core again(Server::prepare({}), *std::move(replay).take(), Random(1));
  CHECK((again.hard_state() == server.core.hard_state()));
  CHECK((again.last() == server.core.last()));
  CHECK((again.log().snapshot() == server.core.log().snapshot()));
  CHECK_EQ(again.log().first_index(), LogIndex(3));
}

TEST_CASE("a compaction makes no entry durable: what a crash would forget is not acknowledged") {
  Server server(1);
  server.from(2, 1, append(0, 0, {entry(1, 1), entry(2, 1)}, 2));  // not on this disk yet
  CHECK_EQ(server.core.step(Compact{server.core.snapshot_meta(LogIndex(2))}).messages.size(), 0u);
  CHECK_EQ(answer_in(server.from(2, 1, append(2, 1, {}, 2))).match, LogIndex(0));
  CHECK_EQ(answer_in(server.persisted()).match, LogIndex(2));
}

// --- Messages that no correct member sends ---

uint64_t odd_number(Random& random) {
  const uint64_t edge[] = {UINT64_MAX, UINT64_MAX - 1, uint64_t{1} << 56, 0};
  return random.chance(1, 8) ? edge[random.below(4)] : random.below(7);
}

LogPosition odd_position(Random& random) {
  return {LogIndex(odd_number(random)), Term(odd_number(random))};
}

AppendRequest odd_append(Random& random) {
  AppendRequest request{.previous = odd_position(random),
                        .commit = LogIndex(odd_number(random)),
                        .read_round = ReadRound(odd_number(random))};
  LogIndex index = request.previous.index;
  for (uint64_t n = random.below(5); n > 0; --n) {
    index = random.chance(1, 9) ? LogIndex(odd_number(random)) : index.next();
    Entry item = entry(index.value, odd_number(random));
    if (random.chance(1, 9)) item.kind = EntryKind::kConfiguration;
    if (random.chance(1, 9)) {
      item.kind = EntryKind::kConfiguration;
      item.payload = Buffer::take(encode_configuration(voters(random.chance(1, 2) ? 2 : 4)));
    }
    request.entries.push_back(std::move(item));
  }
  return request;
}

Body odd_body(Random& random) {
  const bool a = random.chance(1, 2), b = random.chance(1, 2);
  switch (random.below(5)) {
    case 0: return VoteRequest{a, b, odd_position(random)};
    case 1: return VoteReply{a, b};
    case 2: return odd_append(random);
    case 3: {
      AppendReply reply{LogIndex(odd_number(random)), ReadRound(odd_number(random)), {}};
      if (a) reply.rejection = {LogIndex(odd_number(random)), odd_position(random)};
      return reply;
    }
    default: return TimeoutNow{};
  }
}

Input odd_input(Random& random, const Core& core) {
  const Envelope envelope{kGroup, member(static_cast<uint32_t>(2 + random.below(3))), core.self(),
                          Term(random.chance(1, 2) ? core.term().value : odd_number(random))};
  switch (random.below(13)) {
    case 0: return Propose{{{ProposalId(1), Buffer::copy("y")}}};
    case 1: return ReadIndex{ReadId(1)};
    case 2: return Persisted{core.persist_issued()};
    case 3: return SnapshotReceived{{envelope, {odd_position(random), voters(3)}}};
    case 4: return SnapshotSent{member(2), random.chance(1, 2)};
    case 5: return Compact{core.snapshot_meta(core.log().handed_out())};
    case 6:
    case 7: return Tick{};
    case 8: {
      Membership wanted;
      for (uint32_t node = 1; node <= 4; ++node) {
        if (random.chance(1, 2)) wanted.voters.push_back(member(node));
        if (random.chance(1, 4)) wanted.learners.push_back(member(node));
      }
      return ChangeMembership{ProposalId(1), std::move(wanted)};
    }
    default: return Message{envelope, odd_body(random)};
  }
}

TEST_CASE("whatever arrives, a core neither crashes nor goes back") {
  CHECK(rc::check([](uint64_t seed) {
    Random random(seed);
    Options options;
    options.election_ticks = 3;
    options.tail_entries = random.below(3);
    Server server(2, {1, 1, 2}, options);
    for (int i = 0; i < 300; ++i) {
      const HardState before = server.core.hard_state();
      const LogIndex commit = server.core.commit();
      server.core.step(odd_input(random, server.core));
      RC_ASSERT(server.core.term() >= before.term);
      RC_ASSERT(server.core.commit() >= commit);
      const bool same_term = server.core.term() == before.term;
      if (same_term && before.voted_for) {
        RC_ASSERT(server.core.hard_state().voted_for == before.voted_for);
      }
    }
  }));
}

}  // namespace
}  // namespace dogfs::raft
