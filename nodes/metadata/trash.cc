#include "nodes/metadata/trash.h"

namespace dogfs::nodes {

Task<> Trash::run() {
  for (;;) {
    co_await group_.leadership();
    co_await watch(group_.term());
  }
}

Task<> Trash::watch(Term term) {
  Instant counted = env_.now();
  while (group_.leads(term)) {
    co_await env_.sleep(options_.look_every);
    if (!group_.leads(term)) co_return;
    if (!group_.state().trash_pending()) {
      counted = env_.now();
      continue;
    }
    auto passed = std::chrono::duration_cast<std::chrono::seconds>(env_.now() - counted);
    counted += passed;
    for (bool more = true; more && group_.leads(term); passed = {}) {
      const uint64_t from = group_.state().trash_clock();
      auto step = co_await group_.propose(
          metadata::AdvanceTrash{from, from + static_cast<uint64_t>(passed.count())});
      if (!step) env_.log().debug("trash: {}", step.error());
      const auto* taken = step ? std::get_if<metadata::StepTaken>(&*step) : nullptr;
      more = taken != nullptr && taken->more;
    }
  }
}

}  // namespace dogfs::nodes
