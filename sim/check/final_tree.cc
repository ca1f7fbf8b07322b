#include "sim/check/final_tree.h"

#include <algorithm>
#include <string_view>

namespace dogfs::sim {
namespace {

class Comparison {
 public:
  Comparison(const FinalTree& found, Demand demand, Violations& violations)
      : found_(found), demand_(demand), violations_(violations) {}

  void compare(const TreeModel& tree) {
    below(tree.root(), "");
    for (const auto& [path, entry] : found_)
      if (tree.find(path) == nullptr)
        violations_.add(Oracle::kLinearizability, "{} is there at the end, and nobody made it",
                        path);
  }
  uint64_t files() const { return files_; }

 private:
  void below(const TreeModel::Entry& directory, const std::string& path) {
    for (const auto& [name, child] : directory.children) {
      const std::string child_path = path + "/" + name;
      entry(child, child_path);
      below(child, child_path);
    }
  }
  void entry(const TreeModel::Entry& expected, const std::string& path) {
    const auto found = found_.find(path);
    if (found == found_.end())
      violations_.add(Oracle::kDurability, "{} is missing at the end", path);
    else if (found->second.is_directory != expected.is_directory)
      violations_.add(Oracle::kLinearizability, "{} is of the other kind at the end", path);
    else if (!expected.is_directory)
      file(expected, path, found->second);
  }
  void file(const TreeModel::Entry& expected, const std::string& path, const FoundEntry& found) {
    ++files_;
    if (found.length != expected.length) {
      violations_.add(Oracle::kDurability, "{} has {} bytes at the end, not {}", path, found.length,
                      expected.length);
    } else if (!found.content) {
      if (demand_ == Demand::kReadable)
        violations_.add(Oracle::kDurability, "{} ({} bytes) is not readable at the end: {}", path,
                        expected.length, found.content.error());
    } else if (!may_read(expected, *found.content)) {
      violations_.add(Oracle::kDurability, "{} reads as other {} bytes at the end ({:016x})", path,
                      found.content->length, found.content->digest);
    }
  }

  const FinalTree& found_;
  const Demand demand_;
  Violations& violations_;
  uint64_t files_ = 0;
};

}  // namespace

uint64_t check_final_tree(const TreeModel& tree, const FinalTree& found, Demand demand,
                          Violations& violations) {
  Comparison comparison(found, demand, violations);
  comparison.compare(tree);
  return comparison.files();
}

}  // namespace dogfs::sim
