// The file commands against a cluster that is well.

#include <csignal>
#include <filesystem>

#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "tests/process/cluster.h"

#include "tests/doctest.h"

namespace dogfs::test {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMiB = 1 << 20;

std::vector<std::string> keys(const nlohmann::json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items()) names.push_back(name);
  return names;
}

struct Refused {
  Arguments arguments;
  int exit_code;
  std::string said;
};

void check_refusals(const Cluster& cluster, const std::vector<Refused>& table) {
  for (const auto& row : table) {
    std::string call;
    for (const auto& argument : row.arguments) call += argument + " ";
    const Outcome outcome = cluster.dogfs(row.arguments);
    CAPTURE(call);
    CAPTURE(outcome.err);
    CAPTURE(row.said);
    CHECK_EQ(outcome.exit_code, row.exit_code);
    CHECK(outcome.err.starts_with("dogfs: "));
    CHECK(outcome.err.find(row.said) != std::string::npos);
  }
}

void check_files(const Cluster& cluster) {
  const TemporaryDirectory& scratch = cluster.scratch();
  uint64_t seed = 1;
  for (const size_t size : {size_t{0}, size_t{1}, 4 * kMiB, 4 * kMiB + 1, 70 * kMiB}) {
    CAPTURE(size);
    const std::string bytes = noise(size, seed++);
    write_file(scratch / "local", bytes);
    CHECK_EQ(cluster.dogfs({"put", scratch / "local", "/file"}).exit_code, 0);
    CHECK_EQ(cluster.dogfs({"get", "/file", scratch / "copy"}).exit_code, 0);
    CHECK((read_file(scratch / "copy") == bytes));
  }
  const std::string piped = noise(3 * kMiB, seed);
  CHECK_EQ(cluster.put("/piped", piped).exit_code, 0);
  CHECK((cluster.get("/piped") == piped));
}

void check_destinations(const Cluster& cluster) {
  const TemporaryDirectory& scratch = cluster.scratch();
  fs::create_directory(scratch / "into");
  write_file(scratch / "local", "some bytes");
  CHECK_EQ(cluster.dogfs({"mkdir", "/dir"}).exit_code, 0);
  CHECK_EQ(cluster.dogfs({"put", scratch / "local", "/dir/"}).exit_code, 0);
  CHECK_EQ(cluster.dogfs({"get", "/dir/local", scratch / "into"}).exit_code, 0);
  CHECK_EQ(read_file(scratch / "into/local"), "some bytes");
  // Like cp, get replaces a file and keeps its mode.
  write_file(scratch / "kept", "old and longer than the new one");
  ::chmod((scratch / "kept").c_str(), 0600);
  CHECK_EQ(cluster.dogfs({"get", "/dir/local", scratch / "kept"}).exit_code, 0);
  CHECK_EQ(read_file(scratch / "kept"), "some bytes");
  CHECK((fs::status(scratch / "kept").permissions() ==
         (fs::perms::owner_read | fs::perms::owner_write)));
  CHECK_EQ(cluster.dogfs({"mv", "/dir/local", "/dir/other"}).exit_code, 0);
  CHECK_EQ(cluster.dogfs({"rm", "/dir/other"}).exit_code, 0);
  CHECK_EQ(cluster.dogfs({"ls", "/dir"}).out, "");
}

void check_errors(const Cluster& cluster) {
  const TemporaryDirectory& scratch = cluster.scratch();
  write_file(scratch / "local", "bytes");
  fs::create_directory(scratch / "taken");
  fs::create_symlink("loop", scratch / "loop");
  fs::create_directory(scratch / "taken/file");
  CHECK_EQ(cluster.dogfs({"mkdir", "-p", "/full/below"}).exit_code, 0);
  CHECK_EQ(cluster.put("/file", "bytes").exit_code, 0);
  const std::string local = scratch / "local";
  const std::string long_name(256, 'n');
  check_refusals(cluster, {
                              {{"get", "/none", scratch / "x"}, 3, "/none"},
                              {{"cat", "/none/deeper"}, 3, "/none"},
                              {{"stat", "/none"}, 3, "/none"},
                              {{"ls", "/none"}, 3, "/none"},
                              {{"rm", "/none"}, 3, "/none"},
                              {{"mv", "/none", "/other"}, 3, "/none"},
                              {{"put", scratch / "missing", "/x"}, 3, "missing: No such file"},
                              {{"put", local, "/none/x"}, 3, "/none"},
                              {{"put", local, "relative"}, 2, "relative"},
                              {{"put", local, "/a//b"}, 2, "/a//b"},
                              {{"put", local, "/a/../b"}, 2, "/a/../b"},
                              {{"put", local, "/" + long_name}, 2, "255"},
                              {{"put", local, "/broken\xff"}, 2, "UTF-8"},
                              {{"put", scratch.path().string(), "/x"}, 2, "is a directory"},
                              {{"put", local, "/x", "--policy", "rs-0-2"}, 2, "rs-0-2"},
                              {{"put", local, "/x", "--policy", "rs-6-3"}, 4, "9"},
                              {{"put", local, "/full"}, 4, "/full"},
                              {{"put", local, "/file", "--no-overwrite"}, 4, "/file"},
                              {{"put", local, "/file/below"}, 4, "/file"},
                              {{"mkdir", "/full"}, 4, "/full"},
                              {{"mkdir", "/x/y"}, 3, "/x"},
                              {{"rm", "/full"}, 4, "/full"},
                              {{"get", "/full", scratch / "x"}, 4, "is a directory"},
                              {{"get", "/file", scratch / "taken"}, 4, "is a directory"},
                              {{"get", "/file", scratch / "no/such"}, 3, "no/such"},
                              {{"get", "/file", "/dev/full"}, 6, "No space left"},
                              {{"get", "/file", scratch / "loop"}, 2, "loop: Too many levels"},
                          });
  // Nothing half-written is left, here or there.
  CHECK(!fs::exists(scratch / "x"));
  for (const auto& entry : fs::directory_iterator(scratch.path()))
    CHECK(!entry.path().filename().string().starts_with(".dogfs-get"));
  CHECK_EQ(cluster.dogfs({"stat", "/x"}).exit_code, 3);
  CHECK((cluster.get("/file") == "bytes"));
}

// Files that live with the metadata, and copies that move no bytes.
void check_without_bytes_moved(const Cluster& cluster) {
  const auto stat = [&](const std::string& path) {
    return cluster.dogfs({"stat", path, "--json"}).lines().at(0);
  };
  CHECK_EQ(cluster.put("/tiny", noise(4096, 1)).exit_code, 0);
  CHECK_EQ(cluster.put("/larger", noise(4097, 2)).exit_code, 0);
  CHECK_EQ(stat("/tiny").at("inline"), true);
  CHECK_EQ(stat("/larger").at("inline"), false);
  CHECK((cluster.get("/tiny") == noise(4096, 1)));
  const std::string version = stat("/tiny").at("version");
  CHECK_EQ(cluster.put("/tiny", "new", {"--if-version", version}).exit_code, 0);
  CHECK_EQ(cluster.put("/tiny", "newer", {"--if-version", version}).exit_code, 4);
  for (const char* text : {"nonsense", "", "-", "1-", "1-0x0"})
    CHECK_EQ(cluster.put("/tiny", "newer", {"--if-version", text}).exit_code, 2);
  CHECK((cluster.get("/tiny") == "new"));
  CHECK_EQ(cluster.dogfs({"mkdir", "/copies"}).exit_code, 0);
  CHECK_EQ(cluster.dogfs({"cp", "/larger", "/copies/"}).exit_code, 0);
  CHECK_EQ(cluster.dogfs({"cp", "/tiny", "/copies/larger", "--no-overwrite"}).exit_code, 4);
  CHECK_EQ(cluster.dogfs({"cp", "/none", "/copies/x"}).exit_code, 3);
  CHECK_EQ(cluster.dogfs({"rm", "/larger"}).exit_code, 0);
  CHECK((cluster.get("/copies/larger") == noise(4097, 2)));
  const auto use = cluster.dogfs({"du", "/copies", "--json"}).lines().at(0);
  CHECK_EQ(use.at("bytes"), 4097);
  CHECK_EQ(use.at("entries"), 1);
  CHECK_EQ(cluster.dogfs({"rm", "-r", "/copies"}).exit_code, 0);
  CHECK_EQ(cluster.dogfs({"rm", "/tiny"}).exit_code, 0);
}

void check_ranges(const Cluster& cluster) {
  const std::string bytes = noise(9'000'000, 4);
  for (const std::string& whole : {bytes, bytes.substr(0, 1000)}) {
    CHECK_EQ(cluster.put("/ranges", whole).exit_code, 0);
    const uint64_t size = whole.size();
    const std::pair<uint64_t, uint64_t> ranges[] = {
        {0, 1}, {1, size - 1}, {size / 2, 10}, {size - 1, 100}, {size, 5}, {2 * size, 5}, {7, 0}};
    for (const auto& [offset, length] : ranges) {
      const Outcome read = cluster.dogfs({"cat", "/ranges", "--offset", std::to_string(offset),
                                          "--length", std::to_string(length)});
      CAPTURE(read.err);
      CHECK_EQ(read.exit_code, 0);
      CHECK((read.out == (offset < size ? whole.substr(offset, length) : "")));
    }
  }
  CHECK((cluster.dogfs({"cat", "/ranges", "--offset", "1KiB"}).out.empty()));
  CHECK((cluster.dogfs({"cat", "/ranges", "--offset", "990"}).out == bytes.substr(990, 10)));
  CHECK_EQ(cluster.dogfs({"cat", "/ranges", "--offset", "-1"}).exit_code, 2);
}

void check_json(const Cluster& cluster) {
  using Keys = std::vector<std::string>;
  const Outcome put = cluster.put("/json", noise(kMiB, 5), {"--json"});
  CHECK((keys(put.lines().at(0)) ==
         Keys{"blocks_below_full_width", "bytes", "deduplicated_bytes", "put"}));
  const std::string copy = cluster.scratch() / "copy";
  const Outcome get = cluster.dogfs({"get", "/json", copy, "--json"});
  CHECK((keys(get.lines().at(0)) == Keys{"begun_at", "bytes", "got", "local", "rebuilt_bytes"}));
  const Outcome stat = cluster.dogfs({"stat", "/json", "--json"});
  const auto row = stat.lines().at(0);
  CHECK((keys(row) == Keys{"block_bytes", "block_from", "blocks", "bytes", "cell_bytes",
                           "cell_from", "content", "content_from", "inline", "modified", "path",
                           "policy", "policy_from", "type", "version"}));
  CHECK_EQ(row.at("inline"), false);
  CHECK_EQ(row.at("bytes"), kMiB);
  CHECK_EQ(row.at("policy"), "rs-4-2");
  bool listed = false;
  for (const auto& entry : cluster.dogfs({"ls", "/", "--json"}).lines()) {
    CHECK((keys(entry) == Keys{"blocks", "bytes", "inline", "modified", "name", "policy", "type"}));
    listed = listed || entry.at("name") == "json";
  }
  CHECK(listed);
  const Outcome missing = cluster.dogfs({"stat", "/none", "--json"});
  CHECK_EQ(missing.exit_code, 3);
  CHECK((keys(missing.lines().at(0).at("error")) == Keys{"code", "exit_code", "message"}));
  CHECK_EQ(missing.lines().at(0).at("error").at("code"), "not_found");
  // Bytes go to standard output, so what is said about them does not.
  const Outcome cat = cluster.dogfs({"cat", "/json", "--json"});
  CHECK((cat.out == noise(kMiB, 5)));
  CHECK(cat.err.starts_with("{"));
}

void check_names(const Cluster& cluster) {
  const std::string name =
      "/" + std::string("\xc3\xa4\xe6\x97\xa5\xf0\x9f\x90\x95 x") + std::string(255 - 11, 'n');
  REQUIRE_EQ(name.size(), 256);
  CHECK_EQ(cluster.put(name, "woof").exit_code, 0);
  CHECK((cluster.get(name) == "woof"));
  CHECK(cluster.dogfs({"ls"}).out.find(name.substr(1) + "\n") != std::string::npos);
  CHECK_EQ(cluster.dogfs({"mkdir", "/rep", "--policy", "rep-3"}).exit_code, 0);
  CHECK_EQ(cluster.put("/rep/file", "copies").exit_code, 0);
  const Outcome stat = cluster.dogfs({"stat", "/rep/file", "--json"});
  CHECK_EQ(stat.lines().at(0).at("policy"), "rep-3");
  CHECK((cluster.get("/rep/file") == "copies"));
  CHECK_EQ(cluster.dogfs({"rm", "-r", "/rep"}).exit_code, 0);
  CHECK_EQ(cluster.dogfs({"stat", "/rep/file"}).exit_code, 3);
}

// A stream that is closed or full is told of, and nobody else's file or connection is taken for it.
void check_streams(const Cluster& cluster) {
  struct Row {
    Arguments arguments;
    std::vector<int> closed;
    std::string output;
    std::string said;
  };
  CHECK_EQ(cluster.put("/streams", "bytes").exit_code, 0);
  const std::vector<Row> table = {
      {{"put", "-", "/closed"}, {0}, "", "standard input: Bad file descriptor"},
      {{"cat", "/streams"}, {0, 1}, "", "standard output: Bad file descriptor"},
      {{"ls", "/"}, {0, 1}, "", "standard output: Bad file descriptor"},
      {{"ls", "/"}, {}, "/dev/full", "standard output: No space left on device"},
      {{"stat", "/streams", "--json"}, {}, "/dev/full", "standard output: No space left"},
  };
  for (const auto& row : table) {
    const Outcome outcome = cluster.dogfs(
        row.arguments,
        {.output = row.output, .closed = row.closed, .limit = std::chrono::seconds(10)});
    CAPTURE(row.arguments[0]);
    CAPTURE(outcome.err);
    CHECK_EQ(outcome.exit_code, 1);
    CHECK(outcome.err.find(row.said) != std::string::npos);
  }
  const RunOptions none{.closed = {0, 1, 2}, .limit = std::chrono::seconds(10)};
  CHECK_EQ(cluster.dogfs({"cat", "/streams"}, none).exit_code, 1);
  CHECK_EQ(cluster.dogfs({"stat", "/closed"}).exit_code, 3);
}

// The temporary file beside `target`, once it is there.
bool half_got(const fs::path& target) {
  for (const auto& entry : fs::directory_iterator(target.parent_path()))
    if (entry.path().filename().string().starts_with(".dogfs-get")) return true;
  return false;
}

// Told to stop while it writes a local file, as by a terminal that is closed.
void check_interrupted_get(const Cluster& cluster) {
  const fs::path target = cluster.scratch() / "half/copy";
  fs::create_directory(target.parent_path());
  CHECK_EQ(cluster.put("/long", noise(70 * kMiB, 9)).exit_code, 0);
  Running get(cluster.scratch(), {"get", "/long", target.string()},
              {.environment = "DOGFS_CLUSTER=" + cluster.directory()});
  while (!half_got(target) && !fs::exists(target)) {
  }
  get.signal(SIGHUP);
  const Outcome outcome = get.wait();
  CHECK((outcome.exit_code == 128 + SIGHUP || fs::exists(target)));
  CHECK(!half_got(target));
}

// A file that never ends; the program is told to stop while it stores it.
void check_signals(const Cluster& cluster) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    Running put(cluster.scratch(), {"put", "/dev/zero", "/endless"},
                {.environment = "DOGFS_CLUSTER=" + cluster.directory()});
    // Once it has opened its input it is at work; then let it be for a moment.
    const auto input = fs::path("/proc") / std::to_string(put.pid()) / "fd";
    for (bool open = false; !open;)
      for (const auto& entry : fs::directory_iterator(input)) {
        std::error_code gone;
        open = open || fs::read_symlink(entry.path(), gone) == "/dev/zero";
      }
    put.signal(signal);
    CHECK_EQ(put.wait().exit_code, 128 + signal);
    CHECK_EQ(cluster.dogfs({"stat", "/endless"}).exit_code, 3);
  }
}

// What a file or directory carries, from the command that sets it to the one that shows it.
void check_inodes(const Cluster& cluster) {
  const auto must = [&](const Arguments& arguments) {
    const Outcome outcome = cluster.dogfs(arguments);
    CAPTURE(outcome.err);
    CHECK_EQ(outcome.exit_code, 0);
  };
  CHECK_EQ(cluster.put("/carried", "0123456789").exit_code, 0);
  must({"chmod", "0640", "/carried"});
  must({"chown", "ada:staff", "/carried"});
  must({"label", "/carried", "tag:colour=red", "header:content-type=a/b", "xattr:x=a=b"});
  must({"label", "/carried", "tag:colour"});
  must({"truncate", "/carried", "4"});
  const auto row = cluster.dogfs({"stat", "/carried", "--json"}).lines().at(0);
  CHECK_EQ(row.at("mode"), "0640");
  CHECK_EQ(row.at("owner"), "ada");
  CHECK_EQ(row.at("group"), "staff");
  CHECK_EQ(row.at("headers").at("content-type"), "a/b");
  CHECK_EQ(row.at("xattrs").at("x"), "a=b");
  CHECK_FALSE(row.contains("tags"));
  CHECK_EQ(cluster.put("/more", "abc").exit_code, 0);
  must({"concat", "/carried", "/more"});
  CHECK_EQ(cluster.get("/carried"), "0123abc");

  must({"mkdir", "/limited"});
  must({"quota", "/limited", "--bytes", "1KiB", "--entries", "5"});
  CHECK_EQ(cluster.put("/limited/small", std::string(1000, 'x')).exit_code, 0);
  CHECK_EQ(cluster.dogfs({"du", "/limited", "--json"}).lines().at(0).at("quota_bytes"), 1024);
  must({"trash", "3600"});
  must({"rm", "/carried"});
  CHECK_EQ(cluster.dogfs({"ls", "/.trash", "--json"}).lines().size(), 1u);
  must({"trash", "0"});
  check_refusals(cluster, {{{"chmod", "999", "/limited"}, 2, "octal"},
                           {{"chmod", "0777x", "/limited"}, 2, "octal"},
                           {{"chmod", "0600", "/none"}, 3, "/none"},
                           {{"label", "/limited", "colour=red"}, 2, "KIND:NAME=VALUE"},
                           {{"label", "/limited", "hue:colour=red"}, 2, "no kind of label"},
                           {{"truncate", "/limited/small", "2KiB"}, 2, "1000"},
                           {{"truncate", "/limited/small", "-1"}, 2, ""},
                           {{"quota", "/limited", "--bytes", "many"}, 2, "many"},
                           {{"trash", "soon"}, 2, "soon"}});
  const Outcome over = cluster.put("/limited/more", std::string(100, 'x'));
  CHECK_EQ(over.exit_code, 6);
  CHECK(over.err.find("quota") != std::string::npos);
}

}  // namespace

namespace {

void check_continued(const Cluster& cluster) {
  const TemporaryDirectory& scratch = cluster.scratch();
  const std::string bytes = noise(9 * kMiB, 77);
  REQUIRE_EQ(cluster.put("/long", bytes).exit_code, 0);
  const auto version = [&] {
    return cluster.dogfs({"stat", "/long", "--json"})
        .lines()
        .at(0)
        .at("version")
        .get<std::string>();
  };
  const auto part = [&](const std::string& of) {
    return scratch / (".further." + of + ".dogfs-part");
  };
  const auto get = [&] {
    return cluster.dogfs({"get", "/long", scratch / "further", "--continue", "--json"});
  };
  // What is left of an earlier one counts: it shows by bytes that are not those of the file.
  std::string begun = bytes.substr(0, 5 * kMiB + 1);
  begun[0] = static_cast<char>(begun[0] ^ 1);
  write_file(part(version()), begun);
  write_file(part("1-1"), "of another version");
  const auto line = get().lines().at(0);
  CHECK_EQ(line.at("begun_at"), begun.size());
  CHECK_EQ(line.at("bytes"), bytes.size() - begun.size());
  CHECK((read_file(scratch / "further") == begun + bytes.substr(begun.size())));
  CHECK_FALSE(fs::exists(part(version())));
  CHECK_FALSE(fs::exists(part("1-1")));
  // Of a file that was replaced it does not.
  write_file(part(version()), begun);
  REQUIRE_EQ(cluster.put("/long", bytes).exit_code, 0);
  CHECK_EQ(get().lines().at(0).at("begun_at"), 0);
  CHECK((read_file(scratch / "further") == bytes));
  // More than there is of the file is refused, and forgotten.
  write_file(part(version()), bytes + "more");
  CHECK_EQ(get().exit_code, 7);
  CHECK_EQ(get().exit_code, 0);
  CHECK((read_file(scratch / "further") == bytes));
}

}  // namespace

TEST_CASE("a get that was cut off goes on where it stopped") {
  const Cluster cluster;
  check_continued(cluster);
}

TEST_CASE("files go in and come out, and every mistake has its own answer") {
  const Cluster cluster;
  check_files(cluster);
  check_destinations(cluster);
  check_errors(cluster);
  check_without_bytes_moved(cluster);
  check_ranges(cluster);
  check_inodes(cluster);
  check_json(cluster);
  check_names(cluster);
  check_streams(cluster);
  check_signals(cluster);
  check_interrupted_get(cluster);
}

}  // namespace dogfs::test
