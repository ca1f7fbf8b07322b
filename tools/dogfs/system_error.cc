#include "tools/dogfs/system_error.h"

#include <cerrno>
#include <cstring>

namespace dogfs::tool {
namespace {

Code code_of(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR: return Code::kNotFound;
    case EEXIST: return Code::kExists;
    case EACCES:
    case EPERM:
    case EROFS: return Code::kDenied;
    case ENOSPC:
    case EDQUOT: return Code::kNoSpace;
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EINVAL: return Code::kInvalid;
    default: return Code::kIo;
  }
}

}  // namespace

std::unexpected<Error> fail_errno(int error, std::string_view what) {
  return fail(code_of(error), "{}: {}", what, std::strerror(error));
}

}  // namespace dogfs::tool
