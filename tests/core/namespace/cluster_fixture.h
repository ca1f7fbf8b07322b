#pragma once
// A metadata state machine with a cluster of chunk servers and one client, driven by short calls.
// Each call is the next log entry; the client has all answers before the request it sends.

#include <string>
#include <utility>
#include <vector>

#include "core/base/limits.h"
#include "core/namespace/invariants.h"
#include "core/namespace/state_machine.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {

class ClusterFixture {
 public:
  static constexpr uint32_t kInlineBytes = 100;

  explicit ClusterFixture(uint32_t chunk_servers = 6, const char* policy = "rs-4-2",
                          uint32_t version = kLatestClusterVersion) {
    (void)lead(CreateCluster{.cluster = ClusterId(7),
                             .policy = placement::Policy::parse(policy).value(),
                             .block_bytes = limits::kMiB,
                             .cell_bytes = 64 * 1024,
                             .inline_bytes = kInlineBytes,
                             .version = version});
    for (uint32_t i = 1; i <= chunk_servers; ++i) (void)lead(server(i));
    client = new_client();
  }

  static RegisterNode server(uint32_t number) {
    return {.node = NodeId(number),
            .kind = placement::NodeKind::kChunk,
            .name = fmt::format("chunk-{}", number),
            .store = StoreId(number * 100),
            .address = fmt::format("127.0.0.1:{}", 7000 + number),
            .zone = "",
            .disks = 1,
            .capacity_bytes = 10 * limits::kGiB,
            .used_bytes = 0};
  }

  // An operation of the leader.
  Response lead(Operation operation) {
    return apply({.client = {},
                  .request = {},
                  .acknowledged_below = {},
                  .wall = {},
                  .operation = std::move(operation)});
  }
  // The next request of the client, which has all answers before it.
  Response ask(Operation operation) {
    ++request.value;
    return apply({.client = client,
                  .request = request,
                  .acknowledged_below = request,
                  .wall = WallTime{int64_t(request.value)},
                  .operation = std::move(operation)});
  }
  Response apply(const Command& command) {
    index = index.next();
    return machine.apply(index, command);
  }
  // The primary of an append block is allowed, and all replicas have begun their logs.
  Response begin_append(const AppendOpened& opened, uint64_t activation = 77, bool begun = true) {
    return lead(ActivateAppend{.file = opened.file,
                               .block = opened.block.block,
                               .epoch = opened.epoch,
                               .node = opened.block.shards[0].node,
                               .activation = activation,
                               .begun = begun});
  }
  ClientId new_client() { return std::get<ClientRegistered>(*lead(RegisterClient{})).client; }
  void set_state(uint32_t node, placement::NodeState state) {
    (void)lead(SetNodeState{.node = NodeId(node), .state = state, .seen = {}});
  }

  Response make_directory(const std::string& path, bool parents = false) {
    return ask(MakeDirectory{.path = path, .parents = parents, .policy = {}});
  }
  Response move(const std::string& from, const std::string& to) {
    return ask(Rename{.from = from, .to = to});
  }
  Response remove(const std::string& path, bool recursive = false) {
    return ask(Remove{.path = path, .recursive = recursive});
  }

  // An upload with blocks of the given lengths, all committed with every placed shard.
  Result<UploadStarted> write(const std::string& path, const std::vector<uint64_t>& lengths) {
    TRY(started, ask(StartUpload{.path = path, .policy = {}, .overwrite = true}));
    const auto upload = std::get<UploadStarted>(started);
    uint64_t offset = 0;
    for (const uint64_t length : lengths) {
      TRY(reply, ask(AllocateBlocks{.file = upload.file,
                                    .epoch = upload.epoch,
                                    .file_offset = offset,
                                    .lengths = {length}}));
      const auto& block = std::get<BlocksAllocated>(reply).blocks.at(0);
      TRY_VOID(commit(upload, block, block.shards.size()));
      offset += length;
    }
    return upload;
  }
  Result<> commit(const UploadStarted& upload, const PlacedBlock& block, size_t durable) {
    TRY_VOID(ask(CommitBlocks{
        .file = upload.file, .epoch = upload.epoch, .blocks = {committed(block, durable)}}));
    return {};
  }
  static CommittedBlock committed(const PlacedBlock& block, size_t durable) {
    CommittedBlock out{.block = block.block,
                       .generation = block.generation,
                       .file_offset = block.file_offset,
                       .length = block.length,
                       .shards = {}};
    for (size_t i = 0; i < durable; ++i) {
      const uint32_t index = block.shards.at(i).index;
      out.shards.push_back({.index = index, .checksum = 1000 + index});
    }
    return out;
  }
  Response publish(const UploadStarted& upload, const std::string& path, uint64_t length,
                   PublishCondition condition = PublishCondition::kOverwrite) {
    return ask(Publish{.file = upload.file,
                       .epoch = upload.epoch,
                       .path = path,
                       .length = length,
                       .condition = condition});
  }
  Response put_inline(const std::string& path, const std::string& content,
                      PublishCondition condition = PublishCondition::kOverwrite) {
    return ask(PutInline{.path = path, .policy = {}, .content = content, .condition = condition});
  }
  // A whole put.
  Response put(const std::string& path, const std::vector<uint64_t>& lengths = {}) {
    TRY(upload, write(path, lengths));
    uint64_t length = 0;
    for (const uint64_t l : lengths) length += l;
    return publish(upload, path, length);
  }

  // "a b/ c": the names of a directory, those of directories with a slash.
  std::string names(const std::string& path) const {
    const auto listing = machine.list(path, "", limits::kListPageMax);
    if (!listing) return fmt::format("{}", listing.error().code);
    std::string out;
    for (const auto& entry : listing->entries) {
      out += out.empty() ? "" : " ";
      out += entry.name + (entry.attributes.kind == EntryKind::kDirectory ? "/" : "");
    }
    return out;
  }

  StateMachine machine;
  LogIndex index;
  ClientId client;
  RequestId request;
};

// As somebody: permissions are checked.
inline Response ask_as(ClusterFixture& fs, const Asker& asker, Operation operation) {
  ++fs.request.value;
  return fs.apply({.client = fs.client,
                   .request = fs.request,
                   .acknowledged_below = fs.request,
                   .wall = {},
                   .operation = std::move(operation),
                   .asker = asker});
}

// "ok", or the name of the code.
inline std::string outcome(const Response& response) {
  return response ? "ok" : std::string(code_name(response.error().code));
}

// Cuts a snapshot into pieces and builds another machine from them.
inline Result<StateMachine> copy_through_snapshot(StateMachine& machine, size_t piece_bytes) {
  const Snapshot snapshot = machine.freeze();
  StateMachine copy;
  auto restore = copy.begin_restore();
  std::string position;
  while (auto piece = snapshot.next_piece(position, piece_bytes)) TRY_VOID(restore.add(*piece));
  TRY_VOID(restore.finish());
  return copy;
}

}  // namespace dogfs::metadata
