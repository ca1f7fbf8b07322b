#include "core/base/sha256.h"

#include <algorithm>
#include <cstddef>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "core/base/check.h"

namespace dogfs {
namespace {

// Of a hexadecimal digit; -1 for what is none.
int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

}  // namespace

std::optional<Sha256Digest> Sha256Digest::from_bytes(std::string_view bytes) {
  if (bytes.size() != kBytes) return std::nullopt;
  Sha256Digest out;
  std::ranges::copy(bytes, out.bytes.begin());
  return out;
}

std::string Sha256Digest::text() const {
  std::string out;
  for (const uint8_t byte : bytes) out += fmt::format("{:02x}", byte);
  return out;
}

std::optional<Sha256Digest> Sha256Digest::from_text(std::string_view text) {
  if (text.size() != 2 * kBytes) return std::nullopt;
  Sha256Digest out;
  for (size_t i = 0; i < kBytes; ++i) {
    const int high = digit_value(text[2 * i]);
    const int low = digit_value(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out.bytes[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return out;
}

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  CHECK(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
}

Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::add(std::string_view bytes) {
  CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

// Ending it ends the context, so a copy is ended.
Sha256Digest Sha256::digest() const {
  const Sha256 copy;
  CHECK(EVP_MD_CTX_copy_ex(copy.context_.get(), context_.get()) == 1);
  Sha256Digest out;
  unsigned int length = 0;
  CHECK(EVP_DigestFinal_ex(copy.context_.get(), out.bytes.data(), &length) == 1);
  CHECK(length == Sha256Digest::kBytes);
  return out;
}

Sha256Digest Sha256::of(std::string_view bytes) {
  Sha256 sum;
  sum.add(bytes);
  return sum.digest();
}

}  // namespace dogfs
