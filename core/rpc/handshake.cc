#include "core/rpc/handshake.h"

#include "core/proto/rpc.pb.h"
#include "core/rpc/message_codec.h"

namespace dogfs::rpc {
namespace {

std::unexpected<Ending> protocol(std::string text) {
  return std::unexpected(Ending{Reason::kProtocol, std::move(text)});
}

}  // namespace

Buffer encode_hello(const Identity& identity, uint64_t window) {
  CHECK(identity.credentials.size() <= limits::kCredentialBytesMax);
  proto::Hello hello;
  hello.set_cluster_id(identity.cluster.value);
  hello.set_node_id(identity.node.value);
  hello.set_store_id(identity.store.value);
  hello.set_version_min(kFormatVersion);
  hello.set_version_max(kFormatVersion);
  hello.set_credentials(std::string(identity.credentials.text()));
  hello.set_window(window);
  return serialize(hello);
}

std::expected<Peer, Ending> decode_hello(const Buffer& message) {
  proto::Hello hello;
  if (auto parsed = parse(message, hello); !parsed) return protocol(parsed.error().message);
  if (hello.version_min() > kFormatVersion || hello.version_max() < kFormatVersion)
    return std::unexpected(Ending{
        Reason::kVersion, fmt::format("format versions {} to {} are offered, here is version {}",
                                      hello.version_min(), hello.version_max(), kFormatVersion)});
  if (hello.credentials().size() > limits::kCredentialBytesMax)
    return protocol(fmt::format("{} bytes of credentials; the most is {}",
                                hello.credentials().size(), limits::kCredentialBytesMax));
  if (hello.window() < limits::kConnectionWindowMin ||
      hello.window() > limits::kConnectionWindowMax)
    return protocol(fmt::format("a window of {} bytes; it lies between {} and {}", hello.window(),
                                limits::kConnectionWindowMin, limits::kConnectionWindowMax));
  Peer peer;
  peer.identity.cluster = ClusterId(hello.cluster_id());
  peer.identity.node = NodeId(hello.node_id());
  peer.identity.store = StoreId(hello.store_id());
  peer.identity.credentials = Buffer::copy(hello.credentials());
  peer.version = kFormatVersion;
  peer.window = hello.window();
  return peer;
}

std::optional<Ending> find_mismatch(const Identity& self, const Identity& peer) {
  if (!self.cluster || !peer.cluster || self.cluster == peer.cluster) return std::nullopt;
  return Ending{Reason::kWrongCluster,
                fmt::format("this is cluster {:016x}, not {:016x}", self.cluster, peer.cluster)};
}

}  // namespace dogfs::rpc
