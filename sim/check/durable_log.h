#pragma once
// What an append log has durably, read from the bytes of its file by the format alone
// (core/chunk/README.md), with none of the code that servers read logs with. Pure.

#include <cstdint>
#include <string>

#include "core/base/error.h"
#include "core/chunk/append_file.h"

namespace dogfs::sim {

struct DurableLog {
  Epoch sealed;
  std::string bytes;  // of the block, that its good batches hold
  uint64_t end = 0;   // of the file, where the good batches end
};

// kCorrupt for a file without the header of that log.
Result<DurableLog> read_log(const chunk::ShardIdentity& identity, ByteView file);

}  // namespace dogfs::sim
