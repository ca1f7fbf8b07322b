// A directory listed page by page while it changes between the pages.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <rapidcheck.h>

#include "core/base/random.h"

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

class ChangingDirectory {
 public:
  explicit ChangingDirectory(uint64_t seed) : random_(seed), fs_(0) {
    RC_ASSERT(fs_.make_directory("/d").has_value());
    RC_ASSERT(fs_.make_directory("/other").has_value());
    for (int i = 0; i < 30; ++i) change();
    throughout_ = ever_ = present_;
  }

  void list_all() {
    std::string after;
    for (bool more = true; more;) {
      const size_t limit = random_.between(1, 4);
      const auto page = fs_.machine.list("/d", after, limit);
      RC_ASSERT(page.has_value());
      RC_ASSERT(page->entries.size() <= limit);
      for (const auto& entry : page->entries) listed_.push_back(entry.name);
      more = page->more;
      if (more) after = page->entries.back().name;
      for (uint64_t i = random_.below(5); more && i > 0; --i) change();
    }
  }

  void check() const {
    RC_ASSERT(std::ranges::is_sorted(listed_));
    RC_ASSERT(std::ranges::adjacent_find(listed_) == listed_.end());
    for (const auto& name : throughout_) {
      RC_ASSERT(std::ranges::binary_search(listed_, name));
    }
    for (const auto& name : listed_) RC_ASSERT(ever_.contains(name));
  }

 private:
  std::string name() {
    return std::string(random_.between(1, 2), static_cast<char>('a' + random_.below(26)));
  }

  void appear(const std::string& name) {
    present_.insert(name);
    ever_.insert(name);
  }
  void vanish(const std::string& name) {
    present_.erase(name);
    throughout_.erase(name);
  }

  void change() {
    const std::string one = name(), two = name();
    const std::string at_one = "/d/" + one, at_two = "/d/" + two, away = "/other/" + one;
    switch (random_.below(7)) {
      case 0:
      case 1:
      case 2:
        if (fs_.put_inline(at_one, "x")) appear(one);  // a file that is replaced stays present
        break;
      case 3:
        if (fs_.make_directory(at_one)) appear(one);
        break;
      case 4:
        if (fs_.remove(at_one)) vanish(one);
        break;
      case 5:
        if (one != two && fs_.move(at_one, at_two)) {
          vanish(one);
          appear(two);
        }
        break;
      default:
        if (present_.contains(one) ? fs_.move(at_one, away) : fs_.move(away, at_one)) {
          present_.contains(one) ? vanish(one) : appear(one);
        }
    }
  }

  Random random_;
  ClusterFixture fs_;
  std::set<std::string> present_, throughout_, ever_;
  std::vector<std::string> listed_;
};

TEST_CASE("whatever changes between pages, what is there throughout is listed exactly once") {
  CHECK(rc::check([] {
    ChangingDirectory directory(*rc::gen::arbitrary<uint64_t>());
    directory.list_all();
    directory.check();
  }));
}

}  // namespace
}  // namespace dogfs::metadata
