#include "nodes/chunk/shard_uploads.h"

#include <algorithm>
#include <optional>

#include "core/base/limits.h"
#include "core/chunk/disks.h"
#include "core/env/env.h"
#include "core/env/event.h"
#include "core/env/nursery.h"

namespace dogfs::nodes {

// One shard on its way. Shared by its task and by the calls that wait for it.
class ShardUploads::Upload {
 public:
  Upload(Env& env, chunk::ShardName n, uint32_t cell, std::unique_ptr<chunk::ShardWriter> w)
      : name(n), cell_bytes(cell), writer(std::move(w)), last_heard(env.now()), changed(env) {}

  // True when there is something for its task to do.
  bool has_work() const { return over || queue.contains(written) || end; }
  bool ended() const { return over || finished || failure; }
  // These bytes were brought by an earlier call.
  bool has_heard(uint64_t offset, size_t length) const {
    if (offset < written) return length <= written - offset;
    const auto found = queue.find(offset);
    return found != queue.end() && found->second.bytes.size() == length;
  }
  bool overlaps(uint64_t offset, size_t length) const {
    const auto behind = queue.lower_bound(offset);
    if (behind != queue.end() && behind->first - offset < length) return true;
    if (behind == queue.begin()) return false;
    const auto& [start, piece] = *std::prev(behind);
    return offset - start < piece.bytes.size();
  }

  const chunk::ShardName name;
  const uint32_t cell_bytes;
  std::unique_ptr<chunk::ShardWriter> writer;
  // By offset, from `written` on, what is being written included; none overlaps another.
  std::map<uint64_t, chunk::CheckedBytes> queue;
  uint64_t written = 0;
  std::optional<chunk::ShardEnd> end;  // finish was asked for
  std::optional<Result<chunk::ShardFacts>> finished;
  std::optional<Error> failure;
  bool over = false;  // aborted, replaced or given up
  Instant last_heard;
  Event changed;  // notified at every change of the above
};

ShardUploads::ShardUploads(Env& env, chunk::Disks& disks, Duration silence)
    : env_(env), disks_(disks), silence_(silence), last_upload_(env.random().next()) {}

ShardUploads::~ShardUploads() = default;

Task<> ShardUploads::run() {
  struct Leave {
    ShardUploads& uploads;
    ~Leave() { uploads.children_ = nullptr; }
  } leave{*this};
  co_await nursery(env_, [this](Nursery& children) { return keep(children); });
}

Task<> ShardUploads::keep(Nursery& children) {
  children_ = &children;
  for (;;) {
    co_await env_.sleep(silence_ / 4);
    give_up_silent();
  }
}

void ShardUploads::give_up_silent() {
  for (auto each = uploads_.begin(); each != uploads_.end();) {
    Upload& upload = *each->second;
    const bool busy = upload.end && !upload.ended();
    if (busy || env_.now() - upload.last_heard < silence_) {
      ++each;
      continue;
    }
    upload.over = true;
    upload.changed.notify();
    each = uploads_.erase(each);
  }
}

Task<Result<uint64_t>> ShardUploads::begin(chunk::ShardName name, chunk::StripeShape shape,
                                           uint64_t expected_bytes) {
  CO_TRY(writer, co_await disks_.begin(name, shape, expected_bytes));
  if (children_ == nullptr) co_return fail(Code::kUnavailable, "this server is stopping");
  abort(name);
  forget_oldest();
  const uint64_t number = ++last_upload_;
  auto upload = std::make_shared<Upload>(env_, name, shape.cell_bytes, std::move(writer));
  uploads_.emplace(number, upload);
  children_->spawn(work(std::move(upload)));
  co_return number;
}

// Only what has ended is forgotten; the store bounds what has not.
void ShardUploads::forget_oldest() {
  if (uploads_.size() < limits::kUploadsRememberedMax) return;
  const auto ended =
      std::ranges::find_if(uploads_, [](const auto& each) { return each.second->ended(); });
  if (ended != uploads_.end()) uploads_.erase(ended);
}

Result<std::shared_ptr<ShardUploads::Upload>> ShardUploads::find(uint64_t upload) {
  const auto found = uploads_.find(upload);
  if (found == uploads_.end())
    return fail(Code::kNotFound, "there is no upload {}: it was replaced, given up or forgotten",
                upload);
  found->second->last_heard = env_.now();
  return found->second;
}

Result<void> ShardUploads::enqueue(Upload& upload, uint64_t offset, chunk::CheckedBytes piece) {
  const Buffer& bytes = piece.bytes;
  if (bytes.empty() || offset % upload.cell_bytes != 0)
    return fail(Code::kInvalid, "{} bytes at {}: not cells of {}", bytes.size(), offset,
                upload.cell_bytes);
  if (upload.end) return fail(Code::kInvalid, "bytes at {} after the end", offset);
  if (upload.has_heard(offset, bytes.size())) return {};
  if (offset < upload.written || upload.overlaps(offset, bytes.size()))
    return fail(Code::kInvalid, "{} bytes at {} overlap others", bytes.size(), offset);
  const uint64_t ahead = offset - upload.written;
  if (ahead > limits::kUploadWindowBytes || bytes.size() > limits::kUploadWindowBytes - ahead)
    return fail(Code::kInvalid, "bytes at {}, more than {} ahead of {}", offset,
                limits::kUploadWindowBytes, upload.written);
  if (queued_bytes_ + bytes.size() > limits::kUploadQueueBytesMax)
    return fail(Code::kUnavailable, "{} bytes wait to be written", queued_bytes_);
  queued_bytes_ += bytes.size();
  CHECK(queued_bytes_ <= limits::kUploadQueueBytesMax, "{} bytes wait", queued_bytes_);
  upload.queue.emplace(offset, std::move(piece));
  upload.changed.notify();
  return {};
}

Task<Result<void>> ShardUploads::write(uint64_t number, uint64_t offset,
                                       chunk::CheckedBytes piece) {
  CO_TRY(upload, find(number));
  const uint64_t end = offset + piece.bytes.size();
  if (!upload->failure) CO_TRY_VOID(enqueue(*upload, offset, std::move(piece)));
  while (!upload->over && !upload->failure && upload->written < end)
    co_await upload->changed.wait();
  upload->last_heard = env_.now();
  if (upload->failure) co_return fail(*upload->failure);
  if (upload->written < end) co_return fail(Code::kNotFound, "upload {} was given up", number);
  co_return Result<void>();
}

Task<Result<chunk::ShardFacts>> ShardUploads::finish(uint64_t number, chunk::ShardEnd end) {
  CO_TRY(upload, find(number));
  if (!upload->end) {
    upload->end = end;
    upload->changed.notify();
  }
  while (!upload->ended()) co_await upload->changed.wait();
  upload->last_heard = env_.now();
  if (upload->finished) co_return *upload->finished;
  if (upload->failure) co_return fail(*upload->failure);
  co_return fail(Code::kNotFound, "upload {} was given up", number);
}

Task<Result<chunk::ShardFacts>> ShardUploads::store_whole(chunk::ShardName name,
                                                          chunk::StripeShape shape,
                                                          chunk::CheckedBytes content,
                                                          chunk::ShardEnd end) {
  // Nobody else knows its number, so nobody could end or ask for it later.
  struct Leave {
    ShardUploads& uploads;
    uint64_t number;
    ~Leave() { uploads.abort(number); }
  };
  CO_TRY(number, co_await begin(name, shape, content.bytes.size()));
  const Leave leave{*this, number};
  if (!content.bytes.empty()) CO_TRY_VOID(co_await write(number, 0, std::move(content)));
  co_return co_await finish(number, end);
}

void ShardUploads::abort(uint64_t number) {
  const auto found = uploads_.find(number);
  if (found == uploads_.end()) return;
  found->second->over = true;
  found->second->changed.notify();
  uploads_.erase(found);
}

void ShardUploads::abort(const chunk::ShardName& name) {
  for (auto each = uploads_.begin(); each != uploads_.end();) {
    const auto [number, upload] = *each++;
    // One that is being made durable ends by itself.
    if (upload->name == name && !upload->end) abort(number);
  }
}

// The task of one upload. Whatever happens, the writer and the queued bytes go with it.
Task<> ShardUploads::work(std::shared_ptr<Upload> upload) {
  struct Leave {
    ShardUploads& uploads;
    Upload& upload;
    ~Leave() {
      for (const auto& [offset, piece] : upload.queue) uploads.queued_bytes_ -= piece.bytes.size();
      upload.queue.clear();
      upload.writer.reset();
    }
  } leave{*this, *upload};
  while (!upload->ended()) {
    while (!upload->has_work()) co_await upload->changed.wait();
    if (upload->over) {
      co_await upload->writer->abort();
    } else if (upload->queue.contains(upload->written)) {
      co_await write_queued(*upload);
    } else {
      upload->finished = co_await upload->writer->finish(*upload->end);
    }
    upload->changed.notify();
  }
}

// Writes what has arrived next, cell by cell. It counts as queued until all of it is written.
Task<> ShardUploads::write_queued(Upload& upload) {
  const auto [bytes, crc] = upload.queue.at(upload.written);
  for (size_t at = 0; at < bytes.size(); at += upload.cell_bytes) {
    const size_t length = std::min<size_t>(upload.cell_bytes, bytes.size() - at);
    auto written = co_await upload.writer->append(bytes.slice(at, length),
                                                  length == bytes.size() ? crc : std::nullopt);
    if (!written) {
      upload.failure = std::move(written).error();
      co_await upload.writer->abort();
      co_return;
    }
  }
  upload.queue.erase(upload.written);
  queued_bytes_ -= bytes.size();
  upload.written += bytes.size();
}

}  // namespace dogfs::nodes
