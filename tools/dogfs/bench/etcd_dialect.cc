#include "tools/dogfs/bench/etcd_dialect.h"

namespace dogfs::tool {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr size_t kFrameHeaderBytes = 9;
constexpr uint64_t kKeys = 1000;  // that are read
constexpr uint32_t kReceiveWindow = 1U << 30;
constexpr uint32_t kOwedMax = 1U << 22;

// RFC 9113, section 6.
enum FrameType : uint8_t {
  kData = 0,
  kHeaders = 1,
  kReset = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
};
constexpr uint8_t kEndStream = 1;  // of data and headers
constexpr uint8_t kAck = 1;        // of settings and pings
constexpr uint8_t kEndHeaders = 4;

void put_big_endian(std::string& out, uint32_t value, size_t bytes) {
  for (size_t i = bytes; i-- > 0;) out += static_cast<char>(value >> (8 * i));
}

uint32_t big_endian(std::string_view bytes) {
  uint32_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

void put_frame(std::string& out, uint8_t type, uint8_t flags, uint32_t stream,
               std::string_view payload) {
  put_big_endian(out, static_cast<uint32_t>(payload.size()), 3);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  put_big_endian(out, stream, 4);
  out += payload;
}

void put_window_update(std::string& out, uint32_t bytes) {
  std::string payload;
  put_big_endian(payload, bytes, 4);
  put_frame(out, kWindowUpdate, 0, 0, payload);
}

// RFC 7541, section 6.2.2: a literal that no table remembers; shorter than 127 bytes each.
void put_header(std::string& out, std::string_view name, std::string_view value) {
  out += '\0';
  out += static_cast<char>(name.size());
  out += name;
  out += static_cast<char>(value.size());
  out += value;
}

// A protobuf field of bytes.
void put_field(std::string& out, int number, std::string_view bytes) {
  out += static_cast<char>(number << 3 | 2);
  for (size_t n = bytes.size();; n >>= 7) {
    out += static_cast<char>(n < 0x80 ? n : (n & 0x7f) | 0x80);
    if (n < 0x80) break;
  }
  out += bytes;
}

}  // namespace

struct EtcdDialect::Frame {
  uint8_t type;
  uint8_t flags;
  uint32_t stream;
  std::string_view payload;
};

EtcdDialect::EtcdDialect(Call call, std::string tag, size_t value_bytes)
    : call_(call), tag_(std::move(tag)), value_(value_bytes, 'v') {
  put_header(headers_, ":method", "POST");
  put_header(headers_, ":scheme", "http");
  put_header(headers_, ":path",
             call == Call::kPut ? "/etcdserverpb.KV/Put" : "/etcdserverpb.KV/Range");
  put_header(headers_, ":authority", "etcd");
  put_header(headers_, "content-type", "application/grpc");
  put_header(headers_, "te", "trailers");
}

void EtcdDialect::greet(std::string& out) {
  std::string settings;
  put_big_endian(settings, 1, 2);  // header table size
  put_big_endian(settings, 0, 4);
  put_big_endian(settings, 4, 2);  // initial window of a stream
  put_big_endian(settings, kReceiveWindow, 4);
  out += kPreface;
  put_frame(out, kSettings, 0, 0, settings);
  put_window_update(out, kReceiveWindow);
}

std::string EtcdDialect::request() {
  std::string message;
  const uint64_t number = call_ == Call::kPut ? made_++ : made_++ % kKeys;
  put_field(message, 1, fmt::format("{}{:08}", tag_, number));
  if (call_ == Call::kPut) put_field(message, 2, value_);
  std::string body(1, '\0');  // not compressed
  put_big_endian(body, static_cast<uint32_t>(message.size()), 4);
  return body + message;
}

void EtcdDialect::begin(uint32_t slot, std::string& out) {
  waiting_.push_back(slot);
  send_waiting(out);
}

void EtcdDialect::send_waiting(std::string& out) {
  while (!waiting_.empty()) {
    const auto most = static_cast<int64_t>(value_.size() + tag_.size() + 64);
    if (window_ < most) return;
    const std::string body = request();
    window_ -= static_cast<int64_t>(body.size());
    const auto id = static_cast<uint32_t>(first_id_ + 2 * streams_.size());
    streams_.push_back({.slot = waiting_.front()});
    waiting_.pop_front();
    put_frame(out, kHeaders, kEndHeaders, id, headers_);
    put_frame(out, kData, kEndStream, id, body);
  }
}

Result<size_t> EtcdDialect::take(std::string_view in, std::string& out,
                                 std::vector<uint32_t>& ended) {
  size_t used = 0;
  while (in.size() - used >= kFrameHeaderBytes) {
    const std::string_view rest = in.substr(used);
    const uint32_t length = big_endian(rest.substr(0, 3));
    if (rest.size() < kFrameHeaderBytes + length) break;
    const Frame frame{static_cast<uint8_t>(rest[3]), static_cast<uint8_t>(rest[4]),
                      big_endian(rest.substr(5, 4)) & 0x7fff'ffff,
                      rest.substr(kFrameHeaderBytes, length)};
    TRY_VOID(took(frame, out, ended));
    used += kFrameHeaderBytes + length;
  }
  if (owed_ >= kOwedMax) put_window_update(out, std::exchange(owed_, 0));
  send_waiting(out);
  return used;
}

EtcdDialect::Stream* EtcdDialect::stream(uint32_t id) {
  const size_t place = (id - first_id_) / 2;
  return id < first_id_ || place >= streams_.size() ? nullptr : &streams_[place];
}

Result<void> EtcdDialect::took(const Frame& frame, std::string& out, std::vector<uint32_t>& ended) {
  switch (frame.type) {
    case kSettings:
      greeted_ = true;
      if ((frame.flags & kAck) == 0) put_frame(out, kSettings, kAck, 0, {});
      return {};
    case kPing:
      if ((frame.flags & kAck) == 0) put_frame(out, kPing, kAck, 0, frame.payload);
      return {};
    case kWindowUpdate:
      if (frame.stream == 0) window_ += big_endian(frame.payload.substr(0, 4));
      return {};
    case kReset:
    case kGoAway: return fail(Code::kUnavailable, "etcd ended a call or the connection");
    case kData:
      owed_ += static_cast<uint32_t>(frame.payload.size());
      if (Stream* of = stream(frame.stream)) of->answered = !frame.payload.empty();
      break;
    case kHeaders: break;
    default: return {};
  }
  return (frame.flags & kEndStream) == 0 ? Result<void>() : end(frame.stream, ended);
}

Result<void> EtcdDialect::end(uint32_t id, std::vector<uint32_t>& ended) {
  Stream* of = stream(id);
  if (of == nullptr || !of->answered) return fail(Code::kUnavailable, "etcd refused a call");
  of->ended = true;
  ended.push_back(of->slot);
  while (!streams_.empty() && streams_.front().ended) {
    streams_.pop_front();
    first_id_ += 2;
  }
  return {};
}

}  // namespace dogfs::tool
