#include "tests/replicated_map/map_history.h"

#include <algorithm>
#include <optional>
#include <set>

namespace dogfs::nodes {

using sim::Oracle;
using sim::Violations;

size_t MapHistory::begin(Operation operation) {
  operation.began = ++clock_;
  operations_.push_back(std::move(operation));
  return operations_.size() - 1;
}

size_t MapHistory::begin_append(std::string key, std::string piece) {
  return begin({.key = std::move(key), .piece = std::move(piece), .value = {}});
}

size_t MapHistory::begin_read(std::string key) {
  return begin({.key = std::move(key), .piece = {}, .value = {}});
}

void MapHistory::done(size_t number, std::string value) {
  Operation& operation = operations_[number];
  operation.ended = ++clock_;
  operation.outcome = Outcome::kDone;
  operation.value = std::move(value);
  ++(operation.piece.empty() ? reads_ : acknowledged_);
}

void MapHistory::refused(size_t number) {
  operations_[number].ended = ++clock_;
  operations_[number].outcome = Outcome::kRefused;
}

std::vector<const MapHistory::Operation*> MapHistory::of_key(const std::string& key) const {
  std::vector<const Operation*> found;
  for (const auto& operation : operations_)
    if (operation.key == key) found.push_back(&operation);
  return found;
}

MapHistory::Ends MapHistory::find_pieces(const std::string& key, std::string_view value,
                                         Violations& violations) {
  Ends ends;
  for (size_t from = 0; from < value.size();) {
    const size_t comma = value.find(',', from);
    const size_t end = comma == std::string_view::npos ? value.size() : comma + 1;
    const auto piece = value.substr(from, end - from);
    if (!ends.emplace(piece, end).second)
      violations.add(Oracle::kExactlyOnce, "{}: {} was applied twice: {}", key, piece, value);
    from = end;
  }
  return ends;
}

void MapHistory::judge_pieces(const std::vector<const Operation*>& operations, const Ends& ends,
                              Violations& violations) {
  std::set<std::string_view> asked;
  for (const auto* operation : operations) {
    if (operation->piece.empty()) continue;
    asked.insert(operation->piece);
    const bool there = ends.contains(operation->piece);
    if (!there && operation->outcome == Outcome::kDone)
      violations.add(Oracle::kDurability, "{}: {} was acknowledged and is lost", operation->key,
                     operation->piece);
    if (there && operation->outcome == Outcome::kRefused)
      violations.add(Oracle::kExactlyOnce, "{}: {} was refused and is there", operation->key,
                     operation->piece);
  }
  for (const auto& [piece, end] : ends)
    if (!asked.contains(piece))
      violations.add(Oracle::kWrongBytes, "nobody wrote {}, at {}", piece, end);
}

void MapHistory::judge_answer(const Operation& operation, std::string_view value,
                              Violations& violations) {
  if (operation.outcome != Outcome::kDone) return;
  if (!value.starts_with(operation.value))
    violations.add(Oracle::kLinearizability, "{}: the answer {} does not begin the value {}",
                   operation.key, operation.value, value);
  if (!operation.value.ends_with(operation.piece))
    violations.add(Oracle::kLinearizability, "{}: {} was answered with {}", operation.key,
                   operation.piece, operation.value);
}

// One pass over beginnings and ends: no operation may stand before one that ended before it began,
// and an append stands after all of them.
void MapHistory::judge_real_time(const std::vector<const Operation*>& operations, const Ends& ends,
                                 Violations& violations) {
  const auto place = [&](const Operation& operation) -> std::optional<size_t> {
    if (operation.outcome == Outcome::kDone) return operation.value.size();
    const auto found = ends.find(operation.piece);
    return found == ends.end() ? std::nullopt : std::optional(found->second);
  };
  std::map<uint64_t, const Operation*> moments;
  for (const auto* operation : operations) {
    moments[operation->began] = operation;
    if (operation->outcome == Outcome::kDone) moments[operation->ended] = operation;
  }
  size_t past = 0;  // the furthest place of what has ended
  for (const auto& [moment, operation] : moments) {
    const auto at = place(*operation);
    if (!at) continue;
    const bool begins = moment == operation->began;
    if (begins && (operation->piece.empty() ? *at < past : *at <= past))
      violations.add(Oracle::kLinearizability,
                     "{}: {} stands at {}, but what ended before it began at {}", operation->key,
                     operation->piece.empty() ? "a read" : operation->piece, *at, past);
    if (!begins) past = std::max(past, *at);
  }
}

void MapHistory::judge(const std::string& key, const std::string& value,
                       Violations& violations) const {
  const auto operations = of_key(key);
  const Ends ends = find_pieces(key, value, violations);
  judge_pieces(operations, ends, violations);
  for (const auto* operation : operations) judge_answer(*operation, value, violations);
  judge_real_time(operations, ends, violations);
}

}  // namespace dogfs::nodes
