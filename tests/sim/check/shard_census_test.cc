#include "sim/check/shard_census.h"

#include <map>
#include <memory>

#include "core/base/limits.h"
#include "core/chunk/store_identity.h"
#include "core/ec/codec.h"
#include "core/namespace/tables.h"
#include "sim/run/image_disk.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

constexpr uint32_t kServers = 5;
constexpr uint32_t kCellBytes = 64 * 1024;
constexpr ec::StripeShape kShape{2, 2, kCellBytes};
constexpr uint64_t kLength = 3 * kCellBytes + 100;  // two stripes, the second one short
constexpr ClusterId kCluster{7};

// A metadata state machine with some chunk servers and one client, who has all answers before it
// asks again.
class Machine {
 public:
  explicit Machine(const char* policy) {
    REQUIRE(lead(metadata::CreateCluster{.cluster = kCluster,
                                         .policy = placement::Policy::parse(policy).value(),
                                         .block_bytes = limits::kMiB,
                                         .cell_bytes = kCellBytes}));
    for (uint32_t i = 1; i <= kServers; ++i)
      REQUIRE(lead(metadata::RegisterNode{.node = NodeId(i),
                                          .kind = placement::NodeKind::kChunk,
                                          .name = fmt::format("chunk-{}", i),
                                          .store = StoreId(i),
                                          .address = fmt::format("chunk-{}:7", i),
                                          .zone = "",
                                          .disks = 1,
                                          .capacity_bytes = limits::kGiB,
                                          .used_bytes = 0}));
    client_ = std::get<metadata::ClientRegistered>(*lead(metadata::RegisterClient{})).client;
  }
  metadata::Response lead(metadata::Operation operation) {
    return apply({{}, {}, {}, {}, std::move(operation)});
  }
  metadata::Response ask(metadata::Operation operation) {
    ++request_.value;
    return apply({client_, request_, request_, {}, std::move(operation)});
  }
  const metadata::StateMachine& state() const { return state_; }
  const std::vector<CommittedCommand>& log() const { return log_; }

 private:
  metadata::Response apply(metadata::Command command) {
    const LogIndex index = state_.applied().next();
    auto response = state_.apply(index, command);
    log_.push_back({index, std::move(command), response});
    return response;
  }

  metadata::StateMachine state_;
  std::vector<CommittedCommand> log_;
  ClientId client_;
  RequestId request_;
};

// A file of one block, whose shards lie on simulated disks as a chunk server leaves them.
class Forgery {
 public:
  explicit Forgery(uint32_t committed = 4) : machine_("rs-2-2") {
    for (uint32_t i = 1; i <= kServers; ++i) {
      auto& image = *images_.emplace(NodeId(i), std::make_unique<DiskImage>(1 << 30)).first->second;
      REQUIRE(image.make_directory("shards"));
      format(NodeId(i), NodeId(i));
      disks_.push_back(std::make_unique<ImageDisk>(fmt::format("chunk-{}", i), image));
      views_.push_back(disks_.back().get());
    }
    put(committed);
  }

  DiskImage& image(uint32_t shard) { return *images_.at(block_.shards[shard].node); }
  std::string path(uint32_t shard) const { return path_of(name(shard)); }
  static std::string path_of(const chunk::ShardName& name) {
    return "shards/" + chunk::file_name(name);
  }
  chunk::ShardName name(uint32_t shard) const { return {block_.block, shard, block_.generation}; }
  const metadata::StateMachine& state() const { return machine_.state(); }
  const std::string& bytes(uint32_t shard) const { return shards_[shard]; }
  CensusCounts& counts() { return counts_; }

  // A whole file of these bytes, named and synced.
  static void store(DiskImage& image, const std::string& path, const std::string& bytes) {
    (void)image.remove(path);
    const auto file = write(image, path, bytes);
    image.sync(file, image.sync_mark(file));
    REQUIRE(image.sync_directory("shards", image.directory_mark()));
    REQUIRE(image.sync_directory("", image.directory_mark()));
  }
  static DiskImage::Content write(DiskImage& image, const std::string& path,
                                  const std::string& bytes) {
    const auto file = image.open(path, OpenMode::kCreate);
    REQUIRE(file);
    REQUIRE(image.write(*file, 0, Buffer::copy(bytes)));
    return *file;
  }
  void format(NodeId disk, NodeId node) {
    store(*images_.at(disk), "identity",
          chunk::encode_identity({.cluster = kCluster, .node = node, .store = StoreId(9)}));
  }
  // The file of a shard with these bytes, right in itself; its checksum.
  static std::pair<std::string, uint32_t> encode(const chunk::ShardName& name,
                                                 const std::string& bytes) {
    chunk::ShardChecksum checksum({kCluster, name});
    std::vector<uint32_t> cells;
    for (size_t at = 0; at < bytes.size(); at += kCellBytes)
      cells.push_back(checksum.add_cell(as_bytes(std::string_view(bytes).substr(at, kCellBytes))));
    const chunk::ShardFacts facts{name, kShape, kLength, bytes.size(), checksum.value()};
    return {bytes + chunk::encode_tail(kCluster, facts, cells), checksum.value()};
  }

  // Violations that a census of this moment finds.
  uint64_t losses() {
    Violations violations;
    ShardCensus(machine_.state(), views_, counts_, violations).check_blocks();
    return violations.count(Oracle::kDurability);
  }
  uint64_t lies() {
    Violations violations;
    ShardCensus(machine_.state(), views_, counts_, violations).check_acknowledged(file_);
    return violations.count(Oracle::kDurability);
  }
  uint64_t strays() {
    Violations violations;
    ShardCensus(machine_.state(), views_, counts_, violations).check_files(machine_.log());
    return violations.count(Oracle::kInvariants);
  }

  // One more file, with `last` as the bytes of its last shard.
  void put(uint32_t committed, const std::string* last = nullptr) {
    const auto started =
        machine_.ask(metadata::StartUpload{.path = "/f", .policy = {}, .overwrite = true});
    REQUIRE(started);
    const auto upload = std::get<metadata::UploadStarted>(*started);
    file_ = upload.file;
    const auto allocated = machine_.ask(metadata::AllocateBlocks{
        .file = file_, .epoch = upload.epoch, .file_offset = 0, .lengths = {kLength}});
    REQUIRE(allocated);
    block_ = std::get<metadata::BlocksAllocated>(*allocated).blocks.front();
    encode_block();
    if (last != nullptr) shards_.back() = *last;
    metadata::CommittedBlock commit{.block = block_.block,
                                    .generation = block_.generation,
                                    .file_offset = 0,
                                    .length = kLength,
                                    .shards = {}};
    for (uint32_t i = 0; i < committed; ++i) {
      const auto [file, checksum] = encode(name(i), shards_[i]);
      store(image(i), path(i), file);
      commit.shards.push_back({i, checksum});
    }
    const metadata::CommitBlocks commits{.file = file_, .epoch = upload.epoch, .blocks = {commit}};
    REQUIRE(machine_.ask(commits));
    REQUIRE(machine_.ask(
        metadata::Publish{.file = file_, .epoch = upload.epoch, .path = "/f", .length = kLength}));
  }
  void remove_for_good() {
    REQUIRE(machine_.ask(metadata::Remove{.path = "/f", .recursive = false}));
    REQUIRE(machine_.lead(metadata::OrderDeletion{.blocks = {block_.block}}));
    for (const auto& shard : block_.shards)
      REQUIRE(machine_.lead(metadata::AckDeleted{
          .node = shard.node, .shards = {{.block = block_.block, .index = shard.index}}}));
  }

 private:
  void encode_block() {
    const auto codec = ec::Codec::create(kShape.k, kShape.m).value();
    std::string content(kLength, '\0');
    for (size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * i >> 3);
    shards_.assign(4, "");
    for (uint64_t at = 0; at < kLength; at += kShape.stripe_bytes()) {
      const auto cells =
          codec.encode_stripe(Buffer::copy(content.substr(at, kShape.stripe_bytes())));
      for (size_t i = 0; i < cells.size(); ++i) shards_[i] += cells[i].text();
    }
  }

  Machine machine_;
  metadata::FileHandle file_;
  metadata::PlacedBlock block_;
  std::vector<std::string> shards_;
  std::map<NodeId, std::unique_ptr<DiskImage>> images_;
  std::vector<std::unique_ptr<ImageDisk>> disks_;
  ShardCensus::Disks views_;
  CensusCounts counts_;
};

std::string flipped(std::string bytes, size_t at) {
  bytes[at] = static_cast<char>(bytes[at] ^ 1);
  return bytes;
}

TEST_CASE("a block whose shards all lie where its row says has no violation") {
  Forgery forgery;
  CHECK_EQ(forgery.losses(), 0);
  CHECK_EQ(forgery.counts().shards, 4);
  CHECK_EQ(forgery.counts().stripes, 2);
  CHECK_EQ(forgery.lies(), 0);
  CHECK_EQ(forgery.strays(), 0);
  CHECK_EQ(forgery.counts().excused, 0);
}

TEST_CASE("a shard that is missing is found, though the block is readable") {
  for (uint32_t shard = 0; shard < 4; ++shard) {
    Forgery forgery;
    auto& image = forgery.image(shard);
    REQUIRE(image.remove(forgery.path(shard)));
    CHECK_EQ(forgery.losses(), 0);  // the removal is not durable, so the shard is
    REQUIRE(image.sync_directory("shards", image.directory_mark()));
    CHECK_EQ(forgery.losses(), 1);
    CHECK_EQ(forgery.lies(), 1);
  }
}

TEST_CASE("a shard below full width is demanded only if its row calls it durable") {
  Forgery forgery(3);
  CHECK_EQ(forgery.losses(), 0);
  CHECK_EQ(forgery.lies(), 0);
  CHECK_EQ(forgery.counts().shards, 6);
}

TEST_CASE("a shard whose bytes or whose name were not synced is found") {
  Forgery forgery;
  const std::string path = forgery.path(1),
                    whole = forgery.encode(forgery.name(1), forgery.bytes(1)).first;
  auto& image = forgery.image(1);

  REQUIRE(image.remove(path));
  Forgery::write(image, path, whole);
  REQUIRE(image.sync_directory("shards", image.directory_mark()));
  CHECK_EQ(forgery.losses(), 1);

  REQUIRE(image.remove(path));
  REQUIRE(image.sync_directory("shards", image.directory_mark()));
  const auto file = Forgery::write(image, path, whole);
  image.sync(file, image.sync_mark(file));
  CHECK_EQ(forgery.losses(), 1);

  REQUIRE(image.sync_directory("shards", image.directory_mark()));
  CHECK_EQ(forgery.losses(), 0);
}

TEST_CASE("a shard that is cut short, or wrong in any part, is found") {
  Forgery forgery;
  const std::string whole = forgery.encode(forgery.name(2), forgery.bytes(2)).first;
  const auto damaged = [&](const std::string& bytes) {
    Forgery::store(forgery.image(2), forgery.path(2), bytes);
    return forgery.losses();
  };
  CHECK_EQ(damaged(whole.substr(0, whole.size() / 2)), 1);
  CHECK_EQ(damaged(""), 1);
  CHECK_EQ(damaged(flipped(whole, 5)), 1);
  CHECK_EQ(damaged(flipped(whole, forgery.bytes(2).size() + 1)), 1);
  CHECK_EQ(damaged(flipped(whole, whole.size() - 40)), 1);
  CHECK_EQ(damaged("x" + whole), 1);
  CHECK_EQ(damaged(whole), 0);
}

TEST_CASE("a shard of another generation, or of other bytes than its row's, is found") {
  Forgery forgery;
  auto later = forgery.name(0);
  later.generation.value += 1;
  Forgery::store(forgery.image(0), forgery.path(0), forgery.encode(later, forgery.bytes(0)).first);
  CHECK_EQ(forgery.losses(), 1);

  const std::string other = flipped(forgery.bytes(0), 7);
  Forgery::store(forgery.image(0), forgery.path(0), forgery.encode(forgery.name(0), other).first);
  CHECK_EQ(forgery.losses(), 1);

  REQUIRE(forgery.image(0).remove(forgery.path(0)));
  Forgery::store(forgery.image(0), Forgery::path_of(later),
                 forgery.encode(later, forgery.bytes(0)).first);
  CHECK_EQ(forgery.losses(), 1);
}

TEST_CASE("parity that fits its checksums and not its data is found") {
  Forgery forgery;
  for (const size_t at : {size_t{0}, forgery.bytes(3).size() - 1}) {
    const std::string wrong = flipped(forgery.bytes(3), at);
    forgery.put(4, &wrong);
    CHECK_EQ(forgery.losses(), 1);
    CHECK_EQ(forgery.lies(), 1);
  }
  forgery.put(4);
  CHECK_EQ(forgery.losses(), 0);  // the old block is garbage by now
}

TEST_CASE("spoiled bytes excuse the shard that they are in, and no other") {
  Forgery forgery;
  REQUIRE(forgery.image(0).rot(forgery.path(0), 3, 1));
  REQUIRE(forgery.image(1).add_latent_error(forgery.path(1), 600));
  CHECK_EQ(forgery.losses(), 0);
  CHECK_EQ(forgery.lies(), 0);
  CHECK_EQ(forgery.counts().excused, 4);
  REQUIRE(forgery.image(0).rot("identity", 1, 1));
  REQUIRE(forgery.image(2).rot("identity", 1, 1));
  Forgery::store(forgery.image(2), forgery.path(2), "");
  CHECK_EQ(forgery.losses(), 1);
  Forgery::store(forgery.image(0), forgery.path(0), "");
  CHECK_EQ(forgery.losses(), 2);
}

TEST_CASE("a misdirected write excuses the file that missed it and the one that it hit") {
  Forgery forgery;
  auto& image = forgery.image(2);
  const std::string whole = forgery.encode(forgery.name(2), forgery.bytes(2)).first;
  Random random(1);
  REQUIRE(image.remove("identity"));  // leaves one place where it can land
  const auto file = image.open(forgery.path(2), OpenMode::kWrite);
  REQUIRE(image.write_misdirected(*file, 0, Buffer::copy(std::string(512, 'x')), random));
  CHECK_EQ(forgery.counts().excused, 0);
  image.sync(*file, image.sync_mark(*file));
  CHECK_EQ(forgery.losses(), 0);
  CHECK_EQ(forgery.counts().excused, 1);
  REQUIRE(image.write(*file, 0, Buffer::copy(whole)));
  image.sync(*file, image.sync_mark(*file));
  CHECK_EQ(forgery.losses(), 0);
  CHECK_EQ(forgery.counts().excused, 1);
}

TEST_CASE("a lost disk excuses the node that lived on it, and not its successor") {
  Forgery forgery;
  auto& image = forgery.image(3);
  const NodeId node = forgery.state().tables().block(forgery.name(3).block)->shards[3].node;
  image.wipe();
  CHECK_EQ(forgery.losses(), 0);
  REQUIRE(image.make_directory("shards"));
  forgery.format(node, NodeId(77));
  CHECK_EQ(forgery.losses(), 0);
  CHECK_EQ(forgery.counts().excused, 2);
  forgery.format(node, node);
  CHECK_EQ(forgery.losses(), 1);
}

TEST_CASE("a shard on a server that its row does not name, or of no block at all, is a stray") {
  Forgery forgery;
  const std::string whole = forgery.encode(forgery.name(0), forgery.bytes(0)).first;
  Forgery::store(forgery.image(1), forgery.path(0), whole);
  CHECK_EQ(forgery.strays(), 1);

  auto unborn = forgery.name(0);
  unborn.block.value += 1;
  Forgery::store(forgery.image(0), Forgery::path_of(unborn), whole);
  CHECK_EQ(forgery.strays(), 2);
}

TEST_CASE("a committed shard whose deletion was confirmed must be gone for good") {
  Forgery forgery(3);
  forgery.remove_for_good();
  CHECK_EQ(forgery.losses(), 0);
  CHECK_EQ(forgery.strays(), 3);
  for (uint32_t i = 0; i < 3; ++i) REQUIRE(forgery.image(i).remove(forgery.path(i)));
  CHECK_EQ(forgery.strays(), 3);  // not durably removed
  for (uint32_t i = 0; i < 3; ++i)
    REQUIRE(forgery.image(i).sync_directory("shards", forgery.image(i).directory_mark()));
  CHECK_EQ(forgery.strays(), 0);
}

TEST_CASE("what a writer left behind without a commit is counted, not held against anybody") {
  Forgery forgery(3);
  forgery.remove_for_good();
  for (uint32_t i = 0; i < 3; ++i) {
    REQUIRE(forgery.image(i).remove(forgery.path(i)));
    REQUIRE(forgery.image(i).sync_directory("shards", forgery.image(i).directory_mark()));
  }
  Forgery::store(forgery.image(3), forgery.path(3),
                 forgery.encode(forgery.name(3), forgery.bytes(3)).first);
  CHECK_EQ(forgery.strays(), 0);
  CHECK_EQ(forgery.counts().orphans, 1);
}

}  // namespace
}  // namespace dogfs::sim
