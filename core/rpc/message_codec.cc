#include "core/rpc/message_codec.h"

#include <string>

namespace dogfs::rpc {

Buffer serialize(const google::protobuf::MessageLite& message) {
  std::string bytes;
  message.SerializeToString(&bytes);
  return Buffer::take(std::move(bytes));
}

Result<void> parse(const Buffer& bytes, google::protobuf::MessageLite& message) {
  if (message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return {};
  return fail(Code::kInvalid, "{} bytes are not a {}", bytes.size(), message.GetTypeName());
}

}  // namespace dogfs::rpc
