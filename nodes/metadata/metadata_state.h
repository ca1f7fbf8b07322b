#pragma once
// MetadataState: the metadata state machine as a RaftHost sees it: commands and answers in bytes.
// Owned by the metadata node; one thread.

#include "core/namespace/state_machine.h"
#include "nodes/metadata/replicated_state.h"

namespace dogfs::nodes {

class MetadataState final : public ReplicatedState {
 public:
  Result<Buffer> apply(LogIndex index, const Buffer& command) override;
  void skip(LogIndex index) override { machine_.skip(index); }
  uint64_t digest() const override { return machine_.digest(); }
  std::unique_ptr<Frozen> freeze() override;
  std::unique_ptr<Restoring> begin_restore() override;

  const metadata::StateMachine& machine() const { return machine_; }
  metadata::Snapshot freeze_rows() { return machine_.freeze(); }

 private:
  metadata::StateMachine machine_;
};

}  // namespace dogfs::nodes
