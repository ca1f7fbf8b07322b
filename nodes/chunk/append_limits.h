#pragma once
// AppendLimits: how patient the primary of an append block is (append_primary.h). Longer ones make
// a passing trouble cheaper, shorter ones a lasting one. Part of a chunk server's options; the same
// for all of its blocks.

#include "core/base/time.h"

namespace dogfs::nodes {

struct AppendLimits {
  Duration replica_lag = 3s;  // without progress a replica is in doubt
  Duration idle = 30s;        // without a record the block is sealed
};

}  // namespace dogfs::nodes
