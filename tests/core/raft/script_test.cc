// Golden scripts: what a group does, message by message. DOGFS_REWRITE=1 writes the outputs anew;
// then read the difference.

#include "tests/core/raft/script.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/doctest.h"

namespace dogfs::raft {
namespace {

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST_CASE("golden scripts give the outputs written below their commands") {
  const bool rewrite = std::getenv("DOGFS_REWRITE") != nullptr;
  std::set<std::filesystem::path> paths;
  for (const auto& file : std::filesystem::directory_iterator("tests/core/raft/scripts")) {
    if (file.path().extension() == ".txt") paths.insert(file.path());
  }
  CHECK_FALSE(paths.empty());
  for (const auto& path : paths) {
    CAPTURE(path.string());
    const std::string script = read_file(path);
    const std::string result = run_script(script);
    CHECK(result.find("VIOLATION") == std::string::npos);
    CHECK(result.find("error:") == std::string::npos);
    if (rewrite) {
      std::ofstream(path) << result;
    } else {
      CHECK_EQ(result, script);
    }
  }
}

}  // namespace
}  // namespace dogfs::raft
