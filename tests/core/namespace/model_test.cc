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

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

// Path -> length of a file, or nothing for a directory. The root is always there.
class Model {
 public:
  std::string make_directory(const std::string& path, bool parents) {
    if (parents) return make_parents(path);
    if (const auto error = way_to(path); !error.empty()) return error;
    if (entries_.contains(path)) return "exists";
    entries_[path] = std::nullopt;
    return "ok";
  }

  std::string put(const std::string& path, uint64_t length) {
    if (const auto error = way_to(path); !error.empty()) return error;
    if (is_directory(path)) return "exists";
    entries_[path] = length;
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
    auto moved = below(from);
    moved[from] = entries_[from];
    for (const auto& [path, what] : moved) entries_.erase(path);
    for (const auto& [path, what] : moved) entries_[to + path.substr(from.size())] = what;
    return "ok";
  }

  std::string remove(const std::string& path, bool recursive) {
    if (const auto error = way_to(path); !error.empty()) return error;
    if (!entries_.contains(path)) return "not_found";
    const auto inside = below(path);
    if (!inside.empty() && !recursive) return "precondition";
    for (const auto& [inner, what] : inside) entries_.erase(inner);
    entries_.erase(path);
    return "ok";
  }

  using Entries = std::map<std::string, std::optional<uint64_t>>;
  const Entries& entries() const { return entries_; }

 private:
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
    for (size_t at = path.find('/', 1); at != path.npos; at = path.find('/', at + 1)) {
      entries_.try_emplace(path.substr(0, at), std::nullopt);
    }
    entries_[path] = std::nullopt;
    return "ok";
  }
  Entries below(const std::string& path) const {
    Entries out;
    for (const auto& [inner, what] : entries_) {
      if (inner.starts_with(path + "/")) out[inner] = what;
    }
    return out;
  }

  Entries entries_;
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
      RC_ASSERT(out.try_emplace(inner, directory ? std::nullopt : std::optional(attributes.length))
                    .second);
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
                       .cell_bytes = 4096});
    for (uint32_t i = 1; i <= 4; ++i) lead(ClusterFixture::server(i));
    client_ = std::get<ClientRegistered>(*lead(RegisterClient{})).client;
  }

  void step() {
    act();
    if (random_.chance(1, 3)) send_again();
    if (random_.chance(1, 4)) background();
    if (random_.chance(1, 15)) rebuild_second();
    const auto sound = check_invariants(first_);
    RC_ASSERT_FALSE(!sound);
  }

  void finish() {
    Model::Entries found;
    collect(first_, "/", 1 + random_.below(3), found);
    RC_ASSERT(found == model_.entries());
    const uint64_t files = static_cast<uint64_t>(
        std::ranges::count_if(found, [](const auto& entry) { return entry.second.has_value(); }));
    while (first_.removal_pending()) lead(RemoveStep{.limit = 5});
    RC_ASSERT(first_.counters().files == files);
    RC_ASSERT(first_.counters().directories == found.size() - files + 1);
    sweep(1000);
    sweep(1000);
    RC_ASSERT(first_.counters().garbage_blocks == 0u);
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
    switch (random_.below(5)) {
      case 0: {
        const MakeDirectory operation{.path = a, .parents = flag, .policy = {}};
        RC_ASSERT(outcome(ask(operation)) == model_.make_directory(a, flag));
        break;
      }
      case 1:
      case 2: put(a); break;
      case 3: RC_ASSERT(outcome(ask(Rename{.from = a, .to = b})) == model_.rename(a, b)); break;
      default:
        RC_ASSERT(outcome(ask(Remove{.path = a, .recursive = flag})) == model_.remove(a, flag));
    }
  }

  void put(const std::string& path) {
    const auto started = ask(StartUpload{.path = path, .policy = {}, .overwrite = true});
    if (!started) {
      RC_ASSERT(outcome(started) == model_.put(path, 0));
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
    RC_ASSERT(outcome(published) == model_.put(path, blocks * 100));
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
    switch (random_.below(3)) {
      case 0: lead(RemoveStep{.limit = static_cast<uint32_t>(random_.between(1, 10))}); break;
      case 1: sweep(3); break;
      default:
        for (const auto& upload : first_.uploads({}, 1)) {
          lead(ExpireLease{.file = upload.file, .epoch = upload.epoch});
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
        lead(AckDeleted{.node = shard.node,
                        .shards = {{.block = block.block, .index = shard.index}}});
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
