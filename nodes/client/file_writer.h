#pragma once
// FileWriter: one put. What ends within the cluster's limit for inline files is stored by a single
// request, and what is not much longer in a pack (packer.h). Else it starts an upload, cuts the
// source into blocks, writes them (one being filled while the one before becomes durable), commits
// each in order and publishes the file. Made for one put() and then thrown away. One thread.
//
// The bytes of blocks that are not committed are kept, at most ClientOptions::write_memory of them.
// When a block cannot be written to enough servers, the writer goes back to it: this block and the
// one behind it are placed anew and written again.
//
// Where blocks are known by their content, each is gathered whole, and sent only when the metadata
// says that it is not there already. One that is too large to be kept is sent in any case.

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/sha256.h"
#include "core/env/task.h"
#include "nodes/client/block_writer.h"
#include "nodes/client/client.h"
#include "nodes/client/packer.h"
#include "nodes/client/session.h"

namespace dogfs {
class Nursery;
}

namespace dogfs::nodes {

class FileWriter {
 public:
  struct Parts {
    Env& env;
    rpc::Client& rpc;
    Session& session;
    Packer& packer;
    ServerHealth& health;
    const ClientOptions& options;
    uint64_t& copied_bytes;  // counts bytes that are copied on their way
  };
  FileWriter(const Parts& parts, ByteSource& source, PutOptions options);
  ~FileWriter();

  Task<Result<PutResult>> put(std::string path);

 private:
  // A block that is not committed.
  struct Block {
    std::shared_ptr<BlockWriter> writer;
    std::vector<Buffer> batches;  // what was written, to write it again
    uint64_t length = 0;
    std::shared_ptr<Sha256> sum;  // of what was written, if its digest is wanted
    bool ended = false;
    bool kept = true;  // false: too large to be kept, so it cannot be written again
  };

  Task<Result<std::optional<Buffer>>> read_small();
  Task<Result<PutResult>> put_small(std::string path, Buffer content);
  Task<Result<PutResult>> put_inline(std::string path, Buffer content);
  Task<bool> is_in_vain(std::string path);
  Task<Result<PutResult>> put_packed(std::string path, Buffer content, PackedBytes packed);
  bool may_pack() const;
  Task<Result<PutResult>> upload(std::string path);
  Task<Result<void>> start(std::string path);
  Task<> store(Nursery& children, Result<void>& stored);
  Task<Result<void>> store_all(Nursery& children);
  bool asks_first() const;
  Task<Result<void>> store_unknown(Nursery& children);
  Task<Result<void>> gather(Nursery& children);
  Task<Result<bool>> gather_block(Nursery& children);
  Task<Result<void>> settle_all(Nursery& children);
  Task<Result<void>> use_known();
  Task<Result<void>> send_gathered(Nursery& children);
  std::shared_ptr<Sha256> new_sum() const;
  Task<Result<PutResult>> publish(std::string path);
  Task<> abandon();
  Task<> renew_lease();

  Task<Result<Buffer>> read_piece(size_t max);
  Task<Result<Buffer>> read_batch();
  Task<Result<void>> add(Nursery& children, Buffer batch);
  std::shared_ptr<BlockWriter> make_writer(metadata::PlacedBlock placed) const;
  Buffer join(const std::vector<Buffer>& pieces, size_t bytes) const;
  Task<Result<void>> open_block(Nursery& children);
  Task<Result<void>> allocate();
  Task<Result<std::vector<metadata::PlacedBlock>>> place(uint64_t file_offset,
                                                         std::vector<uint64_t> lengths);
  Task<Result<void>> settle_oldest(Nursery& children);
  Task<Result<void>> write_again(Nursery& children, Error why);
  Task<Result<void>> place_again(Nursery& children);
  Task<Result<void>> rewrite();
  void keep(Block& block, Buffer batch);
  void end_block(Block& block);
  metadata::PublishCondition condition() const;
  std::vector<uint64_t> lengths_to_allocate();
  uint64_t end_of_blocks() const;

  const Parts parts_;
  ByteSource& source_;
  const PutOptions options_;
  metadata::UploadStarted upload_;
  BlockFormat format_;
  size_t batch_bytes_ = 0;
  uint32_t inline_bytes_ = 0;
  std::optional<Buffer> carried_;             // read, and more than the block before could take
  std::deque<Block> blocks_;                  // not committed, by offset
  std::deque<Block> gathered_;                // behind those, without a writer: to be asked for
  std::deque<metadata::PlacedBlock> placed_;  // allocated ahead, behind blocks_
  size_t allocated_at_once_ = 0;              // grows with the file
  size_t asked_at_once_ = 1;                  // grows while blocks are known
  size_t kept_bytes_ = 0;
  uint64_t committed_bytes_ = 0;
  uint64_t deduplicated_bytes_ = 0;
  uint32_t below_full_width_ = 0;
  int attempts_ = 0;  // since the last commit
};

}  // namespace dogfs::nodes
