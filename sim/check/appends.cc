#include "sim/check/appends.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "core/base/check.h"
#include "core/base/coding.h"
#include "sim/check/content.h"

namespace dogfs::sim {
namespace {

constexpr uint32_t kMagic = 0x21434552;  // "REC!"

uint64_t seed_of(RecordName name) { return name.number << 16 | name.client; }

std::string body_of(RecordName name, size_t length) {
  return std::string(make_bytes(length - kRecordBytesMin, seed_of(name)).text());
}

std::string head_of(RecordName name, size_t length, std::string_view body) {
  Encoder out;
  out.u32(kMagic).u32(name.client).u64(name.number).u32(static_cast<uint32_t>(length));
  out.u32(crc32c(as_bytes(body), crc32c(as_bytes(out.bytes()))));
  return std::move(out).take();
}

std::string describe(RecordName name) {
  return fmt::format("record {} of client {}", name.number, name.client);
}

using Found = std::map<RecordName, uint64_t>;  // offsets

// What one read holds, once its own faults are told.
Found look_through(const AppendedRead& read, Violations& violations) {
  Found found;
  if (!read.wrong.empty()) violations.add(Oracle::kWrongBytes, "{}: {}", read.path, read.wrong);
  for (const auto& [offset, name] : read.records)
    if (!found.emplace(name, offset).second)
      violations.add(Oracle::kExactlyOnce, "{} holds {} twice, at {} and {}", read.path,
                     describe(name), found[name], offset);
  return found;
}

void check_refused(const AppendHistory& history, const AppendedRead& read, const Found& found,
                   Violations& violations) {
  for (const AppendedOperation& append : history.appends)
    if (append.path == read.path && append.outcome == Outcome::kRefused &&
        found.contains(append.name))
      violations.add(Oracle::kExactlyOnce, "{} holds {}, which was refused", read.path,
                     describe(append.name));
}

void check_acknowledged(const AppendHistory& history, const AppendedRead& read, const Found& found,
                        Oracle oracle, Violations& violations) {
  for (const AppendedOperation& append : history.appends) {
    if (append.path != read.path || append.outcome != Outcome::kDone || append.ended > read.began)
      continue;
    const auto at = found.find(append.name);
    if (at == found.end())
      violations.add(oracle, "{} lacks {}, acknowledged at {} ms, in a read begun at {} ms",
                     read.path, describe(append.name), to_ms(append.ended.time_since_epoch()),
                     to_ms(read.began.time_since_epoch()));
    else if (at->second != append.offset)
      violations.add(oracle, "{} has {} at {}, not at {} as was said", read.path,
                     describe(append.name), at->second, append.offset);
  }
}

// What is once read stays where it is.
void check_grows(const AppendedRead& before, const AppendedRead& after, Violations& violations) {
  for (const auto& [offset, name] : before.records) {
    const auto found = after.records.find(offset);
    if (found != after.records.end() && found->second == name) continue;
    violations.add(Oracle::kLinearizability, "{} had {} at {} once, and not any more", before.path,
                   describe(name), offset);
    return;
  }
}

}  // namespace

Buffer make_record(RecordName name, size_t length) {
  CHECK(length >= kRecordBytesMin, "a record of {} bytes", length);
  const std::string body = body_of(name, length);
  return Buffer::take(head_of(name, length, body) + body);
}

std::optional<Records> take_apart(std::string_view bytes, uint64_t& where) {
  Records records;
  for (where = 0; where < bytes.size();) {
    Decoder in(bytes.substr(where));
    const bool magic = in.u32() == kMagic;
    RecordName name;
    name.client = in.u32();
    name.number = in.u64();
    const uint32_t length = in.u32();
    if (!in.ok() || !magic || length < kRecordBytesMin || length > bytes.size() - where)
      return std::nullopt;
    const std::string body = body_of(name, length);
    if (bytes.substr(where, length) != head_of(name, length, body) + body) return std::nullopt;
    records[where] = name;
    where += length;
  }
  return records;
}

uint64_t AppendHistory::done() const {
  return static_cast<uint64_t>(
      std::ranges::count(appends, Outcome::kDone, &AppendedOperation::outcome));
}

void check_appends(const AppendHistory& history, const std::vector<AppendedRead>& last,
                   Violations& violations) {
  std::set<std::string> paths;
  for (const AppendedOperation& append : history.appends)
    if (append.outcome == Outcome::kDone) paths.insert(append.path);
  for (const AppendedRead& read : last) {
    paths.erase(read.path);
    const Found found = look_through(read, violations);
    check_refused(history, read, found, violations);
    check_acknowledged(history, read, found, Oracle::kDurability, violations);
    for (const AppendedRead& before : history.reads)
      if (before.path == read.path) check_grows(before, read, violations);
  }
  for (const std::string& path : paths)
    violations.add(Oracle::kDurability, "{} was appended to and cannot be read", path);
  for (size_t i = 0; i < history.reads.size(); ++i) {
    const AppendedRead& read = history.reads[i];
    const Found found = look_through(read, violations);
    check_acknowledged(history, read, found, Oracle::kLinearizability, violations);
    for (size_t j = i + 1; j < history.reads.size(); ++j)
      if (history.reads[j].path == read.path && history.reads[j].began >= read.ended)
        check_grows(read, history.reads[j], violations);
  }
}

}  // namespace dogfs::sim
