#include "core/base/mutation.h"

#ifdef DOGFS_MUTANTS

#include <string>

namespace dogfs::mutation {
namespace {
thread_local std::string planted;
thread_local uint64_t visit_count = 0;
}  // namespace

void plant(std::string_view name) {
  planted = name;
  visit_count = 0;
}

bool active(std::string_view name) {
  if (planted != name) return false;
  ++visit_count;
  return true;
}

uint64_t visits() { return visit_count; }

}  // namespace dogfs::mutation

#endif
