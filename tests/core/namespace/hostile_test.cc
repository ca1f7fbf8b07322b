// Commands that no correct client or leader sends, mixed with ones that make sense: whatever they
// hold, each gets an answer, replicas stay equal and the invariants hold after every one of them.
#include <string>
#include <vector>

#include <rapidcheck.h>

#include "core/base/random.h"

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

uint64_t odd_number(Random& random) {
  const uint64_t edge[] = {0, 1, UINT64_MAX, UINT64_MAX - 1, uint64_t{1} << 36, uint64_t{1} << 48};
  return random.chance(1, 3) ? edge[random.below(std::size(edge))] : random.below(300);
}

// One of those that came in answers, or mostly so.
template <class T>
T known_or_odd(const std::vector<T>& known, Random& random, T odd) {
  return known.empty() || random.chance(1, 8) ? odd : known[random.below(known.size())];
}

class Hostility {
 public:
  explicit Hostility(uint64_t seed) : random_(seed), fs_(4, "rs-2-1") {
    clients_ = {fs_.client, fs_.new_client()};
  }

  void step() {
    const Command command = draw();
    const auto response = fs_.apply(command);
    if (response) learn(command.operation, *response);
    const auto sound = check_invariants(fs_.machine);
    if (!sound) RC_FAIL(sound.error().message);
    answered_ += response.has_value();
  }

  // The state can be taken over and the copy answers the same.
  void check_copy() {
    auto copy = copy_through_snapshot(fs_.machine, 300);
    if (!copy) RC_FAIL(copy.error().message);
    RC_ASSERT(copy->digest() == fs_.machine.digest());
    const Command command = draw();
    RC_ASSERT((copy->apply(fs_.index.next(), command) == fs_.apply(command)));
    RC_ASSERT(copy->digest() == fs_.machine.digest());
  }

  int answered() const { return answered_; }

 private:
  std::string path() {
    const char* odd[] = {"", "/", "//", "a", "/a/", "/..", "/\xff", "/a/b/c/d"};
    if (random_.chance(1, 12)) return odd[random_.below(std::size(odd))];
    std::string out;
    for (uint64_t depth = random_.between(1, 2); depth > 0; --depth) {
      out += std::string("/") + static_cast<char>('a' + random_.below(2));
    }
    return out;
  }
  std::optional<placement::Policy> policy() {
    const char* some[] = {"rs-2-1", "rs-1-1", "rep-1", "rep-2", "rs-16-16"};
    if (random_.chance(1, 2)) return std::nullopt;
    return placement::Policy::parse(some[random_.below(std::size(some))]).value();
  }
  uint32_t small() { return static_cast<uint32_t>(odd_number(random_)); }
  NodeId node() { return NodeId(random_.chance(1, 4) ? small() : random_.between(1, 4)); }
  ClientId some_client() { return known_or_odd(clients_, random_, ClientId(odd_number(random_))); }
  // Of a session that exists at that epoch, now and then.
  ExpireSession expiry() {
    const auto open = fs_.machine.sessions(some_client(), 1);
    if (open.empty() || random_.chance(3, 4)) {
      return {.client = some_client(), .epoch = Epoch(odd_number(random_))};
    }
    return {.client = open[0].client, .epoch = open[0].epoch};
  }
  Epoch epoch() { return Epoch(random_.chance(1, 8) ? odd_number(random_) : 1); }
  FileHandle file() {
    return known_or_odd(files_, random_,
                        {InodeId(odd_number(random_)), InodeId(odd_number(random_))});
  }
  BlockId block() {
    if (placed_.empty() || random_.chance(1, 8)) return BlockId(odd_number(random_));
    return placed_[random_.below(placed_.size())].second.block;
  }
  uint64_t offset() { return random_.chance(1, 8) ? odd_number(random_) : 10 * random_.below(4); }

  Sha256Digest digest() { return Sha256::of(random_.chance(1, 2) ? "a" : "b"); }
  UseBlocks use() {
    UseBlocks out{.file = file(), .epoch = epoch(), .file_offset = offset(), .blocks = {}};
    for (uint64_t n = random_.below(3); n > 0; --n) {
      out.blocks.push_back(
          {.length = random_.chance(1, 8) ? odd_number(random_) : 10, .digest = digest()});
    }
    return out;
  }

  // A commit of one block that was allocated, or of something near it.
  CommitBlocks commit() {
    CommitBlocks out{.file = file(), .epoch = epoch(), .blocks = {}};
    if (placed_.empty()) return out;
    const auto& [owner, block] = placed_[random_.below(placed_.size())];
    if (random_.chance(7, 8)) out.file = owner;
    CommittedBlock one{.block = block.block,
                       .generation = Generation(random_.chance(1, 16) ? 2 : 1),
                       .file_offset = random_.chance(1, 16) ? offset() : block.file_offset,
                       .length = random_.chance(1, 8) ? odd_number(random_) : block.length,
                       .shards = {}};
    for (uint32_t n = static_cast<uint32_t>(random_.between(2, 4)); n > 0; --n) {
      one.shards.push_back({.index = random_.chance(1, 16) ? small() : n % 3, .checksum = 7});
    }
    if (random_.chance(1, 2)) one.digest = digest();
    out.blocks.push_back(one);
    if (random_.chance(1, 8)) out.blocks.push_back(one);
    return out;
  }

  std::string pack() {
    const char* some[] = {"/.packs/rs-2-1.0", "/.packs/rs-2-1.1", "/.packs/rs-16-16.0", "/.packs/x",
                          "/.packs"};
    return some[random_.below(std::size(some))];
  }
  // Of a block that takes appends, for a pack or not, or of something near it.
  PutPacked packed() {
    const auto known = fs_.machine.append_blocks(BlockId(0), 8);
    AppendBlock about{.block = block(), .file = file(), .generation = Generation(1), .shards = {}};
    if (!known.empty() && random_.chance(15, 16)) about = known[random_.below(known.size())];
    return {.path = random_.chance(1, 8) ? pack() : path(),
            .policy = random_.chance(1, 4) ? policy() : std::nullopt,
            .pack = random_.chance(1, 16) ? file() : about.file,
            .block = about.block,
            .block_offset = random_.chance(1, 8) ? odd_number(random_) : random_.below(2),
            .length = random_.chance(1, 8) ? odd_number(random_) : 1,
            .condition = static_cast<PublishCondition>(random_.between(1, 2)),
            .version = {},
            .attributes = {}};
  }

  // Of a block that should be compacted to one that takes appends, or something near it.
  MovePacked move() {
    const PutPacked to = packed();
    MovePacked out{.file = file(),
                   .from = block(),
                   .from_offset = to.block_offset,
                   .length = to.length,
                   .pack = to.pack,
                   .block = to.block,
                   .block_offset = random_.below(2)};
    const auto sparse = fs_.machine.sparse_blocks(BlockId(0), 8);
    if (sparse.empty() || random_.chance(1, 8)) return out;
    out.from = sparse[random_.below(sparse.size())].block;
    const auto known = fs_.machine.referrers(out.from, InodeId(0));
    if (!known || known->files.empty() || random_.chance(1, 8)) return out;
    const PackedFile& file = known->files[random_.below(known->files.size())];
    out.file = file.file;
    out.from_offset = file.ranges[0].offset;
    if (random_.chance(7, 8)) out.length = file.ranges[0].length;
    return out;
  }

  Operation client_operation() {
    switch (random_.below(24)) {
      case 21: return MakeDirectory{.path = "/.packs", .parents = true, .policy = policy()};
      case 22: return packed();
      case 0:
        return MakeDirectory{.path = path(), .parents = random_.chance(1, 2), .policy = policy()};
      case 1: return Rename{.from = path(), .to = path()};
      case 2: return Remove{.path = path(), .recursive = random_.chance(1, 2)};
      case 3: return StartUpload{.path = path(), .policy = policy()};
      case 4:
      case 5:
        return AllocateBlocks{
            .file = file(),
            .epoch = epoch(),
            .file_offset = offset(),
            .lengths = std::vector<uint64_t>(random_.below(4),
                                             random_.chance(1, 8) ? odd_number(random_) : 10)};
      case 6: return commit();
      case 7:
      case 8: return Publish{.file = file(), .epoch = epoch(), .path = path(), .length = offset()};
      case 9:
        return PutInline{.path = path(),
                         .policy = policy(),
                         .content = std::string(random_.below(150), 'i'),
                         .condition = static_cast<PublishCondition>(random_.between(1, 2))};
      case 10: return Copy{.from = path(), .to = path(), .version = {}};
      case 11: return Truncate{.path = path(), .length = offset()};
      case 12: return Concatenate{.path = path(), .sources = {path(), path()}};
      case 13: return attributes();
      case 14:
        return SetQuota{.path = path(),
                        .quota = {.bytes = odd_number(random_), .entries = odd_number(random_)}};
      case 15: return SetTrash{.seconds = odd_number(random_)};
      case 16: return AbandonUpload{.file = file(), .epoch = epoch()};
      case 17: return RenewLease{.file = file(), .epoch = epoch()};
      case 18: {
        SetLayout set{.path = path(), .layout = {.policy = policy()}};
        set.inherit = random_.chance(1, 2);
        if (random_.chance(1, 2)) set.layout.block_bytes = limits::kMiB * random_.below(600);
        if (random_.chance(1, 2)) set.layout.cell_bytes = small();
        if (random_.chance(1, 2)) {
          set.layout.content_mode = static_cast<ContentMode>(random_.between(1, 2));
        }
        return set;
      }
      case 23: return use();
      default:
        return OpenAppend{.path = random_.chance(1, 3) ? pack() : path(),
                          .create = random_.chance(3, 4),
                          .policy = policy(),
                          .attributes = {},
                          .avoid = std::vector<NodeId>(random_.below(35), node())};
    }
  }

  // About a block that takes appends, mostly, or about one that never did.
  Operation append_operation() {
    const auto known = fs_.machine.append_blocks(BlockId(0), 8);
    AppendBlock about{.block = block(), .file = file(), .generation = Generation(1), .shards = {}};
    if (!known.empty() && random_.chance(15, 16)) about = known[random_.below(known.size())];
    const Epoch at(random_.chance(1, 8) ? odd_number(random_) : random_.between(1, 2));
    switch (random_.below(7)) {
      case 6: return DisownBlock{.block = block(), .digest = digest()};
      case 5: return move();
      case 0:
        return ActivateAppend{.file = about.file,
                              .block = about.block,
                              .epoch = at,
                              .node = node(),
                              .activation = random_.below(3),
                              .begun = random_.chance(1, 2)};
      case 1: return BeginSeal{.file = about.file, .block = about.block};
      case 2:
        return FixAppend{.file = about.file,
                         .block = about.block,
                         .epoch = at,
                         .length = random_.chance(1, 8) ? odd_number(random_) : random_.below(3),
                         .holders = {0, random_.chance(1, 8) ? small() : 1}};
      case 3:
        return BeginConversion{.block = about.block,
                               .generation = Generation(random_.chance(1, 8) ? small() : 1),
                               .attempt = random_.below(4),
                               .avoid = {node()}};
      default: {
        CommitConversion commit{
            .block = about.block, .generation = Generation(random_.between(1, 5)), .shards = {}};
        for (uint32_t i = 0; i < 3; ++i) {
          commit.shards.push_back({.index = random_.chance(1, 8) ? small() : i, .checksum = 7});
        }
        return commit;
      }
    }
  }

  OrderDeletion order() {
    OrderDeletion out{.blocks = {block(), block(), block()}, .former = {}};
    for (const auto& former : fs_.machine.formers(BlockId(0), 3)) out.former.push_back(former.name);
    out.former.push_back({block(), Generation(small())});
    return out;
  }

  AckDeleted acknowledgement() {
    AckDeleted out{.node = node(),
                   .shards = {{.block = block(), .index = small() % 5, .generation = {}},
                              {.block = block(), .index = small(), .generation = {}}}};
    for (const auto& former : fs_.machine.formers(BlockId(0), 3)) {
      for (const auto& shard : former.shards) {
        out.shards.push_back({.block = former.name.block,
                              .index = shard.index,
                              .generation = former.name.generation});
      }
    }
    return out;
  }

  SetAttributes attributes() {
    SetAttributes out;
    out.path = path();
    if (random_.chance(1, 4)) out.owner = std::string(random_.below(70), 'o');
    if (random_.chance(1, 4)) out.mode = static_cast<uint16_t>(random_.below(010010));
    out.labels.push_back({.kind = static_cast<LabelKind>(random_.below(5)),
                          .name = std::string(random_.below(3), 'n'),
                          .value = std::nullopt});
    if (random_.chance(3, 4)) out.labels.back().value = std::string(random_.below(20000), 'v');
    return out;
  }

  RegisterNode registration() {
    RegisterNode op = ClusterFixture::server(static_cast<uint32_t>(random_.between(1, 6)));
    if (random_.chance(1, 3)) op.node = node();
    if (random_.chance(1, 4)) op.store = StoreId(odd_number(random_));
    if (random_.chance(1, 8)) op.kind = placement::NodeKind::kMetadata;
    if (random_.chance(1, 8)) op.zone = "\x01";
    op.capacity_bytes = odd_number(random_);
    op.used_bytes = odd_number(random_);
    return op;
  }

  Operation leader_operation() {
    switch (random_.below(10)) {
      case 0: return registration();
      case 1:
        return SetNodeState{
            .node = node(),
            .state = static_cast<placement::NodeState>(random_.chance(1, 4) ? random_.below(7) : 1),
            .seen = MapVersion(random_.below(3) * odd_number(random_))};
      case 2:
        return SetNodeSpace{.node = node(),
                            .capacity_bytes = odd_number(random_),
                            .used_bytes = odd_number(random_)};
      case 9:
        return AdvanceTrash{.from = fs_.machine.trash_clock(),
                            .to = fs_.machine.trash_clock() + odd_number(random_)};
      case 3: return RegisterClient{};
      case 4: return expiry();
      case 5: return ExpireLease{.file = file(), .epoch = epoch()};
      case 6: return RemoveStep{.limit = small()};
      case 7: return order();
      default: return acknowledgement();
    }
  }

  Command draw() {
    if (random_.chance(1, 6)) return {.operation = leader_operation()};
    if (random_.chance(1, 5)) return {.operation = append_operation()};
    const ClientId client = random_.chance(3, 4) ? clients_[0] : some_client();
    fs_.request = fs_.request.next();
    const RequestId request = random_.chance(1, 8) ? RequestId(odd_number(random_)) : fs_.request;
    return {.client = client,
            .request = request,
            .acknowledged_below = RequestId(random_.chance(1, 8) ? odd_number(random_) : 1),
            .wall = {},
            .operation = random_.chance(1, 20) ? leader_operation() : client_operation()};
  }

  void learn(const Operation& operation, const Reply& reply) {
    if (const auto* upload = std::get_if<UploadStarted>(&reply)) files_.push_back(upload->file);
    if (const auto* session = std::get_if<ClientRegistered>(&reply)) {
      clients_.push_back(session->client);
    }
    const auto* allocated = std::get_if<BlocksAllocated>(&reply);
    const auto* asked = std::get_if<AllocateBlocks>(&operation);
    if (allocated == nullptr || asked == nullptr) return;
    for (const auto& block : allocated->blocks) placed_.emplace_back(asked->file, block);
  }

  Random random_;
  ClusterFixture fs_;
  std::vector<ClientId> clients_;
  std::vector<FileHandle> files_;
  std::vector<std::pair<FileHandle, PlacedBlock>> placed_;
  int answered_ = 0;
};

TEST_CASE("whatever commands arrive, each is answered and the state stays sound") {
  int answered = 0;
  CHECK(rc::check([&](uint64_t seed) {
    Hostility run(seed);
    for (int i = 0; i < 150; ++i) run.step();
    run.check_copy();
    answered += run.answered();
  }));
  CHECK_GT(answered, 100 * 20);  // most are refused, but not all
}

}  // namespace
}  // namespace dogfs::metadata
