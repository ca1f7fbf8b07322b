#pragma once
// The log records of Raft: canonical bytes (core/base/coding.h; drawn in README.md) for what a
// PersistRequest makes durable, and Replay, which turns the records of one group back into what a
// Core is constructed from. Framing, checksums and torn tails are the write-ahead log's affair
// (core/wal); what reaches decode_record() passed its checksum, and is validated all the same.
//
// Every record begins with a format version and names its group: one log serves many groups.

#include <string>
#include <variant>
#include <vector>

#include "core/base/error.h"
#include "core/raft/output.h"
#include "core/raft/types.h"

namespace dogfs::raft {

inline constexpr uint8_t kRecordVersion = 2;

using RecordBody = std::variant<HardState, SnapshotMeta, std::vector<Entry>>;

struct Record {
  GroupId group;
  RecordBody body;

  bool operator==(const Record&) const = default;
};

std::string encode_record(const Record& record);
// kCorrupt for bytes that encode_record cannot have made, kUnsupported for a newer version.
Result<Record> decode_record(ByteView bytes);

// The records of one request, in the order they must be written, each at most
// limits::kWalRecordBytesMax long. Any prefix of them is a state that Raft can restart from.
std::vector<std::string> encode_records(GroupId group, const PersistRequest& request);

// The payload of a configuration entry; also part of snapshot records and files.
std::string encode_configuration(const Configuration& configuration);
Result<Configuration> decode_configuration(ByteView bytes);

// For the head of a snapshot file.
std::string encode_snapshot_meta(const SnapshotMeta& snapshot);
Result<SnapshotMeta> decode_snapshot_meta(ByteView bytes);

// Reads one group's records back, oldest first. A log may have lost its oldest records once a hard
// state and a snapshot record written later stand for them: what it still has from before those may
// begin at any entry, and in the end it reaches the snapshot's: what a leader's snapshot took the
// place of goes, and anything else that does not reach it has lost what stood between.
class Replay {
 public:
  // kCorrupt when the record cannot follow those before it (a gap, a term that goes backwards, a
  // second vote): the log is damaged, and this member must not vote with it.
  Result<> add(const RecordBody& body);
  // kCorrupt: entries are missing between the snapshot and those that are there.
  Result<Recovered> take() &&;
  const Recovered& state() const { return state_; }

 private:
  Result<> add_hard_state(const HardState& hard_state);
  Result<> add_entries(const std::vector<Entry>& entries);
  Result<> add_snapshot(const SnapshotMeta& snapshot);
  LogPosition last() const;
  // Entries that begin beyond the snapshot, since those between were forgotten.
  bool adrift() const;

  Recovered state_;
  bool any_entries_ = false;
};

}  // namespace dogfs::raft
