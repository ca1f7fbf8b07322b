#pragma once
// Expiry: the leader's judgement of which clients are gone. The state machine expires nothing by
// itself; the leader measures silence on its monotonic clock, counted from the later of its
// election and the last sign of life, and proposes the end of sessions and upload leases. The entry
// checks the epoch. Owned by the metadata node.

#include <map>

#include "core/base/time.h"
#include "nodes/metadata/metadata_group.h"

namespace dogfs::nodes {

struct ExpiryOptions {
  Duration session_silence = std::chrono::minutes(10);
  Duration lease_silence = std::chrono::minutes(1);
  Duration look_every = std::chrono::seconds(1);
};

class Expiry {
 public:
  Expiry(Env& env, ExpiryOptions options, MetadataGroup& group)
      : env_(env), options_(options), group_(group) {}

  // For ever; does something only while this server leads.
  Task<> run();
  // A command of this client was executed.
  void heard(const metadata::Command& command);

 private:
  // Silence is measured with it.
  Instant now() const;
  Task<> watch(Term term);
  Task<> expire_sessions(Term term);
  Task<> expire_leases(Term term);

  Env& env_;
  const ExpiryOptions options_;
  MetadataGroup& group_;
  // Last signs of life since the election; entries of what has ended are dropped in passing.
  std::map<ClientId, Instant> clients_;
  std::map<metadata::FileHandle, Instant> uploads_;
};

}  // namespace dogfs::nodes
