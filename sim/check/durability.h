#pragma once
// Durability: what clients were told is done must be there at the end. Judged from the history
// alone, without any log: acknowledged changes are replayed by their positions; whatever an
// operation of unknown outcome may have touched is uncertain, and nothing is demanded of it. Nor is
// it of what changes touched that ran at the same time: the position of a retried one is that of a
// later entry, so it does not order them.
//
// Also: every read, at any time, must have returned the whole bytes of some put, or what truncates
// and concatenates made of such bytes (P3).

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "sim/check/history.h"
#include "sim/check/violation.h"

namespace dogfs::sim {

// What must be readable: path -> content.
std::map<std::string, Content> acknowledged_files(const History& history);

// The outcome of reading one path when everything has healed.
using FinalReads = std::map<std::string, Result<Content>>;

// kDurability for each acknowledged file that is missing, unreadable or other.
void check_durability(const History& history, const FinalReads& reads, Violations& violations);

// For runs within the fault budget: kDurability for each get, at any time, that found its file
// damaged, unless a change of the path ran at the same time and may have dropped it.
void check_damage(const History& history, Violations& violations);

// kWrongBytes for each get that returned what no put had begun to write, and what is not among the
// bytes that were `made` of those of puts either.
void check_bytes(const History& history, const std::vector<Pieces>& made, Violations& violations);

}  // namespace dogfs::sim
