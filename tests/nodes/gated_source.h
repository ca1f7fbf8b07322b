#pragma once
// GatedSource: gives its bytes in two parts; what lies behind `gate` waits until that is open.
// Fails at its end when it is told to.

#include <algorithm>
#include <string>

#include "core/env/env.h"
#include "nodes/client/byte_stream.h"

namespace dogfs::nodes {

class GatedSource final : public ByteSource {
 public:
  GatedSource(Env& env, const std::string& bytes, size_t gate, const bool& open, bool fails = false)
      : env_(env), bytes_(Buffer::copy(bytes)), gate_(gate), open_(open), fails_(fails) {}
  Task<Result<Buffer>> read(size_t max) override {
    while (at_ == gate_ && !open_) co_await env_.sleep(10ms);
    if (at_ == bytes_.size() && fails_) co_return fail(Code::kIo, "the source broke");
    const size_t end = at_ < gate_ ? gate_ : bytes_.size();
    const Buffer piece = bytes_.slice(at_, std::min(max, end - at_));
    at_ += piece.size();
    co_return piece;
  }

 private:
  Env& env_;
  const Buffer bytes_;
  const size_t gate_;
  const bool& open_;
  const bool fails_;
  size_t at_ = 0;
};

}  // namespace dogfs::nodes
