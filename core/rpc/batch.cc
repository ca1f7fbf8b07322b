#include "core/rpc/batch.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/env/network.h"

namespace dogfs::rpc {
namespace {

constexpr size_t kCopiedBytesMax = 4 * limits::kKiB;  // a body below this is copied
constexpr size_t kBatchBytes = 64 * limits::kKiB;     // no more frames after this
constexpr size_t kPiecesPerFrameMax = 3;

uint32_t ms_left(Instant deadline, Instant now) {
  if (deadline == kNever) return 0;
  // At least 1: what is written must not look as if it had no deadline.
  return static_cast<uint32_t>(
      std::clamp<int64_t>(to_ms(deadline - now), 1, to_ms(limits::kCallDeadlineMax)));
}

}  // namespace

std::string& Batch::text() {
  if (pieces_.empty() || !std::holds_alternative<std::string>(pieces_.back()))
    pieces_.emplace_back(std::string());
  return std::get<std::string>(pieces_.back());
}

void Batch::add_body(const Buffer& body) {
  if (body.size() <= kCopiedBytesMax) {
    text() += body.text();
    copied_bytes_ += body.size();
  } else {
    pieces_.emplace_back(body);
  }
}

void Batch::add(const Outgoing& frame, Instant now) {
  FrameHeader header = frame.header;
  header.deadline_ms = ms_left(frame.deadline, now);
  header.body_crc = body_crc(frame.message.view(), frame.bulk.view(), frame.bulk_crc);
  const HeaderBytes bytes = encode_header(header);
  text() += as_text(bytes);
  add_body(frame.message);
  add_body(frame.bulk);
  ++frames_;
  bytes_ += bytes.size() + frame.message.size() + frame.bulk.size();
}

bool Batch::full() const {
  return bytes_ >= kBatchBytes || pieces_.size() + kPiecesPerFrameMax > Stream::kGatherMax;
}

std::vector<boost::asio::const_buffer> Batch::buffers() const {
  std::vector<boost::asio::const_buffer> out;
  out.reserve(pieces_.size());
  for (const Piece& piece : pieces_) {
    if (const auto* copied = std::get_if<std::string>(&piece)) {
      out.emplace_back(copied->data(), copied->size());
    } else {
      const Buffer& body = std::get<Buffer>(piece);
      out.emplace_back(body.data(), body.size());
    }
  }
  return out;
}

}  // namespace dogfs::rpc
