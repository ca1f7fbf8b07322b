#pragma once
// Codec: the erasure code of one (k, m), over GF(2^8) by ISA-L, with Cauchy matrices: every k of
// the k + m cells of a stripe give back all others (ISA-L's Vandermonde matrices do not promise
// that). With k = 1 all cells are exact copies, so that callers treat rep-N like any other policy.
//
// DecodePlan: one inverted matrix, for cells from the same shards; made once, used for each stripe.
//
// Both are immutable values, safe to share between threads, and allocate only when made. They write
// only into what the caller hands in: outputs must not overlap inputs or each other, which is
// CHECKed, since decoding into a buffer in use gives wrong bytes silently (HDFS-15186).

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/error.h"

namespace dogfs::ec {

using MutableBytes = std::span<uint8_t>;

// A matrix over GF(2^8), in the form that ISA-L multiplies with: outputs = matrix * inputs.
class CodingMatrix {
 public:
  CodingMatrix(uint32_t inputs, std::vector<uint8_t> rows);
  void multiply(std::span<const ByteView> inputs, std::span<const MutableBytes> outputs) const;

  uint32_t inputs() const { return inputs_; }
  uint32_t outputs() const { return outputs_; }

 private:
  uint32_t inputs_ = 0;
  uint32_t outputs_ = 0;
  bool copies_ = false;          // one input, all coefficients one
  std::vector<uint8_t> tables_;  // 32 bytes per coefficient
};

class DecodePlan {
 public:
  // sources[i] has the bytes of shard sources()[i], outputs[j] becomes those of wanted()[j]. All
  // have the same length, any: a cell, part of one or, as bytes are coded column by column,
  // several consecutive cells.
  void decode(std::span<const ByteView> sources, std::span<const MutableBytes> outputs) const {
    matrix_.multiply(sources, outputs);
  }

  const std::vector<uint32_t>& sources() const { return sources_; }
  const std::vector<uint32_t>& wanted() const { return wanted_; }

 private:
  friend class Codec;
  DecodePlan(std::vector<uint32_t> sources, std::vector<uint32_t> wanted, CodingMatrix matrix)
      : sources_(std::move(sources)), wanted_(std::move(wanted)), matrix_(std::move(matrix)) {}

  std::vector<uint32_t> sources_;
  std::vector<uint32_t> wanted_;
  CodingMatrix matrix_;
};

class Codec {
 public:
  // kInvalid unless k >= 1 and k + m <= kShardsMax.
  static Result<Codec> create(uint32_t k, uint32_t m);

  uint32_t k() const { return k_; }
  uint32_t m() const { return m_; }

  // k data cells to m parity cells, all of one length.
  void encode(std::span<const ByteView> data, std::span<const MutableBytes> parity) const {
    parity_.multiply(data, parity);
  }

  // Cuts the bytes of one stripe (README.md) into its k data cells, padding the last ones with
  // zeros, and adds the m parity cells: k + m buffers of ceil(size / k) bytes, in shard order.
  // Data cells and replicas share the bytes of `stripe`, except a padded one. Of an empty stripe
  // all are empty.
  std::vector<Buffer> encode_stripe(const Buffer& stripe) const;

  // How to get the shards `wanted` from the k distinct shards `sources`; kInvalid if the numbers
  // are not that. A wanted shard may be a source, too: it is copied.
  Result<DecodePlan> plan_decode(std::vector<uint32_t> sources, std::vector<uint32_t> wanted) const;

 private:
  Codec(uint32_t k, uint32_t m, std::vector<uint8_t> generator);

  uint32_t k_ = 0;
  uint32_t m_ = 0;
  std::vector<uint8_t> generator_;  // (k + m) x k: the identity, then Cauchy rows
  CodingMatrix parity_;
};

}  // namespace dogfs::ec
