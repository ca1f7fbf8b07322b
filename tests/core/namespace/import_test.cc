// A namespace that is exported, lost with all metadata servers, and brought back.
#include <algorithm>
#include <set>
#include <string>

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

struct Export {
  BeginImport settings;
  std::vector<ImportedRow> rows;
};

Export export_all(StateMachine& machine, size_t piece_bytes = 100) {
  const SettingsRow row = machine.tables().settings();
  Export out{.settings = {.cluster = row.settings.cluster,
                          .incarnation = row.settings.incarnation,
                          .policy = row.settings.policy,
                          .block_bytes = row.settings.block_bytes,
                          .cell_bytes = row.settings.cell_bytes,
                          .inline_bytes = row.settings.inline_bytes,
                          .next_node = row.next_node},
             .rows = {}};
  const Snapshot snapshot = machine.freeze();
  std::string position;
  for (bool more = true; more;) {
    auto part = snapshot.next_rows(position, piece_bytes);
    more = part.more;
    out.rows.insert(out.rows.end(), part.rows.begin(), part.rows.end());
  }
  return out;
}

// Asks until all is checked.
Response finish(ClusterFixture& fs, uint64_t rows) {
  for (;;) {
    auto response = fs.ask(FinishImport{.rows = rows});
    if (!response || !std::holds_alternative<StepTaken>(*response)) return response;
    REQUIRE(std::get<StepTaken>(*response).more);
    REQUIRE_EQ(outcome(fs.make_directory("/early")), "unavailable");
  }
}

void import_all(ClusterFixture& fs, const Export& all) {
  REQUIRE_EQ(outcome(fs.ask(all.settings)), "ok");
  for (const auto& row : all.rows) {
    REQUIRE_EQ(outcome(fs.ask(ImportRows{.rows = {row}})), "ok");
    // The leader's loops find nothing to work on, and are refused: rows may lack others.
    REQUIRE(fs.machine.garbage(BlockId(0), 10).empty());
    REQUIRE(fs.machine.uploads({}, 10).empty());
    REQUIRE_FALSE(fs.machine.removal_pending());
    REQUIRE_EQ(outcome(fs.lead(RemoveStep{.limit = 5})), "unavailable");
  }
  REQUIRE_EQ(outcome(finish(fs, all.rows.size())), "ok");
  REQUIRE(check_invariants(fs.machine).has_value());
}

// A cluster whose chunk servers have the ids that it gave them, as a server that joins has.
struct OldCluster : ClusterFixture {
  OldCluster() : ClusterFixture(0) {
    for (uint32_t i = 1; i <= 6; ++i) {
      RegisterNode joins = server(i);
      joins.node = {};
      (void)lead(joins);
    }
  }
};

// A file with a block that its directory knows by its digest.
void put_known(ClusterFixture& fs, const std::string& path) {
  const auto started = fs.ask(StartUpload{.path = path, .policy = {}});
  REQUIRE(started.has_value());
  const auto upload = std::get<UploadStarted>(*started);
  const auto placed = fs.ask(AllocateBlocks{
      .file = upload.file, .epoch = upload.epoch, .file_offset = 0, .lengths = {10}});
  REQUIRE(placed.has_value());
  const auto& block = std::get<BlocksAllocated>(*placed).blocks.at(0);
  CommittedBlock committed = ClusterFixture::committed(block, block.shards.size());
  committed.digest = Sha256::of("content");
  REQUIRE(fs.ask(CommitBlocks{.file = upload.file, .epoch = upload.epoch, .blocks = {committed}})
              .has_value());
  REQUIRE(fs.publish(upload, path, 10).has_value());
}

// Everything that a namespace can hold.
void fill(ClusterFixture& fs) {
  REQUIRE(fs.make_directory("/known").has_value());
  REQUIRE(fs.ask(SetLayout{.path = "/known", .layout = {.content_mode = ContentMode::kDedup}})
              .has_value());
  put_known(fs, "/known/f");
  REQUIRE_EQ(fs.machine.counters().known_blocks, 1u);
  REQUIRE(fs.make_directory("/a/b", true).has_value());
  REQUIRE(fs.put("/a/b/f", {100, 50}).has_value());
  REQUIRE(fs.put_inline("/small", "bytes").has_value());
  REQUIRE(fs.ask(Copy{.from = "/a/b/f", .to = "/copy", .version = {}}).has_value());
  REQUIRE(fs.ask(SetQuota{.path = "/a", .quota = {.bytes = 1000, .entries = 10}}).has_value());
  SetAttributes attributes;
  attributes.path = "/copy";
  attributes.owner = "ada";
  attributes.labels = {{LabelKind::kTag, "k", "v"}};
  REQUIRE(fs.ask(attributes).has_value());
  REQUIRE(fs.put("/gone", {10}).has_value());
  REQUIRE(fs.remove("/gone").has_value());
  REQUIRE(fs.make_directory("/tree/x", true).has_value());
  REQUIRE(fs.put("/tree/x/f", {10}).has_value());
  REQUIRE(fs.remove("/tree", true).has_value());  // still to be taken apart
  REQUIRE(fs.write("/upload", {10}).has_value());
}

bool fs_put_more(ClusterFixture& fs) {
  for (int i = 0; i < 5; ++i) {
    if (!fs.put(fmt::format("/more{}", i), {10}) || !fs.make_directory(fmt::format("/d{}", i))) {
      return false;
    }
  }
  return true;
}

void collect_ids(const StateMachine& machine, std::set<uint64_t>& inodes,
                 std::set<uint64_t>& blocks) {
  for (auto at = machine.tables().rows().seek(""); at.valid(); at.next()) {
    const auto parsed = *key::parse(at.key());
    if (parsed.tag == Tag::kDirectory) inodes.insert(parsed.id);
    if (parsed.tag == Tag::kFile) inodes.insert(key::file_of(parsed.tail).value);
    if (parsed.tag == Tag::kBlock) blocks.insert(parsed.id);
  }
}

TEST_CASE("an imported namespace is the exported one, places of blocks included") {
  OldCluster old;
  fill(old);
  const Export all = export_all(old.machine);
  ClusterFixture fresh(0);
  import_all(fresh, all);
  CHECK_EQ(fresh.machine.counters().known_blocks, 1u);
  for (const char* path : {"/", "/a", "/a/b", "/a/b/f", "/small", "/copy", "/known/f"}) {
    CAPTURE(path);
    CHECK((fresh.machine.stat(path) == old.machine.stat(path)));
    CHECK((fresh.machine.use(path) == old.machine.use(path)));
  }
  CHECK((fresh.machine.locate("/a/b/f", {}) == old.machine.locate("/a/b/f", {})));
  CHECK((fresh.machine.locate("/small", {}) == old.machine.locate("/small", {})));
  CHECK_EQ(fresh.names("/"), old.names("/"));
  CHECK_EQ(fresh.machine.counters().files, old.machine.counters().files);
  CHECK_EQ(fresh.machine.cluster_map().registered(placement::NodeKind::kChunk), 6u);
  // What was under way goes on.
  while (fresh.machine.removal_pending()) REQUIRE(fresh.lead(RemoveStep{.limit = 3}).has_value());
  for (const auto& upload : fresh.machine.uploads({}, 10)) {
    REQUIRE(fresh.lead(ExpireLease{.file = upload.file, .epoch = upload.epoch}).has_value());
  }
  CHECK(check_invariants(fresh.machine).has_value());
  CHECK_EQ(fresh.machine.counters().files, 4u);
}

TEST_CASE("after an import no id is given that was ever given before") {
  OldCluster old;
  fill(old);
  const Export all = export_all(old.machine);
  // Made after the export, and lost with the servers.
  REQUIRE(fs_put_more(old));
  std::set<uint64_t> inodes, blocks;
  collect_ids(old.machine, inodes, blocks);
  ClusterFixture fresh(0);
  import_all(fresh, all);
  std::set<uint64_t> old_inodes, old_blocks;
  collect_ids(fresh.machine, old_inodes, old_blocks);
  REQUIRE(fs_put_more(fresh));
  std::set<uint64_t> new_inodes, new_blocks;
  collect_ids(fresh.machine, new_inodes, new_blocks);
  for (const uint64_t id : new_inodes) CHECK((old_inodes.contains(id) || !inodes.contains(id)));
  for (const uint64_t id : new_blocks) CHECK((old_blocks.contains(id) || !blocks.contains(id)));
  CHECK_GT(new_blocks.size(), old_blocks.size());
  CHECK_GT(fresh.new_client().value, old.new_client().value + 1'000'000);
  const auto server = fresh.lead(RegisterNode{.node = {},
                                              .kind = placement::NodeKind::kChunk,
                                              .name = "chunk-new",
                                              .store = StoreId(5),
                                              .address = "127.0.0.1:1"});
  CHECK_GT(std::get<NodeRegistered>(*server).node.value, old.machine.tables().settings().next_node);
  // And once more.
  const Export second = export_all(fresh.machine);
  ClusterFixture third(0);
  import_all(third, second);
  CHECK_GT(third.machine.settings().incarnation, fresh.machine.settings().incarnation);
}

TEST_CASE("only a new cluster of the same id takes an import, and serves nothing until it ends") {
  OldCluster old;
  fill(old);
  Export all = export_all(old.machine);
  CHECK_EQ(outcome(old.ask(all.settings)), "precondition");  // holds files
  ClusterFixture fresh(0);
  CHECK_EQ(outcome(fresh.ask(ImportRows{.rows = {all.rows[0]}})), "precondition");
  CHECK_EQ(outcome(fresh.ask(FinishImport{.rows = 0})), "precondition");
  BeginImport other = all.settings;
  other.cluster = ClusterId(8);
  CHECK_EQ(outcome(fresh.ask(other)), "precondition");
  other = all.settings;
  other.incarnation = Incarnation(4095);
  CHECK_EQ(outcome(fresh.ask(other)), "too_large");
  REQUIRE_EQ(outcome(fresh.ask(all.settings)), "ok");
  CHECK_EQ(outcome(fresh.make_directory("/x")), "unavailable");
  CHECK_EQ(fresh.machine.answer(StatQuery{.path = "/"}).error().code, Code::kUnavailable);
  CHECK(fresh.machine.answer(StatusQuery{}).has_value());
  CHECK_EQ(outcome(fresh.lead(ClusterFixture::server(9))), "unavailable");
  RegisterNode exported = ClusterFixture::server(1);
  exported.node = NodeId(limits::kFirstAssignedNode);  // its row is still to come
  CHECK_EQ(outcome(fresh.lead(exported)), "unavailable");
}

TEST_CASE("an import that was cut off is done again, and mixes with no other export") {
  OldCluster old;
  fill(old);
  const Export all = export_all(old.machine);
  REQUIRE(fs_put_more(old));
  const Export later = export_all(old.machine);
  const auto begin = [](ClusterFixture& fs, const Export& first, size_t rows) {
    REQUIRE_EQ(outcome(fs.ask(first.settings)), "ok");
    for (size_t i = 0; i < rows; ++i) {
      REQUIRE_EQ(outcome(fs.ask(ImportRows{.rows = {first.rows[i]}})), "ok");
    }
  };
  for (size_t rows = 0; rows <= all.rows.size(); ++rows) {
    CAPTURE(rows);
    ClusterFixture fresh(0);
    begin(fresh, all, rows);
    import_all(fresh, all);
    CHECK((fresh.machine.stat("/a/b/f") == old.machine.stat("/a/b/f")));
  }
  ClusterFixture mixed(0);
  begin(mixed, later, later.rows.size());
  begin(mixed, all, all.rows.size());
  CHECK_EQ(outcome(finish(mixed, all.rows.size())), "corrupt");
}

TEST_CASE("no import where a chunk server has an id already that the export may name") {
  OldCluster old;
  fill(old);
  ClusterFixture fresh(1);
  CHECK_EQ(outcome(fresh.ask(export_all(old.machine).settings)), "precondition");
}

TEST_CASE("the row of a file with the most blocks fits an import") {
  FileRow row;
  row.state = FileState::kPublished;
  row.policy = *placement::Policy::parse("rs-4-2");
  for (uint64_t i = 0; i < limits::kFileBlocksMax; ++i) {
    row.extents.push_back(
        {.file_offset = row.length(),
         .length = limits::kBlockBytesDefault,
         .block = compose_id<BlockId>(Slot(60'000), Incarnation(1), (uint64_t{1} << 27) + i)});
  }
  const FileHandle file{compose_id<InodeId>(Slot(60'000), Incarnation(1), 2),
                        compose_id<InodeId>(Slot(60'000), Incarnation(1), 3)};
  OldCluster old;
  ClusterFixture fresh(0);
  REQUIRE_EQ(outcome(fresh.ask(export_all(old.machine).settings)), "ok");
  const ImportRows rows{.rows = {{key::file(file), encode(row)}}};
  CHECK_EQ(outcome(fresh.ask(rows)), "ok");
}

ImportedRow& directory_of(std::vector<ImportedRow>& rows) {
  return *std::ranges::find_if(
      rows, [](const auto& row) { return key::parse(row.key)->tag == Tag::kDirectory; });
}

// How an import of the rows ends when they are damaged so; "row ..." when one is not taken.
template <class Damage>
std::string import_ends(const Export& all, Damage damage) {
  ClusterFixture fresh(0);
  RegisterNode metadata = ClusterFixture::server(1);
  metadata.kind = placement::NodeKind::kMetadata;
  metadata.name = "meta-1";
  REQUIRE(fresh.lead(metadata).has_value());
  REQUIRE(fresh.ask(all.settings).has_value());
  std::vector<ImportedRow> rows = all.rows;
  damage(rows);
  for (const auto& row : rows) {
    const auto taken = fresh.ask(ImportRows{.rows = {row}});
    if (!taken) return "row " + outcome(taken);
  }
  const auto finished = finish(fresh, all.rows.size());
  if (!finished) CHECK_EQ(outcome(fresh.make_directory("/x")), "unavailable");
  return outcome(finished);
}

TEST_CASE("rows that are damaged, foreign or missing are refused, and nothing is served") {
  OldCluster old;
  fill(old);
  const Export all = export_all(old.machine);
  const auto ends = [&](auto damage) { return import_ends(all, damage); };
  CHECK_EQ(ends([](auto&) {}), "ok");
  CHECK_EQ(ends([](auto& rows) { rows.pop_back(); }), "corrupt");
  CHECK_EQ(ends([](auto& rows) { directory_of(rows).value += "x"; }), "row corrupt");
  CHECK_EQ(ends([](auto& rows) { directory_of(rows).value[0] = 9; }), "row unsupported");
  CHECK_EQ(ends([](auto& rows) { rows[0].key = "nonsense"; }), "row invalid");
  CHECK_EQ(ends([&](auto& rows) { rows[0].key = key::slot(Slot(0)); }), "row invalid");
  CHECK_EQ(ends([&](auto& rows) {
             rows[0].key = key::block(compose_id<BlockId>(Slot(0), Incarnation(2), 1));
           }),
           "row invalid");
  const auto replace = [](auto& rows, Tag tag, auto key_of) {
    const auto row = std::ranges::find_if(rows, [&](const auto& r) {
      const auto parsed = *key::parse(r.key);
      return parsed.tag == tag &&
             (tag != Tag::kOutbox || key::outbox_kind_of(parsed.tail) == OutboxKind::kGarbage);
    });
    REQUIRE(row != rows.end());
    row->key = key_of(*key::parse(row->key));
  };
  for (const std::string& name : {std::string("a/b"), std::string("a\0b", 3), std::string("..")}) {
    CHECK_EQ(ends([&](auto& rows) {
               replace(rows, Tag::kDentry,
                       [&](const auto& key) { return key::dentry(InodeId(key.id), name); });
             }),
             "row invalid");
  }
  CHECK_EQ(ends([&](auto& rows) {
             replace(rows, Tag::kOutbox, [](const auto& key) {
               return key::outbox(Slot(77), OutboxKind::kGarbage, key::outbox_id_of(key.tail));
             });
           }),
           "row invalid");
  CHECK_EQ(ends([&](auto& rows) {
             replace(rows, Tag::kNode, [](const auto&) { return key::node(NodeId(2000)); });
           }),
           "row invalid");
  CHECK_EQ(ends([](auto& rows) {
             // One file less, one directory's row twice: as many rows, and no sound tree.
             for (auto& row : rows) {
               if (key::parse(row.key)->tag == Tag::kFile) {
                 row = rows[0];
                 break;
               }
             }
           }),
           "corrupt");
}

TEST_CASE("servers that the cluster did not give an id, and tops that lie somewhere, are refused") {
  OldCluster old;
  fill(old);
  const Export all = export_all(old.machine);
  const auto ends = [&](auto damage) { return import_ends(all, damage); };
  const auto change_server = [&](auto change) {
    return ends([&](auto& rows) {
      const auto row = std::ranges::find_if(
          rows, [](const auto& r) { return key::parse(r.key)->tag == Tag::kNode; });
      auto node = placement::decode_node(row->value).value();
      change(node);
      *row = {key::node(node.id), placement::encode_node(node)};
    });
  };
  CHECK_EQ(change_server([](auto&) {}), "ok");
  CHECK_EQ(change_server([](auto& node) { node.id = NodeId(1); }), "row invalid");
  CHECK_EQ(change_server([](auto& node) { node.id = NodeId(1023); }), "row invalid");
  CHECK_EQ(change_server([&](auto& node) { node.id = NodeId(all.settings.next_node); }),
           "row invalid");
  CHECK_EQ(change_server([](auto& node) { node.id = NodeId(UINT32_MAX); }), "row invalid");
  CHECK_EQ(change_server([](auto& node) { node.name = "meta-1"; }), "row invalid");
  const auto change_top = [&](InodeId id, InodeId parent) {
    return ends([&](auto& rows) {
      const auto row =
          std::ranges::find_if(rows, [&](const auto& r) { return r.key == key::directory(id); });
      auto directory = decode<DirectoryRow>(row->value).value();
      directory.parent = parent;
      row->value = encode(directory);
    });
  };
  CHECK_EQ(change_top(kRootDirectory, {}), "ok");
  CHECK_EQ(change_top(kRootDirectory, old.machine.stat("/a")->id), "corrupt");
  const InodeId tree(key::outbox_id_of(key::parse(*old.machine.tables().removals().begin())->tail));
  CHECK_EQ(change_top(tree, {}), "ok");
  CHECK_EQ(change_top(tree, kRootDirectory), "corrupt");
}

// Directories "x" in one another, the first of them in `top`; a ring when that is the last.
std::vector<ImportedRow> chain(uint64_t count, InodeId top) {
  const auto id = [](uint64_t i) { return compose_id<InodeId>(Slot(5), Incarnation(1), i); };
  std::vector<ImportedRow> rows;
  for (uint64_t i = 0; i < count; ++i) {
    const InodeId parent = i == 0 ? top : id(i - 1);
    DirectoryRow row;
    row.parent = parent;
    rows.push_back({key::directory(id(i)), encode(row)});
    const DentryRow name{.kind = EntryKind::kDirectory, .id = id(i), .home = {}};
    rows.push_back({key::dentry(parent, "x"), encode(name, parent)});
  }
  return rows;
}

Response import_chain(ClusterFixture& fs, uint64_t count, InodeId top) {
  OldCluster old;
  Export all = export_all(old.machine);
  for (auto& row : chain(count, top)) all.rows.push_back(std::move(row));
  REQUIRE_EQ(outcome(fs.ask(all.settings)), "ok");
  for (size_t i = 0; i < all.rows.size(); i += 1000) {
    const auto begin = all.rows.begin() + static_cast<ptrdiff_t>(i);
    const auto end = begin + static_cast<ptrdiff_t>(std::min<size_t>(1000, all.rows.size() - i));
    REQUIRE_EQ(outcome(fs.ask(ImportRows{.rows = {begin, end}})), "ok");
  }
  return finish(fs, all.rows.size());
}

// Each row and each directory once, and not each directory for each of those below it.
void check_linear(const StateMachine& machine) {
  CHECK_LE(machine.tables().scan_uses().steps,
           machine.tables().rows().size() + 4 * machine.counters().directories);
}

TEST_CASE("a ring of directories is refused, with no more work than others") {
  constexpr uint64_t kCount = 3000;
  ClusterFixture fs(0);
  const InodeId last = compose_id<InodeId>(Slot(5), Incarnation(1), kCount - 1);
  CHECK_EQ(outcome(import_chain(fs, kCount, last)), "corrupt");
  check_linear(fs.machine);
  ClusterFixture lost(0);
  const InodeId nowhere = compose_id<InodeId>(Slot(6), Incarnation(1), 9);
  CHECK_EQ(outcome(import_chain(lost, kCount, nowhere)), "corrupt");
  check_linear(lost.machine);
}

TEST_CASE("directories of any depth are imported, summed in one go, reached and removed") {
  constexpr uint64_t kCount = 3000;
  ClusterFixture fs(0);
  REQUIRE_EQ(outcome(import_chain(fs, kCount, kRootDirectory)), "ok");
  check_linear(fs.machine);
  CHECK_EQ(fs.machine.use("/")->use.entries, kCount);
  auto copy = copy_through_snapshot(fs.machine, 10'000);
  REQUIRE(copy.has_value());
  CHECK(check_invariants(*copy).has_value());
  CHECK_EQ(copy->use("/")->use.entries, kCount);
  ClusterFixture again(0);
  import_all(again, export_all(fs.machine));
  CHECK_EQ(again.machine.use("/")->use.entries, kCount);
  std::string deep;
  for (size_t i = 0; i < limits::kPathDepthMax; ++i) deep += "/x";
  CHECK_EQ(outcome(fs.make_directory(deep + "/y")), "too_large");
  REQUIRE_EQ(outcome(fs.move(deep, "/up")), "ok");
  CHECK_EQ(fs.machine.use("/up")->use.entries, kCount - limits::kPathDepthMax);
  CHECK_EQ(outcome(fs.make_directory("/up/x/x/y")), "ok");
  REQUIRE_EQ(outcome(fs.remove("/up", true)), "ok");
  while (fs.machine.removal_pending()) REQUIRE(fs.lead(RemoveStep{.limit = 700}).has_value());
  CHECK(check_invariants(fs.machine).has_value());
  CHECK_EQ(fs.machine.counters().directories, limits::kPathDepthMax);
}

TEST_CASE("the check of an import goes on at any replica, and anew when rows come meanwhile") {
  OldCluster old;
  fill(old);
  Export all = export_all(old.machine);
  for (auto& row : chain(6000, kRootDirectory)) all.rows.push_back(std::move(row));
  ClusterFixture fs(0);
  REQUIRE_EQ(outcome(fs.ask(all.settings)), "ok");
  const auto bring = [&] {
    for (const auto& row : all.rows) REQUIRE(fs.ask(ImportRows{.rows = {row}}).has_value());
  };
  bring();
  for (int i = 0; i < 4; ++i) REQUIRE(fs.ask(FinishImport{.rows = all.rows.size()}).has_value());
  REQUIRE_GT(fs.machine.tables().settings().checked_steps, 0u);
  // A row too many, and all of it from the beginning.
  REQUIRE(fs.ask(ImportRows{.rows = {all.rows[0]}}).has_value());
  CHECK_EQ(fs.machine.tables().settings().checked_steps, 0u);
  CHECK_EQ(outcome(finish(fs, all.rows.size())), "corrupt");
  REQUIRE_EQ(outcome(fs.ask(all.settings)), "ok");
  bring();
  uint64_t steps = 0;
  for (;; ++steps) {
    auto other = copy_through_snapshot(fs.machine, 100'000);
    REQUIRE(other.has_value());
    (void)fs.lead(RegisterClient{});  // something else is written in between
    REQUIRE((other
                 ->apply(fs.index, {.client = {},
                                    .request = {},
                                    .acknowledged_below = {},
                                    .wall = {},
                                    .operation = RegisterClient{}})
                 .has_value()));
    const Command next{.client = fs.client,
                       .request = fs.request = fs.request.next(),
                       .acknowledged_below = fs.request,
                       .wall = {},
                       .operation = FinishImport{.rows = all.rows.size()}};
    const auto here = fs.apply(next);
    CHECK((here == other->apply(fs.index, next)));
    CHECK_EQ(fs.machine.digest(), other->digest());
    REQUIRE(here.has_value());
    if (std::holds_alternative<Done>(*here)) break;
  }
  CHECK_GE(steps, all.rows.size() / limits::kImportRowsMax + 5);
  CHECK(check_invariants(fs.machine).has_value());
}

}  // namespace
TEST_CASE("what took appends when it was exported is to be sealed, and is sealed, afterwards") {
  OldCluster old;
  const auto open = [&](const std::string& path) {
    const auto reply =
        old.ask(OpenAppend{.path = path, .create = true, .policy = {}, .attributes = {}});
    REQUIRE_EQ(outcome(reply), "ok");
    const auto& opened = std::get<AppendOpened>(*reply);
    REQUIRE_EQ(outcome(old.begin_append(opened)), "ok");
    return opened;
  };
  const auto seal = [](ClusterFixture& fs, const AppendOpened& block) {
    return fs.lead(BeginSeal{.file = block.file, .block = block.block.block});
  };
  const auto fix = [](ClusterFixture& fs, const AppendOpened& block, uint64_t epoch) {
    return fs.lead(FixAppend{.file = block.file,
                             .block = block.block.block,
                             .epoch = Epoch(epoch),
                             .length = 10,
                             .holders = {0, 1}});
  };
  REQUIRE(old.put_inline("/head", "bytes").has_value());
  const auto appending = open("/head");
  const auto sealing = open("/sealing");
  REQUIRE_EQ(outcome(seal(old, sealing)), "ok");
  const auto log = open("/log");
  REQUIRE_EQ(outcome(seal(old, log)), "ok");
  REQUIRE_EQ(outcome(fix(old, log, 2)), "ok");
  REQUIRE(old
              .lead(BeginConversion{
                  .block = log.block.block, .generation = Generation(1), .attempt = 1, .avoid = {}})
              .has_value());

  ClusterFixture fresh(0);
  import_all(fresh, export_all(old.machine));
  CHECK_EQ(outcome(fresh.begin_append(appending)), "precondition");
  CHECK_EQ(std::get<SealBegun>(*seal(fresh, appending)).epoch, Epoch(2));
  CHECK_EQ(std::get<SealBegun>(*seal(fresh, sealing)).epoch, Epoch(3));
  CHECK_EQ(outcome(fix(fresh, sealing, 3)), "ok");
  CHECK_EQ(outcome(fix(fresh, appending, 2)), "ok");
  CHECK_EQ(fresh.machine.stat("/head")->length, 15);
  CHECK_EQ(fresh.machine.use("/")->use.bytes, 35);
  CHECK_EQ(fresh.machine.append_blocks({}, 10).size(), 3u);
  CHECK(check_invariants(fresh.machine).has_value());
}

}  // namespace dogfs::metadata
