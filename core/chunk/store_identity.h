#pragma once
// StoreIdentity: whose data directory this is. Written when the directory is made, and compared at
// every start, so that a disk of another cluster or node is never written to. A chunk server may
// have several directories: then each names itself and all of them, so that whoever finds one blank
// knows whether it is new or took the place of one that was lost.

#include <string>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/ids.h"

namespace dogfs::chunk {

inline constexpr size_t kDisksMax = 64;  // data directories of one server

struct StoreIdentity {
  ClusterId cluster;
  NodeId node;
  StoreId store;                       // of the server, whichever of its directories are left
  StoreId directory{};                 // which of the server's it is; 0: the one named as `store`
  std::vector<StoreId> directories{};  // all of the server's, sorted; empty: this one alone

  StoreId own() const { return directory ? directory : store; }
  // The same server's: cluster, node and store.
  bool same_server(const StoreIdentity& other) const;
  bool operator==(const StoreIdentity&) const = default;
};

// In format 1 when it is a server's only directory, as all builds read it.
std::string encode_identity(const StoreIdentity& identity);
// kCorrupt for anything but a whole identity, kUnsupported for another format version.
Result<StoreIdentity> decode_identity(ByteView bytes);

}  // namespace dogfs::chunk
