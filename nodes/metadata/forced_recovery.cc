#include "nodes/metadata/forced_recovery.h"

#include <algorithm>

#include "core/env/disk.h"
#include "core/env/nursery.h"
#include "core/namespace/commands.h"
#include "core/proto/namespace_codec.h"
#include "core/raft/log.h"
#include "core/raft/record.h"
#include "core/wal/snapshot_file.h"
#include "core/wal/wal.h"
#include "nodes/data_directory.h"
#include "nodes/metadata/raft_server.h"

namespace dogfs::nodes {
namespace {

wal::Options log_of(const chunk::StoreIdentity& identity) {
  return {.directory = kWalDirectory, .cluster = identity.cluster, .store = identity.store};
}

// The log begins after it: without it, the log is worth nothing.
Task<Result<void>> check_snapshot(Env& env, Survivor survivor) {
  const raft::SnapshotMeta meta = survivor.snapshot;
  if (!meta.last.index) co_return Result<void>();
  const wal::SnapshotPlace place{kSnapshotDirectory, survivor.cluster, survivor.self.store,
                                 kRootGroup};
  CO_TRY(file, co_await wal::SnapshotFile::open(env, place, meta.last.index));
  CO_TRY(head, raft::decode_snapshot_meta(as_bytes(file->head())));
  if (head != meta)
    co_return fail(Code::kCorrupt, "the snapshot at {} is not the one that the log names",
                   meta.last.index);
  co_return co_await file->verify();
}

Task<Result<Survivor>> read_survivor(Env& env, chunk::StoreIdentity identity) {
  raft::Replay replay;
  const auto add = [&replay](const wal::Record& logged) -> Result<void> {
    TRY(record, raft::decode_record(logged.payload.view()));
    return replay.add(record.body);
  };
  CO_TRY_VOID(co_await wal::inspect(env, log_of(identity), add));
  CO_TRY(recovered, std::move(replay).take());
  Survivor survivor;
  survivor.cluster = identity.cluster;
  survivor.self = {identity.node, identity.store};
  survivor.hard_state = recovered.hard_state;
  survivor.snapshot = recovered.snapshot;
  const raft::Log log(std::move(recovered));
  survivor.last = log.last();
  survivor.configuration = log.configuration();
  if (!survivor.configuration.contains(survivor.self))
    co_return fail(Code::kPrecondition,
                   "the server of this directory is no member of its group, as far as it knows: "
                   "recover from another");
  if (auto sound = co_await check_snapshot(env, survivor); !sound)
    co_return fail(Code::kCorrupt, "the snapshot that its log stands on: {}", sound.error());
  co_return survivor;
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

Task<> write(Nursery& children, wal::Wal& log, raft::PersistRequest request,
             Result<void>& written) {
  children.spawn(log.run());
  auto ticket = log.append(kRootGroup, raft::encode_records(kRootGroup, request));
  if (!ticket)
    written = fail(ticket.error());
  else
    written = co_await log.durable(*ticket);
}

}  // namespace

Task<Result<Survivor>> inspect_survivor(Env& env) {
  CO_TRY(identity, co_await known_identity(env));
  const auto files = co_await env.disk().list(kWalDirectory);
  if (!identity || !files || files->empty())
    co_return fail(Code::kNotFound, "this is not the data directory of a metadata server");
  co_return co_await read_survivor(env, *identity);
}

Task<Result<Survivor>> recover_from(Env& env) {
  CO_TRY(survivor, co_await inspect_survivor(env));
  const auto read_already = [](const wal::Record&) { return Result<void>(); };
  const chunk::StoreIdentity identity{survivor.cluster, survivor.self.node, survivor.self.store};
  CO_TRY(log, co_await wal::Wal::open(env, log_of(identity), read_already));
  Result<void> written;
  co_await nursery(env, [&](Nursery& children) {
    return write(children, *log, new_beginning(survivor), written);
  });
  if (!written) co_return fail(written.error());
  co_return survivor;
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
