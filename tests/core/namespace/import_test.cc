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
  REQUIRE_EQ(outcome(fs.ask(FinishImport{.rows = all.rows.size()})), "ok");
  REQUIRE(check_invariants(fs.machine).has_value());
}

// Everything that a namespace can hold.
void fill(ClusterFixture& fs) {
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
  ClusterFixture old;
  fill(old);
  const Export all = export_all(old.machine);
  ClusterFixture fresh(0);
  import_all(fresh, all);
  for (const char* path : {"/", "/a", "/a/b", "/a/b/f", "/small", "/copy"}) {
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
  CHECK_EQ(fresh.machine.counters().files, 3u);
}

TEST_CASE("after an import no id is given that was ever given before") {
  ClusterFixture old;
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
  ClusterFixture old;
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
}

TEST_CASE("an import that was cut off is done again, and mixes with no other export") {
  ClusterFixture old;
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
  CHECK_EQ(outcome(mixed.ask(FinishImport{.rows = all.rows.size()})), "corrupt");
}

TEST_CASE("no import where a chunk server has an id already that the export may name") {
  ClusterFixture old;
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
  ClusterFixture old;
  ClusterFixture fresh(0);
  REQUIRE_EQ(outcome(fresh.ask(export_all(old.machine).settings)), "ok");
  const ImportRows rows{.rows = {{key::file(file), encode(row)}}};
  CHECK_EQ(outcome(fresh.ask(rows)), "ok");
}

ImportedRow& directory_of(std::vector<ImportedRow>& rows) {
  return *std::ranges::find_if(
      rows, [](const auto& row) { return key::parse(row.key)->tag == Tag::kDirectory; });
}

TEST_CASE("rows that are damaged, foreign or missing are refused, and nothing is served") {
  ClusterFixture old;
  fill(old);
  const Export all = export_all(old.machine);
  const auto ends = [&](auto damage) {
    ClusterFixture fresh(0);
    REQUIRE(fresh.ask(all.settings).has_value());
    std::vector<ImportedRow> rows = all.rows;
    damage(rows);
    for (const auto& row : rows) {
      const auto taken = fresh.ask(ImportRows{.rows = {row}});
      if (!taken) return "row " + outcome(taken);
    }
    const auto finished = fresh.ask(FinishImport{.rows = all.rows.size()});
    if (!finished) CHECK_EQ(outcome(fresh.make_directory("/x")), "unavailable");
    return outcome(finished);
  };
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

}  // namespace
}  // namespace dogfs::metadata
