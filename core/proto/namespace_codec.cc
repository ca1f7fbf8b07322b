#include "core/proto/namespace_codec.h"

#include "core/namespace/cluster_version.h"
#include "core/proto/cluster_codec.h"
#include "core/proto/namespace.pb.h"
#include "core/proto/namespace_fields.h"

namespace dogfs::proto {
namespace {

constexpr uint32_t kCommandFormat = 1;

// Writes each operation into its field of the message.
class OperationWriter {
 public:
  explicit OperationWriter(Command& out) : out_(out) {}

  void operator()(const metadata::CreateCluster& op) {
    auto& to = *out_.mutable_create_cluster();
    to.set_cluster(op.cluster.value);
    to.set_policy(op.policy.code());
    to.set_block_bytes(op.block_bytes);
    to.set_cell_bytes(op.cell_bytes);
    to.set_inline_bytes(op.inline_bytes);
    to.set_version(op.version);
  }
  void operator()(const metadata::RegisterNode& op) {
    auto& to = *out_.mutable_register_node();
    to.set_node(op.node.value);
    to.set_kind(static_cast<uint32_t>(op.kind));
    to.set_name(op.name);
    to.set_store(op.store.value);
    to.set_address(op.address);
    to.set_zone(op.zone);
    to.set_disks(op.disks);
    to.set_capacity_bytes(op.capacity_bytes);
    to.set_used_bytes(op.used_bytes);
    to.set_newest_version(op.newest_version);
  }
  void operator()(const metadata::SetNodeState& op) {
    auto& to = *out_.mutable_set_node_state();
    to.set_node(op.node.value);
    to.set_state(static_cast<uint32_t>(op.state));
    to.set_seen(op.seen.value);
  }
  void operator()(const metadata::SetNodeSpace& op) {
    auto& to = *out_.mutable_set_node_space();
    to.set_node(op.node.value);
    to.set_capacity_bytes(op.capacity_bytes);
    to.set_used_bytes(op.used_bytes);
  }
  void operator()(const metadata::RaiseIncarnation&) { out_.mutable_raise_incarnation(); }
  void operator()(const metadata::SetClusterVersion& op) {
    out_.mutable_set_cluster_version()->set_version(op.version);
  }
  void operator()(const metadata::RegisterClient&) { out_.mutable_register_client(); }
  void operator()(const metadata::ExpireSession& op) {
    auto& to = *out_.mutable_expire_session();
    to.set_client(op.client.value);
    to.set_epoch(op.epoch.value);
  }
  void operator()(const metadata::MakeDirectory& op) {
    auto& to = *out_.mutable_make_directory();
    to.set_path(op.path);
    to.set_parents(op.parents);
    if (op.policy) to.set_policy(op.policy->code());
  }
  void operator()(const metadata::Rename& op) {
    out_.mutable_rename()->set_from(op.from);
    out_.mutable_rename()->set_to(op.to);
  }
  void operator()(const metadata::Remove& op) {
    out_.mutable_remove()->set_path(op.path);
    out_.mutable_remove()->set_recursive(op.recursive);
    out_.mutable_remove()->set_forever(op.forever);
  }
  void operator()(const metadata::StartUpload& op) {
    auto& to = *out_.mutable_start_upload();
    to.set_path(op.path);
    if (op.policy) to.set_policy(op.policy->code());
    to.set_overwrite(op.overwrite);
    to.set_block_bytes(op.block_bytes);
    to.set_cell_bytes(op.cell_bytes);
  }
  void operator()(const metadata::AllocateBlocks& op) {
    auto& to = *out_.mutable_allocate_blocks();
    put(op.file, *to.mutable_file());
    to.set_epoch(op.epoch.value);
    to.set_file_offset(op.file_offset);
    for (const uint64_t length : op.lengths) to.add_lengths(length);
  }
  void operator()(const metadata::CommitBlocks& op) {
    auto& to = *out_.mutable_commit_blocks();
    put(op.file, *to.mutable_file());
    to.set_epoch(op.epoch.value);
    for (const auto& block : op.blocks) write(block, *to.add_blocks());
  }
  void operator()(const metadata::UseBlocks& op) {
    auto& to = *out_.mutable_use_blocks();
    put(op.file, *to.mutable_file());
    to.set_epoch(op.epoch.value);
    to.set_file_offset(op.file_offset);
    for (const auto& block : op.blocks) {
      auto& row = *to.add_blocks();
      row.set_length(block.length);
      row.set_digest(std::string(block.digest.view()));
    }
  }
  void operator()(const metadata::DisownBlock& op) {
    out_.mutable_disown_block()->set_block(op.block.value);
    out_.mutable_disown_block()->set_digest(std::string(op.digest.view()));
  }
  void operator()(const metadata::Publish& op) {
    auto& to = *out_.mutable_publish();
    put(op.file, *to.mutable_file());
    to.set_epoch(op.epoch.value);
    to.set_path(op.path);
    to.set_length(op.length);
    to.set_condition(static_cast<uint32_t>(op.condition));
    write(op.version, op.attributes, to);
  }
  void operator()(const metadata::PutInline& op) {
    auto& to = *out_.mutable_put_inline();
    to.set_path(op.path);
    if (op.policy) to.set_policy(op.policy->code());
    to.set_content(op.content);
    to.set_condition(static_cast<uint32_t>(op.condition));
    to.set_block_bytes(op.block_bytes);
    to.set_cell_bytes(op.cell_bytes);
    write(op.version, op.attributes, to);
  }
  void operator()(const metadata::PutPacked& op) {
    auto& to = *out_.mutable_put_packed();
    to.set_path(op.path);
    if (op.policy) to.set_policy(op.policy->code());
    put(op.pack, *to.mutable_pack());
    to.set_block(op.block.value);
    to.set_block_offset(op.block_offset);
    to.set_length(op.length);
    to.set_condition(static_cast<uint32_t>(op.condition));
    write(op.version, op.attributes, to);
  }
  void operator()(const metadata::MovePacked& op) {
    auto& to = *out_.mutable_move_packed();
    put(op.file, *to.mutable_file());
    to.set_from(op.from.value);
    to.set_from_offset(op.from_offset);
    to.set_length(op.length);
    put(op.pack, *to.mutable_pack());
    to.set_block(op.block.value);
    to.set_block_offset(op.block_offset);
  }
  void operator()(const metadata::Copy& op) {
    auto& to = *out_.mutable_copy();
    to.set_from(op.from);
    to.set_to(op.to);
    to.set_condition(static_cast<uint32_t>(op.condition));
    if (op.version != metadata::FileVersion()) put(op.version, *to.mutable_version());
  }
  void operator()(const metadata::Truncate& op) {
    out_.mutable_truncate()->set_path(op.path);
    out_.mutable_truncate()->set_length(op.length);
  }
  void operator()(const metadata::Concatenate& op) {
    auto& to = *out_.mutable_concatenate();
    to.set_path(op.path);
    for (const auto& source : op.sources) to.add_sources(source);
    if (op.at) to.set_at(*op.at);
  }
  void operator()(const metadata::SetQuota& op) {
    out_.mutable_set_quota()->set_path(op.path);
    put(op.quota, *out_.mutable_set_quota()->mutable_quota());
  }
  void operator()(const metadata::BeginImport& op) { put(op, *out_.mutable_begin_import()); }
  void operator()(const metadata::ImportRows& op) {
    for (const auto& row : op.rows) put(row, *out_.mutable_import_rows()->add_rows());
  }
  void operator()(const metadata::FinishImport& op) {
    out_.mutable_finish_import()->set_rows(op.rows);
  }
  void operator()(const metadata::SetTrash& op) {
    out_.mutable_set_trash()->set_seconds(op.seconds);
  }
  void operator()(const metadata::AdvanceTrash& op) {
    out_.mutable_advance_trash()->set_from(op.from);
    out_.mutable_advance_trash()->set_to(op.to);
  }
  void operator()(const metadata::SetAttributes& op) { put(op, *out_.mutable_set_attributes()); }
  void operator()(const metadata::AbandonUpload& op) {
    write(op.file, op.epoch, *out_.mutable_abandon_upload());
  }
  void operator()(const metadata::RenewLease& op) {
    write(op.file, op.epoch, *out_.mutable_renew_lease());
  }
  void operator()(const metadata::ExpireLease& op) {
    write(op.file, op.epoch, *out_.mutable_expire_lease());
  }
  void operator()(const metadata::RemoveStep& op) {
    out_.mutable_remove_step()->set_limit(op.limit);
  }
  void operator()(const metadata::OrderDeletion& op) {
    auto& to = *out_.mutable_order_deletion();
    for (const BlockId block : op.blocks) to.add_blocks(block.value);
    for (const auto& former : op.former) {
      auto& row = *to.add_former();
      row.set_block(former.block.value);
      row.set_generation(former.generation.value);
    }
  }
  void operator()(const metadata::AckDeleted& op) {
    auto& to = *out_.mutable_ack_deleted();
    to.set_node(op.node.value);
    for (const auto& shard : op.shards) {
      auto& row = *to.add_shards();
      row.set_block(shard.block.value);
      row.set_shard(shard.index);
      row.set_generation(shard.generation.value);
    }
  }
  void operator()(const metadata::JudgeShards& op) {
    auto& to = *out_.mutable_judge_shards();
    to.set_node(op.node.value);
    for (const auto& verdict : op.shards) encode(verdict, *to.add_shards());
  }
  void operator()(const metadata::SetLayout& op) {
    auto& to = *out_.mutable_set_layout();
    to.set_path(op.path);
    if (op.layout.policy) to.set_policy(op.layout.policy->code());
    if (op.layout.block_bytes) to.set_block_bytes(*op.layout.block_bytes);
    if (op.layout.cell_bytes) to.set_cell_bytes(*op.layout.cell_bytes);
    if (op.layout.content_mode) to.set_content_mode(static_cast<uint32_t>(*op.layout.content_mode));
    to.set_inherit(op.inherit);
  }
  void operator()(const metadata::OpenAppend& op) { put(op, *out_.mutable_open_append()); }
  void operator()(const metadata::ActivateAppend& op) { put(op, *out_.mutable_activate_append()); }
  void operator()(const metadata::BeginSeal& op) { put(op, *out_.mutable_begin_seal()); }
  void operator()(const metadata::FixAppend& op) { put(op, *out_.mutable_fix_append()); }
  void operator()(const metadata::BeginConversion& op) {
    put(op, *out_.mutable_begin_conversion());
  }
  void operator()(const metadata::CommitConversion& op) {
    put(op, *out_.mutable_commit_conversion());
  }

 private:
  // What is not there is not written.
  template <class Message>
  static void write(const metadata::FileVersion& version,
                    const metadata::InodeAttributes& attributes, Message& to) {
    if (version != metadata::FileVersion()) put(version, *to.mutable_version());
    if (attributes != metadata::InodeAttributes()) put(attributes, *to.mutable_attributes());
  }
  static void write(const metadata::FileHandle& file, Epoch epoch, UploadLease& to) {
    put(file, *to.mutable_file());
    to.set_epoch(epoch.value);
  }
  static void write(const metadata::CommittedBlock& block, CommittedBlock& to) {
    to.set_block(block.block.value);
    to.set_generation(block.generation.value);
    to.set_file_offset(block.file_offset);
    to.set_length(block.length);
    put(block.shards, *to.mutable_shards());
    to.set_digest(digest_bytes(block.digest));
  }

  Command& out_;
};

using Operation = Result<metadata::Operation>;

Operation read(const CreateCluster& from) {
  TRY(policy, checked_policy(from.policy()));
  return metadata::CreateCluster{.cluster = ClusterId(from.cluster()),
                                 .policy = policy,
                                 .block_bytes = from.block_bytes(),
                                 .cell_bytes = from.cell_bytes(),
                                 .inline_bytes = from.inline_bytes(),
                                 .version = from.version()};
}

Operation read(const RegisterNode& from) {
  using placement::NodeKind;
  TRY(kind, checked_enum(from.kind(), NodeKind::kMetadata, NodeKind::kChunk, "kind of node"));
  return metadata::RegisterNode{.node = NodeId(from.node()),
                                .kind = kind,
                                .name = from.name(),
                                .store = StoreId(from.store()),
                                .address = from.address(),
                                .zone = from.zone(),
                                .disks = from.disks(),
                                .capacity_bytes = from.capacity_bytes(),
                                .used_bytes = from.used_bytes(),
                                .newest_version = from.newest_version()};
}

Operation read(const SetNodeState& from) {
  using placement::NodeState;
  TRY(state, checked_enum(from.state(), NodeState::kLive, NodeState::kGone, "node state"));
  return metadata::SetNodeState{
      .node = NodeId(from.node()), .state = state, .seen = MapVersion(from.seen())};
}

Operation read(const MakeDirectory& from) {
  TRY(path, checked_path(from.path()));
  TRY(policy, optional_policy(from.policy()));
  return metadata::MakeDirectory{
      .path = std::move(path), .parents = from.parents(), .policy = policy};
}

Operation read(const Rename& from) {
  TRY(source, checked_path(from.from()));
  TRY(target, checked_path(from.to()));
  return metadata::Rename{.from = std::move(source), .to = std::move(target)};
}

Operation read(const Remove& from) {
  TRY(path, checked_path(from.path()));
  return metadata::Remove{
      .path = std::move(path), .recursive = from.recursive(), .forever = from.forever()};
}

Operation read(const StartUpload& from) {
  TRY(path, checked_path(from.path()));
  TRY(policy, optional_policy(from.policy()));
  return metadata::StartUpload{.path = std::move(path),
                               .policy = policy,
                               .overwrite = from.overwrite(),
                               .block_bytes = from.block_bytes(),
                               .cell_bytes = from.cell_bytes()};
}

Operation read(const AllocateBlocks& from) {
  TRY_VOID(checked_count(from.lengths_size(), limits::kBlocksPerAllocation, "blocks"));
  return metadata::AllocateBlocks{.file = file_of(from.file()),
                                  .epoch = Epoch(from.epoch()),
                                  .file_offset = from.file_offset(),
                                  .lengths = {from.lengths().begin(), from.lengths().end()}};
}

Result<metadata::CommittedBlock> read(const CommittedBlock& from) {
  TRY(shards, read_durable(from.shards()));
  TRY(digest, optional_digest(from.digest()));
  return metadata::CommittedBlock{.block = BlockId(from.block()),
                                  .generation = Generation(from.generation()),
                                  .file_offset = from.file_offset(),
                                  .length = from.length(),
                                  .shards = std::move(shards),
                                  .digest = digest};
}

Operation read(const CommitBlocks& from) {
  TRY_VOID(checked_count(from.blocks_size(), limits::kBlocksPerAllocation, "blocks"));
  metadata::CommitBlocks commit{
      .file = file_of(from.file()), .epoch = Epoch(from.epoch()), .blocks = {}};
  for (const auto& row : from.blocks()) {
    TRY(block, read(row));
    commit.blocks.push_back(std::move(block));
  }
  return commit;
}

Operation read(const UseBlocks& from) {
  TRY_VOID(checked_count(from.blocks_size(), limits::kBlocksPerAllocation, "blocks"));
  metadata::UseBlocks use{.file = file_of(from.file()),
                          .epoch = Epoch(from.epoch()),
                          .file_offset = from.file_offset(),
                          .blocks = {}};
  for (const auto& row : from.blocks()) {
    TRY(digest, optional_digest(row.digest()));
    if (!digest) return fail(Code::kInvalid, "a block is asked for without its digest");
    use.blocks.push_back({.length = row.length(), .digest = *digest});
  }
  return use;
}

Operation read(const DisownBlock& from) {
  TRY(digest, optional_digest(from.digest()));
  if (!digest) return fail(Code::kInvalid, "a block is disowned without its digest");
  return metadata::DisownBlock{.block = BlockId(from.block()), .digest = *digest};
}

Result<metadata::PublishCondition> checked_condition(uint32_t condition) {
  using metadata::PublishCondition;
  return checked_enum(condition, PublishCondition::kOverwrite, PublishCondition::kIfVersion,
                      "publish condition");
}

Operation read(const PutInline& from) {
  TRY(path, checked_path(from.path()));
  TRY(policy, optional_policy(from.policy()));
  TRY(content, checked_content(from.content()));
  TRY(condition, checked_condition(from.condition()));
  TRY(attributes, read(from.attributes()));
  return metadata::PutInline{.path = std::move(path),
                             .policy = policy,
                             .content = std::move(content),
                             .condition = condition,
                             .version = version_of(from.version()),
                             .attributes = std::move(attributes),
                             .block_bytes = from.block_bytes(),
                             .cell_bytes = from.cell_bytes()};
}

Operation read(const PutPacked& from) {
  TRY(path, checked_path(from.path()));
  TRY(policy, optional_policy(from.policy()));
  TRY(condition, checked_condition(from.condition()));
  TRY(attributes, read(from.attributes()));
  return metadata::PutPacked{.path = std::move(path),
                             .policy = policy,
                             .pack = file_of(from.pack()),
                             .block = BlockId(from.block()),
                             .block_offset = from.block_offset(),
                             .length = from.length(),
                             .condition = condition,
                             .version = version_of(from.version()),
                             .attributes = std::move(attributes)};
}

Operation read(const MovePacked& from) {
  return metadata::MovePacked{.file = file_of(from.file()),
                              .from = BlockId(from.from()),
                              .from_offset = from.from_offset(),
                              .length = from.length(),
                              .pack = file_of(from.pack()),
                              .block = BlockId(from.block()),
                              .block_offset = from.block_offset()};
}

Operation read(const Publish& from) {
  TRY(path, checked_path(from.path()));
  TRY(condition, checked_condition(from.condition()));
  TRY(attributes, read(from.attributes()));
  return metadata::Publish{.file = file_of(from.file()),
                           .epoch = Epoch(from.epoch()),
                           .path = std::move(path),
                           .length = from.length(),
                           .condition = condition,
                           .version = version_of(from.version()),
                           .attributes = std::move(attributes)};
}

Operation read(const Copy& from) {
  TRY(source, checked_path(from.from()));
  TRY(target, checked_path(from.to()));
  TRY(condition, checked_condition(from.condition()));
  return metadata::Copy{.from = std::move(source),
                        .to = std::move(target),
                        .condition = condition,
                        .version = version_of(from.version())};
}

Operation read(const Truncate& from) {
  TRY(path, checked_path(from.path()));
  return metadata::Truncate{.path = std::move(path), .length = from.length()};
}

Operation read(const Concatenate& from) {
  TRY_VOID(checked_count(from.sources_size(), limits::kJoinedFilesMax, "files"));
  TRY(path, checked_path(from.path()));
  metadata::Concatenate out{.path = std::move(path), .sources = {}};
  for (const auto& source : from.sources()) {
    TRY(checked, checked_path(source));
    out.sources.push_back(std::move(checked));
  }
  if (from.has_at()) out.at = from.at();
  return out;
}

Operation read(const SetQuota& from) {
  TRY(path, checked_path(from.path()));
  return metadata::SetQuota{.path = std::move(path), .quota = quota_of(from.quota())};
}

Operation read(const SetLayout& from) {
  TRY(path, checked_path(from.path()));
  TRY(policy, optional_policy(from.policy()));
  metadata::SetLayout out{.path = std::move(path),
                          .layout = {.policy = policy, .block_bytes = {}, .cell_bytes = {}},
                          .inherit = from.inherit()};
  if (from.has_block_bytes()) out.layout.block_bytes = from.block_bytes();
  if (from.has_cell_bytes()) out.layout.cell_bytes = from.cell_bytes();
  if (!from.has_content_mode()) return out;
  TRY(mode, checked_content_mode(from.content_mode()));
  out.layout.content_mode = mode;
  return out;
}

template <class Lease>
Operation read_lease(const UploadLease& from) {
  return Lease{.file = file_of(from.file()), .epoch = Epoch(from.epoch())};
}

Operation read(const OrderDeletion& from) {
  TRY_VOID(checked_count(from.blocks_size(), limits::kDeletionsPerEntry, "blocks"));
  TRY_VOID(checked_count(from.former_size(), limits::kDeletionsPerEntry, "generations"));
  metadata::OrderDeletion order;
  for (const uint64_t block : from.blocks()) order.blocks.emplace_back(block);
  for (const auto& former : from.former()) {
    order.former.push_back({BlockId(former.block()), Generation(former.generation())});
  }
  return order;
}

Operation read(const AckDeleted& from) {
  TRY_VOID(checked_count(from.shards_size(), limits::kDeletionsPerEntry, "shards"));
  metadata::AckDeleted ack{.node = NodeId(from.node()), .shards = {}};
  for (const auto& shard : from.shards()) {
    ack.shards.push_back({.block = BlockId(shard.block()),
                          .index = shard.shard(),
                          .generation = Generation(shard.generation())});
  }
  return ack;
}

Operation read(const JudgeShards& from) {
  TRY_VOID(checked_count(from.shards_size(), limits::kVerdictsPerEntry, "shards"));
  metadata::JudgeShards judge{.node = NodeId(from.node()), .shards = {}};
  for (const auto& verdict : from.shards()) judge.shards.push_back(decode(verdict));
  return judge;
}

// As an Operation, what the other files of this codec read.
template <class Message>
Operation read_other(const Message& from) {
  TRY(operation, read(from));
  return operation;
}

Operation read_operation(const Command& from) {
  switch (from.operation_case()) {
    case Command::kCreateCluster: return read(from.create_cluster());
    case Command::kRegisterNode: return read(from.register_node());
    case Command::kSetNodeState: return read(from.set_node_state());
    case Command::kSetNodeSpace:
      return metadata::SetNodeSpace{.node = NodeId(from.set_node_space().node()),
                                    .capacity_bytes = from.set_node_space().capacity_bytes(),
                                    .used_bytes = from.set_node_space().used_bytes()};
    case Command::kRegisterClient: return metadata::RegisterClient{};
    case Command::kExpireSession:
      return metadata::ExpireSession{.client = ClientId(from.expire_session().client()),
                                     .epoch = Epoch(from.expire_session().epoch())};
    case Command::kMakeDirectory: return read(from.make_directory());
    case Command::kRename: return read(from.rename());
    case Command::kRemove: return read(from.remove());
    case Command::kStartUpload: return read(from.start_upload());
    case Command::kAllocateBlocks: return read(from.allocate_blocks());
    case Command::kCommitBlocks: return read(from.commit_blocks());
    case Command::kUseBlocks: return read(from.use_blocks());
    case Command::kDisownBlock: return read(from.disown_block());
    case Command::kPublish: return read(from.publish());
    case Command::kAbandonUpload: return read_lease<metadata::AbandonUpload>(from.abandon_upload());
    case Command::kRenewLease: return read_lease<metadata::RenewLease>(from.renew_lease());
    case Command::kExpireLease: return read_lease<metadata::ExpireLease>(from.expire_lease());
    case Command::kRemoveStep: return metadata::RemoveStep{.limit = from.remove_step().limit()};
    case Command::kOrderDeletion: return read(from.order_deletion());
    case Command::kAckDeleted: return read(from.ack_deleted());
    case Command::kJudgeShards: return read(from.judge_shards());
    case Command::kPutInline: return read(from.put_inline());
    case Command::kPutPacked: return read(from.put_packed());
    case Command::kMovePacked: return read(from.move_packed());
    case Command::kCopy: return read(from.copy());
    case Command::kTruncate: return read(from.truncate());
    case Command::kConcatenate: return read(from.concatenate());
    case Command::kSetQuota: return read(from.set_quota());
    case Command::kSetTrash: return metadata::SetTrash{.seconds = from.set_trash().seconds()};
    case Command::kBeginImport: return read_other(from.begin_import());
    case Command::kImportRows: {
      TRY(rows, read_rows(from.import_rows().rows()));
      return metadata::ImportRows{.rows = std::move(rows)};
    }
    case Command::kFinishImport: return metadata::FinishImport{.rows = from.finish_import().rows()};
    case Command::kAdvanceTrash:
      return metadata::AdvanceTrash{.from = from.advance_trash().from(),
                                    .to = from.advance_trash().to()};
    case Command::kSetAttributes: return read_other(from.set_attributes());
    case Command::kSetLayout: return read(from.set_layout());
    case Command::kOpenAppend: return read_other(from.open_append());
    case Command::kActivateAppend: return read(from.activate_append());
    case Command::kBeginSeal: return read(from.begin_seal());
    case Command::kFixAppend: return read_other(from.fix_append());
    case Command::kBeginConversion: return read_other(from.begin_conversion());
    case Command::kCommitConversion: return read_other(from.commit_conversion());
    case Command::kRaiseIncarnation: return metadata::RaiseIncarnation{};
    case Command::kSetClusterVersion:
      return metadata::SetClusterVersion{.version = from.set_cluster_version().version()};
    case Command::OPERATION_NOT_SET: break;
  }
  return fail(Code::kUnsupported, "a command that this build does not know");
}

}  // namespace

std::string encode_command(const metadata::Command& command) {
  Command out;
  out.set_format(kCommandFormat);
  out.set_client(command.client.value);
  out.set_request(command.request.value);
  out.set_acknowledged_below(command.acknowledged_below.value);
  out.set_wall(command.wall.nanoseconds);
  if (command.asker) put(*command.asker, *out.mutable_asker());
  std::visit(OperationWriter(out), command.operation);
  return out.SerializeAsString();
}

std::string stamped_command(std::string_view bytes, WallTime wall) {
  Command stamp;
  stamp.set_wall(wall.nanoseconds);
  std::string out;
  out.reserve(bytes.size() + stamp.ByteSizeLong());
  out += bytes;
  stamp.AppendToString(&out);
  return out;
}

Result<metadata::Command> decode_command(std::string_view bytes) {
  TRY(message, parsed<Command>(bytes, "command"));
  if (message.format() != kCommandFormat) {
    return fail(Code::kUnsupported, "a command of format {}, this build knows {}", message.format(),
                kCommandFormat);
  }
  TRY(operation, read_operation(message));
  metadata::Command command{.client = ClientId(message.client()),
                            .request = RequestId(message.request()),
                            .acknowledged_below = RequestId(message.acknowledged_below()),
                            .wall = WallTime{message.wall()},
                            .operation = std::move(operation),
                            .asker = {}};
  if (message.has_asker()) {
    TRY(asker, read(message.asker()));
    command.asker = std::move(asker);
  }
  if (metadata::version_of(command) > metadata::newest_cluster_version())
    return fail(Code::kUnsupported, "a command that this build does not know");
  return command;
}

}  // namespace dogfs::proto
