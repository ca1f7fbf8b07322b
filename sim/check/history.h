#pragma once
// History: what clients asked and what they were told, in the order they began. Times are those of
// the simulated world, so they compare across clients. The oracles of this folder judge it.
//
// Position: the log index that the server named in its answer. For a change, of an entry that
// carried it; for a read, of the state it was answered from.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/namespace/queries.h"
#include "sim/check/content.h"

namespace dogfs::sim {

enum class Act : uint8_t {
  kPut,
  kGet,
  kStat,
  kList,
  kMakeDirectory,
  kRename,
  kRemove,
  kCopy,
  kTruncate,
  kConcatenate,
  kSetQuota,
  kUse,
  kSetAttributes,
};
std::string_view act_name(Act act);  // "put", ...
inline bool changes(Act act) {
  return act != Act::kGet && act != Act::kStat && act != Act::kList && act != Act::kUse;
}
// Whether it may change which files there are, or what they hold.
inline bool changes_files(Act act) {
  return changes(act) && act != Act::kMakeDirectory && act != Act::kSetQuota &&
         act != Act::kSetAttributes;
}

enum class Outcome : uint8_t { kPending, kDone, kRefused, kUnknown };

// What the log knows a change by.
using RequestName = std::pair<ClientId, RequestId>;

// What a file or directory carries, of what the workload changes.
struct Marks {
  std::string owner;
  std::optional<uint16_t> mode;
  std::map<std::pair<metadata::LabelKind, std::string>, std::string> labels;
  bool operator==(const Marks&) const = default;
};

// Of a set_attributes; what is absent stays.
struct MarkChanges {
  std::optional<std::string> owner;
  std::optional<uint16_t> mode;
  std::vector<metadata::LabelChange> labels;
  bool operator==(const MarkChanges&) const = default;
};

struct Operation {
  // What was asked.
  uint32_t client = 0;
  Act act = Act::kGet;
  std::string path;
  std::string to;                                   // of a rename or a copy
  bool parents = false;                             // of a make_directory
  bool recursive = false;                           // of a remove
  bool if_absent = false;                           // of a put
  Content content;                                  // of a put
  uint64_t number = 0;                              // of a put: make_bytes() gives its bytes
  uint64_t cut_to = 0;                              // of a truncate: a length
  std::vector<std::string> sources;                 // of a concatenate
  metadata::Quota quota;                            // of a set_quota
  MarkChanges change;                               // of a set_attributes
  std::optional<metadata::FileVersion> if_version;  // of a put: that the file there must have
  std::string after;                                // of a list: names behind it
  uint64_t count = 0;                               // of a list: at most so many; 0: all
  Instant began{};
  std::vector<RequestName> requests;  // that were sent for it; empty: they are not known

  // What was told.
  Outcome outcome = Outcome::kPending;
  Instant ended = kNever;
  std::optional<Code> code;        // of a refusal
  LogIndex position;               // 0: the server named none
  Content read;                    // by a get
  bool is_directory = false;       // found by a stat
  uint64_t length = 0;             // found by a stat of a file
  std::vector<std::string> names;  // listed
  metadata::DirectoryUse used;     // found by a use
  Marks marks;                     // found by a stat
  metadata::FileVersion is;        // found by a stat of a file
};

// All paths that it names, its own first.
std::vector<std::string> paths_of(const Operation& operation);
// The bytes of a put.
inline Pieces pieces_of(const Operation& put) { return {put.content, put.number}; }

// Whether what was asked is done now: by this try, or, when a `doubtful` try of the same change
// came before (of unknown outcome), by that one, as the refusal shows. A put, a copy or a truncate
// can always be done again.
bool is_done(const Operation& last_try, bool doubtful);

// "client 3 put /d1/f2 (4096 bytes) [1.203s, 1.290s] done at 312", for reports.
std::string describe(const Operation& operation);

class History {
 public:
  // Returns the operation's number.
  size_t begin(Operation operation);
  Operation& at(size_t number) { return operations_[number]; }
  const std::vector<Operation>& operations() const { return operations_; }
  uint64_t count(Outcome outcome) const;

 private:
  std::vector<Operation> operations_;
};

}  // namespace dogfs::sim
