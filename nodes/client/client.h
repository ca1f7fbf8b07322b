#pragma once
// Client: files of a DogFS cluster for a C++ program. It finds the metadata leader by itself, moves
// bytes straight to and from the chunk servers, and rebuilds what lost servers held. An example is
// in ../README.md. Owned by the program, which spawns run() in a nursery that ends before the
// client is destroyed. One thread; any number of calls at a time; any may be cancelled.
//
// Outcomes of a call that changes something (promise P4): a result, it is done for good; kUnknown,
// it may or may not have been done, or may yet be; any other error, it was refused and changed
// nothing. Reads give a result or an error. All calls give
//   kInvalid, kTooLarge    for a path or an argument that can never be right;
//   kUnavailable           for no leader, or too few servers, within the limits of ClientOptions.
// Further errors stand with each method.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/base/limits.h"
#include "core/base/time.h"
#include "core/env/network.h"
#include "core/env/task.h"
#include "core/namespace/queries.h"
#include "core/placement/cluster_map.h"
#include "core/placement/policy.h"
#include "nodes/client/byte_stream.h"

namespace dogfs {
class Env;
}

namespace dogfs::nodes {

struct ClientOptions {
  std::vector<Address> metadata;  // some of the metadata servers; at least one
  ClusterId cluster;              // 0: the cluster of the first server that answers
  // Who asks; then permissions are checked, and refused calls get kDenied. Absent: nothing is.
  std::optional<metadata::Asker> asker;
  Duration operation_limit = 10s;  // for one metadata operation, all attempts together
  Duration refused_limit = 10s;    // the same, while all metadata servers refuse the connection
  // A put: bytes of blocks not yet committed, kept so that a block can be written again elsewhere.
  size_t write_memory = 72 * limits::kMiB;
  Duration shard_lag = 3s;  // a server this far behind the others is given up for the block
  // A get: bytes asked for ahead of the sink; two pieces of 2 MiB, or of a stripe, in any case.
  size_t read_ahead = 4 * limits::kMiB;
  // A shard that has not come after this, or as soon as reads usually do, is asked for elsewhere.
  Duration read_hedge = 1s;
  Duration read_limit = 6s;     // for any part of a block; once more when it was moved meanwhile
  Duration append_limit = 30s;  // for one record, all attempts together
  bool pack = true;             // PutOptions::pack counts
};

// `position` in results: the log index at which the answer holds. Of two operations the one with
// the lower position came first; a read sees all changes up to its own.

struct PutOptions {
  std::optional<placement::Policy> policy;  // instead of the directory's
  uint64_t block_bytes = 0;                 // likewise; 0: the directory's
  uint32_t cell_bytes = 0;
  bool overwrite = true;  // false: kExists when there is a file
  // kPrecondition unless the file that is there has this version, by stat().
  std::optional<metadata::FileVersion> version;
  metadata::InodeAttributes attributes;  // of the new file
  // A small file shares an append block with others, unless it says itself how it is laid out.
  bool pack = true;
  std::optional<uint64_t> size;                  // if known beforehand: saves allocating in vain
  std::function<void(uint64_t bytes)> progress;  // bytes durable and committed so far
};
struct PutResult {
  uint64_t bytes = 0;
  uint32_t blocks_below_full_width = 0;  // committed with fewer shards than the policy has
  uint64_t deduplicated_bytes = 0;       // of blocks that were there already, and were not sent
  LogIndex position;
};

struct GetOptions {
  uint64_t offset = 0;  // at or past the end: no bytes
  uint64_t length = UINT64_MAX;
  std::function<void(uint64_t bytes)> progress;  // bytes that the sink has taken
};
struct GetResult {
  uint64_t bytes = 0;
  uint64_t rebuilt_bytes = 0;  // of them, decoded from other shards
  LogIndex position;
};

struct StatResult {
  metadata::Attributes attributes;
  LogIndex position;
};
struct UseResult {
  metadata::DirectoryUse use;
  LogIndex position;
};
// Takes the rows of an export, in order of their keys. `settings` are the same each time.
class RowSink {
 public:
  virtual ~RowSink() = default;
  virtual Task<Result<void>> take(metadata::BeginImport settings,
                                  std::vector<metadata::ImportedRow> rows) = 0;
};
struct ExportResult {
  uint64_t rows = 0;
};
struct ListResult {
  metadata::Listing listing;
  LogIndex position;
};
struct Changed {
  LogIndex position;
};

struct ClusterStatus {
  metadata::ClusterSettings settings;
  metadata::Counters counters;
  uint64_t file_bytes = 0;  // of all files, as long as they are
  placement::ClusterMap map;
  LogIndex position;
};

// A disk of a chunk server that is not used any more.
struct FailedDisk {
  NodeId node;
  std::string directory;
  std::string failure;
};

// What one metadata server says of itself, true only of its own moment.
struct MetadataServerStatus {
  NodeId node;
  std::string role;  // "leader", "follower", "candidate", "pre_candidate"
  Term term;
  NodeId leader;  // 0: it knows of none
  LogIndex commit;
  LogIndex applied;
  LogIndex last;
  LogIndex snapshot;
  ClusterId cluster;
  bool voter = false;  // as far as it knows; one that lost its data directory has no vote
  std::vector<FailedDisk> failed_disks;  // only the leader knows these and what follows
  // What the chunk servers moved out of blocks of packs, each since it started.
  uint64_t compacted_blocks = 0;
  uint64_t compacted_bytes = 0;
};
struct MetadataServer {
  Address address;
  Result<MetadataServerStatus> status;  // kUnavailable: it does not answer
};

class Appender;
class Packer;
class Session;
struct AppendOptions;

class Client {
 public:
  Client(Env& env, ClientOptions options);
  // Another caller with the connections and the session of `other`, which outlives it and whose
  // run() serves both; for checkers. `sent` hears of each request that may change something.
  using RequestSent = std::function<void(ClientId, RequestId)>;
  Client(const Client& other, RequestSent sent);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Keeps the connections; ends only by cancellation, and then every call under way fails.
  Task<> run();

  // Stores all bytes of `source` as one file, which appears whole or not at all, replacing a file
  // that is there. kExists: a directory is there, or a file and !overwrite; kNotFound: the
  // directory to put it in; kPrecondition: that directory was replaced meanwhile, or the cluster is
  // too small for the policy; kUnavailable: too few live servers, naming needed and live; kNoSpace;
  // kUnknown; an error of the source.
  Task<Result<PutResult>> put(std::string path, ByteSource& source, PutOptions options);

  // Gives a range of a file to `sink`, in order. kNotFound; kPrecondition: it is a directory;
  // kUnavailable: a block has too few readable shards, naming how many of how many, or the file was
  // changed before all of it was read; kCorrupt: it has too few because some are damaged, or it is
  // not what its digest says; an error of the sink. The sink may then have taken a part.
  Task<Result<GetResult>> get(std::string path, ByteSink& sink, GetOptions options);

  // Opens a file that records are appended to (appender.h), or makes it. kNotFound: the directory,
  // or the file and !create; kPrecondition: it is a directory; kDenied; kNoSpace: a quota.
  Task<Result<std::unique_ptr<Appender>>> open_append(std::string path, AppendOptions options);

  // kNotFound.
  Task<Result<StatResult>> stat(std::string path);
  // Up to `count` entries named after `after` ("" from the start), by name. kNotFound;
  // kPrecondition: it is a file.
  Task<Result<ListResult>> list(std::string path, std::string after, size_t count);
  // kExists (not with `parents`, when it is a directory); kNotFound: a directory above is missing;
  // kPrecondition: a file stands above; kUnknown.
  Task<Result<Changed>> make_directory(std::string path, bool parents,
                                       std::optional<placement::Policy> policy);
  // POSIX rename: a file replaces a file, a directory an empty directory. kNotFound, kExists,
  // kPrecondition, kUnknown.
  Task<Result<Changed>> rename(std::string from, std::string to);
  // kNotFound; kPrecondition: a directory that is not empty, and !recursive; kUnknown.
  // With a trash, what is removed lies in /.trash for a while, unless it is removed `forever`.
  Task<Result<Changed>> remove(std::string path, bool recursive, bool forever = false);

  // Changes owner, group, mode, times and labels of a file or directory, all or nothing. kNotFound;
  // kPrecondition: it has another version; kDenied; kUnknown.
  Task<Result<Changed>> set_attributes(metadata::SetAttributes changes);

  // Makes `to` another file with the bytes of `from`, moving none. kNotFound; kExists: a directory
  // is there, or a file and !overwrite; kInvalid: they are one file; kTooLarge: it has too many
  // blocks; kNoSpace: a quota; kUnknown.
  Task<Result<Changed>> copy(std::string from, std::string to, bool overwrite);
  // Cuts a file to a length. kNotFound; kInvalid: it is shorter; kUnknown.
  Task<Result<Changed>> truncate(std::string path, uint64_t length);
  // Appends other files to one, in order; they are no more then. kNotFound; kPrecondition: small
  // files and large ones do not go together, or it is not `at` bytes long; kUnknown.
  Task<Result<Changed>> concatenate(std::string path, std::vector<std::string> sources,
                                    std::optional<uint64_t> at = {});
  // How long what is removed lies in the trash; 0: there is none. kUnknown.
  Task<Result<Changed>> set_trash(uint64_t seconds);
  // Of a directory; what it holds already may be more. kNotFound, kPrecondition, kUnknown.
  Task<Result<Changed>> set_quota(std::string path, metadata::Quota quota);
  // How files are stored that are made in a directory and below; "/" for the cluster. kInvalid:
  // sizes that cannot be; kPrecondition: not a directory, or the cluster is too small.
  Task<Result<Changed>> set_layout(std::string path, metadata::Layout layout, bool inherit);
  // What lies below a directory, known without a walk. kNotFound.
  Task<Result<UseResult>> use(std::string path);

  // Gives the whole namespace as it is at one moment to `sink`, part by part; what is changed
  // meanwhile is not in it. kUnavailable: the leader changed, or holds too many exports; begin
  // again. An error of the sink ends it.
  Task<Result<ExportResult>> export_namespace(RowSink& sink);
  // Takes rows of an export into a new cluster of the same id that holds nothing: begin, rows,
  // finish. Until the last nothing else of clients is done there. kPrecondition: this cluster is no
  // such one; kInvalid, kCorrupt: these are no rows of an export.
  Task<Result<Changed>> begin_import(metadata::BeginImport settings);
  Task<Result<Changed>> import_rows(std::vector<metadata::ImportedRow> rows);
  Task<Result<Changed>> finish_import(uint64_t rows);

  Task<Result<ClusterStatus>> cluster_status();
  // Asks every metadata server of ClientOptions.
  Task<std::vector<MetadataServer>> metadata_status();

  // The position of the answer that came last, also of a refusal; for checkers that run one
  // operation at a time.
  LogIndex last_position() const;
  // So many answers came so far, refusals included: whether the last call had one, for the same.
  uint64_t answers() const;
  // Bytes of files that were copied from one piece of memory to another on their way, so far.
  uint64_t copied_bytes() const;

 private:
  struct Parts;
  const std::shared_ptr<Parts> parts_;
  const std::unique_ptr<Session> session_;
  const std::shared_ptr<Packer> packer_;
};

}  // namespace dogfs::nodes
