#pragma once
// Appender: an open file that records are appended to, by any number of programs at once. Each
// record lies in the file as a whole, exactly once, however often it had to be sent. Made by
// Client::open_append; owned by the program; the client outlives it. One thread; any number of
// appends at a time, of which up to kRecordsInFlightMax travel; those of one appender that were
// begun one after the other's answer lie in that order.
//
// It means the file that it was opened for: once the path names another one, or none, appends are
// refused with kNotFound.

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/env/event.h"
#include "core/env/task.h"
#include "core/namespace/commands.h"
#include "core/rpc/message_codec.h"
#include "nodes/client/append_sealer.h"

namespace dogfs::proto {
class AppendRecordReply;
}

namespace dogfs::nodes {

class Session;
struct ClientOptions;

struct AppendOptions {
  bool create = true;                       // a file that is not there
  std::optional<placement::Policy> policy;  // of a file that this makes
  metadata::InodeAttributes attributes;     // likewise
  // For packs: a record that goes to another block than was tried first is another record, so that
  // the file may have it twice, and the answer is of the block that was asked.
  bool anew = false;
  std::optional<Duration> limit;  // for one record, instead of ClientOptions::append_limit
};

// Where a record lies.
struct Appended {
  uint64_t offset = 0;  // in the file
  BlockId block;        // that was asked; with `anew`, the one that has it
  uint64_t block_offset = 0;
};

class Appender {
 public:
  struct Parts {
    Env& env;
    rpc::Client& rpc;
    MetadataCalls& calls;
    Session& session;
    const ClientOptions& options;
  };
  Appender(const Parts& parts, std::string path, AppendOptions options);
  Appender(const Appender&) = delete;
  Appender& operator=(const Appender&) = delete;

  // Finds the file, or makes it. Errors as of metadata::OpenAppend.
  Task<Result<void>> open();

  // Where the record lies in the file; a quorum of the replicas has it durably. kInvalid: an empty
  // record; kTooLarge: over kAppendRecordBytesMax; kNotFound: the file is gone; kNoSpace, kDenied;
  // kUnavailable: surely not stored; kUnknown: perhaps.
  Task<Result<uint64_t>> append(Buffer record);

  // The same, with the block. Only with AppendOptions::anew is that surely the one.
  Task<Result<Appended>> store(Buffer record);

  metadata::FileHandle file() const { return file_; }

 private:
  struct Attempt;
  using Place = std::shared_ptr<const metadata::AppendOpened>;

  Task<Result<Place>> place(Instant deadline);
  Task<Result<void>> find_place(Instant deadline);
  bool known() const { return file_ != metadata::FileHandle(); }
  Task<Result<metadata::AppendOpened>> open_block();
  Task<Result<void>> find_sealing();
  void close(const Place& place);
  Duration limit() const;
  void begin_anew(Attempt& attempt, const metadata::AppendOpened& here);
  static Appended stored(const metadata::AppendOpened& here, uint64_t offset);
  Task<> try_once(Attempt& attempt);
  Task<Result<rpc::Answer<proto::AppendRecordReply>>> send(Attempt& attempt, Place here);
  Task<> after_failure(Attempt& attempt, Place here, Error error);

  const Parts parts_;
  const std::string path_;
  const AppendOptions options_;
  AppendSealer sealer_;
  const uint64_t writer_;
  uint64_t last_request_ = 0;
  std::set<uint64_t> under_way_;
  metadata::FileHandle file_;
  Place place_;                           // null: to be asked for
  std::optional<BlockId> closed_;         // to be sealed before
  std::optional<Instant> first_failure_;  // of the primary, since it last answered
  NodeId silent_;                         // a primary that was given up
  bool looking_ = false;                  // somebody asks for the place
  Event changed_;
};

}  // namespace dogfs::nodes
