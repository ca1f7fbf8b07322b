#pragma once
// Batch: frames on their way into one gathered write. Headers and small bodies are copied together;
// large ones are only referred to. Owns what it refers to; the writer keeps it until the write
// ends.

#include <string>
#include <variant>
#include <vector>

#include <boost/asio/buffer.hpp>

#include "core/rpc/outbox.h"

namespace dogfs::rpc {

class Batch {
 public:
  // `now`: a request says how much of its time is left.
  void add(const Outgoing& frame, Instant now);
  bool full() const;
  bool empty() const { return frames_ == 0; }
  size_t frames() const { return frames_; }
  size_t bytes() const { return bytes_; }
  size_t copied_bytes() const { return copied_bytes_; }  // of bodies
  std::vector<boost::asio::const_buffer> buffers() const;

 private:
  using Piece = std::variant<std::string, Buffer>;
  std::string& text();
  void add_body(const Buffer& body);

  std::vector<Piece> pieces_;
  size_t frames_ = 0;
  size_t bytes_ = 0;
  size_t copied_bytes_ = 0;
};

}  // namespace dogfs::rpc
