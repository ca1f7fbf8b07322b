#include "nodes/metadata/metadata_state.h"

#include "core/namespace/cluster_version.h"
#include "core/proto/namespace_codec.h"

namespace dogfs::nodes {
namespace {

// Entries of a later version would be taken for others, or not known at all.
Result<void> check_understood(const metadata::ClusterSettings& settings) {
  if (settings.cluster_version <= metadata::newest_cluster_version()) return {};
  return fail(Code::kUnsupported, "the cluster is at version {}, this build understands {}",
              settings.cluster_version, metadata::newest_cluster_version());
}

class FrozenMetadata final : public ReplicatedState::Frozen {
 public:
  explicit FrozenMetadata(metadata::Snapshot snapshot) : snapshot_(std::move(snapshot)) {}
  std::optional<std::string> next_piece(size_t bytes_max) override {
    return snapshot_.next_piece(position_, bytes_max);
  }

 private:
  metadata::Snapshot snapshot_;
  std::string position_;
};

class RestoringMetadata final : public ReplicatedState::Restoring {
 public:
  RestoringMetadata(metadata::StateMachine::Restore restore, const metadata::StateMachine& machine)
      : restore_(std::move(restore)), machine_(machine) {}
  Result<void> add(std::string_view piece) override { return restore_.add(piece); }
  Result<void> complete() override { return restore_.complete(); }
  Result<void> finish() override {
    TRY_VOID(restore_.finish());
    return check_understood(machine_.settings());
  }

 private:
  metadata::StateMachine::Restore restore_;
  const metadata::StateMachine& machine_;
};

}  // namespace

Result<Buffer> MetadataState::apply(LogIndex index, const Buffer& command) {
  TRY(decoded, proto::decode_command(command.text()));
  const metadata::Response response = machine_.apply(index, decoded);
  TRY_VOID(check_understood(machine_.settings()));
  return Buffer::take(proto::encode_response(response));
}

std::unique_ptr<ReplicatedState::Frozen> MetadataState::freeze() {
  return std::make_unique<FrozenMetadata>(machine_.freeze());
}

std::unique_ptr<ReplicatedState::Restoring> MetadataState::begin_restore() {
  return std::make_unique<RestoringMetadata>(machine_.begin_restore(), machine_);
}

}  // namespace dogfs::nodes
