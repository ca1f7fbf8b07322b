#include "sim/check/durable_log.h"

namespace dogfs::sim {
namespace {

// Adds what the entries of one batch hold; false: one of them is not good.
bool add_entries(const chunk::AppendOrigin& origin, ByteView entries, std::string& bytes) {
  while (!entries.empty()) {
    const auto header = chunk::peek_entry(entries);
    if (!header || header->entry_bytes() > entries.size()) return false;
    const auto entry = chunk::decode_entry(origin.block(), entries.first(header->entry_bytes()));
    if (!entry || header->offset != bytes.size()) return false;
    bytes += as_text(entry->data);
    entries = entries.subspan(header->entry_bytes());
  }
  return true;
}

}  // namespace

Result<DurableLog> read_log(const chunk::ShardIdentity& identity, ByteView file) {
  if (file.size() < chunk::kAppendHeaderBytes) return fail(Code::kCorrupt, "no whole header");
  TRY(origin, chunk::decode_append_header(file.first(chunk::kAppendHeaderBytes), identity));
  const ByteView seal = file.subspan(chunk::kAppendSealOffset, chunk::kAppendSealBytes);
  DurableLog log{.sealed = chunk::decode_append_seal(origin, seal),
                 .bytes = {},
                 .end = chunk::kAppendHeaderBytes};
  while (log.end + chunk::kAppendBatchHeaderBytes <= file.size()) {
    const ByteView header = file.subspan(log.end, chunk::kAppendBatchHeaderBytes);
    const auto batch = chunk::decode_batch_header(origin, log.end, header);
    const uint64_t at = log.end + chunk::kAppendBatchHeaderBytes;
    if (!batch || *batch == 0 || *batch > file.size() - at) break;
    if (!add_entries(origin, file.subspan(at, *batch), log.bytes)) break;
    log.end = at + *batch;
  }
  return log;
}

}  // namespace dogfs::sim
