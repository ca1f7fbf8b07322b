#pragma once
// MetadataGroup: one replicated part of the metadata on this server, as the server's loops and
// calls see it: execute a command, read the state, know whether this server leads. Owned by the
// metadata node beside the host and the state; one thread.

#include "core/namespace/commands.h"
#include "core/namespace/state_machine.h"
#include "nodes/metadata/metadata_state.h"
#include "nodes/metadata/raft_host.h"

namespace dogfs::nodes {

class MetadataGroup {
 public:
  MetadataGroup(Env& env, RaftHost& host, MetadataState& state)
      : env_(env), host_(host), state_(state) {}

  RaftHost& host() { return host_; }
  const metadata::StateMachine& state() const { return state_.machine(); }

  // The state as it is now, for ever.
  metadata::Snapshot freeze() { return state_.freeze_rows(); }

  // kUnsupported when the cluster's version does not allow the command: it must not reach the log,
  // for a server that does not know it would stop there.
  Result<void> check_version(const metadata::Command& command) const;
  // The bytes of a Response and the index at which it was given. Errors as RaftHost::propose.
  Task<Result<Committed>> execute(metadata::Command command);
  // The same for the bytes of a command that was checked, without a coroutine: as the host's.
  void execute(std::string_view command, RaftHost::ProposalThen then);
  // An operation of the leader itself. The operation's own refusal is an error here, too.
  Task<Result<metadata::Reply>> propose(metadata::Operation operation);

  bool leading() const { return host_.leading(); }
  Term term() const { return host_.core().term(); }
  // Still the leader that it was: what was seen as that leader may be acted on.
  bool leads(Term term) const { return leading() && this->term() == term; }
  // Waits until this server leads.
  Task<> leadership();

 private:
  Env& env_;
  RaftHost& host_;
  MetadataState& state_;
};

}  // namespace dogfs::nodes
