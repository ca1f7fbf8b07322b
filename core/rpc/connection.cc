#include "core/rpc/connection.h"

#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/write.hpp>

#include "core/env/deadline.h"
#include "core/env/nursery.h"
#include "core/rpc/batch.h"
#include "core/rpc/handshake.h"

namespace dogfs::rpc {
namespace {

// Endings that we decide and the peer can still be told of.
bool worth_telling(const Ending& ending) {
  return !ending.by_peer && ending.reason < Reason::kSilent;
}

// As much at a time as the stream takes. Asio's own condition asks for 64 KiB each time, and a turn
// of the loop and a system call for each of those cost more than sending them does.
size_t until_all_is_written(const boost::system::error_code& error, size_t) {
  return error ? 0 : SIZE_MAX;
}

Ending peers_goodbye(const Frame& frame) {
  return Ending{static_cast<Reason>(frame.header.code), std::string(frame.message.text()), true};
}

}  // namespace

Connection::Connection(Env& env, Stream stream, const Options& options, Stats& stats)
    : env_(env),
      stream_(std::move(stream)),
      options_(options),
      stats_(stats),
      reader_(env, stream_, stats),
      ended_(env),
      reader_done_(env),
      writer_done_(env) {}

Task<std::optional<Ending>> Connection::write_now(Outgoing frame) {
  frame.header.message_bytes = static_cast<uint32_t>(frame.message.size());
  Batch batch;
  batch.add(frame, env_.now());
  const auto [error, count] =
      co_await asio::async_write(stream_, batch.buffers(), asio::as_tuple(asio::use_awaitable));
  stats_.bytes_sent += count;
  if (error) co_return Ending{Reason::kLost, error.message()};
  ++stats_.frames_sent;
  co_return std::nullopt;
}

Task<std::expected<Peer, Ending>> Connection::read_hello(FrameType expected, Identity self) {
  auto frame = co_await reader_.next();
  if (!frame) co_return std::unexpected(frame.error());
  if (frame->header.type == FrameType::kGoodbye) co_return std::unexpected(peers_goodbye(*frame));
  if (frame->header.type != expected)
    co_return std::unexpected(
        Ending{Reason::kProtocol,
               fmt::format("a {} frame where a {} belongs", frame_type_name(frame->header.type),
                           frame_type_name(expected))});
  auto peer = decode_hello(frame->message);
  if (!peer) co_return std::unexpected(peer.error());
  if (auto mismatch = find_mismatch(self, peer->identity))
    co_return std::unexpected(std::move(*mismatch));
  peer->address = stream_.peer();
  reader_.grant(options_.window);
  ++stats_.connections;
  co_return std::move(*peer);
}

Task<std::expected<Peer, Ending>> Connection::greet(Identity self) {
  const Outgoing hello{.header = {.type = FrameType::kHello},
                       .message = encode_hello(self, options_.window),
                       .bulk = {}};
  if (auto failed = co_await write_now(hello)) co_return std::unexpected(std::move(*failed));
  auto peer = co_await read_hello(FrameType::kHelloReply, std::move(self));
  if (!peer && worth_telling(peer.error())) co_await turn_away(peer.error());
  co_return peer;
}

Task<std::expected<Peer, Ending>> Connection::welcome(Identity self) {
  const Deadline limit(env_, stream_, options_.connect_limit);
  auto peer = co_await answer_hello(std::move(self));
  if (!peer && limit.expired())
    co_return std::unexpected(Ending{
        Reason::kSilent, fmt::format("no handshake within {} ms", to_ms(options_.connect_limit))});
  co_return peer;
}

Task<std::expected<Peer, Ending>> Connection::answer_hello(Identity self) {
  auto peer = co_await read_hello(FrameType::kHello, self);
  if (!peer) {
    if (worth_telling(peer.error())) co_await turn_away(peer.error());
    co_return peer;
  }
  const Outgoing reply{.header = {.type = FrameType::kHelloReply},
                       .message = encode_hello(self, options_.window),
                       .bulk = {}};
  if (auto failed = co_await write_now(reply)) co_return std::unexpected(std::move(*failed));
  co_return peer;
}

Task<> Connection::turn_away(Ending ending) {
  const Deadline limit(env_, stream_, options_.linger);
  Outgoing goodbye{
      .header = {.type = FrameType::kGoodbye, .code = static_cast<uint16_t>(ending.reason)},
      .message = Buffer::copy(std::string_view(ending.text).substr(0, limits::kErrorTextBytesMax)),
      .bulk = {}};
  if (co_await write_now(std::move(goodbye))) co_return;
  co_await reader_.drain();
}

void Connection::end(Ending ending) {
  if (!ending_) ending_ = std::move(ending);
  ended_.set();
}

Task<Ending> Connection::run(Outbox& outbox, Receiver& receiver) {
  outbox_ = &outbox;
  co_await nursery(env_, [&](Nursery& children) { return work(children, outbox, receiver); });
  outbox_ = nullptr;
  stream_.close();
  ++stats_.endings[static_cast<size_t>(ending_->reason)];
  co_return *ending_;
}

Task<> Connection::work(Nursery& children, Outbox& outbox, Receiver& receiver) {
  children.spawn(read(outbox, receiver));
  children.spawn(write(outbox, receiver));
  children.spawn(watch(outbox));
  co_await ended_.wait();
  if (worth_telling(*ending_)) co_await part(outbox);
}

// Lets the writer finish the frame it is in, say goodbye, and gives the peer time to read it: a
// socket that is closed with unread bytes in it resets, and takes the goodbye along.
Task<> Connection::part(Outbox& outbox) {
  const Instant until = env_.now() + options_.linger;
  outbox.push_goodbye(*ending_);
  if (co_await writer_done_.wait_until(until)) co_await reader_done_.wait_until(until);
}

Task<> Connection::read(Outbox& outbox, Receiver& receiver) {
  while (!ending_) {
    auto frame = reader_.next_read();
    if (!frame) frame = co_await reader_.next();
    if (!*frame) {
      end(std::move(*frame).error());
    } else if (auto ending = dispatch(*std::move(*frame), outbox, receiver)) {
      end(std::move(*ending));
    }
  }
  co_await reader_.drain();
  reader_done_.set();
}

std::optional<Ending> Connection::dispatch(Frame frame, Outbox& outbox, Receiver& receiver) {
  const FrameHeader& header = frame.header;
  switch (header.type) {
    case FrameType::kRequest:
    case FrameType::kResponse:
    case FrameType::kOneWay:
      stats_.held_bytes_max = std::max(stats_.held_bytes_max, held());
      return receiver.receive(std::move(frame));
    case FrameType::kCancel: return receiver.receive(std::move(frame));
    case FrameType::kCredit:
      if (outbox.grant(header.call)) return std::nullopt;
      return Ending{Reason::kProtocol,
                    fmt::format("{} bytes of credit that were never taken", header.call)};
    case FrameType::kPing:
      if (outbox.push_control({.type = FrameType::kPong})) return std::nullopt;
      return Ending{Reason::kProtocol, "pings are sent and their answers not read"};
    case FrameType::kPong: return std::nullopt;
    case FrameType::kGoodbye: return peers_goodbye(frame);
    case FrameType::kHello:
    case FrameType::kHelloReply: return Ending{Reason::kProtocol, "a second handshake"};
  }
  UNREACHABLE();
}

Task<> Connection::write(Outbox& outbox, Receiver& receiver) {
  while (!outbox.said_goodbye()) {
    while (!outbox.sendable()) co_await outbox.wait();
    Batch batch;
    while (!batch.full()) {
      const auto frame = outbox.take();
      if (!frame) break;
      batch.add(*frame, env_.now());
    }
    receiver.wrote();
    const auto [error, count] = co_await asio::async_write(
        stream_, batch.buffers(), until_all_is_written, asio::as_tuple(asio::use_awaitable));
    stats_.bytes_sent += count;
    if (error) {
      end(Ending{Reason::kLost, error.message()});
      break;
    }
    stats_.frames_sent += batch.frames();
    stats_.copied_bytes += batch.copied_bytes();
  }
  writer_done_.set();
}

Task<> Connection::watch(Outbox& outbox) {
  Instant pinged = Instant::min();
  for (;;) {
    const Instant heard = reader_.heard();
    const bool waits_for_pong = pinged > heard;
    co_await env_.sleep_until(heard +
                              (waits_for_pong ? options_.silent_limit : options_.ping_after));
    const Duration silence = env_.now() - reader_.heard();
    if (silence >= options_.silent_limit) {
      end(Ending{Reason::kSilent, fmt::format("nothing heard for {} ms", to_ms(silence))});
      co_return;
    }
    if (silence < options_.ping_after || pinged > reader_.heard()) continue;
    pinged = env_.now();
    if (!outbox.push_control({.type = FrameType::kPing})) continue;  // the silence will end it
  }
}

void Connection::consumed(uint64_t cost) {
  owed_ += cost;
  if (outbox_ == nullptr || owed_ < options_.window / limits::kCreditReturnShare) return;
  if (outbox_->push_control({.type = FrameType::kCredit, .call = owed_})) {
    reader_.grant(owed_);
    owed_ = 0;
  }
}

}  // namespace dogfs::rpc
