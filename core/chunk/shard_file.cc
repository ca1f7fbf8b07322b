#include "core/chunk/shard_file.h"

#include <charconv>

#include "core/base/check.h"
#include "core/base/checksum_combine.h"
#include "core/base/coding.h"

namespace dogfs::chunk {
namespace {

constexpr std::string_view kMagic = "DOGSHARD";
constexpr std::string_view kShardSuffix = ".shard";
constexpr std::string_view kTemporarySuffix = ".writing";

Crc32c identity_checksum(const ShardIdentity& identity) {
  Crc32c crc;
  crc.add(identity.cluster.value);
  crc.add(identity.name.block.value);
  crc.add(identity.name.generation.value);
  crc.add(uint64_t{identity.name.shard});
  return crc;
}

std::string encode_footer(ClusterId cluster, const ShardFacts& facts) {
  Encoder out;
  out.id(cluster).id(facts.name.block).id(facts.name.generation);
  out.u64(facts.block_length).u64(facts.shard_length);
  out.u32(facts.shape.cell_bytes).u32(facts.checksum);
  out.u8(static_cast<uint8_t>(facts.name.shard));
  out.u8(static_cast<uint8_t>(facts.shape.k)).u8(static_cast<uint8_t>(facts.shape.m));
  std::string body = std::move(out).take();
  body.resize(kShardFooterBytes - 4 - 4 - kMagic.size(), '\0');
  Encoder end;
  end.raw(body).u32(kShardFormatVersion).raw(kMagic);
  Encoder footer;
  footer.u32(crc32c(as_bytes(end.bytes()))).raw(end.bytes());
  CHECK(footer.size() == kShardFooterBytes);
  return std::move(footer).take();
}

template <class Number>
std::optional<Number> parse_number(std::string_view text, int base) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

uint32_t cell_checksum(const ShardIdentity& identity, uint64_t offset, ByteView bytes) {
  return identity_checksum(identity).add(offset).add(bytes).value();
}

uint32_t cell_checksum(const ShardIdentity& identity, uint64_t offset, uint32_t crc,
                       uint64_t length) {
  return crc32c_combine(identity_checksum(identity).add(offset).value(), crc, length);
}

ShardChecksum::ShardChecksum(const ShardIdentity& identity)
    : identity_(identity), running_(identity_checksum(identity)) {}

uint32_t ShardChecksum::add_cell(ByteView bytes) {
  const uint32_t checksum = cell_checksum(identity_, length_, bytes);
  add_checksum(checksum, bytes.size());
  return checksum;
}

void ShardChecksum::add_checksum(uint32_t checksum, uint64_t length) {
  running_.add(uint64_t{checksum});
  length_ += length;
}

std::string encode_tail(ClusterId cluster, const ShardFacts& facts,
                        const std::vector<uint32_t>& checksums) {
  CHECK(checksums.size() == facts.cell_count(), "{} checksums of {} cells", checksums.size(),
        facts.cell_count());
  Encoder out;
  for (const uint32_t checksum : checksums) out.u32(checksum);
  out.raw(encode_footer(cluster, facts));
  return std::move(out).take();
}

Result<Footer> decode_footer(ByteView footer) {
  CHECK(footer.size() == kShardFooterBytes, "a footer of {} bytes", footer.size());
  const ByteView end = footer.last(kMagic.size() + 4);
  if (as_text(end.subspan(4)) != kMagic)
    return fail(Code::kCorrupt, "no shard footer at the end of the file");
  Decoder in(footer);
  if (in.u32() != crc32c(footer.subspan(4))) return fail(Code::kCorrupt, "the footer is damaged");
  if (const uint32_t version = Decoder(end).u32(); version != kShardFormatVersion)
    return fail(Code::kUnsupported, "shard format {}, this build reads {}", version,
                kShardFormatVersion);
  Footer read;
  ShardFacts& facts = read.facts;
  read.cluster = in.id<ClusterId>();
  facts.name.block = in.id<BlockId>();
  facts.name.generation = in.id<Generation>();
  facts.block_length = in.u64();
  facts.shard_length = in.u64();
  facts.shape.cell_bytes = in.u32();
  facts.checksum = in.u32();
  facts.name.shard = in.u8();
  facts.shape.k = in.u8();
  facts.shape.m = in.u8();
  const auto layout = ec::StripeLayout::create(facts.shape, facts.block_length);
  if (!layout || layout->shard_length() != facts.shard_length ||
      facts.name.shard >= facts.shape.shard_count())
    return fail(Code::kCorrupt, "the footer contradicts itself");
  return read;
}

Result<ShardFacts> decode_footer(ByteView footer, const ShardIdentity& expected) {
  const auto read = decode_footer(footer);
  if (!read) return fail(read.error().in(describe(expected.name)));
  if (ShardIdentity{read->cluster, read->facts.name} != expected)
    return fail(Code::kCorrupt, "{} of cluster {} stands in the place of {} of cluster {}",
                describe(read->facts.name), read->cluster, describe(expected.name),
                expected.cluster);
  return read->facts;
}

Result<std::vector<uint32_t>> decode_table(ByteView table, ClusterId cluster,
                                           const ShardFacts& facts) {
  CHECK(table.size() == facts.table_bytes(), "{} bytes of {}", table.size(), facts.table_bytes());
  Decoder in(table);
  ShardChecksum whole({cluster, facts.name});
  std::vector<uint32_t> checksums;
  checksums.reserve(facts.cell_count());
  while (in.remaining() > 0) {
    const uint64_t left = facts.shard_length - whole.length();
    whole.add_checksum(checksums.emplace_back(in.u32()),
                       std::min<uint64_t>(left, facts.shape.cell_bytes));
  }
  if (whole.value() != facts.checksum)
    return fail(Code::kCorrupt, "{}: the table of checksums is damaged", describe(facts.name));
  return checksums;
}

std::string file_name(const ShardName& name) {
  return fmt::format("{:016x}-{:02}-{:x}{}", name.block.value, name.shard, name.generation.value,
                     kShardSuffix);
}

std::optional<ShardName> parse_file_name(std::string_view text) {
  if (!text.ends_with(kShardSuffix) || text.size() < 20 + kShardSuffix.size()) return std::nullopt;
  const std::string_view body = text.substr(0, text.size() - kShardSuffix.size());
  const auto block = parse_number<uint64_t>(body.substr(0, 16), 16);
  const auto shard = parse_number<uint32_t>(body.substr(17, 2), 10);
  const auto generation = parse_number<uint64_t>(body.substr(20), 16);
  if (!block || !shard || !generation) return std::nullopt;
  const ShardName name{BlockId(*block), *shard, Generation(*generation)};
  return file_name(name) == text ? std::optional(name) : std::nullopt;
}

std::string temporary_name(const ShardName& name, uint64_t number) {
  return fmt::format("{}.{}{}", file_name(name), number, kTemporarySuffix);
}

std::optional<uint64_t> parse_temporary_name(std::string_view text) {
  if (!text.ends_with(kTemporarySuffix)) return std::nullopt;
  text.remove_suffix(kTemporarySuffix.size());
  const size_t dot = text.rfind('.');
  if (dot == std::string_view::npos || !parse_file_name(text.substr(0, dot))) return std::nullopt;
  return parse_number<uint64_t>(text.substr(dot + 1), 10);
}

std::string describe(const ShardName& name) {
  return fmt::format("shard {} of block {:x} generation {}", name.shard, name.block.value,
                     name.generation);
}

}  // namespace dogfs::chunk
