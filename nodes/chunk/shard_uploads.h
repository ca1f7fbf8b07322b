#pragma once
// ShardUploads: the shards that clients are sending to this chunk server. Each upload has a task of
// its own that writes what arrived, in order, whatever becomes of the calls that brought it: a
// client that lost a reply asks again and gets the same answer. Owned by the chunk node, which runs
// run(); one thread.
//
// Bounded: kShardWritersMax uploads, kUploadWindowBytes ahead of each and kUploadQueueBytesMax in
// all. An upload that hears nothing for `silence` is given up. A second one for the same shard
// replaces the first.

#include <cstdint>
#include <map>
#include <memory>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/time.h"
#include "core/chunk/shard_file.h"
#include "core/chunk/shard_writer.h"
#include "core/env/task.h"

namespace dogfs {
class Env;
class Nursery;
}  // namespace dogfs
namespace dogfs::chunk {
class Disks;
}

namespace dogfs::nodes {

class ShardUploads {
 public:
  ShardUploads(Env& env, chunk::Disks& disks, Duration silence);
  ~ShardUploads();
  ShardUploads(const ShardUploads&) = delete;
  ShardUploads& operator=(const ShardUploads&) = delete;

  // Keeps the uploads' tasks; ends only by cancellation.
  Task<> run();

  // Opens an upload and gives its number. Errors as Disks::begin; kUnavailable when full.
  Task<Result<uint64_t>> begin(chunk::ShardName name, chunk::StripeShape shape,
                               uint64_t expected_bytes);
  // Returns when the bytes and all before them are written (not yet durable). kNotFound: there is
  // no such upload (any more), begin again; kInvalid: not whole cells, overlapping others, or
  // beyond the window; kUnavailable: too much is queued; errors as ShardWriter::append, for this
  // and all later calls.
  Task<Result<void>> write(uint64_t upload, uint64_t offset, chunk::CheckedBytes piece);
  // Makes the shard durable. Errors as ShardWriter::finish, which end the upload; kNotFound.
  Task<Result<chunk::ShardFacts>> finish(uint64_t upload, chunk::ShardEnd end);
  // All of a small shard, begun and finished in one call, with the errors of those. Nothing stays
  // of an upload that fails or is cancelled, unless it was being made durable by then.
  Task<Result<chunk::ShardFacts>> store_whole(chunk::ShardName name, chunk::StripeShape shape,
                                              chunk::CheckedBytes content, chunk::ShardEnd end);
  void abort(uint64_t upload);
  // Gives up uploads of this shard: it was ordered deleted.
  void abort(const chunk::ShardName& name);

  size_t count() const { return uploads_.size(); }
  size_t queued_bytes() const { return queued_bytes_; }

 private:
  class Upload;

  Result<std::shared_ptr<Upload>> find(uint64_t upload);
  Result<void> enqueue(Upload& upload, uint64_t offset, chunk::CheckedBytes piece);
  Task<> work(std::shared_ptr<Upload> upload);
  Task<> write_queued(Upload& upload);
  void give_up_silent();
  Task<> keep(Nursery& children);
  void forget_oldest();

  Env& env_;
  chunk::Disks& disks_;
  const Duration silence_;
  Nursery* children_ = nullptr;  // while run() runs
  uint64_t last_upload_;         // starts anywhere: numbers of an earlier process mean nothing
  std::map<uint64_t, std::shared_ptr<Upload>> uploads_;
  size_t queued_bytes_ = 0;
};

}  // namespace dogfs::nodes
