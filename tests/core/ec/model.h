#pragma once
// The obvious model of the layout: byte by byte, one stripe after the other, as the drawing in
// core/ec/README.md has it.

#include <algorithm>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/ec/stripe.h"

namespace dogfs::ec {

inline std::string random_text(Random& random, size_t size) {
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random.next());
  return text;
}

// The k data shards of a block.
inline std::vector<std::string> model_data_shards(StripeShape shape, const std::string& block) {
  std::vector<std::string> shards(shape.k);
  for (size_t begin = 0; begin < block.size(); begin += shape.stripe_bytes()) {
    const size_t bytes = std::min<size_t>(shape.stripe_bytes(), block.size() - begin);
    size_t cell = 0;
    while (cell * shape.k < bytes) ++cell;
    size_t at = begin;
    for (uint32_t shard = 0; shard < shape.k; ++shard)
      for (size_t i = 0; i < cell; ++i, ++at)
        shards[shard] += at < begin + bytes ? block[at] : '\0';
  }
  return shards;
}

// 0, 1, k-1, k, k+1, and around every boundary of cells and stripes up to `stripes` of them.
inline std::vector<uint64_t> boundary_sizes(StripeShape shape, uint64_t stripes) {
  std::vector<uint64_t> sizes{0, 1};
  const auto around = [&](uint64_t size) {
    for (const uint64_t s : {size - 1, size, size + 1}) sizes.push_back(s);
  };
  around(shape.k);
  around(shape.cell_bytes);
  for (uint64_t i = 1; i <= stripes; ++i) {
    around(i * shape.stripe_bytes());
    around(i * shape.stripe_bytes() + shape.cell_bytes);
    around(i * shape.stripe_bytes() + shape.k);
  }
  std::ranges::sort(sizes);
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  return sizes;
}

}  // namespace dogfs::ec
