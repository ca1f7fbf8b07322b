#pragma once
// Reading what was made durable once. What the disk cannot read any more is as good as damaged: for
// whoever has peers it is no reason to stay down, and a later attempt may not be waited for. Pure
// but for the file; nothing is changed by a failure.

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/env/disk.h"

namespace dogfs {
class Env;
}

namespace dogfs::wal {

// As File::read. What cannot be read is tried once more, and then kCorrupt, which says so.
Task<Result<Buffer>> read_back(File& file, uint64_t offset, size_t length);
// The same, tried again for some seconds: a disk that is away for a moment, with those of other
// servers perhaps, must not cost a server its membership.
Task<Result<Buffer>> read_back(Env& env, File& file, uint64_t offset, size_t length);

}  // namespace dogfs::wal
