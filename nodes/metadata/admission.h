#pragma once
// Admission: how a metadata server makes itself known to its group: one whose data directory is
// blank asks the leader to be admitted, until the group's configuration reaches it; one that the
// cluster map has at another address says where it is now. It also writes down where the others
// are (peer_file.h). Owned by the metadata node, which runs run(); one thread.

#include <optional>
#include <string>
#include <vector>

#include "core/env/env.h"
#include "core/namespace/state_machine.h"
#include "nodes/client/metadata_calls.h"
#include "nodes/metadata/peer_file.h"
#include "nodes/metadata/raft_server.h"

namespace dogfs::nodes {

class Admission {
 public:
  // How others know this server.
  struct Self {
    std::string name;
    Address address;
  };
  // `seeds`: where members may be found; empty: there is nobody to ask. `known`: what the file
  // says, or has no need to say.
  Admission(Env& env, RaftServer& raft, const metadata::StateMachine& state, Self self,
            std::vector<Address> seeds, PeerAddresses known);

  // For ever.
  Task<> run();

 private:
  bool is_blank() const;
  bool has_news() const;
  Task<> ask();
  Task<> note_addresses();

  Env& env_;
  RaftServer& raft_;
  const metadata::StateMachine& state_;  // its map is another object after each restore
  const Self self_;
  std::optional<MetadataCalls> calls_;
  MapVersion noted_;     // of the map
  PeerAddresses known_;  // in the file
};

}  // namespace dogfs::nodes
