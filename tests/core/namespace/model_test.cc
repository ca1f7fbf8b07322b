// Random operations against an obvious model: a std::map from path to what is there. Every request
// may be sent again at any time, and a second replica is rebuilt from snapshots on the way.
#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <rapidcheck.h>

#include "core/base/random.h"
#include "core/namespace/pack_path.h"

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

// Path -> a file, or nothing for a directory. The root is always there.
class Model {
 public:
  struct File {
    uint64_t length = 0;
    bool in_blocks = false;
    uint64_t head = 0;       // bytes in the inode before blocks
    bool appending = false;  // its last block is not sealed, and in no length
    bool operator==(const File&) const = default;
  };
  using Entries = std::map<std::string, std::optional<File>>;

  std::string make_directory(const std::string& path, bool parents) {
    if (parents) return make_parents(path);
    if (const auto error = way_to(path); !error.empty()) return error;
    if (entries_.contains(path)) return "exists";
    if (!has_room({}, path, {.bytes = 0, .entries = 1}, {})) return "no_space";
    entries_[path] = std::nullopt;
    return "ok";
  }

  std::string put(const std::string& path, const File& file) {
    if (const auto error = way_to(path); !error.empty()) return error;
    if (is_directory(path)) return "exists";
    if (!has_room({}, path, {.bytes = file.length, .entries = 1}, use_of(path))) return "no_space";
    entries_[path] = file;
    return "ok";
  }

  std::string rename(const std::string& from, const std::string& to) {
    if (const auto error = way_to(from); !error.empty()) return error;
    if (const auto error = way_to(to); !error.empty()) return error;
    if (!entries_.contains(from)) return "not_found";
    if (from == to) return "ok";
    const bool directory = is_directory(from);
    if (directory && to.starts_with(from + "/")) return "invalid";
    if (entries_.contains(to)) {
      if (is_directory(to) != directory) return "exists";
      if (directory && !below(to).empty()) return "precondition";
    }
    if (!has_room({from}, to, use_of(from), use_of(to))) return "no_space";
    auto moved = below(from);
    moved[from] = entries_[from];
    erase(to);
    std::map<std::string, Quota> quotas;
    for (const auto& [path, what] : moved) {
      if (quotas_.contains(path)) quotas[to + path.substr(from.size())] = quotas_[path];
    }
    for (const auto& [path, what] : moved) erase(path);
    for (const auto& [path, what] : moved) entries_[to + path.substr(from.size())] = what;
    quotas_.merge(quotas);
    return "ok";
  }

  std::string remove(const std::string& path, bool recursive) {
    if (const auto error = way_to(path); !error.empty()) return error;
    if (!entries_.contains(path)) return "not_found";
    const auto inside = below(path);
    if (!inside.empty() && !recursive) return "precondition";
    for (const auto& [inner, what] : inside) erase(inner);
    erase(path);
    return "ok";
  }

  std::string copy(const std::string& from, const std::string& to) {
    const auto found = find_file(from);
    if (!found.error.empty()) return found.error;
    if (const auto error = way_to(to); !error.empty()) return error;
    if (is_directory(to)) return "exists";
    if (from == to) return "invalid";
    return found.file.appending ? "unavailable" : put(to, found.file);
  }

  std::string truncate(const std::string& path, uint64_t length) {
    const auto found = find_file(path);
    if (!found.error.empty()) return found.error;
    if (found.file.appending) return "unavailable";
    if (length > found.file.length) return "invalid";
    const bool in_blocks = found.file.in_blocks && length > found.file.head;
    entries_[path] =
        File{.length = length, .in_blocks = in_blocks, .head = in_blocks ? found.file.head : 0};
    return "ok";
  }

  // What a file becomes that is opened for appends.
  std::string open_append(const std::string& path, bool create) {
    if (const auto error = way_to(path); !error.empty()) return error;
    if (is_directory(path)) return "precondition";
    const bool there = entries_.contains(path);
    if (!there && !create) return "not_found";
    if (there && entries_[path]->appending) return "ok";
    if (!has_room({}, path, {.bytes = 1, .entries = there ? 0u : 1u}, {})) return "no_space";
    File& file = there ? *entries_[path] : entries_[path].emplace();
    if (!file.in_blocks) file.head = file.length;
    file.in_blocks = true;
    file.appending = true;
    return "ok";
  }
  void fix_append(const std::string& path, uint64_t length) {
    File& file = *entries_[path];
    file.length += length;
    file.appending = false;
    if (file.length != file.head) return;
    file.in_blocks = false;
    file.head = 0;
  }

  std::string concatenate(const std::string& path, const std::string& source) {
    const auto target = find_file(path);
    if (!target.error.empty()) return target.error;
    if (target.file.appending) return "unavailable";
    const auto added = find_file(source);
    if (!added.error.empty()) return added.error;
    if (path == source) return "invalid";
    if (added.file.appending) return "unavailable";
    const File& before = target.file;
    const File& after = added.file;
    const bool bytes_before = before.length > 0 && !before.in_blocks;
    const bool bytes_after = after.length > 0 && (!after.in_blocks || after.head > 0);
    if (before.in_blocks && bytes_after) return "precondition";
    if (bytes_before && after.in_blocks && !bytes_after) return "precondition";
    File joined{.length = before.length + after.length,
                .in_blocks = before.in_blocks || after.in_blocks};
    if (joined.in_blocks) joined.head = before.head + after.head;
    if (joined.in_blocks && bytes_before) joined.head += before.length;
    if ((joined.in_blocks ? joined.head : joined.length) > kInlineBytes) return "too_large";
    if (!has_room({source}, path, {.bytes = added.file.length, .entries = 0}, {})) {
      return "no_space";
    }
    erase(source);
    entries_[path] = joined;
    return "ok";
  }

  std::string set_quota(const std::string& path, const Quota& quota) {
    if (const auto error = way_to(path); !error.empty()) return error;
    if (!entries_.contains(path)) return "not_found";
    if (!is_directory(path)) return "precondition";
    quotas_[path] = quota;
    return "ok";
  }

  // Of the entry and all below it.
  Use use_of(const std::string& path) const {
    Use use;
    for (const auto& [inner, file] : entries_) {
      if (inner != path && !is_below(inner, path)) continue;
      ++use.entries;
      if (file) use.bytes += file->length;
    }
    return use;
  }

  static constexpr uint64_t kInlineBytes = 20;
  const Entries& entries() const { return entries_; }

 private:
  struct FoundFile {
    std::string error;
    File file;
  };
  FoundFile find_file(const std::string& path) const {
    if (const auto error = way_to(path); !error.empty()) return {error, {}};
    const auto found = entries_.find(path);
    if (found == entries_.end()) return {"not_found", {}};
    if (!found->second) return {"precondition", {}};
    return {"", *found->second};
  }
  static bool is_below(const std::string& path, const std::string& above) {
    return path.starts_with(above + "/");
  }
  // Whether every quota above `to` that does not lie above what moves, too, allows it.
  bool has_room(const std::vector<std::string>& moved, const std::string& to, const Use& more,
                const Use& less) const {
    for (const auto& [path, quota] : quotas_) {
      if (!is_below(to, path)) continue;
      if (!moved.empty() && is_below(moved[0], path)) continue;
      Use held = use_of(path);
      --held.entries;
      const auto fits = [](std::optional<uint64_t> most, uint64_t used, uint64_t in, uint64_t out) {
        return !most || in <= out || used + in - out <= *most;
      };
      if (!fits(quota.bytes, held.bytes, more.bytes, less.bytes)) return false;
      if (!fits(quota.entries, held.entries, more.entries, less.entries)) return false;
    }
    return true;
  }
  void erase(const std::string& path) {
    entries_.erase(path);
    quotas_.erase(path);
  }
  bool is_directory(const std::string& path) const {
    const auto found = entries_.find(path);
    return found != entries_.end() && !found->second;
  }
  // What is wrong with the directories above; "" when they are there.
  std::string way_to(const std::string& path) const {
    for (size_t at = path.find('/', 1); at != path.npos; at = path.find('/', at + 1)) {
      const auto found = entries_.find(path.substr(0, at));
      if (found == entries_.end()) return "not_found";
      if (found->second) return "precondition";
    }
    return "";
  }
  std::string make_parents(const std::string& path) {
    if (way_to(path) == "precondition") return "precondition";
    if (entries_.contains(path)) return is_directory(path) ? "ok" : "exists";
    std::vector<std::string> missing{path};
    for (size_t at = path.find('/', 1); at != path.npos; at = path.find('/', at + 1)) {
      if (!entries_.contains(path.substr(0, at))) missing.push_back(path.substr(0, at));
    }
    if (!has_room({}, path, {.bytes = 0, .entries = missing.size()}, {})) return "no_space";
    for (const auto& made : missing) entries_[made] = std::nullopt;
    return "ok";
  }
  Entries below(const std::string& path) const {
    Entries out;
    for (const auto& [inner, what] : entries_) {
      if (is_below(inner, path)) out[inner] = what;
    }
    return out;
  }

  Entries entries_;
  std::map<std::string, Quota> quotas_;
};

void collect(const StateMachine& machine, const std::string& path, size_t page,
             Model::Entries& out) {
  std::string after;
  for (bool more = true; more;) {
    const auto listing = machine.list(path, after, page);
    RC_ASSERT(listing.has_value());
    for (const auto& [name, attributes] : listing->entries) {
      const std::string inner = (path == "/" ? "" : path) + "/" + name;
      RC_ASSERT((machine.stat(inner) == attributes));
      const bool directory = attributes.kind == EntryKind::kDirectory;
      Model::File file{.length = attributes.length, .in_blocks = attributes.blocks > 0};
      file.appending = attributes.appending;
      if (file.in_blocks) file.head = machine.locate(inner, {})->content.size();
      RC_ASSERT(out.try_emplace(inner, directory ? std::nullopt : std::optional(file)).second);
      if (directory) collect(machine, inner, page, out);
    }
    more = listing->more;
    if (more) after = listing->entries.back().name;
  }
}

// Two replicas of one log, the model, and the client that talks to them.
class Run {
 public:
  explicit Run(uint64_t seed) : random_(seed) {
    lead(CreateCluster{.cluster = ClusterId(7),
                       .policy = placement::Policy::parse("rs-2-1").value(),
                       .block_bytes = limits::kMiB,
                       .cell_bytes = 4096,
                       .inline_bytes = Model::kInlineBytes});
    for (uint32_t i = 1; i <= 4; ++i) lead(ClusterFixture::server(i));
    client_ = std::get<ClientRegistered>(*lead(RegisterClient{})).client;
  }

  void step() {
    act();
    if (random_.chance(1, 3)) send_again();
    if (random_.chance(1, 4)) background();
    if (random_.chance(1, 2)) tend_append();
    if (random_.chance(1, 15)) rebuild_second();
    const auto sound = check_invariants(first_);
    RC_ASSERT_FALSE(!sound);
  }

  void finish() {
    Model::Entries found;
    collect(first_, "/", 1 + random_.below(3), found);
    RC_ASSERT(found == model_.entries());
    for (const auto& [path, what] : found) {
      Use use = model_.use_of(path);
      if (!what) --use.entries;  // a directory does not count itself
      RC_ASSERT(first_.use(path)->use == use);
    }
    const uint64_t files = static_cast<uint64_t>(
        std::ranges::count_if(found, [](const auto& entry) { return entry.second.has_value(); }));
    while (first_.removal_pending()) lead(RemoveStep{.limit = 5});
    RC_ASSERT(first_.counters().files == files);
    RC_ASSERT(first_.counters().directories == found.size() - files + 1);
    sweep(1000);
    sweep(1000);
    RC_ASSERT(first_.counters().garbage_blocks == 0u);
    RC_ASSERT(first_.counters().former_generations == 0u);
    RC_ASSERT(check_invariants(first_).has_value());
  }

 private:
  std::string path() {
    std::string out;
    for (uint64_t depth = random_.between(1, 3); depth > 0; --depth) {
      out += '/';
      out += static_cast<char>('a' + random_.below(3));
    }
    return out;
  }

  Response apply(const Command& command) {
    index_ = index_.next();
    Response response = first_.apply(index_, command);
    RC_ASSERT((second_.apply(index_, command) == response));
    RC_ASSERT(first_.digest() == second_.digest());
    return response;
  }
  Response lead(Operation operation) { return apply({.operation = std::move(operation)}); }
  Response ask(Operation operation) {
    request_ = request_.next();
    const RequestId below(request_.value > kWindow ? request_.value - kWindow : 1);
    const Command command{.client = client_,
                          .request = request_,
                          .acknowledged_below = below,
                          .wall = {},
                          .operation = std::move(operation)};
    Response response = apply(command);
    sent_.push_back({command, response});
    if (sent_.size() > 4 * kWindow) sent_.pop_front();
    return response;
  }

  // A request sent again gets its old answer, or unknown once it was acknowledged; and either way
  // nothing changes.
  void send_again() {
    if (sent_.empty()) return;
    const auto& [command, answer] = sent_[random_.below(sent_.size())];
    const auto rows = first_.tables().rows().digest();
    const Response again = apply(command);
    RC_ASSERT(first_.tables().rows().digest() == rows);
    const bool remembered = command.request.value + kWindow >= request_.value;
    RC_ASSERT((remembered ? again == answer : outcome(again) == "unknown"));
  }

  void act() {
    const std::string a = path();
    const std::string b = path();
    const bool flag = random_.chance(1, 2);
    switch (random_.below(11)) {
      case 0: {
        const MakeDirectory operation{.path = a, .parents = flag, .policy = {}};
        RC_ASSERT(outcome(ask(operation)) == model_.make_directory(a, flag));
        break;
      }
      case 1:
      case 2: put(a); break;
      case 3: RC_ASSERT(outcome(ask(Rename{.from = a, .to = b})) == model_.rename(a, b)); break;
      case 4:
        RC_ASSERT(outcome(ask(Copy{.from = a, .to = b, .version = {}})) == model_.copy(a, b));
        break;
      case 5: {
        const uint64_t length = random_.below(random_.chance(1, 2) ? 22 : 210);
        RC_ASSERT(outcome(ask(Truncate{.path = a, .length = length})) ==
                  model_.truncate(a, length));
        break;
      }
      case 6:
        RC_ASSERT(outcome(ask(Concatenate{.path = a, .sources = {b}})) == model_.concatenate(a, b));
        break;
      case 7: set_quota(a); break;
      case 8:
      case 9: {
        const OpenAppend operation{.path = a, .create = flag, .policy = {}, .attributes = {}};
        const std::string expected = model_.open_append(a, flag);
        const auto opened = ask(operation);
        const bool sealing = outcome(opened) == "unavailable" &&
                             first_.locate(a, {})->blocks.back().state == LocatedState::kSealing;
        RC_ASSERT((sealing ? "ok" : outcome(opened)) == expected);
        break;
      }
      default:
        RC_ASSERT(outcome(ask(Remove{.path = a, .recursive = flag})) == model_.remove(a, flag));
    }
  }

  // One step of a block of appends on its way, whoever may take it.
  void tend_append() {
    const auto blocks = first_.append_blocks(BlockId(0), 100);
    if (blocks.empty()) return;
    const AppendBlock& block = blocks[random_.below(blocks.size())];
    if (block.state == LocatedState::kSealed) return convert(block);
    if (block.state == LocatedState::kAppending) {
      const Operation activate = ActivateAppend{.file = block.file,
                                                .block = block.block,
                                                .epoch = Epoch(1),
                                                .node = block.shards[0].node,
                                                .activation = 1,
                                                .begun = random_.chance(1, 2)};
      if (random_.chance(1, 2)) return (void)lead(activate);
      const std::string name = named(block.file, "/");
      const auto sealed = lead(BeginSeal{.file = block.file, .block = block.block});
      if (!name.empty() && std::holds_alternative<Done>(*sealed)) model_.fix_append(name, 0);
      return;
    }
    const std::string name = named(block.file, "/");
    const uint64_t length = random_.below(40);
    const auto fixed = lead(FixAppend{.file = block.file,
                                      .block = block.block,
                                      .epoch = Epoch(2),
                                      .length = length,
                                      .holders = {0, 2}});
    if (name.empty()) return;  // of a tree that is being removed, perhaps
    RC_ASSERT(outcome(fixed) == "ok");
    model_.fix_append(name, length);
  }

  // The path of a file, or nothing when it has none.
  std::string named(const FileHandle& file, const std::string& directory) {
    for (const auto& [name, what] : first_.list(directory, "", 100)->entries) {
      const std::string path = (directory == "/" ? "" : directory) + "/" + name;
      if (what.id == file.file) return path;
      if (what.kind != EntryKind::kDirectory) continue;
      if (auto found = named(file, path); !found.empty()) return found;
    }
    return "";
  }

  void convert(const AppendBlock& block) {
    const auto begun = lead(BeginConversion{.block = block.block,
                                            .generation = block.generation,
                                            .attempt = 1 + random_.below(3),
                                            .avoid = {}});
    if (!begun) {
      RC_ASSERT(outcome(begun) == "unavailable");  // too many were given up
      return;
    }
    if (random_.chance(1, 2)) return;
    const auto& next = std::get<ConversionBegun>(*begun).next;
    CommitConversion commit{.block = block.block, .generation = next.generation, .shards = {}};
    for (const auto& shard : next.shards) {
      commit.shards.push_back({.index = shard.index, .checksum = 5});
    }
    RC_ASSERT(lead(commit).has_value());
    RC_ASSERT(std::holds_alternative<Done>(*lead(commit)));
  }

  void set_quota(const std::string& path) {
    Quota quota;
    if (random_.chance(1, 3)) quota.bytes = random_.below(500);
    if (random_.chance(1, 3)) quota.entries = random_.below(6);
    RC_ASSERT(outcome(ask(SetQuota{.path = path, .quota = quota})) ==
              model_.set_quota(path, quota));
  }

  void put_inline(const std::string& path) {
    const PutInline operation{.path = path,
                              .policy = {},
                              .content = std::string(random_.below(22), 'c'),
                              .condition = PublishCondition::kOverwrite};
    const uint64_t length = operation.content.size();
    const bool too_large = length > Model::kInlineBytes;
    RC_ASSERT(outcome(ask(operation)) ==
              (too_large ? "too_large" : model_.put(path, {.length = length})));
  }

  // As a client does: its bytes are in a block that it was given before, or is given now.
  void open_pack() {
    RC_ASSERT(
        ask(MakeDirectory{.path = std::string(kPacksDirectory), .parents = true, .policy = {}})
            .has_value());
    const auto policy = placement::Policy::parse("rs-2-1").value();
    const auto opened =
        ask(OpenAppend{.path = pack_path(policy, static_cast<uint32_t>(random_.below(2))),
                       .create = true,
                       .policy = {},
                       .attributes = {}});
    if (!opened) {
      RC_ASSERT(outcome(opened) == "unavailable");  // it is being sealed
      return;
    }
    pack_ = std::get<AppendOpened>(*opened);
    lead(ActivateAppend{.file = pack_->file,
                        .block = pack_->block.block,
                        .epoch = Epoch(1),
                        .node = pack_->block.shards[0].node,
                        .activation = 1,
                        .begun = true});
  }

  void put_packed(const std::string& path) {
    if (!pack_ || random_.chance(1, 3)) open_pack();
    if (!pack_) return;
    const PutPacked operation{.path = path,
                              .policy = {},
                              .pack = pack_->file,
                              .block = pack_->block.block,
                              .block_offset = random_.below(10),
                              .length = random_.between(1, 15),
                              .condition = PublishCondition::kOverwrite,
                              .version = {},
                              .attributes = {}};
    const std::string answer = outcome(ask(operation));
    if (answer != "unavailable") {
      RC_ASSERT(answer == model_.put(path, {.length = operation.length, .in_blocks = true}));
      return;
    }
    const auto open = first_.append_blocks(BlockId(0), 100);
    const auto block = std::ranges::find(open, operation.block, &AppendBlock::block);
    RC_ASSERT(
        (block == open.end() || block->state == LocatedState::kSealed || block->activation == 0));
    pack_.reset();
  }

  void put(const std::string& path) {
    if (random_.chance(1, 3)) return put_inline(path);
    if (random_.chance(1, 2)) return put_packed(path);
    const auto started = ask(StartUpload{.path = path, .policy = {}, .overwrite = true});
    if (!started) {
      RC_ASSERT(outcome(started) == model_.put(path, {}));
      return;
    }
    const auto upload = std::get<UploadStarted>(*started);
    // Often more blocks than go at once, so that removal has to be continued.
    const uint64_t blocks = random_.chance(1, 10) ? 20 : random_.below(3);
    for (uint64_t i = 0; i < blocks; ++i) write_block(upload, i * 100);
    if (random_.chance(1, 10)) return;  // given up; a lease expires it
    const auto published = ask(Publish{.file = upload.file,
                                       .epoch = upload.epoch,
                                       .path = path,
                                       .length = blocks * 100,
                                       .condition = PublishCondition::kOverwrite});
    RC_ASSERT(outcome(published) ==
              model_.put(path, {.length = blocks * 100, .in_blocks = blocks > 0}));
  }

  void write_block(const UploadStarted& upload, uint64_t offset) {
    const auto allocated = ask(AllocateBlocks{
        .file = upload.file, .epoch = upload.epoch, .file_offset = offset, .lengths = {100}});
    RC_ASSERT(allocated.has_value());
    const auto& block = std::get<BlocksAllocated>(*allocated).blocks[0];
    RC_ASSERT(ask(CommitBlocks{.file = upload.file,
                               .epoch = upload.epoch,
                               .blocks = {ClusterFixture::committed(block, 3)}})
                  .has_value());
  }

  void background() {
    switch (random_.below(4)) {
      case 3: compact(); break;
      case 0: lead(RemoveStep{.limit = static_cast<uint32_t>(random_.between(1, 10))}); break;
      case 1: sweep(3); break;
      default:
        for (const auto& upload : first_.uploads({}, 1)) {
          lead(ExpireLease{.file = upload.file, .epoch = upload.epoch});
        }
    }
  }

  // Moves some of what files have in a block that should be compacted; nobody sees anything of it.
  void compact() {
    if (!pack_) open_pack();
    const auto sparse = first_.sparse_blocks(BlockId(0), 1);
    if (!pack_ || sparse.empty()) return;
    const auto known = first_.referrers(sparse[0].block, InodeId(0));
    RC_ASSERT(known.has_value());
    for (const PackedFile& file : known->files) {
      for (const PackedRange& range : file.ranges) {
        const MovePacked move{.file = file.file,
                              .from = sparse[0].block,
                              .from_offset = range.offset,
                              .length = range.length,
                              .pack = pack_->file,
                              .block = pack_->block.block,
                              .block_offset = random_.below(10)};
        const std::string answer = outcome(lead(move));
        RC_ASSERT((answer == "ok" || answer == "unavailable"));
        if (answer == "ok") RC_ASSERT(outcome(lead(move)) != "ok");
      }
    }
  }

  // Orders the deletion of some garbage and acknowledges what was ordered before.
  void sweep(size_t limit) {
    OrderDeletion order;
    for (const auto& block : first_.garbage(BlockId(0), limit)) {
      if (!block.ordered) order.blocks.push_back(block.block);
      for (const auto& shard : block.shards) {
        if (!block.ordered) continue;
        lead(AckDeleted{
            .node = shard.node,
            .shards = {
                {.block = block.block, .index = shard.index, .generation = shard.generation}}});
      }
    }
    for (const auto& former : first_.formers(BlockId(0), limit)) {
      if (!former.ordered) order.former.push_back(former.name);
      for (const auto& shard : former.shards) {
        if (!former.ordered) continue;
        lead(AckDeleted{.node = shard.node,
                        .shards = {{.block = former.name.block,
                                    .index = shard.index,
                                    .generation = shard.generation}}});
      }
    }
    lead(order);
  }

  void rebuild_second() {
    auto copy = copy_through_snapshot(first_, random_.between(50, 5000));
    RC_ASSERT(copy.has_value());
    second_ = std::move(*copy);
    RC_ASSERT(first_.digest() == second_.digest());
  }

  static constexpr uint64_t kWindow = 5;
  struct Sent {
    Command command;
    Response response;
  };
  Random random_;
  StateMachine first_;
  StateMachine second_;
  Model model_;
  std::optional<AppendOpened> pack_;
  LogIndex index_;
  ClientId client_;
  RequestId request_;
  std::deque<Sent> sent_;
};

TEST_CASE("random operations, retries and snapshots give what a map of paths gives") {
  CHECK(rc::check([] {
    Run run(*rc::gen::arbitrary<uint64_t>());
    for (int i = 0; i < 60; ++i) run.step();
    run.finish();
  }));
}

}  // namespace
}  // namespace dogfs::metadata
