// Disks: what both worlds promise of files and directories while nothing fails.
#include "core/env/disk.h"

#include "core/base/random.h"
#include "core/env/nursery.h"

#include "tests/conformance/world.h"

#include "tests/doctest.h"

namespace dogfs::conformance {
namespace {

// The code of a result that should be an error; kUnsupported stands for success.
template <class T>
Code code_of(const Result<T>& result) {
  return result ? Code::kUnsupported : result.error().code;
}

Task<> make_file(Disk& disk, std::string path, std::string text) {
  auto file = co_await disk.open(path, OpenMode::kAlways);
  REQUIRE(file);
  CHECK(co_await (*file)->truncate(0));
  CHECK(co_await (*file)->write(0, Buffer::take(text)));
}

Task<std::string> text_of(Disk& disk, std::string path) {
  auto file = co_await disk.open(path, OpenMode::kRead);
  if (!file) co_return "cannot open";
  const auto bytes = co_await (*file)->read(0, 1 << 20);
  co_return bytes ? std::string(bytes->text()) : "cannot read";
}

Task<> open_in_all_modes(Disk& disk) {
  CHECK_EQ(code_of(co_await disk.open("file", OpenMode::kRead)), Code::kNotFound);
  CHECK_EQ(code_of(co_await disk.open("file", OpenMode::kWrite)), Code::kNotFound);
  CHECK(co_await disk.open("file", OpenMode::kCreate));
  CHECK_EQ(code_of(co_await disk.open("file", OpenMode::kCreate)), Code::kExists);
  co_await make_file(disk, "file", "text");
  CHECK(co_await disk.open("file", OpenMode::kAlways));
  CHECK(co_await disk.open("file", OpenMode::kWrite));
  CHECK_EQ(co_await text_of(disk, "file"), "text");
  CHECK(co_await disk.open("other", OpenMode::kAlways));
  CHECK_EQ(co_await text_of(disk, "other"), "");
  CHECK_EQ(code_of(co_await disk.open("none/file", OpenMode::kAlways)), Code::kNotFound);
}

IN_BOTH_WORLDS("each way to open a file finds or makes what it says") {
  Node& node = world.add_node();
  world.run(node, open_in_all_modes(node.env().disk()));
}

Task<> write_to_file_opened_for_reading(Disk& disk) {
  co_await make_file(disk, "file", "text");
  auto file = co_await disk.open("file", OpenMode::kRead);
  REQUIRE(file);
  CHECK_FALSE(co_await (*file)->write(0, Buffer::copy("T")));
  CHECK_FALSE(co_await (*file)->truncate(0));
  CHECK_EQ(co_await text_of(disk, "file"), "text");
}

IN_BOTH_WORLDS("a file opened for reading cannot be changed") {
  Node& node = world.add_node();
  world.run(node, write_to_file_opened_for_reading(node.env().disk()));
}

Task<> use_bad_paths(Disk& disk) {
  const std::vector<std::string> bad{"",
                                     "/",
                                     "/etc",
                                     "..",
                                     "a/../b",
                                     "a//b",
                                     "./a",
                                     "a/.",
                                     "a/",
                                     std::string(256, 'n'),
                                     "../a",
                                     "/a",
                                     std::string("a\0b", 3)};
  for (const std::string& path : bad) {
    CAPTURE(path);
    CHECK_EQ(code_of(co_await disk.open(path, OpenMode::kAlways)), Code::kInvalid);
    CHECK_EQ(code_of(co_await disk.make_directory(path)), Code::kInvalid);
    CHECK_EQ(code_of(co_await disk.remove(path)), Code::kInvalid);
    CHECK_EQ(code_of(co_await disk.rename(path, "to")), Code::kInvalid);
    if (path.empty()) continue;  // the root
    CHECK_EQ(code_of(co_await disk.list(path)), Code::kInvalid);
    CHECK_EQ(code_of(co_await disk.sync_directory(path)), Code::kInvalid);
  }
  CHECK(co_await disk.open(std::string(255, 'n'), OpenMode::kAlways));
}

IN_BOTH_WORLDS("a path that leaves the data directory or is not in its plain form is refused") {
  Node& node = world.add_node();
  world.run(node, use_bad_paths(node.env().disk()));
}

Task<> read_and_write_at_offsets(Disk& disk) {
  auto opened = co_await disk.open("file", OpenMode::kCreate);
  REQUIRE(opened);
  File& file = **opened;
  CHECK_EQ((co_await file.read(0, 10))->size(), 0);
  CHECK(co_await file.write(6, Buffer::copy("world")));
  CHECK_EQ((co_await file.read(0, 6))->text(), std::string_view("\0\0\0\0\0\0", 6));
  CHECK(co_await file.write(0, Buffer::copy("hello ")));
  CHECK_EQ((co_await file.read(0, 100))->text(), "hello world");
  CHECK_EQ((co_await file.read(4, 3))->text(), "o w");
  CHECK_EQ((co_await file.read(11, 5))->size(), 0);
  CHECK_EQ((co_await file.read(1000, 5))->size(), 0);
  CHECK_EQ((co_await file.read(3, 0))->size(), 0);
  CHECK(co_await file.write(3, Buffer()));
  CHECK_EQ(co_await file.size(), 11);
  CHECK(co_await file.sync());
}

IN_BOTH_WORLDS("a read ends where the file ends, and a gap reads as zeros") {
  Node& node = world.add_node();
  world.run(node, read_and_write_at_offsets(node.env().disk()));
}

Task<> cut_and_grow(Disk& disk) {
  co_await make_file(disk, "file", "0123456789");
  auto opened = co_await disk.open("file", OpenMode::kWrite);
  REQUIRE(opened);
  File& file = **opened;
  CHECK(co_await file.truncate(4));
  CHECK_EQ(co_await file.size(), 4);
  CHECK(co_await file.truncate(8));
  CHECK_EQ(co_await file.size(), 8);
  CHECK_EQ((co_await file.read(0, 20))->text(), std::string_view("0123\0\0\0\0", 8));
  CHECK(co_await file.extend(8, 3'000'000));
  CHECK_EQ(co_await file.size(), 3'000'000);
  CHECK_EQ((co_await file.read(2, 4))->text(), std::string_view("23\0\0", 4));
  CHECK_EQ((co_await file.read(2'999'999, 4))->text(), std::string_view("\0", 1));
  CHECK(co_await file.truncate(0));
  CHECK_EQ((co_await file.read(0, 20))->size(), 0);
}

IN_BOTH_WORLDS("truncating cuts, and grows with zeros, as extending does") {
  Node& node = world.add_node();
  world.run(node, cut_and_grow(node.env().disk()));
}

Task<> use_huge_offsets(Disk& disk) {
  co_await make_file(disk, "file", "x");
  auto opened = co_await disk.open("file", OpenMode::kWrite);
  REQUIRE(opened);
  CHECK_FALSE(co_await (*opened)->write(UINT64_MAX, Buffer::copy("y")));
  CHECK_FALSE(co_await (*opened)->truncate(UINT64_MAX));
  CHECK_FALSE(co_await (*opened)->extend(1, UINT64_MAX));
  CHECK_EQ(co_await (*opened)->size(), 1);
}

IN_BOTH_WORLDS("an offset that no file can have is refused") {
  Node& node = world.add_node();
  world.run(node, use_huge_offsets(node.env().disk()));
}

Task<> rename_over(Disk& disk) {
  co_await make_file(disk, "from", "new");
  co_await make_file(disk, "to", "old");
  auto held = co_await disk.open("to", OpenMode::kRead);
  REQUIRE(held);
  CHECK(co_await disk.rename("from", "to"));
  CHECK_EQ(co_await text_of(disk, "to"), "new");
  CHECK_EQ(code_of(co_await disk.open("from", OpenMode::kRead)), Code::kNotFound);
  CHECK_EQ((co_await (*held)->read(0, 10))->text(), "old");
  CHECK_EQ(code_of(co_await disk.rename("from", "to")), Code::kNotFound);
  CHECK(co_await disk.make_directory("d"));
  CHECK(co_await disk.rename("to", "d/to"));
  CHECK_EQ(co_await text_of(disk, "d/to"), "new");
  CHECK(co_await disk.rename("d", "e"));
  CHECK_EQ(co_await text_of(disk, "e/to"), "new");
  CHECK_EQ(code_of(co_await disk.rename("e", "none/e")), Code::kNotFound);
}

IN_BOTH_WORLDS("a rename replaces a file, and who has that open still reads it") {
  Node& node = world.add_node();
  world.run(node, rename_over(node.env().disk()));
}

Task<> list_and_remove(Disk& disk) {
  using Entries = std::vector<DirectoryEntry>;
  CHECK((*co_await disk.list("") == Entries{}));
  CHECK(co_await disk.make_directory("d"));
  CHECK_EQ(code_of(co_await disk.make_directory("d")), Code::kExists);
  CHECK_EQ(code_of(co_await disk.make_directory("none/d")), Code::kNotFound);
  for (const std::string& name : {"d/b", "d/C", "d/a", "z"}) co_await make_file(disk, name, "");
  CHECK(co_await disk.make_directory("d/aa"));
  CHECK((*co_await disk.list("") == Entries{{"d", true}, {"z", false}}));
  CHECK((*co_await disk.list("d") ==
         Entries{{"C", false}, {"a", false}, {"aa", true}, {"b", false}}));
  CHECK_EQ(code_of(co_await disk.list("none")), Code::kNotFound);
  CHECK_FALSE(co_await disk.list("z"));
  CHECK_FALSE(co_await disk.remove("d"));
  for (const std::string& name : {"d/b", "d/C", "d/a", "d/aa", "d"})
    CHECK(co_await disk.remove(name));
  CHECK((*co_await disk.list("") == Entries{{"z", false}}));
  CHECK_EQ(code_of(co_await disk.remove("d")), Code::kNotFound);
  CHECK_EQ(code_of(co_await disk.open("d", OpenMode::kWrite)), Code::kNotFound);
}

IN_BOTH_WORLDS("a directory lists its names sorted, and goes only when it is empty") {
  Node& node = world.add_node();
  world.run(node, list_and_remove(node.env().disk()));
}

Task<> use_directory_as_file(Disk& disk) {
  CHECK(co_await disk.make_directory("d"));
  CHECK_FALSE(co_await disk.open("d", OpenMode::kRead));
  CHECK_FALSE(co_await disk.open("d", OpenMode::kWrite));
  CHECK_EQ(code_of(co_await disk.open("d", OpenMode::kCreate)), Code::kExists);
  co_await make_file(disk, "file", "");
  CHECK_EQ(code_of(co_await disk.make_directory("file")), Code::kExists);
  CHECK_FALSE(co_await disk.make_directory("file/d"));
  CHECK_FALSE(co_await disk.open("file/f", OpenMode::kAlways));
}

IN_BOTH_WORLDS("a directory is not a file, and a file not a directory") {
  Node& node = world.add_node();
  world.run(node, use_directory_as_file(node.env().disk()));
}

Task<> sync_and_measure(Disk& disk) {
  CHECK(co_await disk.make_directory("d"));
  CHECK(co_await disk.sync_directory("d"));
  CHECK(co_await disk.sync_directory(""));
  CHECK_EQ(code_of(co_await disk.sync_directory("none")), Code::kNotFound);
  const auto space = co_await disk.space();
  REQUIRE(space);
  CHECK(space->total_bytes > 0);
  CHECK(space->free_bytes <= space->total_bytes);
}

IN_BOTH_WORLDS("directories can be synced, and the disk tells its space") {
  Node& node = world.add_node();
  world.run(node, sync_and_measure(node.env().disk()));
}

Task<> remove_while_open(Disk& disk) {
  co_await make_file(disk, "file", "still here");
  auto held = co_await disk.open("file", OpenMode::kWrite);
  REQUIRE(held);
  CHECK(co_await disk.remove("file"));
  CHECK_EQ((co_await (*held)->read(0, 20))->text(), "still here");
  CHECK(co_await (*held)->write(0, Buffer::copy("S")));
  CHECK(co_await disk.open("file", OpenMode::kCreate));
}

IN_BOTH_WORLDS("a removed file lives on for those who have it open") {
  Node& node = world.add_node();
  world.run(node, remove_while_open(node.env().disk()));
}

Task<> write_piece(File& file, uint64_t number, std::string piece) {
  CHECK(co_await file.write(number * piece.size(), Buffer::take(piece)));
  const auto back = co_await file.read(number * piece.size(), piece.size());
  CHECK((back && back->text() == piece));
}

Task<> write_pieces(Nursery& children, File& file) {
  for (uint64_t i = 0; i < 64; ++i)
    children.spawn(write_piece(file, i, std::string(10'000, static_cast<char>('!' + i))));
  co_await children.join();
}

Task<> write_many_at_once(Env& env) {
  auto file = co_await env.disk().open("file", OpenMode::kCreate);
  REQUIRE(file);
  co_await nursery(env, [&](Nursery& children) { return write_pieces(children, **file); });
  const auto all = co_await (*file)->read(0, 1'000'000);
  REQUIRE(all);
  CHECK_EQ(all->size(), 640'000);
  for (size_t i = 0; i < all->size(); i += 10'000)
    CHECK_EQ(all->text()[i], static_cast<char>('!' + i / 10'000));
}

IN_BOTH_WORLDS("many operations on one file may be under way at a time") {
  Node& node = world.add_node();
  world.run(node, write_many_at_once(node.env()));
}

Task<> write_and_forget(Disk& disk, std::string path) {
  auto file = co_await disk.open(path, OpenMode::kAlways);
  REQUIRE(file);
  co_await (*file)->write(0, Buffer::take(std::string(100'000, 'x')));
}

Task<> spawn_writer(Env& env, Nursery& children) {
  children.spawn(write_and_forget(env.disk(), "file"));
  co_await asio::post(asio::use_awaitable);
  co_await asio::post(asio::use_awaitable);
}

IN_BOTH_WORLDS("a file may be destroyed while its operations are under way") {
  Node& node = world.add_node();
  for (int i = 0; i < 30; ++i)
    world.run(node, nursery(node.env(),
                            [&](Nursery& children) { return spawn_writer(node.env(), children); }));
  world.run_for(5ms);
  CHECK_EQ(node.live_tasks(), 0);
}

}  // namespace
}  // namespace dogfs::conformance
