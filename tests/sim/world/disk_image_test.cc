#include "sim/world/disk_image.h"

#include <set>

#include <rapidcheck.h>

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

constexpr uint64_t kCapacity = 1 << 20;
constexpr int kSeeds = 300;

Buffer text(std::string bytes) { return Buffer::take(std::move(bytes)); }

std::string all_of(DiskImage& image, const DiskImage::Content& file) {
  const auto read = image.read(file, 0, file->size());
  REQUIRE(read);
  return std::string(read->text());
}

std::string all_of(DiskImage& image, const std::string& path) {
  const auto file = image.open(path, OpenMode::kRead);
  return file ? all_of(image, *file) : "(missing)";
}

void sync_all(DiskImage& image, const DiskImage::Content& file) {
  image.sync(file, image.sync_mark(file));
  REQUIRE(image.sync_directory("", image.directory_mark()));
}

// A durable file "f" of the given bytes.
DiskImage::Content durable_file(DiskImage& image, std::string bytes, std::string name = "f") {
  auto file = image.open(name, OpenMode::kCreate);
  REQUIRE(file);
  REQUIRE(image.write(*file, 0, text(std::move(bytes))));
  sync_all(image, *file);
  return *file;
}

TEST_CASE("the durable view knows names and bytes only as far as they were synced") {
  DiskImage image(kCapacity);
  const auto durable = [&](const char* path) {
    const DiskContent* content = image.find_durable(path);
    return content == nullptr ? "(missing)" : content->durable();
  };
  REQUIRE(image.make_directory("d"));
  const auto file = image.open("d/a", OpenMode::kCreate).value();
  REQUIRE(image.write(file, 0, text("one")));
  image.sync(file, image.sync_mark(file));
  REQUIRE(image.sync_directory("d", image.directory_mark()));
  CHECK_EQ(durable("d/a"), "(missing)");  // d itself has no durable name
  REQUIRE(image.sync_directory("", image.directory_mark()));
  CHECK_EQ(durable("d/a"), "one");

  REQUIRE(image.write(file, 0, text("two")));
  REQUIRE(image.rename("d/a", "d/b"));
  CHECK_EQ(durable("d/a"), "one");
  CHECK_EQ(durable("d/b"), "(missing)");
  CHECK((image.durable_paths() == std::vector<std::string>{"d/a"}));
  REQUIRE(image.sync_directory("d", image.directory_mark()));
  image.sync(file, image.sync_mark(file));
  CHECK_EQ(durable("d/b"), "two");
  CHECK((image.durable_paths() == std::vector<std::string>{"d/b"}));
  CHECK_EQ(durable("d"), "(missing)");
  CHECK_EQ(durable("x/y"), "(missing)");
  CHECK_EQ(durable("d/b/c"), "(missing)");
}

TEST_CASE("synced bytes survive every power loss, whatever unsynced writes lie beside them") {
  for (int seed = 0; seed < kSeeds; ++seed) {
    DiskImage image(kCapacity);
    Random random(seed);
    const auto file = durable_file(image, std::string(4000, 'a'));
    REQUIRE(image.write(file, 3000, text(std::string(3000, 'b'))));
    REQUIRE(image.write(file, 5000, text(std::string(100, 'c'))));
    image.power_loss(random);
    const auto bytes = all_of(image, "f");
    REQUIRE(bytes.size() >= 4000);
    CHECK_EQ(bytes.substr(0, 3000), std::string(3000, 'a'));
    CHECK_EQ(bytes.substr(3000, 1000).find_first_not_of("ab"), std::string::npos);
  }
}

TEST_CASE("unsynced writes can be kept, lost and torn, and a later one can outlive an earlier") {
  bool kept = false;
  bool lost = false;
  bool later_only = false;
  DiskFaultCounts counts;
  for (int seed = 0; seed < kSeeds; ++seed) {
    DiskImage image(kCapacity);
    Random random(seed);
    const auto file = durable_file(image, std::string(4096, 'a'));
    REQUIRE(image.write(file, 0, text(std::string(2048, 'b'))));
    REQUIRE(image.write(file, 2048, text(std::string(2048, 'c'))));
    image.power_loss(random);
    const auto bytes = all_of(image, "f");
    const auto first = bytes.substr(0, 2048);
    const auto second = bytes.substr(2048);
    kept |= first == std::string(2048, 'b') && second == std::string(2048, 'c');
    lost |= bytes == std::string(4096, 'a');
    later_only |= first == std::string(2048, 'a') && second.contains('c');
    for (size_t sector = 0; sector < 8; ++sector) {
      const auto part = bytes.substr(sector * 512, 512);
      CHECK_EQ(part, std::string(512, part[0]));  // a sector is never torn itself
    }
    counts.add(image.counts());
  }
  CHECK(kept);
  CHECK(lost);
  CHECK(later_only);
  CHECK(counts[DiskFault::kTornWrite].took_effect > 0);
  CHECK(counts[DiskFault::kLostWrite].took_effect > 0);
  CHECK(counts[DiskFault::kLostWrite].took_effect < counts[DiskFault::kLostWrite].injected);
}

TEST_CASE("of the writes to one sector a prefix survives") {
  std::set<std::string> seen;
  for (int seed = 0; seed < kSeeds; ++seed) {
    DiskImage image(kCapacity);
    Random random(seed);
    const auto file = durable_file(image, "....");
    REQUIRE(image.write(file, 0, text("1")));
    REQUIRE(image.write(file, 1, text("2")));
    REQUIRE(image.write(file, 0, text("3")));
    image.power_loss(random);
    seen.insert(all_of(image, "f"));
  }
  CHECK((seen == std::set<std::string>{"....", "1...", "12..", "32.."}));
}

TEST_CASE(
    "lengths are volatile: an append can leave nothing, zeros or itself, a truncate nothing") {
  std::set<std::string> appended;
  std::set<std::string> cut;
  for (int seed = 0; seed < kSeeds; ++seed) {
    DiskImage image(kCapacity);
    Random random(seed);
    const auto a = durable_file(image, "old", "a");
    const auto b = durable_file(image, "longer", "b");
    REQUIRE(image.write(a, 3, text("new")));
    REQUIRE(image.truncate(b, 2));
    REQUIRE(image.write(b, 2, text("xx")));
    image.power_loss(random);
    appended.insert(all_of(image, "a"));
    cut.insert(all_of(image, "b"));
  }
  CHECK((appended == std::set<std::string>{"old", std::string("old\0\0\0", 6), "oldnew"}));
  CHECK((cut == std::set<std::string>{"longer", "lo", std::string("lo\0\0", 4), "loxx"}));
}

TEST_CASE("a sync covers what was written before it began, and not more") {
  bool later_write_lost = false;
  for (int seed = 0; seed < kSeeds; ++seed) {
    DiskImage image(kCapacity);
    Random random(seed);
    const auto file = durable_file(image, "");
    REQUIRE(image.write(file, 0, text(std::string(512, '1'))));
    const uint64_t mark = image.sync_mark(file);
    REQUIRE(image.write(file, 512, text(std::string(512, '2'))));
    image.sync(file, mark);
    image.sync(file, mark);  // another that began as early adds nothing
    image.power_loss(random);
    const auto bytes = all_of(image, "f");
    CHECK_EQ(bytes.substr(0, 512), std::string(512, '1'));
    later_write_lost |= bytes.size() == 512;
  }
  CHECK(later_write_lost);
}

TEST_CASE("names are volatile until their directory is synced") {
  std::set<std::vector<std::string>> seen;
  for (int seed = 0; seed < kSeeds; ++seed) {
    DiskImage image(kCapacity);
    Random random(seed);
    durable_file(image, "kept", "kept");
    for (const char* name : {"a", "b"}) {
      const auto file = image.open(name, OpenMode::kCreate);
      REQUIRE(file);
      image.sync(*file, image.sync_mark(*file));
    }
    REQUIRE(image.remove("kept"));
    image.power_loss(random);
    seen.insert(image.files());
  }
  using Files = std::vector<std::string>;
  CHECK((seen == std::set<Files>{{"kept"}, {"a", "kept"}, {"a", "b", "kept"}, {"a", "b"}}));
}

TEST_CASE("a rename is atomic, within a directory and between two, and durable after a sync") {
  for (int seed = 0; seed < kSeeds; ++seed) {
    DiskImage image(kCapacity);
    Random random(seed);
    REQUIRE(image.make_directory("d"));
    durable_file(image, "new", "tmp");
    durable_file(image, "old", "name");
    REQUIRE(image.rename("tmp", "d/tmp"));
    REQUIRE(image.rename("d/tmp", "name"));
    const bool synced = seed % 3 == 0;
    if (synced) REQUIRE(image.sync_directory("", image.directory_mark()));
    image.power_loss(random);
    const int news = (all_of(image, "tmp") == "new") + (all_of(image, "d/tmp") == "new") +
                     (all_of(image, "name") == "new");
    CHECK_EQ(news, 1);
    CHECK_NE(all_of(image, "name"), "(missing)");
    if (synced) CHECK_EQ(all_of(image, "name"), "new");
  }
}

TEST_CASE("syncing a directory makes nothing of another durable, unless a rename joins them") {
  bool lost = false;
  for (int seed = 0; seed < kSeeds; ++seed) {
    DiskImage image(kCapacity);
    Random random(seed);
    REQUIRE(image.make_directory("a"));
    REQUIRE(image.make_directory("b"));
    REQUIRE(image.sync_directory("", image.directory_mark()));
    REQUIRE(image.open("a/x", OpenMode::kCreate));
    REQUIRE(image.sync_directory("b", image.directory_mark()));
    image.power_loss(random);
    lost |= !image.open("a/x", OpenMode::kRead);
  }
  CHECK(lost);
}

TEST_CASE("a killed process loses nothing that it had written") {
  DiskImage image(kCapacity);
  Random random(1);
  const auto file = image.open("f", OpenMode::kCreate);
  REQUIRE(file);
  REQUIRE(image.write(*file, 0, text("page cache")));
  image.process_crash(random);
  CHECK_EQ(all_of(image, "f"), "page cache");
}

TEST_CASE("a failed sync drops pages, which vanish later, although the next sync succeeds") {
  bool shown_then_gone = false;
  bool survived = false;
  for (int seed = 0; seed < kSeeds; ++seed) {
    DiskImage image(kCapacity);
    Random random(seed);
    const auto file = durable_file(image, "");
    REQUIRE(image.write(file, 0, text("dropped?")));
    image.fail_sync(file, image.sync_mark(file), random);
    CHECK_EQ(all_of(image, "f"), "dropped?");
    REQUIRE(image.write(file, 8, text("later")));
    sync_all(image, file);
    const auto bytes = all_of(image, "f");
    CHECK_EQ(bytes.substr(8), "later");
    shown_then_gone |= bytes.substr(0, 8) == std::string(8, '\0');
    survived |= bytes == "dropped?later";
    image.power_loss(random);
    CHECK_EQ(all_of(image, "f"), bytes);
  }
  CHECK(shown_then_gone);
  CHECK(survived);
}

TEST_CASE("an unreadable sector fails reads until all of it is written again") {
  DiskImage image(kCapacity);
  const auto file = durable_file(image, std::string(2048, 'a'));
  REQUIRE(image.add_latent_error("f", 600));
  CHECK(image.read(file, 0, 512));
  CHECK_EQ(image.read(file, 0, 513).error().code, Code::kIo);
  CHECK_EQ(image.read(file, 1023, 1).error().code, Code::kIo);
  CHECK_EQ(image.counts()[DiskFault::kLatentError].took_effect, 2);
  REQUIRE(image.write(file, 600, text("part of the sector")));
  sync_all(image, file);
  CHECK_FALSE(image.read(file, 600, 1));
  REQUIRE(image.write(file, 512, text(std::string(512, 'b'))));
  CHECK(image.read(file, 0, 2048));  // from the page cache
  sync_all(image, file);
  CHECK(image.read(file, 0, 2048));
}

TEST_CASE("a rotten bit stays rotten until it is written again") {
  DiskImage image(kCapacity);
  const auto file = durable_file(image, "aaaa");
  CHECK_FALSE(image.rot("f", 4, 1));
  CHECK_FALSE(image.rot("g", 0, 1));
  REQUIRE(image.rot("f", 2, 1));
  CHECK_EQ(all_of(image, file), "aaca");
  CHECK_EQ(image.counts()[DiskFault::kBitRot].took_effect, 1);
  REQUIRE(image.write(file, 2, text("a")));
  sync_all(image, file);
  CHECK_EQ(all_of(image, file), "aaaa");
  CHECK_EQ(image.counts()[DiskFault::kBitRot].took_effect, 1);
}

TEST_CASE("early rot spares other directories and the second half of a file") {
  DiskImage image(kCapacity);
  REQUIRE(image.make_directory("wal"));
  const auto other = durable_file(image, std::string(64, 'o'), "o");
  Random random(1);
  CHECK_FALSE(image.rot_early("wal/", random));
  const auto log = durable_file(image, std::string(64, 'a'), "wal/1");
  for (int i = 0; i < 20; ++i) REQUIRE(image.rot_early("wal/", random));
  CHECK_EQ(all_of(image, other), std::string(64, 'o'));
  CHECK_EQ(all_of(image, log).substr(32), std::string(32, 'a'));
  CHECK_NE(all_of(image, log), std::string(64, 'a'));
}

TEST_CASE("a misdirected write is believed until synced, and then its bytes are elsewhere") {
  bool hit_other_file = false;
  for (int seed = 0; seed < 50; ++seed) {
    DiskImage image(kCapacity);
    Random random(seed);
    const auto file = durable_file(image, std::string(1024, 'a'), "f");
    const auto other = durable_file(image, std::string(1024, 'o'), "g");
    REQUIRE(image.write_misdirected(file, 10, text("WWW"), random));
    CHECK_EQ(all_of(image, file).substr(10, 3), "WWW");
    sync_all(image, file);
    CHECK_EQ(image.counts()[DiskFault::kMisdirectedWrite].took_effect, 1);
    hit_other_file |= all_of(image, other).contains("WWW");
    CHECK_EQ(all_of(image, other).size(), 1024);
  }
  CHECK(hit_other_file);
}

TEST_CASE("a full disk refuses growth and takes it again when space returns") {
  DiskImage image(10);
  const auto file = durable_file(image, "12345678");
  CHECK_EQ(image.write(file, 8, text("abc")).error().code, Code::kNoSpace);
  CHECK(image.write(file, 0, text("overwrite")));
  CHECK_EQ(image.space().free_bytes, 1);
  REQUIRE(image.truncate(file, 2));
  CHECK(image.write(file, 2, text("12345678")));
  CHECK_EQ(image.open("g", OpenMode::kCreate).error().code, Code::kNoSpace);
  REQUIRE(image.remove("f"));
  CHECK_EQ(image.space().free_bytes, 10);
  CHECK_EQ(image.counts()[DiskFault::kNoSpace].took_effect, 2);
}

TEST_CASE("a wiped disk is empty for good") {
  DiskImage image(kCapacity);
  Random random(1);
  durable_file(image, "gone");
  image.wipe();
  image.power_loss(random);
  CHECK(image.files().empty());
  CHECK_EQ(image.space().free_bytes, kCapacity);
}

TEST_CASE("bad paths and wrong kinds of names are refused") {
  DiskImage image(kCapacity);
  REQUIRE(image.make_directory("d"));
  durable_file(image, "", "d/f");
  for (const char* path : {"", "/", "/a", "a/", "a//b", ".", "d/..", "d"})
    CHECK_EQ(image.open(path, OpenMode::kAlways).error().code, Code::kInvalid);
  CHECK_EQ(image.open("no/f", OpenMode::kCreate).error().code, Code::kNotFound);
  CHECK_EQ(image.open("d/f", OpenMode::kCreate).error().code, Code::kExists);
  CHECK_EQ(image.open("d/g", OpenMode::kWrite).error().code, Code::kNotFound);
  CHECK_EQ(image.remove("d").error().code, Code::kExists);
  CHECK_EQ(image.rename("d", "d/e").error().code, Code::kInvalid);
  CHECK_EQ(image.rename("x", "y").error().code, Code::kNotFound);
  CHECK_EQ(image.make_directory("d").error().code, Code::kExists);
  CHECK_EQ(image.list("d/f").error().code, Code::kInvalid);
}

// What a file must read as: the slow obvious model.
void put(std::string& model, size_t offset, std::string_view bytes) {
  if (model.size() < offset + bytes.size()) model.resize(offset + bytes.size());
  model.replace(offset, bytes.size(), bytes);
}

TEST_CASE("readers see every write at once, synced or not") {
  CHECK(rc::check([](uint64_t seed) {
    DiskImage image(kCapacity);
    Random random(seed);
    const auto file = durable_file(image, "");
    std::string model;
    for (int step = 0; step < 60; ++step) {
      const uint64_t offset = random.below(2000);
      switch (random.below(8)) {
        case 0: image.sync(file, image.sync_mark(file)); break;
        case 1:
          RC_ASSERT(image.truncate(file, offset).has_value());
          model.resize(offset);
          break;
        case 2: image.process_crash(random); break;
        case 3:
          if (random.chance(1, 4)) {
            sync_all(image, file);
            image.power_loss(random);
          }
          break;
        default: {
          const std::string bytes(random.between(1, 700), static_cast<char>('a' + step % 26));
          RC_ASSERT(image.write(file, offset, text(bytes)).has_value());
          put(model, offset, bytes);
        }
      }
      const uint64_t from = random.below(model.size() + 1);
      const auto read = image.read(file, from, 900);
      RC_ASSERT(read.has_value());
      RC_ASSERT(read->text() == std::string_view(model).substr(from, 900));
      RC_ASSERT(image.space().free_bytes == kCapacity - model.size());
    }
  }));
}

}  // namespace
}  // namespace dogfs::sim
