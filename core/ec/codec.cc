#include "core/ec/codec.h"

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>
#include <functional>

#include <isa-l/erasure_code.h>

#include "core/base/check.h"
#include "core/base/limits.h"

namespace dogfs::ec {
namespace {

bool overlap(ByteView a, ByteView b) {
  const std::less<const uint8_t*> before;
  return before(a.data(), b.data() + b.size()) && before(b.data(), a.data() + a.size());
}

void check_buffers(std::span<const ByteView> inputs, std::span<const MutableBytes> outputs,
                   size_t length) {
  CHECK(length <= INT_MAX, "ISA-L takes an int length, not {}", length);
  for (const ByteView input : inputs)
    CHECK(input.size() == length, "{} and {} bytes", input.size(), length);
  for (size_t i = 0; i < outputs.size(); ++i) {
    CHECK(outputs[i].size() == length, "{} and {} bytes", outputs[i].size(), length);
    for (const ByteView input : inputs) CHECK(!overlap(outputs[i], input));
    for (size_t j = 0; j < i; ++j) CHECK(!overlap(outputs[i], outputs[j]));
  }
}

// (k + m) x k. With one data cell, ISA-L's Cauchy rows are nonzero factors: correct, but the
// parity would not be a copy of the data.
std::vector<uint8_t> make_generator(uint32_t k, uint32_t m) {
  std::vector<uint8_t> matrix(size_t{k + m} * k, 1);
  if (k > 1) gf_gen_cauchy1_matrix(matrix.data(), static_cast<int>(k + m), static_cast<int>(k));
  return matrix;
}

std::vector<uint8_t> rows_of(const std::vector<uint8_t>& matrix, uint32_t width,
                             std::span<const uint32_t> rows) {
  std::vector<uint8_t> out;
  out.reserve(rows.size() * width);
  for (const uint32_t row : rows)
    out.insert(out.end(), matrix.begin() + row * width, matrix.begin() + (row + 1) * width);
  return out;
}

// a has any number of rows; b is width x width.
std::vector<uint8_t> product(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b,
                             uint32_t width) {
  std::vector<uint8_t> out(a.size(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    const size_t row = i / width * width;
    for (size_t t = 0; t < width; ++t)
      out[i] = static_cast<uint8_t>(out[i] ^ gf_mul(a[row + t], b[t * width + i % width]));
  }
  return out;
}

bool distinct_below(std::vector<uint32_t> numbers, uint32_t bound) {
  std::ranges::sort(numbers);
  return std::ranges::adjacent_find(numbers) == numbers.end() &&
         (numbers.empty() || numbers.back() < bound);
}

}  // namespace

CodingMatrix::CodingMatrix(uint32_t inputs, std::vector<uint8_t> rows)
    : inputs_(inputs),
      outputs_(static_cast<uint32_t>(rows.size() / inputs)),
      copies_(inputs == 1 && std::ranges::all_of(rows, [](uint8_t x) { return x == 1; })),
      tables_(rows.size() * 32) {
  CHECK(rows.size() % inputs == 0);
  if (!copies_)
    ec_init_tables(static_cast<int>(inputs_), static_cast<int>(outputs_), rows.data(),
                   tables_.data());
}

void CodingMatrix::multiply(std::span<const ByteView> inputs,
                            std::span<const MutableBytes> outputs) const {
  CHECK(inputs.size() == inputs_, "{} inputs for {}", inputs.size(), inputs_);
  CHECK(outputs.size() == outputs_, "{} outputs for {}", outputs.size(), outputs_);
  const size_t length = inputs[0].size();
  check_buffers(inputs, outputs, length);
  if (length == 0 || outputs.empty()) return;
  if (copies_) {
    for (const MutableBytes output : outputs) std::memcpy(output.data(), inputs[0].data(), length);
    return;
  }
  // ISA-L's prototypes lack const; it reads the tables and the sources only.
  std::array<uint8_t*, limits::kShardsMax> from{};
  std::array<uint8_t*, limits::kShardsMax> to{};
  for (size_t i = 0; i < inputs.size(); ++i) from[i] = const_cast<uint8_t*>(inputs[i].data());
  for (size_t i = 0; i < outputs.size(); ++i) to[i] = outputs[i].data();
  ec_encode_data(static_cast<int>(length), static_cast<int>(inputs_), static_cast<int>(outputs_),
                 const_cast<uint8_t*>(tables_.data()), from.data(), to.data());
}

Result<Codec> Codec::create(uint32_t k, uint32_t m) {
  if (k < 1 || k > limits::kShardsMax || m > limits::kShardsMax - k)
    return fail(Code::kInvalid, "{} data and {} parity shards: need k >= 1 and k + m <= {}", k, m,
                limits::kShardsMax);
  return Codec(k, m, make_generator(k, m));
}

Codec::Codec(uint32_t k, uint32_t m, std::vector<uint8_t> generator)
    : k_(k),
      m_(m),
      generator_(std::move(generator)),
      parity_(k, {generator_.begin() + k * k, generator_.end()}) {}

std::vector<Buffer> Codec::encode_stripe(const Buffer& stripe) const {
  const size_t cell = (stripe.size() + k_ - 1) / k_;
  std::vector<Buffer> cells;
  cells.reserve(k_ + m_);
  for (size_t i = 0; i < k_; ++i) {
    const size_t begin = std::min(i * cell, stripe.size());
    const Buffer part = stripe.slice(begin, std::min(cell, stripe.size() - begin));
    if (part.size() == cell) {
      cells.push_back(part);
      continue;
    }
    MutableBuffer padded = MutableBuffer::zeroed(cell);
    std::ranges::copy(part.view(), padded.data());
    cells.push_back(std::move(padded).freeze());
  }
  if (k_ == 1) {
    cells.resize(1 + m_, cells[0]);
    return cells;
  }
  std::vector<ByteView> data;
  for (const Buffer& buffer : cells) data.push_back(buffer.view());
  std::vector<MutableBuffer> parity;
  std::vector<MutableBytes> outputs;
  for (uint32_t i = 0; i < m_; ++i) outputs.push_back(parity.emplace_back(cell).span());
  encode(data, outputs);
  for (MutableBuffer& buffer : parity) cells.push_back(std::move(buffer).freeze());
  return cells;
}

Result<DecodePlan> Codec::plan_decode(std::vector<uint32_t> sources,
                                      std::vector<uint32_t> wanted) const {
  if (sources.size() != k_ || !distinct_below(sources, k_ + m_))
    return fail(Code::kInvalid, "decoding rs-{}-{} needs {} different shards below {}", k_, m_, k_,
                k_ + m_);
  if (!distinct_below(wanted, k_ + m_))
    return fail(Code::kInvalid, "rs-{}-{} has no such shards to decode", k_, m_);
  std::vector<uint8_t> known = rows_of(generator_, k_, sources);
  std::vector<uint8_t> inverse(known.size());
  const int singular = gf_invert_matrix(known.data(), inverse.data(), static_cast<int>(k_));
  CHECK(singular == 0, "every k rows of a Cauchy generator can be inverted; rs-{}-{}", k_, m_);
  CodingMatrix matrix(k_, product(rows_of(generator_, k_, wanted), inverse, k_));
  return DecodePlan(std::move(sources), std::move(wanted), std::move(matrix));
}

}  // namespace dogfs::ec
