// Answers to commands, queries and their answers; commands are in namespace_codec.cc.
#include "core/proto/cluster_codec.h"
#include "core/proto/namespace.pb.h"
#include "core/proto/namespace_codec.h"
#include "core/proto/namespace_fields.h"

namespace dogfs::proto {
namespace {

void put(const Error& error, Refusal& out) {
  out.set_code(static_cast<uint32_t>(error.code));
  out.set_message(error.message);
}

Result<Error> read(const Refusal& from) {
  TRY(code, checked_enum(from.code(), Code::kInvalid, Code::kUnsupported, "error code"));
  return Error{code, from.message()};
}

// --- Answers to commands ---

class ReplyWriter {
 public:
  explicit ReplyWriter(CommandReply& out) : out_(out) {}

  void operator()(const metadata::Done&) { out_.mutable_done(); }
  void operator()(const metadata::NodeRegistered& reply) {
    out_.mutable_node_registered()->set_node(reply.node.value);
    out_.mutable_node_registered()->set_version(reply.version.value);
  }
  void operator()(const metadata::ClientRegistered& reply) {
    out_.mutable_client_registered()->set_client(reply.client.value);
    out_.mutable_client_registered()->set_epoch(reply.epoch.value);
    out_.mutable_client_registered()->set_inline_bytes(reply.inline_bytes);
  }
  void operator()(const metadata::UploadStarted& reply) {
    auto& to = *out_.mutable_upload_started();
    put(reply.file, *to.mutable_file());
    to.set_epoch(reply.epoch.value);
    to.set_policy(reply.policy.code());
    to.set_block_bytes(reply.block_bytes);
    to.set_cell_bytes(reply.cell_bytes);
    to.set_content_mode(static_cast<uint32_t>(reply.content_mode));
  }
  void operator()(const metadata::BlocksUsed& reply) {
    out_.mutable_blocks_used()->set_blocks(reply.blocks);
  }
  void operator()(const metadata::BlocksAllocated& reply) {
    auto& to = *out_.mutable_blocks_allocated();
    to.set_policy(reply.policy.code());
    for (const auto& block : reply.blocks) put(block, *to.add_blocks());
  }
  void operator()(const metadata::StepTaken& reply) {
    out_.mutable_step_taken()->set_entries(reply.entries);
    out_.mutable_step_taken()->set_more(reply.more);
  }
  void operator()(const metadata::AppendOpened& reply) {
    put(reply, *out_.mutable_append_opened());
  }
  void operator()(const metadata::AppendActivated& reply) {
    put(reply, *out_.mutable_append_activated());
  }
  void operator()(const metadata::SealBegun& reply) { put(reply, *out_.mutable_seal_begun()); }
  void operator()(const metadata::ConversionBegun& reply) {
    put(reply, *out_.mutable_conversion_begun());
  }

 private:
  CommandReply& out_;
};

Result<metadata::Reply> read(const BlocksAllocated& from) {
  TRY(policy, checked_policy(from.policy()));
  TRY_VOID(checked_count(from.blocks_size(), limits::kBlocksPerAllocation, "blocks"));
  metadata::BlocksAllocated reply{.policy = policy, .blocks = {}};
  for (const auto& row : from.blocks()) {
    TRY(block, read(row));
    reply.blocks.push_back(std::move(block));
  }
  return reply;
}

Result<metadata::Reply> read(const UploadStarted& from) {
  TRY(policy, checked_policy(from.policy()));
  TRY(mode, checked_content_mode(from.content_mode()));
  return metadata::UploadStarted{.file = file_of(from.file()),
                                 .epoch = Epoch(from.epoch()),
                                 .policy = policy,
                                 .block_bytes = from.block_bytes(),
                                 .cell_bytes = from.cell_bytes(),
                                 .content_mode = mode};
}

// As a Reply, what the other files of this codec read.
template <class Message>
Result<metadata::Reply> read_other(const Message& from) {
  TRY(reply, read(from));
  return reply;
}

Result<metadata::Reply> read_reply(const CommandReply& from) {
  switch (from.outcome_case()) {
    case CommandReply::kDone: return metadata::Done{};
    case CommandReply::kNodeRegistered:
      return metadata::NodeRegistered{.node = NodeId(from.node_registered().node()),
                                      .version = MapVersion(from.node_registered().version())};
    case CommandReply::kClientRegistered:
      return metadata::ClientRegistered{.client = ClientId(from.client_registered().client()),
                                        .epoch = Epoch(from.client_registered().epoch()),
                                        .inline_bytes = from.client_registered().inline_bytes()};
    case CommandReply::kUploadStarted: return read(from.upload_started());
    case CommandReply::kBlocksAllocated: return read(from.blocks_allocated());
    case CommandReply::kBlocksUsed:
      return metadata::BlocksUsed{.blocks = from.blocks_used().blocks()};
    case CommandReply::kStepTaken:
      return metadata::StepTaken{.entries = from.step_taken().entries(),
                                 .more = from.step_taken().more()};
    case CommandReply::kAppendOpened: return read_other(from.append_opened());
    case CommandReply::kAppendActivated: return read_other(from.append_activated());
    case CommandReply::kSealBegun: return read_other(from.seal_begun());
    case CommandReply::kConversionBegun: return read_other(from.conversion_begun());
    case CommandReply::kRefused:
    case CommandReply::OUTCOME_NOT_SET: break;
  }
  return fail(Code::kUnsupported, "an answer that this build does not know");
}

// --- Queries ---

class QueryWriter {
 public:
  explicit QueryWriter(Query& out) : out_(out) {}

  void operator()(const metadata::StatQuery& query) { out_.mutable_stat()->set_path(query.path); }
  void operator()(const metadata::ListQuery& query) {
    out_.mutable_list()->set_path(query.path);
    out_.mutable_list()->set_after(query.after);
    out_.mutable_list()->set_limit(query.limit);
  }
  void operator()(const metadata::LocateQuery& query) {
    auto& to = *out_.mutable_locate();
    to.set_path(query.path);
    put(query.file, *to.mutable_file());
    to.set_offset(query.offset);
    to.set_length(query.length);
  }
  void operator()(const metadata::MapQuery& query) {
    out_.mutable_cluster_map()->set_since(query.since.value);
  }
  void operator()(const metadata::StatusQuery&) { out_.mutable_status(); }
  void operator()(const metadata::UseQuery& query) { out_.mutable_use()->set_path(query.path); }
  void operator()(const metadata::ReferrersQuery& query) {
    out_.mutable_referrers()->set_block(query.block.value);
    out_.mutable_referrers()->set_after(query.after.value);
  }

 private:
  Query& out_;
};

Result<metadata::Query> read_query(const Query& from) {
  switch (from.query_case()) {
    case Query::kStat: {
      TRY(path, checked_path(from.stat().path()));
      return metadata::StatQuery{.path = std::move(path)};
    }
    case Query::kList: {
      TRY(path, checked_path(from.list().path()));
      TRY(after, checked_path(from.list().after()));
      return metadata::ListQuery{
          .path = std::move(path), .after = std::move(after), .limit = from.list().limit()};
    }
    case Query::kLocate: {
      TRY(path, checked_path(from.locate().path()));
      return metadata::LocateQuery{.path = std::move(path),
                                   .file = file_of(from.locate().file()),
                                   .offset = from.locate().offset(),
                                   .length = from.locate().length()};
    }
    case Query::kClusterMap:
      return metadata::MapQuery{.since = MapVersion(from.cluster_map().since())};
    case Query::kStatus: return metadata::StatusQuery{};
    case Query::kUse: {
      TRY(path, checked_path(from.use().path()));
      return metadata::UseQuery{.path = std::move(path)};
    }
    case Query::kReferrers:
      return metadata::ReferrersQuery{.block = BlockId(from.referrers().block()),
                                      .after = InodeId(from.referrers().after())};
    case Query::QUERY_NOT_SET: break;
  }
  return fail(Code::kUnsupported, "a query that this build does not know");
}

// --- Answers to queries ---

void put(const metadata::Attributes& attributes, Attributes& to) {
  to.set_kind(static_cast<uint32_t>(attributes.kind));
  to.set_id(attributes.id.value);
  to.set_home(attributes.home.value);
  to.set_length(attributes.length);
  to.set_blocks(attributes.blocks);
  to.set_modified(attributes.modified.nanoseconds);
  to.set_policy(attributes.policy.code());
  to.set_changes(attributes.changes);
  if (attributes.inode != metadata::InodeAttributes()) put(attributes.inode, *to.mutable_inode());
  to.set_appending(attributes.appending);
  to.set_block_bytes(attributes.block_bytes);
  to.set_cell_bytes(attributes.cell_bytes);
  to.set_policy_level(attributes.layout_from.policy);
  to.set_block_level(attributes.layout_from.block_bytes);
  to.set_cell_level(attributes.layout_from.cell_bytes);
  to.set_content_mode(static_cast<uint32_t>(attributes.content_mode));
  to.set_content_level(attributes.layout_from.content_mode);
}

Result<metadata::Attributes> read(const Attributes& from) {
  using metadata::EntryKind;
  TRY(kind, checked_enum(from.kind(), EntryKind::kDirectory, EntryKind::kFile, "kind of entry"));
  TRY(policy, checked_policy(from.policy()));
  TRY(inode, read(from.inode()));
  TRY(mode, checked_content_mode(from.content_mode()));
  return metadata::Attributes{.kind = kind,
                              .id = InodeId(from.id()),
                              .home = InodeId(from.home()),
                              .length = from.length(),
                              .blocks = from.blocks(),
                              .changes = from.changes(),
                              .modified = WallTime{from.modified()},
                              .inode = std::move(inode),
                              .policy = policy,
                              .appending = from.appending(),
                              .block_bytes = from.block_bytes(),
                              .cell_bytes = from.cell_bytes(),
                              .content_mode = mode,
                              .layout_from = {.policy = from.policy_level(),
                                              .block_bytes = from.block_level(),
                                              .cell_bytes = from.cell_level(),
                                              .content_mode = from.content_level()}};
}

class AnswerWriter {
 public:
  explicit AnswerWriter(QueryReply& out) : out_(out) {}

  void operator()(const metadata::Attributes& answer) { put(answer, *out_.mutable_attributes()); }
  void operator()(const metadata::Listing& answer) {
    auto& to = *out_.mutable_listing();
    to.set_more(answer.more);
    for (const auto& entry : answer.entries) {
      auto& row = *to.add_entries();
      row.set_name(entry.name);
      put(entry.attributes, *row.mutable_attributes());
    }
  }
  void operator()(const metadata::FileLocation& answer) {
    auto& to = *out_.mutable_location();
    put(answer.file, *to.mutable_file());
    to.set_length(answer.length);
    to.set_cell_bytes(answer.cell_bytes);
    to.set_more(answer.more);
    to.set_content(answer.content);
    to.set_contents(answer.contents);
    for (const auto& block : answer.blocks) write(block, *to.add_blocks());
  }
  void operator()(const placement::MapChanges& answer) {
    encode(answer, *out_.mutable_cluster_map());
  }
  void operator()(const metadata::DirectoryUse& answer) {
    auto& to = *out_.mutable_use();
    to.set_bytes(answer.use.bytes);
    to.set_entries(answer.use.entries);
    put(answer.quota, *to.mutable_quota());
  }
  void operator()(const metadata::BlockReferrers& answer) {
    auto& to = *out_.mutable_referrers();
    write(answer.block, *to.mutable_block());
    to.set_last(answer.last.value);
    to.set_more(answer.more);
    for (const auto& file : answer.files) {
      auto& row = *to.add_files();
      put(file.file, *row.mutable_file());
      for (const auto& range : file.ranges) {
        row.add_offsets(range.offset);
        row.add_lengths(range.length);
      }
    }
  }
  void operator()(const metadata::ClusterStatus& answer) {
    auto& to = *out_.mutable_status();
    to.set_cluster(answer.settings.cluster.value);
    to.set_incarnation(answer.settings.incarnation.value);
    to.set_cluster_version(answer.settings.cluster_version);
    to.set_policy(answer.settings.policy.code());
    to.set_block_bytes(answer.settings.block_bytes);
    to.set_cell_bytes(answer.settings.cell_bytes);
    to.set_inline_bytes(answer.settings.inline_bytes);
    to.set_trash_seconds(answer.settings.trash_seconds);
    to.set_map_version(answer.map_version.value);
    to.set_files(answer.counters.files);
    to.set_directories(answer.counters.directories);
    to.set_uploads(answer.counters.uploads);
    to.set_sessions(answer.counters.sessions);
    to.set_blocks(answer.counters.blocks);
    to.set_blocks_below_full_width(answer.counters.blocks_below_full_width);
    to.set_garbage_blocks(answer.counters.garbage_blocks);
    to.set_garbage_bytes(answer.counters.garbage_bytes);
    to.set_append_blocks(answer.counters.append_blocks);
    to.set_former_generations(answer.counters.former_generations);
    to.set_placed_bytes(answer.counters.placed_bytes);
    to.set_pack_bytes(answer.counters.pack_bytes);
    to.set_packed_bytes(answer.counters.packed_bytes);
    to.set_file_bytes(answer.file_bytes);
    to.set_block_bytes_used(answer.counters.block_bytes);
    to.set_known_blocks(answer.counters.known_blocks);
  }

 private:
  static void write(const metadata::LocatedBlock& block, LocatedBlock& to) {
    to.set_file_offset(block.file_offset);
    to.set_length(block.length);
    to.set_block_offset(block.block_offset);
    to.set_block(block.block.value);
    to.set_generation(block.generation.value);
    to.set_placement_version(block.placement_version.value);
    to.set_block_length(block.block_length);
    to.set_policy(block.policy.code());
    to.set_state(static_cast<uint32_t>(block.state));
    to.set_log(block.log);
    to.set_epoch(block.epoch.value);
    to.set_ordinal(block.ordinal);
    to.set_cell_bytes(block.cell_bytes);
    to.set_digest(digest_bytes(block.digest));
    for (const auto& shard : block.shards) {
      auto& row = *to.add_shards();
      row.set_index(shard.index);
      row.set_node(shard.node.value);
      row.set_address(shard.address);
      row.set_state(static_cast<uint32_t>(shard.state));
      row.set_checksum(shard.checksum);
    }
  }
  QueryReply& out_;
};

Result<metadata::Answer> read(const Listing& from) {
  TRY_VOID(checked_count(from.entries_size(), limits::kListPageMax, "names"));
  metadata::Listing listing{.entries = {}, .more = from.more()};
  for (const auto& row : from.entries()) {
    TRY(attributes, read(row.attributes()));
    listing.entries.push_back({.name = row.name(), .attributes = attributes});
  }
  return listing;
}

Result<metadata::LocatedShard> read(const LocatedShard& from, const placement::Policy& policy) {
  using placement::NodeState;
  if (from.index() >= policy.width()) {
    return fail(Code::kInvalid, "{} has no shard {}", policy.text(), from.index());
  }
  TRY(state, checked_enum(from.state(), NodeState::kLive, NodeState::kGone, "node state"));
  return metadata::LocatedShard{.index = from.index(),
                                .node = NodeId(from.node()),
                                .address = from.address(),
                                .state = state,
                                .checksum = from.checksum()};
}

// A reader computes with these numbers, so what cannot be is refused here.
Result<metadata::LocatedBlock> read(const LocatedBlock& from) {
  using metadata::LocatedState;
  TRY(policy, checked_policy(from.policy()));
  TRY(state, checked_enum(from.state(), LocatedState::kSealed, LocatedState::kSealing,
                          "state of a block"));
  TRY(digest, optional_digest(from.digest()));
  TRY_VOID(checked_count(from.shards_size(), policy.width(), "shards"));
  if (from.block_length() > limits::kBlockBytesMax || from.length() > from.block_length() ||
      from.block_offset() > from.block_length() - from.length()) {
    return fail(Code::kInvalid, "block {} of {} bytes does not hold {} at {}", from.block(),
                from.block_length(), from.length(), from.block_offset());
  }
  metadata::LocatedBlock block{.file_offset = from.file_offset(),
                               .length = from.length(),
                               .block_offset = from.block_offset(),
                               .block = BlockId(from.block()),
                               .generation = Generation(from.generation()),
                               .placement_version = PlacementVersion(from.placement_version()),
                               .block_length = from.block_length(),
                               .policy = policy,
                               .shards = {},
                               .state = state,
                               .log = from.log(),
                               .epoch = Epoch(from.epoch()),
                               .ordinal = from.ordinal(),
                               .cell_bytes = from.cell_bytes(),
                               .digest = digest};
  for (const auto& row : from.shards()) {
    TRY(shard, read(row, policy));
    block.shards.push_back(std::move(shard));
  }
  return block;
}

Result<metadata::Answer> read(const FileLocation& from) {
  TRY_VOID(checked_count(from.blocks_size(), limits::kBlocksPerLocation, "blocks"));
  TRY(content, checked_content(from.content()));
  if (content.size() > from.length()) {
    return fail(Code::kInvalid, "a file of {} bytes came with {} inline", from.length(),
                content.size());
  }
  metadata::FileLocation location{.file = file_of(from.file()),
                                  .length = from.length(),
                                  .cell_bytes = from.cell_bytes(),
                                  .blocks = {},
                                  .content = std::move(content),
                                  .more = from.more(),
                                  .contents = from.contents()};
  for (const auto& row : from.blocks()) {
    TRY(block, read(row));
    if (block.file_offset < location.content.size()) {
      return fail(Code::kInvalid, "block {} lies at {}, in the {} bytes of the file's head",
                  block.block, block.file_offset, location.content.size());
    }
    if (block.cell_bytes == 0) block.cell_bytes = location.cell_bytes;
    location.blocks.push_back(std::move(block));
  }
  return location;
}

Result<metadata::Answer> read(const ClusterStatus& from) {
  TRY(policy, checked_policy(from.policy()));
  if (from.incarnation() > UINT16_MAX) {
    return fail(Code::kInvalid, "there is no incarnation {}", from.incarnation());
  }
  return metadata::ClusterStatus{
      .settings = {.cluster = ClusterId(from.cluster()),
                   .incarnation = Incarnation(static_cast<uint16_t>(from.incarnation())),
                   .cluster_version = from.cluster_version(),
                   .policy = policy,
                   .block_bytes = from.block_bytes(),
                   .cell_bytes = from.cell_bytes(),
                   .inline_bytes = from.inline_bytes(),
                   .trash_seconds = from.trash_seconds()},
      .counters = {.files = from.files(),
                   .directories = from.directories(),
                   .uploads = from.uploads(),
                   .sessions = from.sessions(),
                   .blocks = from.blocks(),
                   .blocks_below_full_width = from.blocks_below_full_width(),
                   .garbage_blocks = from.garbage_blocks(),
                   .garbage_bytes = from.garbage_bytes(),
                   .append_blocks = from.append_blocks(),
                   .former_generations = from.former_generations(),
                   .placed_bytes = from.placed_bytes(),
                   .pack_bytes = from.pack_bytes(),
                   .packed_bytes = from.packed_bytes(),
                   .block_bytes = from.block_bytes_used(),
                   .known_blocks = from.known_blocks()},
      .file_bytes = from.file_bytes(),
      .map_version = MapVersion(from.map_version())};
}

Result<metadata::PackedFile> read(const PackedFile& from, uint64_t block_length) {
  if (from.lengths_size() != from.offsets_size()) {
    return fail(Code::kInvalid, "a file with {} ranges of {} lengths", from.offsets_size(),
                from.lengths_size());
  }
  TRY_VOID(checked_count(from.offsets_size(), limits::kFileBlocksMax, "ranges"));
  metadata::PackedFile file{.file = file_of(from.file()), .ranges = {}};
  for (int i = 0; i < from.offsets_size(); ++i) {
    const metadata::PackedRange range{.offset = from.offsets(i), .length = from.lengths(i)};
    if (range.length > block_length || range.offset > block_length - range.length) {
      return fail(Code::kInvalid, "a block of {} bytes does not hold {} at {}", block_length,
                  range.length, range.offset);
    }
    file.ranges.push_back(range);
  }
  return file;
}

Result<metadata::Answer> read(const BlockReferrers& from) {
  TRY_VOID(checked_count(from.files_size(), limits::kReferrersPerAnswer, "files"));
  TRY(block, read(from.block()));
  metadata::BlockReferrers out{
      .block = std::move(block), .files = {}, .last = InodeId(from.last()), .more = from.more()};
  for (const auto& row : from.files()) {
    TRY(file, read(row, out.block.block_length));
    out.files.push_back(std::move(file));
  }
  return out;
}

Result<metadata::Answer> read_answer(const QueryReply& from) {
  switch (from.outcome_case()) {
    case QueryReply::kAttributes: return read(from.attributes());
    case QueryReply::kListing: return read(from.listing());
    case QueryReply::kLocation: return read(from.location());
    case QueryReply::kClusterMap: return decode(from.cluster_map());
    case QueryReply::kStatus: return read(from.status());
    case QueryReply::kUse:
      return metadata::DirectoryUse{
          .use = {.bytes = from.use().bytes(), .entries = from.use().entries()},
          .quota = quota_of(from.use().quota())};
    case QueryReply::kReferrers: return read(from.referrers());
    case QueryReply::kRefused:
    case QueryReply::OUTCOME_NOT_SET: break;
  }
  return fail(Code::kUnsupported, "an answer that this build does not know");
}

}  // namespace

std::string encode_response(const metadata::Response& response) {
  CommandReply out;
  if (response) {
    std::visit(ReplyWriter(out), *response);
  } else {
    put(response.error(), *out.mutable_refused());
  }
  return out.SerializeAsString();
}

Result<metadata::Response> decode_response(std::string_view bytes) {
  TRY(message, parsed<CommandReply>(bytes, "answer to a command"));
  if (message.has_refused()) {
    TRY(error, read(message.refused()));
    return Result<metadata::Response>(std::in_place, std::unexpected(std::move(error)));
  }
  TRY(reply, read_reply(message));
  return Result<metadata::Response>(std::in_place, std::move(reply));
}

std::string encode_query(const metadata::Question& question) {
  Query out;
  if (question.asker) put(*question.asker, *out.mutable_asker());
  std::visit(QueryWriter(out), question.query);
  return out.SerializeAsString();
}

Result<metadata::Question> decode_query(std::string_view bytes) {
  TRY(message, parsed<Query>(bytes, "query"));
  TRY(query, read_query(message));
  metadata::Question question{.query = std::move(query), .asker = {}};
  if (message.has_asker()) {
    TRY(asker, read(message.asker()));
    question.asker = std::move(asker);
  }
  return question;
}

std::string encode_answer(const metadata::QueryResponse& answer) {
  QueryReply out;
  if (answer) {
    std::visit(AnswerWriter(out), *answer);
  } else {
    put(answer.error(), *out.mutable_refused());
  }
  return out.SerializeAsString();
}

Result<metadata::QueryResponse> decode_answer(std::string_view bytes) {
  TRY(message, parsed<QueryReply>(bytes, "answer to a query"));
  if (message.has_refused()) {
    TRY(error, read(message.refused()));
    return Result<metadata::QueryResponse>(std::in_place, std::unexpected(std::move(error)));
  }
  TRY(answer, read_answer(message));
  return Result<metadata::QueryResponse>(std::in_place, std::move(answer));
}

}  // namespace dogfs::proto
