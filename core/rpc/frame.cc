#include "core/rpc/frame.h"

#include <algorithm>

#include "core/base/checksum_combine.h"
#include "core/base/coding.h"
#include "core/base/limits.h"

namespace dogfs::rpc {
namespace {

constexpr size_t kCheckedBytes = kHeaderBytes - 4;  // all before the header's own checksum

template <class... Args>
std::unexpected<Ending> refuse(Reason reason, fmt::format_string<Args...> text, Args&&... args) {
  return std::unexpected(Ending{reason, fmt::format(text, std::forward<Args>(args)...)});
}

// Little-endian numbers, one behind the other.
class HeaderWriter {
 public:
  explicit HeaderWriter(HeaderBytes& bytes) : at_(bytes.data()) {}
  template <class Number>
  HeaderWriter& number(Number value) {
    for (size_t i = 0; i < sizeof(Number); ++i)
      *at_++ = static_cast<uint8_t>(uint64_t{value} >> (8 * i));
    return *this;
  }

 private:
  uint8_t* at_;
};

struct BodyBounds {
  uint32_t message;
  uint32_t bulk;
};

BodyBounds body_bounds(FrameType type) {
  switch (type) {
    case FrameType::kHello:
    case FrameType::kHelloReply: return {limits::kHelloBytesMax, 0};
    case FrameType::kRequest:
    case FrameType::kResponse:
    case FrameType::kOneWay: return {limits::kFrameMessageBytesMax, limits::kFrameBulkBytesMax};
    case FrameType::kGoodbye: return {limits::kErrorTextBytesMax, 0};
    case FrameType::kCancel:
    case FrameType::kCredit:
    case FrameType::kPing:
    case FrameType::kPong: return {0, 0};
  }
  UNREACHABLE();
}

bool known_type(uint8_t type) {
  return type >= static_cast<uint8_t>(FrameType::kHello) &&
         type <= static_cast<uint8_t>(FrameType::kGoodbye);
}

bool known_code(const FrameHeader& header) {
  if (header.type == FrameType::kResponse)
    return header.code <= static_cast<uint16_t>(Code::kUnsupported);
  if (header.type == FrameType::kGoodbye)
    return header.code > 0 && header.code < static_cast<uint16_t>(Reason::kSilent);
  return header.code == 0;
}

}  // namespace

std::string_view frame_type_name(FrameType type) {
  switch (type) {
    case FrameType::kHello: return "hello";
    case FrameType::kHelloReply: return "hello reply";
    case FrameType::kRequest: return "request";
    case FrameType::kResponse: return "response";
    case FrameType::kOneWay: return "one-way";
    case FrameType::kCancel: return "cancel";
    case FrameType::kCredit: return "credit";
    case FrameType::kPing: return "ping";
    case FrameType::kPong: return "pong";
    case FrameType::kGoodbye: return "goodbye";
  }
  UNREACHABLE();
}

std::string_view reason_name(Reason reason) {
  switch (reason) {
    case Reason::kGarbage: return "garbage";
    case Reason::kVersion: return "version";
    case Reason::kCorrupt: return "corrupt";
    case Reason::kOversized: return "oversized";
    case Reason::kProtocol: return "protocol";
    case Reason::kWrongCluster: return "wrong_cluster";
    case Reason::kBusy: return "busy";
    case Reason::kSilent: return "silent";
    case Reason::kTruncated: return "truncated";
    case Reason::kLost: return "lost";
  }
  UNREACHABLE();
}

std::string Ending::to_string() const {
  return fmt::format("{}{}: {}", by_peer ? "refused by the peer, " : "", reason_name(reason), text);
}

bool takes_credit(FrameType type) {
  return type == FrameType::kRequest || type == FrameType::kResponse || type == FrameType::kOneWay;
}

uint64_t frame_cost(const FrameHeader& header) {
  return limits::kFrameOverheadBytes + uint64_t{header.message_bytes} + header.bulk_bytes;
}

uint32_t body_crc(ByteView message, ByteView bulk, std::optional<uint32_t> bulk_crc) {
  const uint32_t message_crc = crc32c(message);
  return bulk_crc ? crc32c_combine(message_crc, *bulk_crc, bulk.size()) : crc32c(bulk, message_crc);
}

HeaderBytes encode_header(const FrameHeader& header) {
  HeaderBytes bytes;
  HeaderWriter out(bytes);
  out.number(kFrameMagic).number(kFormatVersion);
  out.number(static_cast<uint8_t>(header.type)).number(uint8_t{0});
  out.number(header.call).number(header.method).number(header.code).number(header.deadline_ms);
  out.number(header.message_bytes).number(header.bulk_bytes).number(header.body_crc);
  out.number(crc32c(ByteView(bytes).first(kCheckedBytes)));
  return bytes;
}

std::expected<FrameHeader, Ending> decode_header(ByteView bytes) {
  CHECK(bytes.size() >= kHeaderBytes);
  Decoder in(bytes.first(kHeaderBytes));
  if (const uint32_t magic = in.u32(); magic != kFrameMagic)
    return refuse(Reason::kGarbage, "a frame begins with {:#010x}", magic);
  if (const uint16_t version = in.u16(); version != kFormatVersion)
    return refuse(Reason::kVersion, "a frame of format version {}, here is version {}", version,
                  kFormatVersion);
  const uint8_t type = in.u8();
  const uint8_t flags = in.u8();
  FrameHeader header;
  header.call = in.u64();
  header.method = in.u16();
  header.code = in.u16();
  header.deadline_ms = in.u32();
  header.message_bytes = in.u32();
  header.bulk_bytes = in.u32();
  header.body_crc = in.u32();
  if (in.u32() != crc32c(bytes.first(kCheckedBytes)))
    return refuse(Reason::kCorrupt, "the checksum of a frame's header is wrong");
  if (!known_type(type)) return refuse(Reason::kProtocol, "a frame of unknown type {}", type);
  if (flags != 0) return refuse(Reason::kProtocol, "a frame with unknown flags {:#04x}", flags);
  header.type = static_cast<FrameType>(type);
  if (!known_code(header))
    return refuse(Reason::kProtocol, "a {} frame with code {}", frame_type_name(header.type),
                  header.code);
  const BodyBounds bounds = body_bounds(header.type);
  if (header.message_bytes > bounds.message || header.bulk_bytes > bounds.bulk)
    return refuse(Reason::kOversized, "a {} frame of {} + {} bytes; the most is {} + {}",
                  frame_type_name(header.type), header.message_bytes, header.bulk_bytes,
                  bounds.message, bounds.bulk);
  return header;
}

}  // namespace dogfs::rpc
