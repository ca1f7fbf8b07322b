#pragma once
// Frame: the unit of the wire, drawn in README.md. Here only bytes are made and checked; nothing
// waits. A header says all that is needed to read the body, and is trusted only after its checksum;
// whatever is wrong with a frame ends its connection, for a Reason that the peer is told.

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/buffer.h"
#include "core/base/error.h"

namespace dogfs::rpc {

inline constexpr size_t kHeaderBytes = 40;
inline constexpr uint16_t kFormatVersion = 1;        // the only one so far
inline constexpr uint32_t kFrameMagic = 0x72464744;  // "DGFr" on the wire

enum class FrameType : uint8_t {
  kHello = 1,
  kHelloReply,
  kRequest,
  kResponse,
  kOneWay,
  kCancel,
  kCredit,
  kPing,
  kPong,
  kGoodbye,
};
std::string_view frame_type_name(FrameType type);

// Why a connection ended. Numbers are part of the wire format.
enum class Reason : uint16_t {
  kGarbage = 1,   // not our frames at all
  kVersion,       // no format version in common
  kCorrupt,       // a checksum is wrong
  kOversized,     // longer than limits.h allows
  kProtocol,      // a frame that does not belong there
  kWrongCluster,  // the peer serves another cluster
  kBusy,          // too many connections
  // The rest are never sent: there is nobody to read them.
  kSilent,     // nothing heard for too long
  kTruncated,  // ended within a frame
  kLost,       // ended or reset by the peer or the network
};
inline constexpr size_t kReasonCount = 11;
std::string_view reason_name(Reason reason);

struct Ending {
  Reason reason;
  std::string text;
  bool by_peer = false;  // the peer said goodbye

  // "wrong_cluster: this is cluster 7, not 9".
  std::string to_string() const;
};

struct FrameHeader {
  FrameType type{};
  uint64_t call = 0;         // call id; kCredit: bytes given back
  uint16_t method = 0;       // requests and one-ways
  uint16_t code = 0;         // responses: 0 or a Code; kGoodbye: a Reason
  uint32_t deadline_ms = 0;  // requests: time that is left
  uint32_t message_bytes = 0;
  uint32_t bulk_bytes = 0;
  uint32_t body_crc = 0;

  bool operator==(const FrameHeader&) const = default;
};

using HeaderBytes = std::array<uint8_t, kHeaderBytes>;

// True for the types that are paid for with credit: request, response, one-way.
bool takes_credit(FrameType type);
// What a frame of such a type costs: its body and a fixed part for being remembered at all.
uint64_t frame_cost(const FrameHeader& header);

// Message and bulk, in this order; the bulk is not read again when its checksum is known.
uint32_t body_crc(ByteView message, ByteView bulk, std::optional<uint32_t> bulk_crc = std::nullopt);

HeaderBytes encode_header(const FrameHeader& header);
// The header in the first kHeaderBytes of `bytes`, which must have that many. On success every
// field is within its bounds: the type is known, lengths fit limits.h and the type.
std::expected<FrameHeader, Ending> decode_header(ByteView bytes);

struct Frame {
  FrameHeader header;
  Buffer message;
  Buffer bulk;
  std::optional<uint32_t> bulk_crc = std::nullopt;  // as in Reply
};

}  // namespace dogfs::rpc
