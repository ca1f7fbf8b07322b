#pragma once
// BlockCheck: whether blocks that are read whole, from their first byte to their last, have the
// content that their writer saw: their SHA-256 against the digest in their row, behind the
// checksums of cells and frames. Of blocks without a digest, and of parts, it says nothing. Owned
// by one get; the sums are made off the event loop. One thread.

#include <memory>
#include <optional>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/base/sha256.h"
#include "core/env/task.h"

namespace dogfs {
class Env;
}

namespace dogfs::nodes {

// Adds bytes to a sum that nobody else uses meanwhile.
Task<> add_to_sum(Env& env, std::shared_ptr<Sha256> sum, std::vector<Buffer> pieces);

class BlockCheck {
 public:
  // Bytes of a block from an offset on.
  struct Part {
    BlockId block;
    uint64_t block_length = 0;
    std::optional<Sha256Digest> digest;  // of the whole block
    uint64_t offset = 0;
    std::vector<Buffer> pieces;
  };
  explicit BlockCheck(Env& env) : env_(env) {}

  // Those of one block come in order. kCorrupt: with these the block is whole, and is not what was
  // written. It fails in no other way.
  Task<Result<void>> add(Part part);

 private:
  Env& env_;
  BlockId block_;      // that is being summed; 0: none
  uint64_t next_ = 0;  // the offset in it to go on at
  std::shared_ptr<Sha256> sum_;
};

}  // namespace dogfs::nodes
