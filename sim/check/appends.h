#pragma once
// Appends: what clients appended to files, and what is in them. A file that is only appended to is
// a row of whole records, each once (P2, P3, P4). Records name themselves, so that any bytes that
// were read can be taken apart without asking anybody.
//
// Judged: nothing is torn or foreign (kWrongBytes); no record is there twice, and none that was
// refused (kExactlyOnce); each that was acknowledged is there, at the offset that was said, in the
// end and in every read that began after (kDurability, kLinearizability); and what one read saw,
// every later one sees at the same place (kLinearizability).

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/time.h"
#include "sim/check/history.h"
#include "sim/check/violation.h"

namespace dogfs::sim {

// Who appended it, and its number among theirs.
struct RecordName {
  uint32_t client = 0;
  uint64_t number = 0;
  auto operator<=>(const RecordName&) const = default;
};

inline constexpr size_t kRecordBytesMin = 24;

// Of `length` bytes, at least kRecordBytesMin.
Buffer make_record(RecordName name, size_t length);

// Records by their offsets.
using Records = std::map<uint64_t, RecordName>;
// Nothing when something else is among them; `where` is then its offset.
std::optional<Records> take_apart(std::string_view bytes, uint64_t& where);

struct AppendedOperation {
  std::string path;
  RecordName name;
  Outcome outcome = Outcome::kUnknown;
  uint64_t offset = 0;  // that was said, when done
  Instant ended;
};

struct AppendedRead {
  std::string path;
  Instant began, ended;
  std::string wrong;  // not empty: it could not be taken apart, and why
  Records records;
};

struct AppendHistory {
  std::vector<AppendedOperation> appends;
  std::vector<AppendedRead> reads;  // those that were answered
  uint64_t done() const;
};

// `last`: reads of the healed cluster; every path that was appended to must have one among them.
void check_appends(const AppendHistory& history, const std::vector<AppendedRead>& last,
                   Violations& violations);

}  // namespace dogfs::sim
