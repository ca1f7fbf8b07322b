#include "core/rpc/frame_reader.h"

#include <algorithm>
#include <cstring>

#include <boost/asio/as_tuple.hpp>

#include "core/base/checksum_combine.h"
#include "core/env/env.h"

namespace dogfs::rpc {
namespace {

constexpr size_t kReadAheadBytes = 32 * limits::kKiB;  // many small frames in one read
static_assert(kHeaderBytes <= kReadAheadBytes);
// Below this it is cheaper to read the bytes again than to find their checksum from the frame's.
constexpr size_t kNamedBulkBytes = 16 * limits::kKiB;

}  // namespace

FrameReader::FrameReader(Env& env, Stream& stream, Stats& stats)
    : env_(env), stream_(stream), stats_(stats), heard_(env.now()), ahead_(kReadAheadBytes) {}

Task<std::expected<size_t, Ending>> FrameReader::read_some(asio::mutable_buffer into) {
  const auto [error, count] =
      co_await stream_.async_read_some(into, asio::as_tuple(asio::use_awaitable));
  if (error) {
    if (within_frame_ || begin_ != end_)
      co_return std::unexpected(
          Ending{Reason::kTruncated, fmt::format("ended within a frame: {}", error.message())});
    co_return std::unexpected(Ending{Reason::kLost, error.message()});
  }
  heard_ = env_.now();
  stats_.bytes_received += count;
  co_return count;
}

// Until `bytes` lie ahead; at most kReadAheadBytes.
Task<std::expected<void, Ending>> FrameReader::fill(size_t bytes) {
  if (ahead_.size() - begin_ < bytes) {
    std::memmove(ahead_.data(), ahead_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  while (end_ - begin_ < bytes) {
    const auto got =
        co_await read_some(asio::mutable_buffer(ahead_.data() + end_, ahead_.size() - end_));
    if (!got) co_return std::unexpected(got.error());
    end_ += *got;
  }
  co_return std::expected<void, Ending>();
}

Task<std::expected<Buffer, Ending>> FrameReader::read_body(size_t bytes) {
  if (bytes == 0) co_return Buffer();
  MutableBuffer body(bytes);
  size_t done = std::min(bytes, end_ - begin_);
  std::memcpy(body.data(), ahead_.data() + begin_, done);
  begin_ += done;
  stats_.copied_bytes += done;
  while (done < bytes) {
    // A short rest is read with whatever follows it; a long one goes where it belongs.
    if (bytes - done < ahead_.size()) {
      const auto filled = co_await fill(bytes - done);
      if (!filled) co_return std::unexpected(filled.error());
      std::memcpy(body.data() + done, ahead_.data() + begin_, bytes - done);
      begin_ += bytes - done;
      stats_.copied_bytes += bytes - done;
      break;
    }
    const auto got = co_await read_some(asio::mutable_buffer(body.data() + done, bytes - done));
    if (!got) co_return std::unexpected(got.error());
    done += *got;
  }
  co_return std::move(body).freeze();
}

std::optional<Ending> FrameReader::take(const FrameHeader& header) {
  const uint64_t cost = takes_credit(header.type) ? frame_cost(header) : 0;
  if (cost > credit_)
    return Ending{Reason::kProtocol, fmt::format("a {} frame of cost {}, with a credit of {}",
                                                 frame_type_name(header.type), cost, credit_)};
  credit_ -= cost;
  begin_ += kHeaderBytes;
  return std::nullopt;
}

std::expected<Frame, Ending> FrameReader::checked(const FrameHeader& header, Buffer message,
                                                  Buffer bulk) {
  const uint32_t message_crc = crc32c(message.view());
  if (crc32c(bulk.view(), message_crc) != header.body_crc)
    return std::unexpected(Ending{
        Reason::kCorrupt,
        fmt::format("the checksum of a {} frame's body is wrong", frame_type_name(header.type))});
  ++stats_.frames_received;
  Frame frame{header, std::move(message), std::move(bulk)};
  if (frame.bulk.size() >= kNamedBulkBytes)
    frame.bulk_crc = crc32c_behind(message_crc, header.body_crc, frame.bulk.size());
  return frame;
}

Task<std::expected<Frame, Ending>> FrameReader::next() {
  within_frame_ = false;
  if (const auto filled = co_await fill(kHeaderBytes); !filled)
    co_return std::unexpected(filled.error());
  const auto header = decode_header(ByteView(ahead_).subspan(begin_, kHeaderBytes));
  if (!header) co_return std::unexpected(header.error());
  if (auto refused = take(*header)) co_return std::unexpected(std::move(*refused));
  within_frame_ = true;
  auto message = co_await read_body(header->message_bytes);
  if (!message) co_return std::unexpected(message.error());
  auto bulk = co_await read_body(header->bulk_bytes);
  if (!bulk) co_return std::unexpected(bulk.error());
  co_return checked(*header, std::move(*message), std::move(*bulk));
}

Buffer FrameReader::take_read(size_t bytes) {
  if (bytes == 0) return {};
  const ByteView view = ByteView(ahead_).subspan(begin_, bytes);
  begin_ += bytes;
  stats_.copied_bytes += bytes;
  return Buffer::copy(view);
}

std::optional<std::expected<Frame, Ending>> FrameReader::next_read() {
  if (end_ - begin_ < kHeaderBytes) return std::nullopt;
  const auto header = decode_header(ByteView(ahead_).subspan(begin_, kHeaderBytes));
  if (!header) return std::unexpected(header.error());
  const size_t bytes = kHeaderBytes + size_t{header->message_bytes} + header->bulk_bytes;
  if (end_ - begin_ < bytes) return std::nullopt;
  if (auto refused = take(*header)) return std::unexpected(std::move(*refused));
  Buffer message = take_read(header->message_bytes);
  return checked(*header, std::move(message), take_read(header->bulk_bytes));
}

Task<> FrameReader::drain() {
  for (;;) {
    const auto [error, count] = co_await stream_.async_read_some(
        asio::mutable_buffer(ahead_.data(), ahead_.size()), asio::as_tuple(asio::use_awaitable));
    if (error) co_return;
  }
}

}  // namespace dogfs::rpc
