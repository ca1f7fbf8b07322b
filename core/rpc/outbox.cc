#include "core/rpc/outbox.h"

#include "core/base/limits.h"

namespace dogfs::rpc {
namespace {

// A cancel for each call that was written, and some credit, ping and pong.
constexpr size_t kControlMax = limits::kCallsPerConnectionMax + 64;

}  // namespace

Outbox::Ticket Outbox::push(Outgoing frame) {
  frame.header.message_bytes = static_cast<uint32_t>(frame.message.size());
  frame.header.bulk_bytes = static_cast<uint32_t>(frame.bulk.size());
  bytes_ += frame_cost(frame.header);
  frames_.emplace(++last_ticket_, std::move(frame));
  changed_.notify();
  return last_ticket_;
}

bool Outbox::withdraw(Ticket ticket) {
  const auto place = frames_.find(ticket);
  if (place == frames_.end()) return false;
  bytes_ -= frame_cost(place->second.header);
  frames_.erase(place);
  changed_.notify();  // it may have been the one that had to wait for credit
  return true;
}

bool Outbox::push_control(const FrameHeader& header) {
  if (control_.size() >= kControlMax) return false;
  control_.push_back(header);
  changed_.notify();
  return true;
}

void Outbox::push_goodbye(const Ending& ending) {
  FrameHeader header{.type = FrameType::kGoodbye, .code = static_cast<uint16_t>(ending.reason)};
  Buffer text = Buffer::copy(std::string_view(ending.text).substr(0, limits::kErrorTextBytesMax));
  header.message_bytes = static_cast<uint32_t>(text.size());
  goodbye_ = Outgoing{.header = header, .message = std::move(text), .bulk = {}};
  changed_.notify();
}

void Outbox::restart(uint64_t credit) {
  control_.clear();
  goodbye_.reset();
  said_goodbye_ = false;
  credit_ = window_ = credit;
  changed_.notify();
}

bool Outbox::grant(uint64_t bytes) {
  if (bytes > window_ - credit_) return false;
  credit_ += bytes;
  changed_.notify();
  return true;
}

void Outbox::clear() {
  frames_.clear();
  bytes_ = 0;
}

bool Outbox::sendable() const {
  if (said_goodbye_) return false;
  if (goodbye_ || !control_.empty()) return true;
  return !frames_.empty() && frame_cost(frames_.begin()->second.header) <= credit_;
}

std::optional<Outgoing> Outbox::take() {
  if (!sendable()) return std::nullopt;
  if (goodbye_) {
    said_goodbye_ = true;
    return std::exchange(goodbye_, std::nullopt);
  }
  if (!control_.empty()) {
    Outgoing frame{.header = control_.front(), .message = {}, .bulk = {}};
    control_.pop_front();
    return frame;
  }
  Outgoing frame = std::move(frames_.begin()->second);
  frames_.erase(frames_.begin());
  const uint64_t cost = frame_cost(frame.header);
  bytes_ -= cost;
  credit_ -= cost;
  return frame;
}

}  // namespace dogfs::rpc
