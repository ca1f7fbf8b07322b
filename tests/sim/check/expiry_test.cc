#include "sim/check/expiry.h"

#include "core/base/limits.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

constexpr ExpiryRules kRules{.session_silence = 10s, .lease_silence = 4s, .drift_ppm_max = 1000};
constexpr ClientId kClient{7};
constexpr metadata::FileHandle kFile{.home = InodeId(1), .file = InodeId(2)};

struct Forged {
  ExpiryJudge judge;
  std::vector<std::optional<raft::Entry>> ledger;
  std::vector<CommittedCommand> commands;
  Violations violations;

  void elect(uint64_t term, Duration when) { judge.elected(Term(term), Instant(when)); }
  void commit(uint64_t term, Duration when, metadata::Operation operation, ClientId client = {}) {
    const LogIndex index(ledger.size() + 1);
    ledger.push_back(raft::Entry{.index = index, .term = Term(term), .payload = {}});
    judge.appended({index, Term(term)}, Instant(when));
    commands.push_back(
        {index, {.client = client, .operation = std::move(operation)}, metadata::Done{}});
  }
  uint64_t breaches() {
    judge.judge(ledger, commands, kRules, violations);
    return violations.count(Oracle::kExpiry);
  }
};

metadata::Operation end_session() { return metadata::ExpireSession{kClient, Epoch(1)}; }
metadata::Operation end_lease() { return metadata::ExpireLease{kFile, Epoch(1)}; }
metadata::Operation sign() { return metadata::MakeDirectory{.path = "/d"}; }
metadata::Operation renewal() { return metadata::RenewLease{kFile, Epoch(1)}; }

TEST_CASE("a session that was silent for its time may be ended, not before") {
  for (const auto& [when, breaches] : {std::pair{12s, 0}, {11s, 1}}) {
    Forged forged;
    forged.elect(1, 0s);
    forged.commit(1, 2s, sign(), kClient);
    forged.commit(1, when, end_session());
    CHECK_EQ(forged.breaches(), breaches);
    CHECK_EQ(forged.judge.sessions_ended(), 1);
  }
}

TEST_CASE("each renewal of a lease counts, and a clock may be as fast as it may drift") {
  for (const auto& [when, breaches] :
       {std::pair<Duration, int>{8s, 0}, {8s - 4ms, 0}, {8s - 20ms, 1}}) {
    Forged forged;
    forged.elect(1, 0s);
    forged.commit(1, 1s, renewal(), kClient);
    forged.commit(1, 4s, renewal(), kClient);
    forged.commit(1, when, end_lease());
    CHECK_EQ(forged.breaches(), breaches);
    CHECK_EQ(forged.judge.leases_ended(), 1);
  }
}

TEST_CASE("a new leader counts from its election, not from what it never heard") {
  for (const auto& [when, breaches] : {std::pair{15s, 0}, {14s, 1}}) {
    Forged forged;
    forged.elect(1, 0s);
    forged.commit(1, 1s, sign(), kClient);
    forged.elect(2, 5s);
    forged.commit(2, when, end_session());
    CHECK_EQ(forged.breaches(), breaches);
  }
}

TEST_CASE("a start that is repeated is no sign of life of its upload") {
  Forged forged;
  forged.elect(1, 0s);
  for (const Duration when : {1s, 5s}) {
    forged.commit(1, when, metadata::StartUpload{.path = "/f", .policy = {}}, kClient);
    metadata::UploadStarted started;
    started.file = kFile;
    forged.commands.back().response = started;
  }
  forged.commit(1, 6s, end_lease());
  CHECK_EQ(forged.breaches(), 0);
}

TEST_CASE("an end that was refused harmed nobody") {
  Forged forged;
  forged.elect(1, 0s);
  forged.commit(1, 1s, sign(), kClient);
  forged.commit(1, 2s, end_session());
  forged.commands.back().response = fail(Code::kPrecondition, "another epoch");
  CHECK_EQ(forged.breaches(), 0);
  CHECK_EQ(forged.judge.sessions_ended(), 0);
}

TEST_CASE("an upload or a session that is silent for long must be ended") {
  metadata::StateMachine state;
  uint64_t index = 0;
  const auto apply = [&](metadata::Operation operation, ClientId client) {
    metadata::Command command;
    command.client = client;
    command.request = RequestId(client ? 1 : 0);
    command.operation = std::move(operation);
    return state.apply(LogIndex(++index), command);
  };
  metadata::CreateCluster create;
  create.cluster = ClusterId(7);
  create.policy = *placement::Policy::parse("rep-1");
  create.block_bytes = limits::kMiB;
  create.cell_bytes = 4096;
  REQUIRE(apply(create, {}));
  metadata::RegisterNode server;
  server.node = NodeId(1);
  server.kind = placement::NodeKind::kChunk;
  server.name = "chunk-1";
  server.store = StoreId(9);
  server.address = "chunk-1:7002";
  server.disks = 1;
  server.capacity_bytes = limits::kGiB;
  REQUIRE(apply(server, {}));
  const auto opened = apply(metadata::RegisterClient{}, {});
  REQUIRE(opened);
  const ClientId client = std::get<metadata::ClientRegistered>(*opened).client;
  REQUIRE(apply(metadata::StartUpload{.path = "/f", .policy = {}}, client));

  ExpiryJudge judge;
  judge.elected(Term(1), Instant(1s));
  Violations violations;
  judge.judge_overdue(state, kRules, Instant(20s), violations);
  CHECK(violations.empty());
  judge.judge_overdue(state, kRules, Instant(21s), violations);
  CHECK_EQ(violations.count(Oracle::kExpiry), 1);
  judge.judge_overdue(state, kRules, Instant(27s), violations);
  CHECK_EQ(violations.count(Oracle::kExpiry), 3);  // and the session of its writer
}

}  // namespace
}  // namespace dogfs::sim
