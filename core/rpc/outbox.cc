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
  frames_.emplace_back(std::move(frame));
  ++size_;
  changed_.notify();
  return first_ticket_ + frames_.size() - 1;
}

bool Outbox::withdraw(Ticket ticket) {
  if (ticket < first_ticket_ || ticket - first_ticket_ >= frames_.size()) return false;
  auto& place = frames_[ticket - first_ticket_];
  if (!place) return false;
  bytes_ -= frame_cost(place->header);
  place.reset();
  --size_;
  drop_empty_front();
  changed_.notify();  // it may have been the one that had to wait for credit
  return true;
}

void Outbox::drop_empty_front() {
  while (!frames_.empty() && !frames_.front()) {
    frames_.pop_front();
    ++first_ticket_;
  }
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
  first_ticket_ += frames_.size();
  frames_.clear();
  size_ = 0;
  bytes_ = 0;
}

bool Outbox::sendable() const {
  if (said_goodbye_) return false;
  if (goodbye_ || !control_.empty()) return true;
  return !frames_.empty() && frame_cost(frames_.front()->header) <= credit_;
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
  Outgoing frame = *std::move(frames_.front());
  frames_.pop_front();
  ++first_ticket_;
  --size_;
  drop_empty_front();
  const uint64_t cost = frame_cost(frame.header);
  bytes_ -= cost;
  credit_ -= cost;
  return frame;
}

}  // namespace dogfs::rpc
