#pragma once
// Method: what can be asked of a node, by number. Numbers are part of the wire format: they are
// never reused, and each area has a hundred. How a method's message looks is its area's .proto.

#include <cstdint>
#include <string_view>

namespace dogfs::rpc {

enum class Method : uint16_t {
  // Raft, 1xx.
  kRaftMessages = 100,  // one-way; of any groups, in order
  kRaftSnapshotPiece = 101,

  // Metadata, 2xx.
  kMetadataExecute = 200,  // a command that changes something
  kMetadataQuery = 201,
  kMetadataStatus = 202,
  kMetadataExport = 203,

  // Shards on chunk servers, 3xx.
  kShardBegin = 300,
  kShardWrite = 301,
  kShardFinish = 302,
  kShardAbort = 303,
  kShardRead = 304,
  kShardStat = 305,
  kShardDelete = 306,

  // Append blocks on chunk servers, 32x.
  kAppendRecord = 320,
  kAppendLength = 321,
  kAppendStore = 322,
  kAppendSeal = 323,
  kAppendCatchUp = 324,
  kAppendEntries = 325,
  kAppendRequests = 326,

  // Cluster and administration, 4xx.
  kRegisterNode = 400,
  kHeartbeat = 401,
  kShardReport = 402,
  kJoinGroup = 410,  // a metadata server asks to be admitted
  kChangeGroup = 411,
  kTransferLeadership = 412,
  kRaiseVersion = 413,
};

// "shard_read"; "method 999" has none and gives "".
std::string_view method_name(Method method);

}  // namespace dogfs::rpc
