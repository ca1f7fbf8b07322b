#include "core/namespace/cluster_version.h"

#include <algorithm>

namespace dogfs::metadata {
namespace {

constexpr uint32_t kFirst = 1;
constexpr uint32_t kSecond = 2;
constexpr uint32_t kThird = 3;
constexpr uint32_t kFourth = 4;
constexpr uint32_t kFifth = 5;

// What an old kind of operation may say since.
struct FieldVersion {
  uint32_t operator()(const Remove& op) const { return op.forever ? kSecond : kFirst; }
  uint32_t operator()(const Publish& op) const {
    const bool plain = op.version == FileVersion() && op.attributes == InodeAttributes() &&
                       op.condition != PublishCondition::kIfVersion;
    return plain ? kFirst : kSecond;
  }
  uint32_t operator()(const StartUpload& op) const {
    return op.block_bytes == 0 && op.cell_bytes == 0 ? kFirst : kThird;
  }
  uint32_t operator()(const PutInline& op) const {
    return op.block_bytes == 0 && op.cell_bytes == 0 ? kSecond : kThird;
  }
  uint32_t operator()(const PutPacked&) const { return kThird; }
  uint32_t operator()(const MovePacked&) const { return kFourth; }
  uint32_t operator()(const SetAttributes&) const { return kSecond; }
  uint32_t operator()(const Copy&) const { return kSecond; }
  uint32_t operator()(const Truncate&) const { return kSecond; }
  uint32_t operator()(const Concatenate& op) const { return op.at ? kThird : kSecond; }
  uint32_t operator()(const SetQuota&) const { return kSecond; }
  uint32_t operator()(const SetTrash&) const { return kSecond; }
  uint32_t operator()(const AdvanceTrash&) const { return kSecond; }
  uint32_t operator()(const BeginImport&) const { return kSecond; }
  uint32_t operator()(const ImportRows&) const { return kSecond; }
  uint32_t operator()(const FinishImport&) const { return kSecond; }
  uint32_t operator()(const OrderDeletion& op) const { return op.former.empty() ? kFirst : kThird; }
  uint32_t operator()(const AckDeleted& op) const {
    const bool plain = std::ranges::all_of(op.shards, [](auto& s) { return !s.generation; });
    return plain ? kFirst : kThird;
  }
  uint32_t operator()(const OpenAppend&) const { return kThird; }
  uint32_t operator()(const SetLayout& op) const {
    return op.layout.content_mode ? kFourth : kThird;
  }
  uint32_t operator()(const UseBlocks&) const { return kFourth; }
  uint32_t operator()(const CommitBlocks& op) const {
    const bool plain = std::ranges::all_of(op.blocks, [](auto& block) { return !block.digest; });
    return plain ? kFirst : kFourth;
  }
  uint32_t operator()(const ActivateAppend&) const { return kThird; }
  uint32_t operator()(const BeginSeal&) const { return kThird; }
  uint32_t operator()(const FixAppend&) const { return kThird; }
  uint32_t operator()(const BeginConversion&) const { return kThird; }
  uint32_t operator()(const CommitConversion&) const { return kThird; }
  uint32_t operator()(const JudgeShards&) const { return kThird; }
  uint32_t operator()(const DisownBlock&) const { return kFifth; }
  uint32_t operator()(const auto&) const { return kFirst; }
};

}  // namespace

uint32_t version_of(const Command& command) {
  return std::max(std::visit(FieldVersion(), command.operation), command.asker ? kSecond : kFirst);
}

Result<> check_version(const Command& command, uint32_t cluster_version) {
  const uint32_t needed = version_of(command);
  if (needed <= std::max(cluster_version, kFirst)) return {};
  return fail(Code::kUnsupported,
              "{} needs cluster version {}, this cluster is at {}; when all servers run a build "
              "that knows it: dogfs admin upgrade",
              operation_name(command.operation), needed, cluster_version);
}

}  // namespace dogfs::metadata
