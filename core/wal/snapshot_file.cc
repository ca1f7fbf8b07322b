#include "core/wal/snapshot_file.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "core/base/coding.h"
#include "core/base/limits.h"
#include "core/env/env.h"
#include "core/wal/directory.h"
#include "core/wal/numbered_name.h"
#include "core/wal/read_back.h"

namespace dogfs::wal {
namespace {

constexpr std::string_view kMagic = "DOGFSNAP";
constexpr std::string_view kTrailerMagic = "DOGFSEND";
constexpr uint32_t kVersion = 1;
constexpr size_t kFixedHeadBytes = 48;
constexpr size_t kCrcBytes = 4;
constexpr size_t kTrailerBytes = 20;
constexpr size_t kChunkBytes = limits::kSnapshotChunkBytes;
// A long file is made durable bit by bit: one great sync at its end would hold up those of the log.
constexpr uint64_t kSyncEveryBytes = 1 * limits::kMiB;
constexpr std::string_view kUnfinished = "part";  // in place of the index

Crc32c identity_crc(const SnapshotPlace& place, LogIndex index) {
  return Crc32c()
      .add(place.cluster.value)
      .add(place.store.value)
      .add(uint64_t{place.group.value})
      .add(index.value);
}

uint32_t chunk_crc(const SnapshotPlace& place, LogIndex index, uint64_t chunk, ByteView bytes) {
  return identity_crc(place, index).add(chunk).add(bytes).value();
}

uint32_t trailer_crc(const SnapshotPlace& place, LogIndex index, uint64_t size) {
  return identity_crc(place, index).add(as_bytes(kTrailerMagic)).add(size).value();
}

std::string encode_head(const SnapshotPlace& place, LogIndex index, const std::string& head) {
  Encoder out;
  out.raw(kMagic)
      .u32(kVersion)
      .u32(static_cast<uint32_t>(head.size()))
      .id(place.cluster)
      .id(place.store)
      .id(place.group)
      .u32(0)
      .id(index)
      .raw(head);
  out.u32(crc32c(as_bytes(out.bytes())));
  return std::move(out).take();
}

std::string name_prefix(GroupId group) { return fmt::format("snapshot-{:08x}-", group); }

std::string path_in(const SnapshotPlace& place, const std::string& name) {
  return place.directory.empty() ? name : place.directory + '/' + name;
}

std::string path_of(const SnapshotPlace& place, LogIndex index) {
  return path_in(place, numbered_name(name_prefix(place.group), index.value));
}

std::string unfinished_path(const SnapshotPlace& place) {
  return path_in(place, name_prefix(place.group) + std::string(kUnfinished));
}

}  // namespace

// Writing.

SnapshotWriter::SnapshotWriter(Env& env, SnapshotPlace place, LogIndex index)
    : env_(env), place_(std::move(place)), index_(index) {}

Task<Result<std::unique_ptr<SnapshotWriter>>> SnapshotWriter::begin(Env& env, SnapshotPlace place,
                                                                    LogIndex index,
                                                                    std::string head) {
  if (head.size() > limits::kSnapshotHeadBytesMax)
    co_return fail(Code::kTooLarge, "a snapshot head of {} bytes", head.size());
  CO_TRY_VOID(co_await make_durable_directory(env, place.directory));
  std::unique_ptr<SnapshotWriter> writer(new SnapshotWriter(env, std::move(place), index));
  const auto path = unfinished_path(writer->place_);
  CO_TRY(file, co_await env.disk().open(path, OpenMode::kAlways));
  writer->file_ = std::move(file);
  CO_TRY_VOID(co_await writer->file_->truncate(0));
  CO_TRY_VOID(co_await writer->write(encode_head(writer->place_, index, head)));
  co_return std::move(writer);
}

Task<Result<void>> SnapshotWriter::write(std::string bytes) {
  const size_t length = bytes.size();
  CO_TRY_VOID(co_await file_->write(end_, Buffer::take(std::move(bytes))));
  end_ += length;
  if (end_ - synced_ < kSyncEveryBytes) co_return Result<void>();
  synced_ = end_;
  co_return co_await file_->sync();
}

Task<Result<void>> SnapshotWriter::write_chunk() {
  Encoder chunk;
  chunk.u32(chunk_crc(place_, index_, chunks_, as_bytes(pending_))).raw(pending_);
  pending_.clear();
  ++chunks_;
  co_return co_await write(std::move(chunk).take());
}

Task<Result<void>> SnapshotWriter::append(Buffer bytes) {
  size_ += bytes.size();
  std::string_view rest = bytes.text();
  while (pending_.size() + rest.size() >= kChunkBytes) {
    const size_t taken = kChunkBytes - pending_.size();
    pending_ += rest.substr(0, taken);
    rest.remove_prefix(taken);
    CO_TRY_VOID(co_await write_chunk());
  }
  pending_ += rest;
  co_return Result<void>();
}

Task<Result<void>> SnapshotWriter::publish() {
  if (!pending_.empty()) CO_TRY_VOID(co_await write_chunk());
  Encoder trailer;
  trailer.raw(kTrailerMagic).u64(size_).u32(trailer_crc(place_, index_, size_));
  CO_TRY_VOID(co_await write(std::move(trailer).take()));
  CO_TRY_VOID(co_await file_->sync());
  CO_TRY_VOID(co_await env_.disk().rename(unfinished_path(place_), path_of(place_, index_)));
  co_return co_await env_.disk().sync_directory(place_.directory);
}

Task<Result<void>> SnapshotWriter::discard() {
  co_return co_await env_.disk().remove(unfinished_path(place_));
}

// Reading.

SnapshotFile::SnapshotFile(SnapshotPlace place, LogIndex index, std::unique_ptr<File> file)
    : place_(std::move(place)), index_(index), file_(std::move(file)) {}

Task<Result<std::unique_ptr<SnapshotFile>>> SnapshotFile::open(Env& env, SnapshotPlace place,
                                                               LogIndex index) {
  const auto path = path_of(place, index);
  CO_TRY(file, co_await env.disk().open(path, OpenMode::kRead));
  std::unique_ptr<SnapshotFile> snapshot(
      new SnapshotFile(std::move(place), index, std::move(file)));
  auto read = co_await snapshot->read_head();
  if (read) read = co_await snapshot->read_trailer();
  if (!read) co_return fail(read.error().in(path));
  co_return std::move(snapshot);
}

Task<Result<void>> SnapshotFile::read_head() {
  CO_TRY(bytes, co_await read_back(*file_, 0,
                                   kFixedHeadBytes + limits::kSnapshotHeadBytesMax + kCrcBytes));
  Decoder in(bytes.view());
  const bool magic = in.raw(kMagic.size()) == kMagic;
  const uint32_t version = in.u32();
  const uint32_t head_bytes = in.u32();
  const auto cluster = in.id<ClusterId>();
  const auto store = in.id<StoreId>();
  const auto group = in.id<GroupId>();
  in.u32();
  const auto index = in.id<LogIndex>();
  head_ = in.raw(head_bytes);
  const uint32_t crc = in.u32();
  if (!in.ok() || !magic || crc != crc32c(bytes.view().first(kFixedHeadBytes + head_bytes)))
    co_return fail(Code::kCorrupt, "no snapshot head");
  if (version != kVersion)
    co_return fail(Code::kUnsupported, "snapshot format {}, this build reads {}", version,
                   kVersion);
  if (cluster != place_.cluster || store != place_.store)
    co_return fail(Code::kPrecondition, "a snapshot of store {:x} of cluster {:x}", store, cluster);
  if (group != place_.group || index != index_)
    co_return fail(Code::kCorrupt, "a snapshot of group {} at {}", group, index);
  chunks_begin_ = kFixedHeadBytes + head_bytes + kCrcBytes;
  co_return Result<void>();
}

Task<Result<void>> SnapshotFile::read_trailer() {
  CO_TRY(file_bytes, co_await file_->size());
  const uint64_t body = file_bytes - std::min(file_bytes, chunks_begin_ + kTrailerBytes);
  CO_TRY(bytes, co_await read_back(*file_, chunks_begin_ + body, kTrailerBytes));
  Decoder in(bytes.view());
  const bool magic = in.raw(kTrailerMagic.size()) == kTrailerMagic;
  size_ = in.u64();
  const uint32_t crc = in.u32();
  const uint64_t chunks = size_ / kChunkBytes + (size_ % kChunkBytes != 0);
  if (!in.ok() || !magic || crc != trailer_crc(place_, index_, size_) ||
      body != size_ + chunks * kCrcBytes)
    co_return fail(Code::kCorrupt, "the snapshot has no end");
  co_return Result<void>();
}

Task<Result<Buffer>> SnapshotFile::read_chunk(uint64_t chunk) {
  const uint64_t place = chunks_begin_ + chunk * (kChunkBytes + kCrcBytes);
  const uint64_t length = std::min<uint64_t>(kChunkBytes, size_ - chunk * kChunkBytes);
  CO_TRY(bytes, co_await read_back(*file_, place, kCrcBytes + length));
  Decoder in(bytes.view());
  const uint32_t crc = in.u32();
  if (bytes.size() != kCrcBytes + length ||
      crc != chunk_crc(place_, index_, chunk, bytes.view().subspan(kCrcBytes)))
    co_return fail(Code::kCorrupt, "{} is damaged at offset {}", path_of(place_, index_), place);
  co_return bytes.suffix(kCrcBytes);
}

Task<Result<Buffer>> SnapshotFile::read(uint64_t offset, size_t length) {
  offset = std::min(offset, size_);
  length = std::min<uint64_t>({length, size_ - offset, limits::kSnapshotPieceBytes});
  MutableBuffer out(length);
  for (size_t done = 0; done < length;) {
    const uint64_t at = offset + done;
    CO_TRY(chunk, co_await read_chunk(at / kChunkBytes));
    const Buffer part = chunk.suffix(at % kChunkBytes);
    const size_t taken = std::min(part.size(), length - done);
    std::memcpy(out.data() + done, part.data(), taken);
    done += taken;
  }
  co_return std::move(out).freeze();
}

Task<Result<void>> SnapshotFile::verify() {
  for (uint64_t chunk = 0; chunk * kChunkBytes < size_; ++chunk)
    CO_TRY_VOID(co_await read_chunk(chunk));
  co_return Result<void>();
}

// All of a group's.

Task<Result<std::vector<LogIndex>>> list_snapshots(Env& env, SnapshotPlace place) {
  std::vector<LogIndex> indexes;
  auto entries = co_await env.disk().list(place.directory);
  if (!entries && entries.error().is(Code::kNotFound)) co_return indexes;
  if (!entries) co_return fail(entries.error());
  const std::string prefix = name_prefix(place.group);
  for (const auto& entry : *entries)
    if (const auto index = number_in_name(prefix, entry.name)) indexes.emplace_back(*index);
  co_return indexes;  // sorted, as the names are
}

Task<Result<std::unique_ptr<SnapshotFile>>> open_newest_snapshot(Env& env, SnapshotPlace place) {
  CO_TRY(indexes, co_await list_snapshots(env, place));
  if (indexes.empty()) co_return fail(Code::kNotFound, "no snapshot of group {}", place.group);
  // A name that was made in an earlier life may not be durable yet.
  CO_TRY_VOID(co_await env.disk().sync_directory(place.directory));
  Error error;
  for (size_t i = indexes.size(); i-- > 0;) {
    auto snapshot = co_await SnapshotFile::open(env, place, indexes[i]);
    Result<void> verified;
    if (snapshot)
      verified = co_await (*snapshot)->verify();
    else
      verified = fail(snapshot.error());
    if (verified) co_return std::move(snapshot);
    error = verified.error();
    if (!error.is(Code::kCorrupt)) break;
    env.log().error("{}", error);
  }
  co_return fail(error);
}

Task<Result<void>> remove_snapshots_below(Env& env, SnapshotPlace place, LogIndex keep) {
  CO_TRY(indexes, co_await list_snapshots(env, place));
  for (const LogIndex index : indexes)
    if (index < keep) CO_TRY_VOID(co_await env.disk().remove(path_of(place, index)));
  co_return co_await env.disk().sync_directory(place.directory);
}

}  // namespace dogfs::wal
