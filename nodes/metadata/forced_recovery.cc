#include "nodes/metadata/forced_recovery.h"

#include <algorithm>

#include "core/env/disk.h"
#include "core/env/nursery.h"
#include "core/namespace/commands.h"
#include "core/proto/namespace_codec.h"
#include "core/raft/log.h"
#include "core/raft/record.h"
#include "core/wal/wal.h"
#include "nodes/data_directory.h"
#include "nodes/metadata/raft_server.h"

namespace dogfs::nodes {
namespace {

struct Opened {
  Survivor survivor;
  std::unique_ptr<wal::Wal> wal;
};

Task<Result<Opened>> open_survivor(Env& env) {
  CO_TRY(identity, co_await known_identity(env));
  const auto files = co_await env.disk().list(kWalDirectory);
  if (!identity || !files || files->empty())  // opening it would make one
    co_return fail(Code::kNotFound, "this is not the data directory of a metadata server");
  raft::Replay replay;
  const auto add = [&replay](const wal::Record& logged) -> Result<void> {
    TRY(record, raft::decode_record(logged.payload.view()));
    return replay.add(record.body);
  };
  const wal::Options options{
      .directory = kWalDirectory, .cluster = identity->cluster, .store = identity->store};
  Opened opened;
  CO_TRY(wal, co_await wal::Wal::open(env, options, add));
  opened.wal = std::move(wal);
  CO_TRY(recovered, std::move(replay).take());
  Survivor& survivor = opened.survivor;
  survivor.cluster = identity->cluster;
  survivor.self = {identity->node, identity->store};
  survivor.hard_state = recovered.hard_state;
  survivor.snapshot = recovered.snapshot;
  const raft::Log log(std::move(recovered));
  survivor.last = log.last();
  survivor.configuration = log.configuration();
  if (!survivor.configuration.contains(survivor.self))
    co_return fail(Code::kPrecondition,
                   "the server of this directory is no member of its group, as far as it knows: "
                   "recover from another");
  co_return opened;
}

// An election that it wins by itself, the new membership in force at once, and the command that
// raises the incarnation. They are committed when the server starts, with all before them.
raft::PersistRequest new_beginning(const Survivor& survivor) {
  const Term term = survivor.hard_state.term.next();
  metadata::Command raise;
  raise.operation = metadata::RaiseIncarnation{};
  const LogIndex index = survivor.last.index.next();
  const raft::Configuration alone{{survivor.self}};
  return {.hard_state = raft::HardState{term, survivor.self},
          .entries = {{index, term, raft::EntryKind::kConfiguration,
                       Buffer::take(raft::encode_configuration(alone))},
                      {index.next(), term, raft::EntryKind::kNormal,
                       Buffer::take(proto::encode_command(raise))}}};
}

Task<> write(Nursery& children, Opened& opened, Result<void>& written) {
  children.spawn(opened.wal->run());
  auto ticket = opened.wal->append(
      kRootGroup, raft::encode_records(kRootGroup, new_beginning(opened.survivor)));
  if (!ticket)
    written = fail(ticket.error());
  else
    written = co_await opened.wal->durable(*ticket);
}

}  // namespace

Task<Result<Survivor>> inspect_survivor(Env& env) {
  CO_TRY(opened, co_await open_survivor(env));
  co_return opened.survivor;
}

Task<Result<Survivor>> recover_from(Env& env) {
  CO_TRY(opened, co_await open_survivor(env));
  Result<void> written;
  co_await nursery(env, [&](Nursery& children) { return write(children, opened, written); });
  if (!written) co_return fail(written.error());
  co_return opened.survivor;
}

std::vector<std::string> describe(const Survivor& survivor) {
  std::vector<std::string> lost;
  for (const auto& member : survivor.configuration.members())
    if (member != survivor.self && survivor.configuration.is_voter(member))
      lost.push_back(fmt::format("node {} with store {:016x}", member.node, member.store.value));
  return {
      fmt::format("cluster {:016x}, node {} with store {:016x}: its log ends with entry {} of term "
                  "{}, its snapshot holds all up to entry {}",
                  survivor.cluster.value, survivor.self.node, survivor.self.store.value,
                  survivor.last.index, survivor.last.term, survivor.snapshot.last.index),
      fmt::format("given up, and never to be started again with their directories: {}",
                  lost.empty() ? "nobody" : fmt::format("{}", fmt::join(lost, ", "))),
      fmt::format("lost: whatever they acknowledged after entry {}, which this server never got",
                  survivor.last.index),
      "kept: all entries of this log, also such as had not been acknowledged to anybody",
      "the incarnation is raised: no id given out after this was ever given out before",
      fmt::format("then: a group of node {} alone; start it, and let others join with blank "
                  "directories",
                  survivor.self.node)};
}

}  // namespace dogfs::nodes
