#include "tools/dogfs/inspected_log.h"

#include <algorithm>
#include <fstream>
#include <string>

#include "core/chunk/append_entry.h"

namespace dogfs::tool {
namespace {

std::string read_up_to(std::ifstream& file, uint64_t offset, size_t length) {
  std::string bytes(length, '\0');
  file.clear();
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(bytes.data(), static_cast<std::streamsize>(length));
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

// False, and nothing is counted, when one of them is not good.
bool count_entries(InspectedLog& log, ByteView entries) {
  uint64_t length = log.length;
  uint64_t records = 0;
  while (!entries.empty()) {
    const auto header = chunk::peek_entry(entries);
    if (!header || header->entry_bytes() > entries.size() || header->offset != length) return false;
    const auto entry =
        chunk::decode_entry(log.origin.block(), entries.first(header->entry_bytes()));
    if (!entry) return false;
    length = header->end();
    records += entry->records.size();
    entries = entries.subspan(header->entry_bytes());
  }
  log.length = length;
  log.records += records;
  return true;
}

}  // namespace

Result<std::optional<InspectedLog>> inspect_log(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  const std::string header = read_up_to(file, 0, chunk::kAppendHeaderBytes);
  const auto named = chunk::parse_append_file_name(path.filename().string());
  if (!named && !chunk::is_append_header(as_bytes(header))) return std::nullopt;
  TRY(origin, chunk::decode_append_header(as_bytes(header)));
  if (header.size() < chunk::kAppendHeaderBytes)
    return fail(Code::kCorrupt, "it ends in its header");
  InspectedLog log{.origin = origin};
  log.misplaced = named && *named != origin.identity.name;
  log.sealed = chunk::decode_append_seal(
      origin, as_bytes(header).subspan(chunk::kAppendSealOffset, chunk::kAppendSealBytes));
  const uint64_t size = std::filesystem::file_size(path, error);
  if (error) return fail(Code::kIo, "{}", error.message());
  uint64_t witness = 0;
  for (log.end = chunk::kAppendHeaderBytes; log.end < size;) {
    const std::string batch = read_up_to(file, log.end, chunk::kAppendBatchHeaderBytes);
    const auto payload = chunk::decode_batch_header(origin, log.end, as_bytes(batch));
    if (payload && *payload == 0) witness = chunk::kAppendBatchHeaderBytes;
    if (!payload || *payload == 0) break;
    const std::string entries =
        read_up_to(file, log.end + chunk::kAppendBatchHeaderBytes, *payload);
    if (entries.size() != *payload || !count_entries(log, as_bytes(entries))) break;
    log.end += chunk::kAppendBatchHeaderBytes + *payload;
  }
  log.rest = size - std::min(size, log.end + witness);
  return log;
}

}  // namespace dogfs::tool
