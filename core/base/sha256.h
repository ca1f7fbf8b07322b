#pragma once
// SHA-256 (FIPS 180-4), by OpenSSL: names the content of a block. Sha256 takes bytes as they come;
// a value, owned by who feeds it, used by one thread at a time. Nothing here can fail but for want
// of memory.

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace dogfs {

struct Sha256Digest {
  static constexpr size_t kBytes = 32;
  std::array<uint8_t, kBytes> bytes{};

  std::string_view view() const { return {reinterpret_cast<const char*>(bytes.data()), kBytes}; }
  // Nothing unless there are kBytes of them.
  static std::optional<Sha256Digest> from_bytes(std::string_view bytes);
  // In 64 hexadecimal digits; nothing for what are not.
  std::string text() const;
  static std::optional<Sha256Digest> from_text(std::string_view text);
  auto operator<=>(const Sha256Digest&) const = default;
};

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void add(std::string_view bytes);
  // Of all bytes added so far; it goes on from there.
  Sha256Digest digest() const;

  static Sha256Digest of(std::string_view bytes);

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace dogfs
