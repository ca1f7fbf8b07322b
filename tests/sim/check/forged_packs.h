#pragma once
// ForgedPacks: a metadata state machine with six chunk servers and one client, who has all answers
// before it asks again, and the log that led to its state; with short calls for packs. For tests of
// the oracles of space; what cannot fail in it is required.

#include <string>
#include <utility>
#include <vector>

#include "core/base/limits.h"
#include "core/namespace/pack_path.h"
#include "core/namespace/state_machine.h"
#include "core/namespace/tables.h"
#include "sim/check/linearizability.h"

#include "tests/doctest.h"

namespace dogfs::sim {

struct ForgedPacks {
  static constexpr ClusterId kCluster{7};
  static constexpr uint32_t kServers = 6;

  ForgedPacks() {
    (void)lead(metadata::CreateCluster{.cluster = kCluster,
                                       .policy = policy(),
                                       .block_bytes = limits::kMiB,
                                       .cell_bytes = 64 * 1024,
                                       .inline_bytes = 100});
    for (uint32_t i = 1; i <= kServers; ++i)
      (void)lead(metadata::RegisterNode{.node = NodeId(i),
                                        .kind = placement::NodeKind::kChunk,
                                        .name = fmt::format("chunk-{}", i),
                                        .store = StoreId(i),
                                        .address = fmt::format("chunk-{}:7", i),
                                        .zone = "",
                                        .capacity_bytes = limits::kGiB});
    client_ = std::get<metadata::ClientRegistered>(*lead(metadata::RegisterClient{})).client;
    (void)ask(metadata::MakeDirectory{
        .path = std::string(metadata::kPacksDirectory), .parents = true, .policy = {}});
  }
  static placement::Policy policy() { return placement::Policy::parse("rs-4-2").value(); }

  metadata::Response lead(metadata::Operation operation) {
    return apply({{}, {}, {}, {}, std::move(operation)});
  }
  metadata::Response ask(metadata::Operation operation) {
    ++request_.value;
    return apply({client_, request_, request_, {}, std::move(operation)});
  }
  void done(const metadata::Response& response) {
    REQUIRE_MESSAGE(response.has_value(), (response ? "" : response.error().message));
  }

  metadata::UploadStarted start(const std::string& path) {
    const auto reply = ask(metadata::StartUpload{.path = path, .policy = {}});
    done(reply);
    return std::get<metadata::UploadStarted>(*reply);
  }
  metadata::PlacedBlock allocate(const metadata::UploadStarted& upload, uint64_t length) {
    const auto reply = ask(metadata::AllocateBlocks{
        .file = upload.file, .epoch = upload.epoch, .file_offset = 0, .lengths = {length}});
    done(reply);
    return std::get<metadata::BlocksAllocated>(*reply).blocks.at(0);
  }
  // A file of one block with all its shards.
  void put(const std::string& path, uint64_t length) {
    const auto upload = start(path);
    const auto block = allocate(upload, length);
    metadata::CommittedBlock commit{
        .block = block.block, .generation = block.generation, .length = length, .shards = {}};
    for (const auto& shard : block.shards) commit.shards.push_back({shard.index, 5});
    done(ask(
        metadata::CommitBlocks{.file = upload.file, .epoch = upload.epoch, .blocks = {commit}}));
    done(ask(metadata::Publish{
        .file = upload.file, .epoch = upload.epoch, .path = path, .length = length}));
  }

  metadata::AppendOpened open_pack(uint32_t number = 0, bool begun = true) {
    const auto reply = ask(metadata::OpenAppend{.path = metadata::pack_path(policy(), number),
                                                .create = true,
                                                .policy = {},
                                                .attributes = {}});
    done(reply);
    const auto opened = std::get<metadata::AppendOpened>(*reply);
    done(lead(metadata::ActivateAppend{.file = opened.file,
                                       .block = opened.block.block,
                                       .epoch = opened.epoch,
                                       .node = opened.block.shards[0].node,
                                       .activation = 77,
                                       .begun = begun}));
    return opened;
  }
  void pack(const std::string& path, const metadata::AppendOpened& pack, uint64_t offset,
            uint64_t length) {
    done(ask(metadata::PutPacked{.path = path,
                                 .policy = {},
                                 .pack = pack.file,
                                 .block = pack.block.block,
                                 .block_offset = offset,
                                 .length = length,
                                 .version = {},
                                 .attributes = {}}));
  }
  metadata::Response seal(const metadata::AppendOpened& block, uint64_t length) {
    done(lead(metadata::BeginSeal{.file = block.file, .block = block.block.block}));
    return lead(metadata::FixAppend{.file = block.file,
                                    .block = block.block.block,
                                    .epoch = Epoch(2),
                                    .length = length,
                                    .holders = {0, 1}});
  }
  void convert(const metadata::AppendOpened& pack) {
    const auto begun = lead(metadata::BeginConversion{
        .block = pack.block.block, .generation = Generation(1), .attempt = 1, .avoid = {}});
    done(begun);
    const auto& next = std::get<metadata::ConversionBegun>(*begun).next;
    metadata::CommitConversion commit{
        .block = pack.block.block, .generation = next.generation, .shards = {}};
    for (const auto& shard : next.shards) commit.shards.push_back({shard.index, 5});
    done(lead(commit));
  }
  // Everything that waits for its deletion is ordered deleted, and confirmed.
  void delete_all() {
    metadata::OrderDeletion order;
    for (const auto& block : state.garbage({}, 100)) order.blocks.push_back(block.block);
    for (const auto& former : state.formers({}, 100)) order.former.push_back(former.name);
    done(lead(order));
    for (uint32_t node = 1; node <= kServers; ++node) {
      metadata::AckDeleted ack{.node = NodeId(node), .shards = {}};
      for (uint32_t index = 0; index < kServers; ++index) {
        for (const BlockId block : order.blocks) ack.shards.push_back({block, index, {}});
        for (const auto& former : order.former)
          ack.shards.push_back({former.block, index, former.generation});
      }
      done(lead(ack));
    }
  }

  metadata::StateMachine state;
  std::vector<CommittedCommand> log;

 private:
  metadata::Response apply(metadata::Command command) {
    const LogIndex index = state.applied().next();
    auto response = state.apply(index, command);
    log.push_back({index, std::move(command), response});
    return response;
  }

  ClientId client_;
  RequestId request_;
};

}  // namespace dogfs::sim
