#include "core/chunk/store_identity.h"

#include "core/base/coding.h"

namespace dogfs::chunk {
namespace {

constexpr std::string_view kMagic = "DOGSTORE";
constexpr uint32_t kOneDirectory = 1;  // format versions
constexpr uint32_t kManyDirectories = 2;

}  // namespace

bool StoreIdentity::same_server(const StoreIdentity& other) const {
  return cluster == other.cluster && node == other.node && store == other.store;
}

std::string encode_identity(const StoreIdentity& identity) {
  const bool one = !identity.directory && identity.directories.empty();
  Encoder out;
  out.raw(kMagic).u32(one ? kOneDirectory : kManyDirectories);
  out.id(identity.cluster).id(identity.node).id(identity.store);
  if (!one) {
    out.id(identity.directory).u32(static_cast<uint32_t>(identity.directories.size()));
    for (const StoreId directory : identity.directories) out.id(directory);
  }
  out.u32(crc32c(as_bytes(out.bytes())));
  return std::move(out).take();
}

Result<StoreIdentity> decode_identity(ByteView bytes) {
  const auto damaged = [] {
    return fail(Code::kCorrupt, "the identity file of the data directory is damaged");
  };
  if (bytes.size() < kMagic.size() + 2 * sizeof(uint32_t)) return damaged();
  const ByteView body = bytes.first(bytes.size() - sizeof(uint32_t));
  const uint32_t checksum = Decoder(bytes.subspan(body.size())).u32();
  Decoder in(body);
  if (in.raw(kMagic.size()) != kMagic || checksum != crc32c(body)) return damaged();
  const uint32_t version = in.u32();
  if (version != kOneDirectory && version != kManyDirectories)
    return fail(Code::kUnsupported, "data directory of format {}, this build reads up to {}",
                version, kManyDirectories);
  StoreIdentity identity;
  identity.cluster = in.id<ClusterId>();
  identity.node = in.id<NodeId>();
  identity.store = in.id<StoreId>();
  if (version == kManyDirectories) {
    identity.directory = in.id<StoreId>();
    const uint32_t count = in.u32();
    if (count > kDisksMax) return damaged();
    for (uint32_t i = 0; i < count; ++i) identity.directories.push_back(in.id<StoreId>());
  }
  if (!in.at_end()) return damaged();
  return identity;
}

}  // namespace dogfs::chunk
