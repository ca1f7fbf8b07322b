#include "core/base/error.h"

#include "core/base/check.h"

namespace dogfs {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kInvalid: return "invalid";
    case Code::kNotFound: return "not_found";
    case Code::kExists: return "exists";
    case Code::kPrecondition: return "precondition";
    case Code::kDenied: return "denied";
    case Code::kUnavailable: return "unavailable";
    case Code::kNotLeader: return "not_leader";
    case Code::kDeadline: return "deadline";
    case Code::kUnknown: return "unknown";
    case Code::kCorrupt: return "corrupt";
    case Code::kNoSpace: return "no_space";
    case Code::kIo: return "io";
    case Code::kClosed: return "closed";
    case Code::kTooLarge: return "too_large";
    case Code::kUnsupported: return "unsupported";
  }
  return "unknown_code";
}

Error Error::in(std::string_view context) const {
  return Error{code, fmt::format("{}: {}", context, message)};
}

}  // namespace dogfs
