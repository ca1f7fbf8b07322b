// What a RaftHost owes those who wait for it, on one server whose peers are faked by a script.
#include <optional>

#include "core/env/deadline.h"
#include "core/env/nursery.h"
#include "nodes/metadata/raft_server.h"
#include "sim/world/disk_model.h"
#include "sim/world/host.h"
#include "sim/world/world.h"

#include "tests/replicated_map/map_node.h"

#include "tests/doctest.h"

namespace dogfs::nodes {
namespace {

constexpr raft::Member kSelf{NodeId(1), StoreId(101)};
constexpr raft::Member kOther{NodeId(2), StoreId(102)};
constexpr raft::Member kThird{NodeId(3), StoreId(103)};

struct Server {
  explicit Server(Env& e) : env(e) {}
  RaftHost& host() { return raft->host(); }
  raft::Envelope envelope(Term term) const { return {kRootGroup, kOther, kSelf, term}; }

  Env& env;
  sim::DiskModel* disk = nullptr;
  MapState state;
  std::unique_ptr<RaftServer> raft;
  std::optional<Error> ended;
};

using Script = Task<> (*)(Server&, Nursery&);

Task<> run_raft(Server& server) {
  const auto ended = co_await server.raft->run();
  if (!ended) server.ended = ended.error();
}

Task<> drive(Server& server, Nursery& children, Script script) {
  children.spawn(run_raft(server));
  co_await server.env.sleep(10ms);
  co_await script(server, children);
}

Task<> server_main(Env& env, sim::Host& machine, Script script, bool& finished) {
  Server server(env);
  server.disk = &machine.disk_model();
  RaftServerOptions options;
  options.snapshot_after_bytes = 1;
  options.node = kSelf.node;
  options.cluster = ClusterId(3);
  options.bootstrap = Bootstrap{kSelf.store, {kSelf, kOther, kThird}};
  auto opened = co_await RaftServer::open(env, options, server.state);
  REQUIRE(opened.has_value());
  server.raft = std::move(*opened);
  co_await nursery(env, [&](Nursery& children) { return drive(server, children, script); });
  finished = true;
}

void play(Script script) {
  sim::World world(3);
  sim::Host& host = world.add_host("meta-1", {});
  bool finished = false;
  host.set_main([&](Env& env) { return server_main(env, host, script, finished); });
  host.boot();
  world.run_for(60s);
  CHECK(finished);
}

// The other server grants whatever it is asked for.
Task<> elect(Server& server) {
  const raft::Core& core = server.host().core();
  while (core.role() != raft::Role::kLeader) {
    const bool pre_vote = core.role() == raft::Role::kPreCandidate;
    if (pre_vote || core.role() == raft::Role::kCandidate)
      server.host().receive(
          {server.envelope(core.term()), raft::VoteReply{.pre_vote = pre_vote, .granted = true}});
    co_await server.env.sleep(5ms);
  }
}

struct Waiting {
  std::optional<Result<Committed>> outcome;
};

Task<> propose(Server& server, Waiting& waiting) {
  waiting.outcome = co_await server.host().propose(Buffer::copy("key value"));
}

Task<> overwritten(Server& server, Nursery& children) {
  Waiting first;
  Waiting second;
  Waiting third;
  co_await elect(server);
  const raft::Core& core = server.host().core();
  const LogIndex noop = core.last().index;
  children.spawn(propose(server, first));
  children.spawn(propose(server, second));
  co_await server.env.sleep(5ms);
  REQUIRE_EQ(core.last().index.value, noop.value + 2);

  // Another leader cuts the log; what it put there is not committed when this one leads again.
  const Term term = core.term().next();
  server.host().receive(
      {server.envelope(term),
       raft::AppendRequest{.entries = {raft::Entry{.index = noop, .term = term}}}});
  co_await elect(server);
  children.spawn(propose(server, third));
  co_await server.env.sleep(50ms);
  for (const auto* waiting : {&first, &second}) {
    REQUIRE(waiting->outcome.has_value());
    CHECK_EQ(waiting->outcome->error().code, Code::kUnknown);
  }
  CHECK(!third.outcome.has_value());
}

TEST_CASE("a proposal whose index is given out again has an outcome: unknown") {
  play(overwritten);
}

// A snapshot is written and named by the log while one term follows the other.
Task<> compact_in_a_storm(Server& server, Nursery&) {
  co_await elect(server);
  const raft::Core& core = server.host().core();
  server.host().receive(
      {server.envelope(core.term()), raft::AppendReply{.match = core.last().index}});
  for (int i = 0; i < 200; ++i) {
    server.host().receive({server.envelope(core.term().next()), raft::AppendReply{}});
    co_await server.env.sleep(50us);
  }
  co_await server.env.sleep(100ms);
  CHECK(core.log().snapshot().last.index.value > 0);
}

Task<> nothing(Server&, Nursery&) { co_return; }

TEST_CASE("the log can be read back after a compaction during elections") {
  sim::World world(3);
  sim::Host& host = world.add_host("meta-1", {});
  for (const Script script : {&compact_in_a_storm, &nothing}) {
    bool finished = false;
    host.set_main([&](Env& env) { return server_main(env, host, script, finished); });
    host.boot();
    world.run_for(60s);
    CHECK(finished);
    host.crash();
  }
}

Task<> cancelled_piece(Server& server, Nursery&) {
  const raft::SnapshotOffer offer{server.envelope(Term(9)),
                                  {{LogIndex(50), Term(8)}, {{kSelf, kOther, kThird}, {}, {}}}};
  const RaftPeers::Piece piece{
      .offer = offer, .file_bytes = 2, .offset = 0, .bytes = Buffer::copy("a")};
  auto cut = co_await within(server.env, 100us, server.host().receive_snapshot_piece(piece));
  REQUIRE(!cut.has_value());
  CHECK_EQ(cut.error().code, Code::kDeadline);
  co_await server.env.sleep(1s);
  auto next = co_await server.host().receive_snapshot_piece(piece);
  REQUIRE_MESSAGE(next.has_value(), next.error().message);
  CHECK_EQ(*next, 1);
}

TEST_CASE("a snapshot goes on after the call that brought a piece was cancelled") {
  play(cancelled_piece);
}

// The disk operation after so many fails, while a snapshot is received.
template <uint64_t n>
Task<> failing_piece(Server& server, Nursery&) {
  const raft::SnapshotOffer offer{server.envelope(Term(9)),
                                  {{LogIndex(50), Term(8)}, {{kSelf, kOther, kThird}, {}, {}}}};
  server.disk->fail_nth(n);
  const auto next = co_await server.host().receive_snapshot_piece(
      {.offer = offer, .file_bytes = 1, .offset = 0, .bytes = Buffer::copy("a")});
  co_await server.env.sleep(1s);
  REQUIRE(!next.has_value());
  CAPTURE(n);
  if (n == 3 || n == 5) CHECK_EQ(next.error().code, Code::kIo);
  CHECK_EQ(server.ended.has_value(), next.error().is(Code::kIo));
}

TEST_CASE("a server whose disk fails to take a leader's snapshot stops") {
  play(failing_piece<1>);
  play(failing_piece<2>);
  play(failing_piece<3>);
  play(failing_piece<4>);
  play(failing_piece<5>);
  play(failing_piece<6>);
  play(failing_piece<7>);
  play(failing_piece<8>);
  play(failing_piece<9>);
  play(failing_piece<100>);  // what arrives is no state: that is the sender's fault
}

Task<> foreign_piece(Server& server, Nursery&) {
  RaftPeers::Piece piece;
  piece.offer = {server.envelope(Term(9)), {{LogIndex(50), Term(8)}, {}}};
  piece.offer.envelope.to.store = StoreId(999);
  piece.file_bytes = 1;
  piece.bytes = Buffer::copy("a");
  auto next = co_await server.host().receive_snapshot_piece(piece);
  REQUIRE(!next.has_value());
  CHECK_EQ(next.error().code, Code::kPrecondition);
}

TEST_CASE("a snapshot for an earlier life of the data directory is refused") {
  play(foreign_piece);
}

}  // namespace
}  // namespace dogfs::nodes
