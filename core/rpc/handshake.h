#pragma once
// The handshake's messages, made and judged: who is there, of which cluster, speaking which format
// versions, giving how much credit. Pure functions; core/rpc/connection sends the bytes. A hello is
// believed only as far as it was checked here: credentials stay opaque and are the handlers'
// matter.

#include <expected>
#include <optional>

#include "core/rpc/types.h"

namespace dogfs::rpc {

Buffer encode_hello(const Identity& identity, uint64_t window);
// What the peer says, with the version that both speak. Its address is left empty.
std::expected<Peer, Ending> decode_hello(const Buffer& message);
// Why the two may not talk: each knows its cluster, and they differ.
std::optional<Ending> find_mismatch(const Identity& self, const Identity& peer);

}  // namespace dogfs::rpc
