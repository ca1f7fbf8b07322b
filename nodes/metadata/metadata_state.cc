#include "nodes/metadata/metadata_state.h"

#include "core/proto/namespace_codec.h"

namespace dogfs::nodes {
namespace {

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
  explicit RestoringMetadata(metadata::StateMachine::Restore restore)
      : restore_(std::move(restore)) {}
  Result<void> add(std::string_view piece) override { return restore_.add(piece); }
  Result<void> finish() override { return restore_.finish(); }

 private:
  metadata::StateMachine::Restore restore_;
};

}  // namespace

Result<Buffer> MetadataState::apply(LogIndex index, const Buffer& command) {
  TRY(decoded, proto::decode_command(command.text()));
  return Buffer::take(proto::encode_response(machine_.apply(index, decoded)));
}

std::unique_ptr<ReplicatedState::Frozen> MetadataState::freeze() {
  return std::make_unique<FrozenMetadata>(machine_.freeze());
}

std::unique_ptr<ReplicatedState::Restoring> MetadataState::begin_restore() {
  return std::make_unique<RestoringMetadata>(machine_.begin_restore());
}

}  // namespace dogfs::nodes
