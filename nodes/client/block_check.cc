#include "nodes/client/block_check.h"

#include "core/env/compute.h"
#include "core/env/env.h"

namespace dogfs::nodes {
namespace {

size_t bytes_of(const std::vector<Buffer>& pieces) {
  size_t bytes = 0;
  for (const Buffer& piece : pieces) bytes += piece.size();
  return bytes;
}

}  // namespace

Task<> add_to_sum(Env& env, std::shared_ptr<Sha256> sum, std::vector<Buffer> pieces) {
  const size_t bytes = bytes_of(pieces);
  co_await offload(env, bytes, [sum = std::move(sum), pieces = std::move(pieces)] {
    for (const Buffer& piece : pieces) sum->add(piece.text());
    return true;
  });
}

Task<Result<void>> BlockCheck::add(Part part) {
  if (part.offset == 0 && part.digest) {
    block_ = part.block;
    next_ = 0;
    sum_ = std::make_shared<Sha256>();
  }
  if (part.block != block_ || part.offset != next_) {
    block_ = BlockId(0);
    co_return Result<void>();
  }
  next_ += bytes_of(part.pieces);
  co_await add_to_sum(env_, sum_, std::move(part.pieces));
  if (next_ < part.block_length) co_return Result<void>();
  block_ = BlockId(0);
  const Sha256Digest found = sum_->digest();
  if (!part.digest || found == *part.digest) co_return Result<void>();
  Error damage{Code::kCorrupt,
               fmt::format("block {} is not what was written: its SHA-256 is {}, its row says {}",
                           part.block, found.text(), part.digest->text())};
  env_.log().warning("{}", damage);
  co_return fail(std::move(damage));
}

}  // namespace dogfs::nodes
