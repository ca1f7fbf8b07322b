#include "sim/check/history.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/check.h"
#include "core/base/digest.h"

namespace dogfs::sim {

Content content_of(std::string_view bytes) {
  return {.length = bytes.size(), .digest = Digest().add(bytes).value()};
}

std::string_view act_name(Act act) {
  switch (act) {
    case Act::kPut: return "put";
    case Act::kGet: return "get";
    case Act::kStat: return "stat";
    case Act::kList: return "list";
    case Act::kMakeDirectory: return "mkdir";
    case Act::kRename: return "rename";
    case Act::kRemove: return "remove";
    case Act::kCopy: return "copy";
  }
  UNREACHABLE("act {}", static_cast<int>(act));
}

namespace {

std::string seconds(Instant when) {
  if (when == kNever) return "never";
  const auto ms = to_ms(when.time_since_epoch());
  return fmt::format("{}.{:03}s", ms / 1000, ms % 1000);
}

std::string outcome_text(const Operation& operation) {
  switch (operation.outcome) {
    case Outcome::kPending: return "unanswered";
    case Outcome::kDone: return "done";
    case Outcome::kRefused:
      return fmt::format("refused ({})", operation.code ? code_name(*operation.code) : "no code");
    case Outcome::kUnknown: return "unknown";
  }
  UNREACHABLE("outcome {}", static_cast<int>(operation.outcome));
}

}  // namespace

bool is_done(const Operation& last_try, bool doubtful) {
  if (last_try.outcome == Outcome::kDone) return true;
  if (last_try.outcome != Outcome::kRefused || !doubtful) return false;
  switch (last_try.act) {
    case Act::kMakeDirectory: return last_try.code == Code::kExists;
    case Act::kRename:
    case Act::kRemove: return last_try.code == Code::kNotFound;
    default: return false;
  }
}

std::string describe(const Operation& operation) {
  std::string text =
      fmt::format("client {} {} {}", operation.client, act_name(operation.act), operation.path);
  if (has_target(operation.act)) text += " to " + operation.to;
  if (operation.act == Act::kPut) text += fmt::format(" ({} bytes)", operation.content.length);
  text += fmt::format(" [{}, {}] {}", seconds(operation.began), seconds(operation.ended),
                      outcome_text(operation));
  if (operation.position) text += fmt::format(" at {}", operation.position);
  return text;
}

size_t History::begin(Operation operation) {
  operations_.push_back(std::move(operation));
  return operations_.size() - 1;
}

uint64_t History::count(Outcome outcome) const {
  return static_cast<uint64_t>(std::ranges::count(operations_, outcome, &Operation::outcome));
}

}  // namespace dogfs::sim
