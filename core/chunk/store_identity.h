#pragma once
// StoreIdentity: whose data directory this is. Written once, when the directory is made, and
// compared at every start, so that a disk of another cluster or node is never written to.

#include <string>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/ids.h"

namespace dogfs::chunk {

struct StoreIdentity {
  ClusterId cluster;
  NodeId node;
  StoreId store;
  bool operator==(const StoreIdentity&) const = default;
};

std::string encode_identity(const StoreIdentity& identity);
// kCorrupt for anything but a whole identity, kUnsupported for another format version.
Result<StoreIdentity> decode_identity(ByteView bytes);

}  // namespace dogfs::chunk
