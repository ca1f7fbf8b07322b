#pragma once
// AppendRequests: which records an appended file holds, by (writer, request), so that one that is
// asked for again is kept once: also when its block was sealed meanwhile and the next one has it
// handed over. A plain object of a block's primary, made anew from the log's entries when needed.
//
// It knows everything that was first tried in the file's append block `since` or a later one. What
// was first tried earlier may or may not be in the file: nobody knows any more.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/chunk/append_entry.h"

namespace dogfs::chunk {

class AppendRequests {
 public:
  // `since`: the ordinal of an append block of the file.
  explicit AppendRequests(uint64_t since = 0) : since_(since) {}

  // The record lies at this offset of the file, in the append block `ordinal`.
  void add(uint64_t ordinal, const AppendedRecord& record, uint64_t file_offset);
  // Where the record lies, if it is known to be there.
  std::optional<uint64_t> find(uint64_t writer, uint64_t request) const;
  // Whether a record that was first tried in the append block `first_tried`, and is not found here,
  // is surely not in the file.
  bool is_new(uint64_t writer, uint64_t request, uint64_t first_tried) const;

  // For the append block `ordinal`: forgets what only older ones than the two before it hold.
  void hand_over_to(uint64_t ordinal);

  // Records remembered; a writer of whom none are counts as one. Up to kAppendRequestsMax encode()
  // fits into one entry.
  size_t size() const { return size_; }
  uint64_t since() const { return since_; }

  std::string encode() const;
  // kCorrupt.
  static Result<AppendRequests> decode(std::string_view bytes);
  bool operator==(const AppendRequests&) const = default;

 private:
  struct Writer {
    uint64_t last_ordinal = 0;
    uint64_t acknowledged_below = 0;
    std::map<uint64_t, uint64_t> offsets;  // in the file, by request
    bool operator==(const Writer&) const = default;
  };
  static size_t weight(const Writer& writer);

  uint64_t since_;
  std::map<uint64_t, Writer> writers_;
  size_t size_ = 0;
};

}  // namespace dogfs::chunk
