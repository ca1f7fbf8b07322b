#include "core/chunk/store_identity.h"

#include "core/base/coding.h"

namespace dogfs::chunk {
namespace {

constexpr std::string_view kMagic = "DOGSTORE";
constexpr uint32_t kFormatVersion = 1;

}  // namespace

std::string encode_identity(const StoreIdentity& identity) {
  Encoder out;
  out.raw(kMagic).u32(kFormatVersion).id(identity.cluster).id(identity.node).id(identity.store);
  out.u32(crc32c(as_bytes(out.bytes())));
  return std::move(out).take();
}

Result<StoreIdentity> decode_identity(ByteView bytes) {
  Decoder in(bytes);
  const bool magic = in.raw(kMagic.size()) == kMagic;
  const uint32_t version = in.u32();
  StoreIdentity identity;
  identity.cluster = in.id<ClusterId>();
  identity.node = in.id<NodeId>();
  identity.store = in.id<StoreId>();
  const uint32_t checksum = in.u32();
  if (!magic || !in.at_end() || checksum != crc32c(bytes.first(bytes.size() - 4)))
    return fail(Code::kCorrupt, "the identity file of the data directory is damaged");
  if (version != kFormatVersion)
    return fail(Code::kUnsupported, "data directory of format {}, this build reads {}", version,
                kFormatVersion);
  return identity;
}

}  // namespace dogfs::chunk
