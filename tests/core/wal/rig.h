#pragma once
// Lives of a node with a log, on a simulated host: each opens the log, checks what it finds against
// the ledger of all that was ever promised, and has several groups append until it is stopped or
// done. The ledger outlives them.

#include <map>
#include <string>
#include <vector>

#include "core/env/nursery.h"
#include "core/wal/wal.h"
#include "sim/world/disk_image.h"
#include "sim/world/host.h"
#include "sim/world/world.h"

namespace dogfs::wal {

// What the log was asked to hold, and what it must hold.
struct Ledger {
  struct Entry {
    GroupId group;
    std::string payload;
    bool promised = false;
  };
  std::map<Lsn, Entry> entries;  // by LSN as given last
  std::map<GroupId, Lsn> released;
  std::map<Lsn, Entry> found;  // by the latest opening
  std::optional<Error> open_error;
  std::string complaint;  // the first broken promise
  int refusals = 0;
  int failures = 0;

  void take(const Wal::Ticket& ticket, GroupId group, const std::vector<std::string>& records) {
    for (size_t i = 0; i < records.size(); ++i)
      entries[Lsn(ticket.first().value + i)] = {group, records[i]};
  }
  void promise(const Wal::Ticket& ticket) {
    for (Lsn lsn = ticket.first(); lsn <= ticket.last(); lsn = lsn.next())
      entries.at(lsn).promised = true;
  }
  void complain(std::string text) {
    if (complaint.empty()) complaint = std::move(text);
  }
  // All promised is found, nothing is invented; what is found is now promised.
  void check_found() {
    for (const auto& [lsn, entry] : entries)
      if (entry.promised && lsn >= released[entry.group] && !found.contains(lsn))
        complain(fmt::format("LSN {} of group {} was promised and is gone", lsn, entry.group));
    for (const auto& [lsn, entry] : found) {
      const auto asked = entries.find(lsn);
      if (asked == entries.end() || asked->second.group != entry.group ||
          asked->second.payload != entry.payload)
        complain(fmt::format("LSN {} holds what nobody wrote there", lsn));
    }
    for (const auto& [lsn, entry] : found) entries[lsn].promised = true;
  }
};

struct Rig {
  explicit Rig(uint64_t seed, uint64_t reserve = 0)
      : world(seed), random(world.random("rig")), reserve_bytes(reserve) {}

  Options options(uint64_t segment_bytes = 2048) const {
    return {"log", ClusterId(1), StoreId(2), segment_bytes, reserve_bytes};
  }
  // One life, until its main returns or the host stops.
  void live(sim::Host::Main main) {
    host.set_main(std::move(main));
    host.boot();
    world.run();
  }
  void end_life(bool power) { power ? host.power_off() : host.crash(); }

  sim::World world;
  sim::Host& host = world.add_host("host", {});
  Random random;
  const uint64_t reserve_bytes;
  Ledger ledger;
};

// Half of the logs have a reserve.
inline uint64_t reserve_of(uint64_t seed) { return seed % 2 * 4096; }

inline Result<void> note(Ledger& ledger, Lsn& previous, const Record& record) {
  if (record.lsn <= previous) ledger.complain("records out of order");
  previous = record.lsn;
  ledger.found[record.lsn] = {record.group, std::string(record.payload.text())};
  return {};
}

inline Task<Result<std::unique_ptr<Wal>>> open_log(Env& env, Options options, Ledger& ledger) {
  ledger.found.clear();
  Lsn previous;
  auto wal = co_await Wal::open(
      env, options, [&](const Record& record) { return note(ledger, previous, record); });
  ledger.open_error = wal ? std::nullopt : std::optional(wal.error());
  if (wal) ledger.check_found();
  co_return wal;
}

inline std::vector<std::string> draw_records(Random& random) {
  std::vector<std::string> records;
  for (uint64_t count = random.between(1, 3); count > 0; --count)
    records.emplace_back(random.below(300), static_cast<char>('a' + random.below(26)));
  return records;
}

// Appends, waits, and now and then lets go of old records. Tries again when the disk is full.
inline Task<> group_writer(Env& env, Wal& wal, Ledger& ledger, GroupId group, int rounds) {
  for (int round = 0; round < rounds;) {
    const auto records = draw_records(env.random());
    const auto ticket = wal.append(group, records);
    if (!ticket) co_return void(++ledger.failures);
    ledger.take(*ticket, group, records);
    const auto durable = co_await wal.durable(*ticket);
    if (durable) {
      ledger.promise(*ticket);
      ++round;
      if (round % 3 == 0) {
        ledger.released[group] = ticket->first();
        wal.release(group, ticket->first());
      }
      continue;
    }
    if (!durable.error().is(Code::kNoSpace)) co_return void(++ledger.failures);
    ++ledger.refusals;
    co_await env.sleep(2ms);
  }
}

inline Task<> writers(Env& env, Nursery& children, Wal& wal, Ledger& ledger, int rounds) {
  children.spawn(wal.run());
  co_await nursery(env, [&](Nursery& groups) -> Task<> {
    for (uint32_t group = 1; group <= 3; ++group)
      groups.spawn(group_writer(env, wal, ledger, GroupId(group), rounds));
    return groups.join();
  });
  // Something to keep: an idle log still writes its marker.
  co_await env.sleep(5ms);
}

inline Task<> life(Env& env, Options options, Ledger& ledger, int rounds) {
  auto wal = co_await open_log(env, options, ledger);
  if (!wal) co_return;
  co_await nursery(
      env, [&](Nursery& children) { return writers(env, children, **wal, ledger, rounds); });
}

}  // namespace dogfs::wal
