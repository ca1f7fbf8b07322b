#pragma once
// put_further: stores a local file in pieces, so that one that was cut off goes on where the last
// whole piece ends. Until the end the pieces lie beside the path, in ".NAME.SOURCE.dogfs-part",
// where SOURCE is a digest of which local file it is and when it was changed; then that takes the
// path's name. Parts of other files, and of other states of this one, are removed. Two programs
// that do the same at once help each other.

#include <cstdint>
#include <functional>
#include <string>

#include "core/base/error.h"
#include "core/env/task.h"
#include "nodes/client/client.h"

namespace dogfs::tool {

class LocalSource;

inline constexpr uint64_t kPutPieceBytesMin = 4 * limits::kMiB;

struct ContinuedPut {
  uint64_t bytes = 0;
  uint64_t begun_at = 0;  // what was there already
  uint32_t blocks_below_full_width = 0;
  uint64_t deduplicated_bytes = 0;
};

// Of `options`, `overwrite` and `version` must be left as they are. kInvalid: no regular file, or
// pieces under kPutPieceBytesMin; kUnavailable: the local file was changed meanwhile. Errors of a
// put, a concatenation and a rename.
Task<Result<ContinuedPut>> put_further(nodes::Client& client, LocalSource& source, std::string path,
                                       uint64_t piece_bytes, nodes::PutOptions options);

}  // namespace dogfs::tool
