#include "core/chunk/append_file.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/base/limits.h"

namespace dogfs::chunk {
namespace {

constexpr std::string_view kLogMagic = "DOGAPPND";
constexpr size_t kMagicOffset = 4;  // behind the checksum
constexpr std::string_view kSealMagic = "DOGSEALD";
constexpr uint32_t kBatchMagic = 0x42474f44;  // "DOGB"
constexpr std::string_view kLogSuffix = ".append";
constexpr std::string_view kOtherSuffix = ".shard";
constexpr Epoch kUnknownSealer{UINT64_MAX};

Crc32c checksum_of(const ShardIdentity& identity) {
  return Crc32c()
      .add(identity.cluster.value)
      .add(identity.name.block.value)
      .add(identity.name.generation.value)
      .add(uint64_t{identity.name.shard});
}

// A later life of the block's file, in the same place of the disk, must not be taken for this one.
Crc32c checksum_of(const AppendOrigin& origin) {
  return checksum_of(origin.identity).add(origin.activation);
}

std::string with_checksum(std::string body) {
  return Encoder().u32(crc32c(as_bytes(body))).raw(body).bytes();
}

}  // namespace

std::string encode_append_header(const AppendOrigin& origin) {
  const ShardName& name = origin.identity.name;
  Encoder body;
  body.raw(kLogMagic).u32(kAppendFormatVersion).id(origin.identity.cluster).id(name.block);
  body.id(name.generation).u32(name.shard).id(origin.epoch).u64(origin.activation);
  body.u64(origin.ordinal).u64(origin.file_offset);
  std::string header = with_checksum(body.bytes());
  header.resize(kAppendHeaderBytes);
  return header;
}

bool is_append_header(ByteView bytes) {
  return as_text(bytes).substr(std::min(bytes.size(), kMagicOffset)).starts_with(kLogMagic);
}

Result<AppendOrigin> decode_append_header(ByteView bytes) {
  Decoder in(bytes);
  const uint32_t checksum = in.u32();
  const bool magic = in.raw(kLogMagic.size()) == kLogMagic;
  const uint32_t version = in.u32();
  AppendOrigin origin;
  origin.identity.cluster = in.id<ClusterId>();
  origin.identity.name.block = in.id<BlockId>();
  origin.identity.name.generation = in.id<Generation>();
  origin.identity.name.shard = in.u32();
  origin.epoch = in.id<Epoch>();
  origin.activation = in.u64();
  origin.ordinal = in.u64();
  origin.file_offset = in.u64();
  const ByteView read = bytes.first(bytes.size() - in.remaining());
  if (!in.ok() || !magic || checksum != crc32c(read.subspan(4)))
    return fail(Code::kCorrupt, "the log has a damaged header");
  if (version != kAppendFormatVersion)
    return fail(Code::kUnsupported, "the log is of format {}, this build reads {}", version,
                kAppendFormatVersion);
  return origin;
}

Result<AppendOrigin> decode_append_header(ByteView bytes, const ShardIdentity& expected) {
  auto origin = decode_append_header(bytes);
  if (!origin) return fail(std::move(origin).error().in(describe(expected.name)));
  if (origin->identity != expected)
    return fail(Code::kCorrupt, "where the log of {} should be is that of {} of cluster {:016x}",
                describe(expected.name), describe(origin->identity.name),
                origin->identity.cluster.value);
  return origin;
}

std::string encode_append_seal(const AppendOrigin& origin, Epoch epoch) {
  Encoder body;
  body.raw(kSealMagic).id(epoch).u32(checksum_of(origin).add(epoch.value).value());
  std::string seal = std::move(body).take();
  seal.resize(kAppendSealBytes);
  return seal;
}

Epoch decode_append_seal(const AppendOrigin& origin, ByteView bytes) {
  if (std::ranges::all_of(bytes, [](uint8_t byte) { return byte == 0; })) return Epoch(0);
  Decoder in(bytes);
  const bool magic = in.raw(kSealMagic.size()) == kSealMagic;
  const auto epoch = in.id<Epoch>();
  const bool sound = in.u32() == checksum_of(origin).add(epoch.value).value();
  return magic && sound && in.ok() ? epoch : kUnknownSealer;
}

std::string encode_batch_header(const AppendOrigin& origin, uint64_t offset, uint32_t bytes) {
  const uint32_t checksum =
      checksum_of(origin).add(offset).add(uint64_t{bytes}).add(uint64_t{kBatchMagic}).value();
  std::string header = Encoder().u32(kBatchMagic).u32(checksum).u32(bytes).u32(0).bytes();
  CHECK(header.size() == kAppendBatchHeaderBytes);
  return header;
}

std::optional<uint32_t> decode_batch_header(const AppendOrigin& origin, uint64_t offset,
                                            ByteView header) {
  Decoder in(header);
  in.u32();
  in.u32();
  const uint32_t bytes = in.u32();
  const bool good = header.size() == kAppendBatchHeaderBytes &&
                    bytes <= limits::kAppendBatchBytesMax &&
                    as_text(header) == encode_batch_header(origin, offset, bytes);
  return good ? std::optional(bytes) : std::nullopt;
}

std::string append_file_name(const ShardName& name) {
  std::string text = file_name(name);
  text.resize(text.size() - kOtherSuffix.size());
  return text.append(kLogSuffix);
}

std::optional<ShardName> parse_append_file_name(std::string_view text) {
  if (!text.ends_with(kLogSuffix)) return std::nullopt;
  text.remove_suffix(kLogSuffix.size());
  return parse_file_name(std::string(text).append(kOtherSuffix));
}

}  // namespace dogfs::chunk
