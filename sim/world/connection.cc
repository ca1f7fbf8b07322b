#include "sim/world/connection.h"

#include "core/base/checksum.h"
#include "sim/world/fabric.h"
#include "sim/world/process.h"
#include "sim/world/world.h"

namespace dogfs::sim {

Connection::Connection(Fabric& fabric, Process& client, Process& server, Address client_address,
                       Address server_address)
    : fabric_(fabric),
      ends_{End{.process = &client, .address = std::move(client_address)},
            End{.process = &server, .address = std::move(server_address)}} {}

void Connection::read(Side side, asio::mutable_buffer into, OperationRef op) {
  End& mine = end(side);
  mine.reader = op;
  mine.read_into = into;
  serve_reader(side);
}

void Connection::write(Side side, std::span<const asio::const_buffer> from, OperationRef op) {
  End& mine = end(side);
  mine.writer = op;
  mine.write_from.assign(from.begin(), from.end());
  serve_writer(side);
}

void Connection::serve_reader(Side side) {
  End& mine = end(side);
  Process& process = *mine.process;
  if (!process.pending(mine.reader)) return;  // the buffer may be gone
  if (mine.closed) return process.complete(mine.reader, asio::error::operation_aborted);
  if (mine.read_into.size() == 0) return process.complete(mine.reader, {}, 0);
  const size_t available = mine.received.size() - mine.read_offset;
  if (available == 0) {
    if (mine.failure) return process.complete(mine.reader, mine.failure);
    if (mine.end_seen) process.complete(mine.reader, asio::error::eof);
    return;
  }
  size_t count = std::min(available, mine.read_into.size());
  // TCP promises no piece sizes: now and then a read gets only a part of what is there.
  if (count > 1 && fabric_.random_.chance(1, 16)) count = fabric_.random_.between(1, count - 1);
  std::memcpy(mine.read_into.data(), mine.received.data() + mine.read_offset, count);
  mine.read_offset += count;
  if (mine.read_offset == mine.received.size()) {
    mine.received.clear();
    mine.read_offset = 0;
  }
  mine.window_used -= count;
  process.complete(mine.reader, {}, count);
  serve_writer(other(side));
}

void Connection::serve_writer(Side side) {
  End& mine = end(side);
  Process& process = *mine.process;
  if (!process.pending(mine.writer)) return;
  if (mine.closed) return process.complete(mine.writer, asio::error::operation_aborted);
  if (mine.failure) return process.complete(mine.writer, mine.failure);
  size_t total = 0;
  for (const auto& buffer : mine.write_from) total += buffer.size();
  if (total == 0) return process.complete(mine.writer, {}, 0);
  End& peer = end(other(side));
  const size_t room = kWindowBytes - std::min(kWindowBytes, peer.window_used);
  if (room == 0) return;
  std::string bytes;
  bytes.reserve(std::min(total, room));
  for (const auto& buffer : mine.write_from) {
    const size_t take = std::min(buffer.size(), room - bytes.size());
    bytes.append(static_cast<const char*>(buffer.data()), take);
  }
  const size_t count = bytes.size();
  peer.window_used += count;
  send(other(side), Kind::kBytes, std::move(bytes));
  process.complete(mine.writer, {}, count);
}

void Connection::send(Side to, Kind kind, std::string bytes) {
  End& target = end(to);
  const End& source = end(other(to));
  const Instant arrives = fabric_.arrival(*source.process, *target.process, bytes.size());
  // First in, first out, whatever latency was drawn.
  target.last_arrival = std::max(target.last_arrival, arrives);
  target.incoming.push_back(Piece{kind, std::move(bytes), target.last_arrival});
  fabric_.world_.after(target.last_arrival - fabric_.world_.now(),
                       [self = shared_from_this(), to] { self->arrive(to); });
}

void Connection::arrive(Side to) {
  End& target = end(to);
  while (!target.incoming.empty() && target.incoming.front().arrives <= fabric_.world_.now()) {
    if (fabric_.blocked(*end(other(to)).process, *target.process)) {
      ++fabric_.counts_.pieces_held_back;
      return start_timeout(to);
    }
    if (target.vanished && !target.process->host_powered()) return start_timeout(to);
    Piece piece = std::move(target.incoming.front());
    target.incoming.pop_front();
    accept_piece(to, std::move(piece));
  }
}

void Connection::accept_piece(Side to, Piece piece) {
  End& target = end(to);
  fabric_.world_.mix(crc32c(as_bytes(piece.bytes)));
  if (piece.kind == Kind::kReset) return fail(to, asio::error::connection_reset);
  // Nobody there any more: the kernel answers with a reset.
  if (target.closed || target.vanished || !target.process->alive()) {
    if (piece.kind == Kind::kBytes && !end(other(to)).failure) send(other(to), Kind::kReset, {});
    return;
  }
  if (target.failure) return;
  if (piece.kind == Kind::kEnd)
    target.end_seen = true;
  else
    target.received += piece.bytes;
  serve_reader(to);
}

void Connection::fail(Side side, error_code failure) {
  End& mine = end(side);
  if (mine.failure || mine.closed || !mine.process->alive()) return;
  ++fabric_.counts_.resets_seen;
  mine.failure = failure;
  mine.received.clear();
  mine.read_offset = 0;
  serve_reader(side);
  serve_writer(side);
}

// A sender whose pieces do not get through retransmits for a while and then gives up.
void Connection::start_timeout(Side to) {
  End& target = end(to);
  if (std::exchange(target.retransmitting, true)) return;
  const Instant held = target.incoming.front().arrives;
  fabric_.world_.after(fabric_.options_.timeout, [self = shared_from_this(), to, held] {
    End& late = self->end(to);
    late.retransmitting = false;
    if (late.incoming.empty()) return;
    if (late.incoming.front().arrives > held) return self->arrive(to);
    ++self->fabric_.counts_.timeouts;
    late.incoming.clear();
    self->fail(other(to), asio::error::timed_out);
  });
}

void Connection::retry(Side to) {
  fabric_.world_.after(Duration(1), [self = shared_from_this(), to] { self->arrive(to); });
}

void Connection::close(Side side) {
  End& mine = end(side);
  if (std::exchange(mine.closed, true)) return;
  if (!mine.process->alive()) return;
  mine.process->complete(mine.reader, asio::error::operation_aborted);
  mine.process->complete(mine.writer, asio::error::operation_aborted);
  if (mine.failure || mine.vanished) return;
  // Bytes that were never read turn an orderly end into a reset, as in TCP.
  const bool unread = mine.received.size() > mine.read_offset;
  send(other(side), unread ? Kind::kReset : Kind::kEnd, {});
}

void Connection::reset_by(Side side) {
  End& mine = end(side);
  if (std::exchange(mine.closed, true) || mine.failure || mine.vanished) return;
  send(other(side), Kind::kReset, {});
}

void Connection::vanish(Side side) { end(side).vanished = true; }

void Connection::reset_both() {
  fail(Side::kClient, asio::error::connection_reset);
  fail(Side::kServer, asio::error::connection_reset);
}

}  // namespace dogfs::sim
