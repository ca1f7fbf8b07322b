#include "sim/run/scenario.h"

#include <fmt/format.h>

#include "core/base/check.h"

namespace dogfs::sim {

std::string_view fault_name(FaultKind kind) {
  switch (kind) {
    case FaultKind::kKill: return "kill";
    case FaultKind::kPowerLoss: return "power_loss";
    case FaultKind::kPause: return "pause";
    case FaultKind::kPartition: return "partition";
    case FaultKind::kClog: return "clog";
    case FaultKind::kReset: return "reset";
    case FaultKind::kDiskErrors: return "disk_errors";
    case FaultKind::kDiskSlow: return "disk_slow";
    case FaultKind::kDiskStall: return "disk_stall";
    case FaultKind::kBitRot: return "bit_rot";
    case FaultKind::kSectorErrors: return "sector_errors";
    case FaultKind::kLostDisk: return "lost_disk";
    case FaultKind::kDeadDisk: return "dead_disk";
    case FaultKind::kDiskFull: return "disk_full";
    case FaultKind::kWallClock: return "wall_clock";
  }
  UNREACHABLE("fault {}", static_cast<int>(kind));
}

std::string describe(const Fault& fault) {
  std::string text = fmt::format("{}ms {} {}", to_ms(fault.at), fault_name(fault.kind),
                                 fault.victim.empty() ? "anywhere" : fault.victim);
  if (!fault.peer.empty()) text += " from " + fault.peer;
  if (fault.direction != Direction::kBoth)
    text += fault.direction == Direction::kIn ? " (in)" : " (out)";
  if (fault.amount > 0) text += fmt::format(" x{}", fault.amount);
  if (fault.after_election)
    text += fmt::format(" {}us after the next election", fault.after_election->count() / 1000);
  if (fault.after_reconfiguration)
    text += fmt::format(" {}us after the next change of the members",
                        fault.after_reconfiguration->count() / 1000);
  if (fault.duration) text += fmt::format(" for {}ms", to_ms(*fault.duration));
  return text;
}

}  // namespace dogfs::sim
