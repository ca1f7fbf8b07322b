#include "core/chunk/open_shard.h"

#include <algorithm>

#include "core/base/checksum_combine.h"
#include "core/base/limits.h"

namespace dogfs::chunk {
namespace {

// The end of a file, enough for the footer and the table of most shards.
constexpr uint64_t kTailBytes = 4096;
constexpr uint32_t kLargeCellBytes = 16 * limits::kKiB;

struct Tail {
  ShardFacts facts;
  uint64_t file_bytes = 0;
  Buffer bytes;  // the last ones of the file, footer included
};

// Exactly `length` bytes, or an error: a file that ends early has lost some.
Task<Result<Buffer>> read_exactly(File& file, uint64_t offset, size_t length) {
  CO_TRY(bytes, co_await file.read(offset, length));
  if (bytes.size() != length)
    co_return fail(Code::kCorrupt, "the file ends after {} of {} bytes at {}", bytes.size(), length,
                   offset);
  co_return bytes;
}

Task<Result<Tail>> read_tail(File& file, ShardIdentity identity) {
  CO_TRY(size, co_await file.size());
  if (size < kShardFooterBytes)
    co_return fail(Code::kCorrupt, "{}: a file of {} bytes", describe(identity.name), size);
  const size_t length = std::min(size, kTailBytes);
  CO_TRY(bytes, co_await read_exactly(file, size - length, length));
  CO_TRY(facts, decode_footer(bytes.view().last(kShardFooterBytes), identity));
  if (facts.file_bytes() != size)
    co_return fail(Code::kCorrupt, "{}: a file of {} bytes, not {}", describe(identity.name), size,
                   facts.file_bytes());
  co_return Tail{facts, size, bytes};
}

}  // namespace

Task<Result<std::shared_ptr<OpenShard>>> OpenShard::open(Disk& disk, std::string path,
                                                         ShardIdentity identity) {
  CO_TRY(file, co_await disk.open(path, OpenMode::kRead));
  CO_TRY(tail, co_await read_tail(*file, identity));
  const uint64_t needed = tail.facts.table_bytes() + kShardFooterBytes;
  if (needed > tail.bytes.size()) {
    CO_TRY(more, co_await read_exactly(*file, tail.file_bytes - needed, needed));
    tail.bytes = more;
  }
  const ByteView table = tail.bytes.view().last(needed).first(needed - kShardFooterBytes);
  CO_TRY(checksums, decode_table(table, identity.cluster, tail.facts));
  co_return std::shared_ptr<OpenShard>(
      new OpenShard(std::move(file), identity.cluster, tail.facts, std::move(checksums)));
}

Task<Result<ShardFacts>> OpenShard::read_facts(Disk& disk, std::string path,
                                               ShardIdentity identity) {
  CO_TRY(file, co_await disk.open(path, OpenMode::kRead));
  CO_TRY(tail, co_await read_tail(*file, identity));
  co_return tail.facts;
}

Task<Result<CheckedBytes>> OpenShard::read(std::shared_ptr<OpenShard> self, uint64_t offset,
                                           size_t length) {
  const ShardFacts& facts = self->facts_;
  if (length > limits::kShardReadBytesMax)
    co_return fail(Code::kTooLarge, "a read of {} bytes; at most {}", length,
                   limits::kShardReadBytesMax);
  if (offset > facts.shard_length || length > facts.shard_length - offset)
    co_return fail(Code::kInvalid, "{} bytes at {} of {}, which has {}", length, offset,
                   describe(facts.name), facts.shard_length);
  if (length == 0) co_return CheckedBytes();
  const uint64_t cell = facts.shape.cell_bytes;
  const uint64_t begin = offset / cell * cell;
  const uint64_t end = std::min((offset + length + cell - 1) / cell * cell, facts.shard_length);
  CO_TRY(bytes, co_await read_exactly(*self->file_, begin, end - begin));
  CO_TRY(crc, self->verify_cells(begin, bytes.view()));
  if (bytes.size() == length) co_return CheckedBytes{std::move(bytes), crc};
  co_return CheckedBytes{bytes.slice(offset - begin, length)};
}

// Whole cells from the beginning of one on; gives the checksum of them all. Where cells are small
// it costs less to let the next one compute it.
Result<std::optional<uint32_t>> OpenShard::verify_cells(uint64_t offset, ByteView bytes) const {
  const ShardIdentity identity{cluster_, facts_.name};
  const bool large = facts_.shape.cell_bytes >= kLargeCellBytes;
  uint32_t all = 0;
  while (!bytes.empty()) {
    const uint64_t cell = offset / facts_.shape.cell_bytes;
    const ByteView content = bytes.first(std::min<size_t>(bytes.size(), facts_.shape.cell_bytes));
    const uint32_t crc = large ? crc32c(content) : 0;
    const uint32_t found = large ? cell_checksum(identity, offset, crc, content.size())
                                 : cell_checksum(identity, offset, content);
    if (found != checksums_[cell])
      return fail(Code::kCorrupt, "{}: cell {} is damaged", describe(facts_.name), cell);
    if (large) all = crc32c_combine(all, crc, content.size());
    offset += content.size();
    bytes = bytes.subspan(content.size());
  }
  return large ? std::optional(all) : std::nullopt;
}

std::shared_ptr<OpenShard> OpenShards::find(const ShardName& name) {
  const auto it = std::ranges::find(shards_, name, [](const auto& s) { return s->facts().name; });
  if (it == shards_.end()) return nullptr;
  std::rotate(it, it + 1, shards_.end());
  return shards_.back();
}

void OpenShards::insert(std::shared_ptr<OpenShard> shard) {
  drop(shard->facts().name);
  if (shards_.size() == limits::kOpenShardsMax) shards_.erase(shards_.begin());
  shards_.push_back(std::move(shard));
}

void OpenShards::drop(const ShardName& name) {
  std::erase_if(shards_, [&](const auto& shard) { return shard->facts().name == name; });
}

}  // namespace dogfs::chunk
