#include "core/namespace/invariants.h"

#include <string>

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

// A sound state, taken over row by row, to be broken in one place.
struct Forgery {
  Tables tables;
  FileHandle file;
  FileHandle small;
  BlockId block;
  InodeId directory;
};

Forgery sound_state() {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/d").has_value());
  REQUIRE(fs.put("/f", {100}).has_value());
  REQUIRE(fs.put_inline("/small", "bytes").has_value());
  REQUIRE(fs.put("/gone", {100}).has_value());
  REQUIRE(fs.remove("/gone").has_value());
  REQUIRE(fs.write("/open", {100}).has_value());
  Forgery out;
  const BTreeView& rows = fs.machine.tables().rows();
  for (auto at = rows.seek(""); at.valid(); at.next()) {
    REQUIRE(out.tables.restore(at.key(), at.value()).has_value());
  }
  out.tables.finish_restore();
  const auto location = fs.machine.locate("/f", {});
  out.file = location->file;
  out.small = fs.machine.locate("/small", {})->file;
  out.block = location->blocks[0].block;
  out.directory = fs.machine.stat("/d")->id;
  return out;
}

template <class Break>
std::string violation(Break break_it) {
  Forgery forgery = sound_state();
  break_it(forgery);
  const auto verdict = check_invariants(forgery.tables);
  return verdict ? "sound" : verdict.error().message;
}

bool names(const std::string& message, const char* what) {
  CAPTURE(message);
  const bool found = message.find(what) != std::string::npos;
  CHECK(found);
  return found;
}

TEST_CASE("a sound state passes") {
  CHECK_EQ(violation([](Forgery&) {}), "sound");
}

TEST_CASE("a directory that knows a block as what it is not is found") {
  const auto digest = Sha256::of("content");
  // The block of /f, known in /d.
  const auto forge = [digest](auto change) {
    return [digest, change](Forgery& f) {
      auto block = *f.tables.block(f.block);
      block.digest = digest;
      block.known_in = f.directory;
      block.shared = true;
      f.tables.put(f.block, f.file.file, ReferrerRow{.home = f.file.home});
      f.tables.put(f.directory, digest, KnownRow{.block = f.block});
      change(f, block);
      f.tables.put(f.block, block);
    };
  };
  CHECK_EQ(violation(forge([](Forgery&, BlockRow&) {})), "sound");
  names(violation(forge([](Forgery&, BlockRow& b) { b.digest = Sha256::of("other"); })),
        "as what it is not");
  names(violation(forge([](Forgery& f, BlockRow& b) { b.known_in = f.file.home; })),
        "as what it is not");
  names(violation(forge([](Forgery&, BlockRow& b) { b.known_in = InodeId(0); })),
        "as what it is not");
  names(violation(forge([&](Forgery& f, BlockRow&) { f.tables.erase_known(f.directory, digest); })),
        "is not known in directory");
  names(violation(forge([&](Forgery& f, BlockRow&) {
          f.tables.put(f.directory, digest, KnownRow{.block = BlockId(77)});
        })),
        "known block");
  names(violation(forge([](Forgery&, BlockRow& b) { b.disowned = true; })),
        "is disowned and known");
  names(violation([&](Forgery& f) {
          for (auto at = f.tables.rows().seek(""); at.valid(); at.next()) {
            const auto parsed = key::parse(at.key());
            if (parsed->tag != Tag::kOutbox) continue;
            const BlockId garbage(key::outbox_id_of(parsed->tail));
            auto block = *f.tables.block(garbage);
            block.digest = digest;
            return f.tables.put(garbage, block);
          }
        }),
        "has a digest");
}

TEST_CASE("a block of appends that is not the open end of its file, or half converted, is found") {
  // The first block of /f, forged into one of appends.
  const auto forge = [](auto change) {
    return [change](Forgery& f) {
      auto block = *f.tables.block(f.block);
      block.policy = placement::Policy::parse("rep-3").value();
      block.shards.resize(3);
      block.append = AppendRow{.file = f.file, .ordinal = 1, .epoch = Epoch(1)};
      change(block);
      f.tables.put(f.block, block);
    };
  };
  CHECK_EQ(violation(forge([](BlockRow&) {})), "sound");
  names(violation(forge([](BlockRow& b) { b.state = BlockState::kAppending; })), "the open end");
  names(violation(forge([](BlockRow& b) { b.append->ordinal = 0; })), "is of appends");
  names(violation(forge([](BlockRow& b) { b.generation = Generation(2); })), "for its logs");
  const std::vector<ShardRow> shards{{.node = NodeId(1)}};
  names(violation(forge([&](BlockRow& b) {
          b.append->former.push_back({.generation = b.generation, .shards = shards});
        })),
        "twice");
  names(violation(forge([&](BlockRow& b) {
          b.append->former.push_back({.generation = Generation(2), .shards = {{}}});
        })),
        "which is deleted");
  names(violation(forge([&](BlockRow& b) {
          b.append->next =
              NextRow{.generation = b.generation, .nodes = std::vector<NodeId>(6, NodeId(0))};
        })),
        "goes back");
  names(violation(forge([&](BlockRow& b) {
          b.append->next =
              NextRow{.generation = Generation(2), .nodes = std::vector<NodeId>(6, NodeId(1))};
        })),
        "two shards");
}

TEST_CASE("a directory that is lost, doubled or badly placed is found") {
  names(violation([](Forgery& f) { f.tables.erase_dentry(kRootDirectory, "d"); }),
        "cannot be reached");
  names(violation([](Forgery& f) { f.tables.erase_directory(f.directory); }), "has no row");
  names(violation([](Forgery& f) {
          f.tables.put(kRootDirectory, "second",
                       {.kind = EntryKind::kDirectory, .id = f.directory, .home = {}});
        }),
        "two names");
  names(violation([](Forgery& f) {
          f.tables.put(
              f.directory,
              DirectoryRow{.parent = f.directory, .policy = {}, .modified = {}, .attributes = {}});
        }),
        "thinks it is in");
  // What nothing is above.
  names(violation([](Forgery& f) {
          f.tables.put(
              kRootDirectory,
              DirectoryRow{.parent = f.directory, .policy = {}, .modified = {}, .attributes = {}});
        }),
        "lies in none");
  names(violation([](Forgery& f) {
          f.tables.erase_dentry(kRootDirectory, "d");
          f.tables.put(slot_of(f.directory), OutboxKind::kRemoveTree, f.directory.value, {});
        }),
        "lies in none");
  names(violation([](Forgery& f) {
          f.tables.put(Slot(0), OutboxKind::kRemoveTree, kRootDirectory.value, {});
        }),
        "being removed");
  // A detached loop, the trace of two renames that crossed.
  names(violation([](Forgery& f) {
          f.tables.erase_dentry(kRootDirectory, "d");
          f.tables.put(f.directory, "self",
                       {.kind = EntryKind::kDirectory, .id = f.directory, .home = {}});
        }),
        "cannot be reached");
}

TEST_CASE("a tree that waits twice to be taken apart is found") {
  const auto drop = [](Forgery& f) {
    f.tables.erase_dentry(kRootDirectory, "d");
    f.tables.put(f.directory,
                 DirectoryRow{.parent = {}, .policy = {}, .modified = {}, .attributes = {}});
    f.tables.put(slot_of(f.directory), OutboxKind::kRemoveTree, f.directory.value, {});
  };
  CHECK_EQ(violation(drop), "sound");
  const auto twice = [&](Forgery& f) {
    drop(f);
    f.tables.put(Slot(77), OutboxKind::kRemoveTree, f.directory.value, {});
  };
  names(violation(twice), "removals miscounted");
}

TEST_CASE("a file with no name or two is found") {
  names(violation([](Forgery& f) { f.tables.erase_dentry(kRootDirectory, "f"); }), "has no name");
  names(violation([](Forgery& f) {
          f.tables.put(f.directory, "again",
                       {.kind = EntryKind::kFile, .id = f.file.file, .home = f.file.home});
        }),
        "2 names");
  names(violation([](Forgery& f) { f.tables.erase_file(f.file); }), "no row");
}

TEST_CASE("a block that is lost, shared, wanting or doubled on a server is found") {
  const auto change_block = [](auto change) {
    return violation([&](Forgery& f) {
      auto row = *f.tables.block(f.block);
      change(row);
      f.tables.put(f.block, row);
    });
  };
  names(violation([](Forgery& f) { f.tables.erase_block(f.block); }), "has no row");
  names(change_block([](BlockRow& b) { b.state = BlockState::kGarbage; }), "is garbage");
  names(change_block([](BlockRow& b) { b.state = BlockState::kOpen; }), "not whole");
  names(change_block([](BlockRow& b) { b.length = 99; }), "not whole");
  names(change_block([](BlockRow& b) { b.shards[0].node = b.shards[1].node; }), "two shards");
  names(change_block([](BlockRow& b) {
          b.shards[0] = {};
          b.shards[1] = {};
        }),
        "4 durable");
  names(violation([](Forgery& f) {
          auto row = *f.tables.file(f.file);
          row.extents.clear();
          f.tables.put(f.file, row);
        }),
        "not referred to");
}

TEST_CASE("a shared block whose set is not those who refer to it is found") {
  names(violation([](Forgery& f) { f.tables.put(f.block, f.file.file, {.home = f.file.home}); }),
        "has a set");
  names(violation([](Forgery& f) {
          auto row = *f.tables.block(f.block);
          row.shared = true;
          f.tables.put(f.block, row);
        }),
        "has no set");
  const auto shared_with = [](InodeId file) {
    return violation([&](Forgery& f) {
      auto row = *f.tables.block(f.block);
      row.shared = true;
      f.tables.put(f.block, row);
      f.tables.put(f.block, file, {.home = f.file.home});
    });
  };
  names(shared_with(InodeId(12345)), "referrers and names");
  names(violation([](Forgery& f) { f.tables.put(BlockId(77), f.file.file, {.home = {}}); }),
        "for nothing");
}

TEST_CASE("what a directory is thought to hold and does not is found") {
  names(violation([](Forgery& f) {
          auto row = *f.tables.file(f.small);
          row.content += "more";  // while it has a name
          f.tables.put(f.small, row);
        }),
        "what directory");
}

TEST_CASE("an inline file over the limit of the cluster is found") {
  names(violation([](Forgery& f) {
          auto row = *f.tables.file(f.small);
          row.content += std::string(ClusterFixture::kInlineBytes, 'x');
          f.tables.put(f.small, row);
        }),
        "inline");
}

TEST_CASE("an id above its counter and results without a session are found") {
  names(violation([](Forgery& f) {
          auto row = f.tables.slot(slot_of(f.block));
          row.next_block = 1;
          f.tables.put(slot_of(f.block), row);
        }),
        "above its slot's counter");
  names(violation([](Forgery& f) { f.tables.put(ClientId(77), RequestId(1), Response(Done{})); }),
        "outlived");
  names(violation([](Forgery& f) { f.tables.put(ClientId(1), RequestId(999), Response(Done{})); }),
        "counts");
}

}  // namespace
}  // namespace dogfs::metadata
