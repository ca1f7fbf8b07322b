#include "sim/check/history.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/check.h"

namespace dogfs::sim {

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
    case Act::kTruncate: return "truncate";
    case Act::kConcatenate: return "concatenate";
    case Act::kSetQuota: return "set_quota";
    case Act::kUse: return "use";
    case Act::kSetAttributes: return "set_attributes";
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

std::vector<std::string> paths_of(const Operation& operation) {
  std::vector<std::string> paths{operation.path};
  if (operation.act == Act::kRename || operation.act == Act::kCopy) paths.push_back(operation.to);
  paths.insert(paths.end(), operation.sources.begin(), operation.sources.end());
  return paths;
}

bool is_done(const Operation& last_try, bool doubtful) {
  if (last_try.outcome == Outcome::kDone) return true;
  if (last_try.outcome != Outcome::kRefused || !doubtful) return false;
  switch (last_try.act) {
    case Act::kMakeDirectory: return last_try.code == Code::kExists;
    case Act::kRename:
    case Act::kConcatenate:
    case Act::kRemove: return last_try.code == Code::kNotFound;
    default: return false;
  }
}

std::string describe(const Operation& operation) {
  std::string text =
      fmt::format("client {} {} {}", operation.client, act_name(operation.act), operation.path);
  if (!operation.to.empty()) text += " to " + operation.to;
  if (!operation.sources.empty())
    text += fmt::format(" from {}", fmt::join(operation.sources, " "));
  if (operation.act == Act::kTruncate) text += fmt::format(" to {} bytes", operation.cut_to);
  if (operation.act == Act::kPut) text += fmt::format(" ({} bytes)", operation.content.length);
  if (operation.if_version)
    text += fmt::format(" over version {:x}-{}", operation.if_version->file.value,
                        operation.if_version->changes);
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
