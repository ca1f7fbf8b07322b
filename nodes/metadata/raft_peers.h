#pragma once
// RaftPeers: how a Raft member reaches the others: which address a node has, and its messages in
// the frames of one connection. Owned by the RaftServer; the rpc client outlives it.
//
// Addresses come from the directory, when it knows the node: what the group itself has recorded, so
// that members of later times are reached, too; else from what this server was given.

#include <functional>
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

  // The text of an address, or nothing. Outlives this, or is replaced.
  using Directory = std::function<std::string_view(NodeId)>;
  void set_directory(Directory directory) { directory_ = std::move(directory); }
  void learn(NodeId node, Address address) { addresses_[node] = std::move(address); }

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
  const Address& address(NodeId node) const;

 private:
  rpc::Client& client_;
  std::map<NodeId, Address> addresses_;
  Directory directory_;
  // Of what the directory said last: text and the same, parsed.
  mutable std::map<NodeId, std::pair<std::string, Address>> parsed_;
};

}  // namespace dogfs::nodes
