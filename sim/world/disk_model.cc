#include "sim/world/disk_model.h"

#include <utility>

#include "core/base/check.h"

namespace dogfs::sim {

DiskModel::DiskModel(Random random, DiskTiming timing)
    : timing_(timing), timing_random_(random.fork("timing")), fault_random_(random.fork("fault")) {
  CHECK(timing.parallelism > 0 && timing.bytes_per_second > 0);
}

void DiskModel::set_slow_factor(uint32_t factor) {
  CHECK(factor > 0);
  slow_factor_ = factor;
}

bool DiskModel::is_dead(std::string_view path) const {
  return !dead_.empty() && dead_.contains(path.substr(0, path.find('/')));
}

void DiskModel::stall_until(Instant when) {
  stalled_until_ = when;
  if (changed_) changed_();
}

void DiskModel::set_trap(uint64_t nth, Trap trap) {
  CHECK(nth > 0);
  trap_at_ = operations_ + nth;
  trap_ = std::move(trap);
}

bool DiskModel::spring_trap() {
  if (++operations_ != trap_at_ || !trap_) return true;
  return std::exchange(trap_, nullptr)();
}

Duration DiskModel::draw_cost(DiskOperation operation, uint64_t bytes, DiskFaultCounts& counts) {
  const bool syncs =
      operation == DiskOperation::kSync || operation == DiskOperation::kSyncDirectory;
  Duration cost = syncs ? timing_.sync : timing_.access;
  cost += Duration(static_cast<int64_t>(bytes * 1'000'000'000 / timing_.bytes_per_second));
  // Up to half as much again: concurrent operations overtake each other.
  cost += Duration(
      static_cast<int64_t>(timing_random_.below(static_cast<uint64_t>(cost.count()) / 2 + 1)));
  if (slow_factor_ > 1) counts.take_effect(DiskFault::kSlow);
  return cost * slow_factor_;
}

DiskModel::Fate DiskModel::draw_fate(DiskOperation operation) {
  const auto hits = [this](uint32_t rate) {
    return rate > 0 && fault_random_.chance(rate, 1'000'000);
  };
  switch (operation) {
    case DiskOperation::kRead: return {.happens = !hits(rates_.read_error)};
    case DiskOperation::kSync: return {.happens = !hits(rates_.sync_error)};
    case DiskOperation::kWrite:
      if (hits(rates_.write_error)) return {.happens = false};
      return {.misdirected = hits(rates_.misdirected_write)};
    default: return {.happens = !hits(rates_.metadata_error)};
  }
}

}  // namespace dogfs::sim
