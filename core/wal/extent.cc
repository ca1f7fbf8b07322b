#include "core/wal/extent.h"

#include <utility>

#include "core/base/checksum.h"
#include "core/base/coding.h"
#include "core/env/env.h"
#include "core/wal/read_back.h"

namespace dogfs::wal {
namespace {

constexpr std::string_view kExtentMagic = "DOGFSEXT";
constexpr uint32_t kExtentVersion = 1;
// Whole sectors of any disk, so that a slot is written without reading what was there.
constexpr size_t kSlotBytes = 4096;
constexpr const char* kExtentName = "wal.extent";
constexpr const char* kExtentNameWhileMade = "wal.extent.new";

std::string path_of(const ExtentPlace& place, const std::string& name) {
  return place.directory.empty() ? name : place.directory + '/' + name;
}

uint64_t offset_of(uint64_t generation) { return generation % 2 * kSlotBytes; }

}  // namespace

std::string Extent::encode(uint64_t generation) const {
  Encoder out;
  out.raw(kExtentMagic)
      .u32(kExtentVersion)
      .u32(0)
      .id(place_.cluster)
      .id(place_.store)
      .u64(generation)
      .u64(reach_.first)
      .u64(reach_.last);
  out.u32(crc32c(as_bytes(out.bytes())));
  std::string bytes = std::move(out).take();
  bytes.resize(kSlotBytes);
  return bytes;
}

// A slot, if it is a good one and newer than the other.
Result<void> Extent::take(ByteView bytes) {
  Decoder in(bytes);
  const bool magic = in.raw(kExtentMagic.size()) == kExtentMagic;
  const uint32_t version = in.u32();
  in.u32();
  const auto cluster = in.id<ClusterId>();
  const auto store = in.id<StoreId>();
  const uint64_t generation = in.u64();
  const uint64_t first = in.u64();
  const uint64_t last = in.u64();
  const auto covered = bytes.first(bytes.size() - in.remaining());
  if (in.u32() != crc32c(covered) || !in.ok() || !magic)
    return fail(Code::kCorrupt, "{} is damaged: it does not say where the log ends",
                path_of(place_, kExtentName));
  if (version != kExtentVersion)
    return fail(Code::kUnsupported, "{} is of format {}, this build reads {}",
                path_of(place_, kExtentName), version, kExtentVersion);
  if (cluster != place_.cluster || store != place_.store)
    return fail(Code::kPrecondition,
                "the log belongs to store {:x} of cluster {:x}, not {:x} of {:x}: was a data "
                "directory moved?",
                store, cluster, place_.store, place_.cluster);
  if (generation <= generation_) return {};
  generation_ = generation;
  reach_ = {first, last};
  return {};
}

Task<Result<void>> Extent::read_slots() {
  Error error;
  for (const uint64_t slot : {0, 1}) {
    const auto bytes = co_await read_back(*file_, offset_of(slot), kSlotBytes);
    const Result<void> taken = bytes ? take(bytes->view()) : fail(bytes.error());
    if (!taken) error = taken.error();
  }
  if (generation_ == 0) co_return fail(error);
  co_return Result<void>();
}

Task<Result<std::unique_ptr<Extent>>> Extent::open(Env& env, ExtentPlace place) {
  auto file = co_await env.disk().open(path_of(place, kExtentName), OpenMode::kWrite);
  if (!file && file.error().is(Code::kNotFound)) co_return nullptr;
  if (!file) co_return fail(file.error());
  std::unique_ptr<Extent> extent(new Extent(place));
  extent->file_ = std::move(*file);
  CO_TRY_VOID(co_await extent->read_slots());
  co_return std::move(extent);
}

Task<Result<std::unique_ptr<Extent>>> Extent::create(Env& env, ExtentPlace place, Reach reach) {
  const std::string made = path_of(place, kExtentNameWhileMade);
  const auto removed = co_await env.disk().remove(made);
  if (!removed && !removed.error().is(Code::kNotFound)) co_return fail(removed.error());
  std::unique_ptr<Extent> extent(new Extent(place));
  extent->reach_ = reach;
  CO_TRY(file, co_await env.disk().open(made, OpenMode::kCreate));
  extent->file_ = std::move(file);
  CO_TRY_VOID(
      co_await extent->file_->write(0, Buffer::take(extent->encode(2) + extent->encode(1))));
  extent->generation_ = 2;
  CO_TRY_VOID(co_await extent->file_->sync());
  CO_TRY_VOID(co_await env.disk().rename(made, path_of(place, kExtentName)));
  const auto named = co_await env.disk().sync_directory(place.directory);
  if (!named)
    co_return fail(Code::kIo, "{}", named.error().message);  // it may be there from now on
  co_return std::move(extent);
}

Task<Result<void>> Extent::write_slot(uint64_t generation) {
  co_return co_await file_->write_durably(offset_of(generation), Buffer::take(encode(generation)));
}

Task<Result<void>> Extent::set(Reach reach) {
  const Reach before = std::exchange(reach_, reach);
  for (int slot = 0; slot < 2; ++slot) {
    if (auto written = co_await write_slot(generation_ + 1); !written) {
      reach_ = before;
      co_return written;
    }
    ++generation_;
  }
  co_return Result<void>();
}

// The newest slot with the bytes that it has, so that a crash leaves it or the one before.
Task<Result<void>> Extent::secure() {
  CO_TRY_VOID(co_await write_slot(generation_));
  CO_TRY_VOID(co_await write_slot(generation_ + 1));
  ++generation_;
  co_return Result<void>();
}

}  // namespace dogfs::wal
