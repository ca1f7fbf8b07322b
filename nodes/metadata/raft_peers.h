#pragma once
// RaftPeers: how a Raft member reaches the others: which address a node has, and its messages in
// the frames of one connection. Owned by the RaftServer; the rpc client outlives it.

#include <map>
#include <span>

#include "core/base/ids.h"
#include "core/env/network.h"
#include "core/raft/messages.h"

namespace dogfs::rpc {
class Client;
}

namespace dogfs::nodes {

class RaftPeers {
 public:
  RaftPeers(rpc::Client& client, std::map<NodeId, Address> addresses)
      : client_(client), addresses_(std::move(addresses)) {}

  // Best effort, in order per receiver, never waits. A message to a node without an address is
  // lost.
  void send(std::span<const raft::Message> messages);

  // One piece of a snapshot file, named by its offer.
  struct Piece {
    raft::SnapshotOffer offer;
    uint64_t file_bytes = 0;
    uint32_t file_checksum = 0;
    uint64_t offset = 0;
    Buffer bytes;
  };
  // Where the receiver wants to go on: file_bytes when all of it is durable and installed there.
  // kUnavailable when the node has no address, otherwise as rpc::Client::call.
  Task<Result<uint64_t>> send_piece(Piece piece);

  // Empty host when unknown.
  Address address(NodeId node) const;

 private:
  rpc::Client& client_;
  std::map<NodeId, Address> addresses_;
};

}  // namespace dogfs::nodes
