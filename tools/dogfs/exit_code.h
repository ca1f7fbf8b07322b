#pragma once
// What the program tells the shell. The numbers are part of its interface: scripts act on them.
// Each code of an Error has one; what a caller would do is the same for codes that share one.
// Signals add 128, as a shell does.

#include "core/base/error.h"

namespace dogfs::tool {

enum ExitCode : int {
  kOk = 0,
  kFailed = 1,
  kUsage = 2,
  kNotFound = 3,
  kExists = 4,  // or a precondition did not hold
  kDenied = 5,
  kUnavailable = 6,  // refused, nothing happened: retry
  kCorrupt = 7,
  kUnknown = 8,      // it may have happened: look before you retry
  kSignalled = 128,  // plus the signal
};

inline ExitCode exit_code(Code code) {
  switch (code) {
    case Code::kInvalid:
    case Code::kTooLarge: return kUsage;
    case Code::kNotFound: return kNotFound;
    case Code::kExists:
    case Code::kPrecondition: return kExists;
    case Code::kDenied: return kDenied;
    case Code::kUnavailable:
    case Code::kNotLeader:
    case Code::kDeadline:
    case Code::kNoSpace: return kUnavailable;
    case Code::kCorrupt: return kCorrupt;
    case Code::kUnknown: return kUnknown;
    case Code::kIo:
    case Code::kClosed:
    case Code::kUnsupported: return kFailed;
  }
  return kFailed;
}

}  // namespace dogfs::tool
