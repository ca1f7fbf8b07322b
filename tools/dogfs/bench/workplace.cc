#include "tools/dogfs/bench/workplace.h"

#include <cstdlib>
#include <string>
#include <utility>

#include "tools/dogfs/cluster_control.h"
#include "tools/dogfs/system_error.h"

namespace dogfs::tool {

namespace fs = std::filesystem;

Result<Workplace> Workplace::make(const fs::path& wanted) {
  std::error_code error;
  if (!wanted.empty()) {
    if (fs::exists(wanted, error))
      return fail(Code::kExists, "{} is there already; name a new directory", wanted.string());
    fs::create_directories(wanted, error);
    if (error) return fail_errno(error.value(), wanted.string());
    return Workplace(wanted);
  }
  const fs::path parent = fs::temp_directory_path(error);
  if (error) return fail_errno(error.value(), "the directory of temporary files");
  std::string name = parent / "dogfs-bench.XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) return fail_errno(errno, name);
  return Workplace(name);
}

Workplace::Workplace(Workplace&& other) noexcept : path_(std::exchange(other.path_, {})) {}

Workplace::~Workplace() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

Up::~Up() {
  (void)bring_down(cluster_, [](const LocalNode&, const std::string&) {});
}

}  // namespace dogfs::tool
