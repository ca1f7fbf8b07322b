#pragma once
// The names of things (design, sections 2 and 7). Zero is never a valid id; it means "none".
//
// Inodes and blocks are named by one 64-bit layout, so that ids sort by slot and none is ever used
// twice, not even after an import or a forced recovery, which raise the incarnation:
//
//   | slot 16 bits | incarnation 12 bits | counter 36 bits |

#include "core/base/strong.h"

namespace dogfs {

using NodeId = Strong<struct NodeIdTag, uint32_t>;  // a server; unique over all kinds
using StoreId = Strong<struct StoreIdTag>;          // one data directory's life; random
using ClusterId = Strong<struct ClusterIdTag>;      // random, drawn at bootstrap
using Incarnation = Strong<struct IncarnationTag, uint16_t>;
using GroupId = Strong<struct GroupIdTag, uint32_t>;  // a Raft group; 0 is the root group
using Term = Strong<struct TermTag>;
using LogIndex = Strong<struct LogIndexTag>;
using Slot = Strong<struct SlotTag, uint16_t>;
using InodeId = Strong<struct InodeIdTag>;  // a file or a directory
using BlockId = Strong<struct BlockIdTag>;
using Generation = Strong<struct GenerationTag>;  // of a block's bytes
using PlacementVersion = Strong<struct PlacementVersionTag>;
using Epoch = Strong<struct EpochTag>;            // fences writers
using ClientId = Strong<struct ClientIdTag>;      // a session; assigned by a log entry
using RequestId = Strong<struct RequestIdTag>;    // counts up within a session
using MapVersion = Strong<struct MapVersionTag>;  // of the cluster map

inline constexpr GroupId kRootGroup{0};

inline constexpr int kSlotBits = 16;
inline constexpr int kIncarnationBits = 12;
inline constexpr int kCounterBits = 36;
static_assert(kSlotBits + kIncarnationBits + kCounterBits == 64);

template <class Id>
constexpr Id compose_id(Slot slot, Incarnation incarnation, uint64_t counter) {
  return Id((uint64_t{slot.value} << (kIncarnationBits + kCounterBits)) |
            (uint64_t{incarnation.value} << kCounterBits) | counter);
}
template <class Id>
constexpr Slot slot_of(Id id) {
  return Slot(static_cast<uint16_t>(id.value >> (kIncarnationBits + kCounterBits)));
}
template <class Id>
constexpr Incarnation incarnation_of(Id id) {
  return Incarnation(
      static_cast<uint16_t>(id.value >> kCounterBits & ((1u << kIncarnationBits) - 1)));
}
template <class Id>
constexpr uint64_t counter_of(Id id) {
  return id.value & ((uint64_t{1} << kCounterBits) - 1);
}

}  // namespace dogfs
