#pragma once
// The messages of typed calls: a protobuf on one side, a Buffer of its bytes on the other. Bytes
// that come in may be from anybody; those that are no such message are kInvalid. Stateless; used by
// the typed calls of client.h and server.h, and by whoever sends protobufs one-way.

#include <optional>

#include <google/protobuf/message_lite.h>

#include "core/base/buffer.h"
#include "core/base/error.h"

namespace dogfs::rpc {

// A typed reply and the bulk bytes beside it.
template <class Message>
struct Answer {
  Message message;
  Buffer bulk;
  std::optional<uint32_t> bulk_crc = std::nullopt;  // as in Reply
};

Buffer serialize(const google::protobuf::MessageLite& message);
// kInvalid if the bytes are not such a message.
Result<void> parse(const Buffer& bytes, google::protobuf::MessageLite& message);

}  // namespace dogfs::rpc
