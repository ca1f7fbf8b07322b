#include "sim/check/shadow_replica.h"

#include <charconv>

#include "core/base/limits.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

using metadata::Command;

Command command(metadata::Operation operation, ClientId client = {}, uint64_t request = 0) {
  return {.client = client,
          .request = RequestId(request),
          .acknowledged_below = {},
          .wall = {},
          .operation = std::move(operation)};
}

// A cluster of one replica that commits these commands, from index 2 on, after a no-op.
struct Committed {
  std::vector<Command> commands;
  metadata::StateMachine replica;
  Violations violations;
  RaftSafety raft{violations};
  raft::Member member{NodeId(1), StoreId(1)};

  Committed() {
    commit(raft::EntryKind::kNoop, {});
    replica.skip(LogIndex(1));
    report();
  }
  metadata::Response add(Command added) {
    commit(raft::EntryKind::kNormal, fmt::format("{}", commands.size()));
    auto response = replica.apply(LogIndex(raft.ledger().size()), added);
    commands.push_back(std::move(added));
    report();
    return response;
  }
  void commit(raft::EntryKind kind, std::string payload) {
    raft.committed(member, {.index = LogIndex(raft.ledger().size() + 1),
                            .term = Term(1),
                            .kind = kind,
                            .payload = Buffer::copy(payload)});
  }
  void report() { raft.applied(member, LogIndex(raft.ledger().size()), replica.digest()); }

  ShadowReplica shadow() {
    const auto decode = [this](const raft::Entry& entry) -> Result<Command> {
      size_t number = 0;
      const auto text = entry.payload.text();
      std::from_chars(text.data(), text.data() + text.size(), number);
      if (number >= commands.size()) return fail(Code::kCorrupt, "no command");
      return commands[number];
    };
    ShadowReplica shadow(raft, decode, violations);
    shadow.finish();
    return shadow;
  }
};

ClientId form_cluster(Committed& committed) {
  CHECK(committed.add(command(metadata::CreateCluster{.cluster = ClusterId(7),
                                                      .policy = *placement::Policy::parse("rep-1"),
                                                      .block_bytes = limits::kBlockBytesMin,
                                                      .cell_bytes = 4096})));
  const auto response = committed.add(command(metadata::RegisterClient{}));
  REQUIRE(response);
  return std::get<metadata::ClientRegistered>(*response).client;
}

TEST_CASE("a replica that applied the log as it stands agrees with its shadow") {
  Committed committed;
  const ClientId client = form_cluster(committed);
  CHECK(committed.add(command(metadata::MakeDirectory{.path = "/d"}, client, 1)));
  const auto shadow = committed.shadow();
  CHECK(committed.violations.empty());
  CHECK_EQ(shadow.commands().size(), 3);
  CHECK_EQ(shadow.commands().back().position, LogIndex(4));
  CHECK(shadow.commands().back().response.has_value());
  CHECK(shadow.state().stat("/d").has_value());
}

TEST_CASE("a replica whose state is not what the log gives is seen") {
  Committed committed;
  form_cluster(committed);
  committed.commit(raft::EntryKind::kNormal, "1");  // applied by the shadow, not by the replica
  committed.report();
  committed.shadow();
  CHECK_EQ(committed.violations.count(Oracle::kStateDigest), 1);
}

TEST_CASE("an entry that is no command, and a hole in the ledger, are seen") {
  Committed committed;
  form_cluster(committed);
  committed.commit(raft::EntryKind::kNormal, "99");
  committed.shadow();
  CHECK_EQ(committed.violations.count(Oracle::kCommittedLedger), 1);

  Committed hollow;
  hollow.raft.committed(hollow.member, {.index = LogIndex(5), .term = Term(1), .payload = {}});
  hollow.shadow();
  CHECK_EQ(hollow.violations.count(Oracle::kCommittedLedger), 1);
}

}  // namespace
}  // namespace dogfs::sim
