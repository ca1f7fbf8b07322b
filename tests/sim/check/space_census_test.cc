// What lies on disks, against forged ones.
#include "sim/check/space_census.h"

#include <map>

#include "core/chunk/append_file.h"
#include "core/chunk/store_identity.h"

#include "tests/sim/check/forged_packs.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

class ForgedDisk final : public DurableDisk {
 public:
  explicit ForgedDisk(uint32_t number) : name_(fmt::format("chunk-{}", number)) {
    contents["identity"] = {chunk::encode_identity(
        {.cluster = ForgedPacks::kCluster, .node = NodeId(number), .store = StoreId(9)})};
  }
  const std::string& name() const override { return name_; }
  bool was_lost() const override { return false; }
  bool was_away() const override { return away; }
  std::optional<File> find(const std::string& path) const override {
    const auto found = contents.find(path);
    if (found == contents.end()) return std::nullopt;
    return File{found->second.bytes, found->second.spoiled};
  }
  std::vector<std::string> files() const override {
    std::vector<std::string> paths;
    for (const auto& [path, content] : contents) paths.push_back(path);
    return paths;
  }

  struct Content {
    std::string bytes;
    bool spoiled = false;
  };
  std::map<std::string, Content> contents;
  bool away = false;

 private:
  const std::string name_;
};

// A cluster, and the disks of its chunk servers.
struct Servers : ForgedPacks {
  Servers() {
    for (uint32_t i = 1; i <= kServers; ++i) disks.emplace(NodeId(i), i);
  }
  // Garbage, and confirmed as deleted.
  void drop(const metadata::AppendOpened& block) {
    (void)seal(block, 0);
    delete_all();
    REQUIRE_FALSE(state.tables().block(block.block.block).has_value());
  }
  static std::string log_path(const metadata::PlacedBlock& block, uint32_t index) {
    return "appends/" + chunk::append_file_name({block.block, index, block.generation});
  }
  // With one record of so many bytes, and so many of rubbish behind it.
  std::string log_bytes(const metadata::PlacedBlock& block, uint32_t index, size_t length,
                        size_t rubbish = 0) const {
    const chunk::AppendOrigin origin{
        .identity = {ForgedPacks::kCluster, {block.block, index, block.generation}},
        .epoch = Epoch(1)};
    std::string bytes = chunk::encode_append_header(origin);
    if (length > 0) {
      const Buffer entry = chunk::encode_records(
          origin.block(), Epoch(1), 0, {{.writer = 1, .length = static_cast<uint32_t>(length)}},
          {Buffer::take(std::string(length, 'x'))});
      bytes +=
          chunk::encode_batch_header(origin, bytes.size(), static_cast<uint32_t>(entry.size()));
      bytes += entry.text();
    }
    return bytes + std::string(rubbish, 'r');
  }
  ForgedDisk& disk(const metadata::PlacedShard& shard) { return disks.at(shard.node); }
  // How many violations there are.
  uint64_t wrong() {
    SpaceCensus::Disks views;
    for (const auto& [node, disk] : disks) views.push_back(&disk);
    Violations violations;
    counts = {};
    SpaceCensus(state, log, views, counts, violations).check_files();
    return violations.count(Oracle::kSpace);
  }

  std::map<NodeId, ForgedDisk> disks;
  SpaceCounts counts;
};

TEST_CASE("a log that its block's row names is used, and no other place may have it") {
  Servers servers;
  const auto opened = servers.open_pack();
  const auto& shard = opened.block.shards[0];
  const std::string path = Servers::log_path(opened.block, shard.index);
  servers.disk(shard).contents[path] = {servers.log_bytes(opened.block, shard.index, 10)};
  CHECK_EQ(servers.wrong(), 0u);
  CHECK_EQ(servers.counts.used.files, 1u);
  CHECK_GT(servers.counts.used.bytes, 4096u + 10);
  auto& other = servers.disk(opened.block.shards[1]);
  other.contents[path] = {servers.log_bytes(opened.block, shard.index, 10)};
  CHECK_EQ(servers.wrong(), 1u);
  other.contents.erase(path);
  // A shard of a log's name was never placed, nor was a block that nobody made.
  other.contents["shards/" + chunk::file_name({opened.block.block, 1, Generation(1)})] = {"x"};
  CHECK_EQ(servers.wrong(), 1u);
  other.contents["appends/" + chunk::append_file_name({BlockId(77), 1, Generation(1)})] = {"x"};
  other.contents["appends/what"] = {""};
  CHECK_EQ(servers.wrong(), 3u);
}

TEST_CASE("a log holds no more than fits its block and one batch that nobody was told of") {
  Servers servers;
  const auto opened = servers.open_pack();
  const auto& shard = opened.block.shards[0];
  auto& content = servers.disk(shard).contents[Servers::log_path(opened.block, shard.index)];
  const size_t batch = chunk::kAppendBatchHeaderBytes + limits::kAppendBatchBytesMax;
  content.bytes = servers.log_bytes(opened.block, 0, 100, opened.capacity - 100 + batch);
  CHECK_EQ(servers.wrong(), 0u);
  content.bytes += "r";
  CHECK_EQ(servers.wrong(), 1u);
  content.spoiled = true;
  CHECK_EQ(servers.wrong(), 0u);
}

TEST_CASE("a log whose deletion was confirmed is gone") {
  Servers servers;
  const auto opened = servers.open_pack();
  const auto& shard = opened.block.shards[0];
  auto& disk = servers.disk(shard);
  auto& content = disk.contents[Servers::log_path(opened.block, shard.index)];
  content.bytes = servers.log_bytes(opened.block, 0, 10);
  servers.drop(opened);
  CHECK_EQ(servers.wrong(), 1u);
  disk.away = true;
  CHECK_EQ(servers.wrong(), 0u);
  CHECK_EQ(servers.counts.uncommitted.files, 1u);
  disk.away = false;
  // Somebody wanted it sealed, too late.
  content.bytes = servers.log_bytes(opened.block, 0, 0);
  CHECK_EQ(servers.wrong(), 0u);
  CHECK_EQ(servers.counts.seals.files, 1u);
}

TEST_CASE("a log that was not known to be there may come late") {
  Servers servers;
  const auto opened = servers.open_pack(0, false);
  const auto& shard = opened.block.shards[0];
  servers.disk(shard).contents[Servers::log_path(opened.block, shard.index)] = {
      servers.log_bytes(opened.block, 0, 10)};
  servers.drop(opened);
  CHECK_EQ(servers.wrong(), 0u);
  CHECK_EQ(servers.counts.uncommitted.files, 1u);
}

TEST_CASE("a shard's file is as long as its block makes it, finished or not") {
  Servers servers;
  const auto upload = servers.start("/f");
  const auto block = servers.allocate(upload, 1000);
  const chunk::ShardName name{block.block, 3, block.generation};
  auto& contents = servers.disk(block.shards[3]).contents;
  const size_t most = 250 + 4 + chunk::kShardFooterBytes;
  const std::string paths[] = {"shards/" + chunk::file_name(name),
                               "shards/" + chunk::temporary_name(name, 12)};
  for (const auto& path : paths) {
    contents[path] = {std::string(most, 's')};
    CHECK_EQ(servers.wrong(), 0u);
    contents[path] = {std::string(most + 1, 's')};
    CHECK_EQ(servers.wrong(), 1u);
    contents[path] = {std::string(most, 's')};
  }
  CHECK_EQ(servers.wrong(), 0u);
  CHECK_EQ(servers.counts.used.files, 1u);
  CHECK_EQ(servers.counts.unfinished.files, 1u);
  // The upload is given up, and its shards may still come.
  servers.done(servers.lead(metadata::ExpireLease{.file = upload.file, .epoch = upload.epoch}));
  CHECK_EQ(servers.wrong(), 0u);
  CHECK_EQ(servers.counts.garbage.files, 1u);
  servers.delete_all();
  CHECK_EQ(servers.wrong(), 0u);
  CHECK_EQ(servers.counts.uncommitted.files, 1u);
}

}  // namespace
}  // namespace dogfs::sim
