#include "core/namespace/response_coding.h"

#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/base/limits.h"

namespace dogfs::metadata {
namespace {

constexpr uint8_t kResponseFormat = 1;

// Numbers of the kinds of answer. They stand in snapshots: never reuse one.
enum class Kind : uint8_t {
  kError = 0,
  kDone = 1,
  kNodeRegistered = 2,
  kClientRegistered = 3,
  kUploadStarted = 4,
  kBlocksAllocated = 5,
  kStepTaken = 6,
  kAppendOpened = 7,
  kBlocksUsed = 8,
  kContentUploadStarted = 9,  // as kUploadStarted, and a mode of content
};

class Writer {
 public:
  explicit Writer(Encoder& out) : out_(out) {}

  void operator()(const Done&) { kind(Kind::kDone); }
  void operator()(const NodeRegistered& reply) {
    kind(Kind::kNodeRegistered).id(reply.node).id(reply.version);
  }
  void operator()(const ClientRegistered& reply) {
    kind(Kind::kClientRegistered).id(reply.client).id(reply.epoch).u32(reply.inline_bytes);
  }
  void operator()(const UploadStarted& reply) {
    const bool plain = reply.content_mode == ContentMode::kNone;
    kind(plain ? Kind::kUploadStarted : Kind::kContentUploadStarted);
    out_.id(reply.file.home).id(reply.file.file).id(reply.epoch);
    out_.u16(reply.policy.code()).u64(reply.block_bytes).u32(reply.cell_bytes);
    if (!plain) out_.u8(static_cast<uint8_t>(reply.content_mode));
  }
  void operator()(const BlocksAllocated& reply) {
    kind(Kind::kBlocksAllocated).u16(reply.policy.code());
    out_.u32(static_cast<uint32_t>(reply.blocks.size()));
    for (const PlacedBlock& block : reply.blocks) write(block);
  }
  void operator()(const StepTaken& reply) {
    kind(Kind::kStepTaken).u32(reply.entries).u8(reply.more ? 1 : 0);
  }
  void operator()(const AppendOpened& reply) {
    kind(Kind::kAppendOpened).id(reply.file.home).id(reply.file.file);
    out_.u16(reply.policy.code());
    write(reply.block);
    out_.id(reply.epoch).u32(reply.ordinal).u64(reply.capacity);
  }
  void operator()(const BlocksUsed& reply) { kind(Kind::kBlocksUsed).u32(reply.blocks); }
  // Answers of operations that come in no session, which is all that keeps any.
  void operator()(const AppendActivated&) { UNREACHABLE("a session's answer"); }
  void operator()(const SealBegun&) { UNREACHABLE("a session's answer"); }
  void operator()(const ConversionBegun&) { UNREACHABLE("a session's answer"); }

 private:
  Encoder& kind(Kind kind) { return out_.u8(static_cast<uint8_t>(kind)); }
  void write(const PlacedBlock& block) {
    out_.id(block.block).id(block.generation).u64(block.file_offset).u64(block.length);
    out_.u8(static_cast<uint8_t>(block.shards.size()));
    for (const PlacedShard& shard : block.shards) {
      out_.u8(static_cast<uint8_t>(shard.index)).id(shard.node);
    }
  }
  Encoder& out_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : in_(bytes) {}

  bool known_format() { return in_.u8() == kResponseFormat || !in_.ok(); }
  Response response() {
    switch (static_cast<Kind>(in_.u8())) {
      case Kind::kError: return error();
      case Kind::kDone: return Done{};
      case Kind::kNodeRegistered: return node_registered();
      case Kind::kClientRegistered: return client_registered();
      case Kind::kUploadStarted: return upload_started();
      case Kind::kContentUploadStarted: return content_upload_started();
      case Kind::kBlocksAllocated: return blocks_allocated();
      case Kind::kStepTaken: return step_taken();
      case Kind::kAppendOpened: return append_opened();
      case Kind::kBlocksUsed: return BlocksUsed{.blocks = in_.u32()};
    }
    bad_ = true;
    return Done{};
  }
  bool good() const { return !bad_ && in_.at_end(); }

 private:
  Response error() {
    const auto code = static_cast<Code>(in_.u8());
    if (code < Code::kInvalid || code > Code::kUnsupported) bad_ = true;
    return std::unexpected(Error{code, std::string(in_.text())});
  }
  Response node_registered() {
    NodeRegistered reply;
    reply.node = in_.id<NodeId>();
    reply.version = in_.id<MapVersion>();
    return reply;
  }
  Response client_registered() {
    ClientRegistered reply;
    reply.client = in_.id<ClientId>();
    reply.epoch = in_.id<Epoch>();
    reply.inline_bytes = in_.u32();
    return reply;
  }
  UploadStarted upload_started() {
    UploadStarted reply;
    reply.file.home = in_.id<InodeId>();
    reply.file.file = in_.id<InodeId>();
    reply.epoch = in_.id<Epoch>();
    reply.policy = policy();
    reply.block_bytes = in_.u64();
    reply.cell_bytes = in_.u32();
    return reply;
  }
  Response content_upload_started() {
    UploadStarted reply = upload_started();
    reply.content_mode = static_cast<ContentMode>(in_.u8());
    if (reply.content_mode < ContentMode::kSha256 || reply.content_mode > ContentMode::kDedup) {
      bad_ = true;
    }
    return reply;
  }
  Response blocks_allocated() {
    BlocksAllocated reply;
    reply.policy = policy();
    const uint32_t count = in_.u32();
    if (count > limits::kBlocksPerAllocation) bad_ = true;
    for (uint32_t i = 0; i < count && !bad_ && in_.ok(); ++i) reply.blocks.push_back(block());
    return reply;
  }
  Response step_taken() {
    StepTaken reply;
    reply.entries = in_.u32();
    reply.more = in_.u8() == 1;
    return reply;
  }
  Response append_opened() {
    AppendOpened reply;
    reply.file.home = in_.id<InodeId>();
    reply.file.file = in_.id<InodeId>();
    reply.policy = policy();
    reply.block = block();
    reply.epoch = in_.id<Epoch>();
    reply.ordinal = in_.u32();
    reply.capacity = in_.u64();
    return reply;
  }
  PlacedBlock block() {
    PlacedBlock block;
    block.block = in_.id<BlockId>();
    block.generation = in_.id<Generation>();
    block.file_offset = in_.u64();
    block.length = in_.u64();
    const uint8_t count = in_.u8();
    if (count > limits::kShardsMax) bad_ = true;
    for (uint8_t i = 0; i < count && !bad_; ++i) {
      PlacedShard shard;
      shard.index = in_.u8();
      shard.node = in_.id<NodeId>();
      block.shards.push_back(std::move(shard));
    }
    return block;
  }
  placement::Policy policy() {
    const auto policy = placement::Policy::from_code(in_.u16());
    if (!policy) bad_ = true;
    return policy.value_or(placement::Policy());
  }

  Decoder in_;
  bool bad_ = false;
};

}  // namespace

std::string encode_response(const Response& response) {
  Encoder out;
  out.u8(kResponseFormat);
  if (response) {
    std::visit(Writer(out), *response);
  } else {
    out.u8(static_cast<uint8_t>(Kind::kError)).u8(static_cast<uint8_t>(response.error().code));
    out.text(response.error().message);
  }
  return std::move(out).take();
}

Result<Response> decode_response(std::string_view bytes) {
  Reader in(bytes);
  if (!in.known_format()) {
    return fail(Code::kUnsupported, "a session's result has a format this build does not know");
  }
  Response response = in.response();
  if (!in.good()) {
    return fail(Code::kCorrupt, "a session's result of {} bytes is damaged", bytes.size());
  }
  return Result<Response>(std::in_place, std::move(response));
}

}  // namespace dogfs::metadata
