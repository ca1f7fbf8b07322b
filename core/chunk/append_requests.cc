#include "core/chunk/append_requests.h"

#include <algorithm>

#include "core/base/coding.h"

namespace dogfs::chunk {

size_t AppendRequests::weight(const Writer& writer) {
  return writer.offsets.empty() ? 1 : writer.offsets.size();
}

void AppendRequests::add(uint64_t ordinal, const AppendedRecord& record, uint64_t file_offset) {
  const auto [known, added] = writers_.try_emplace(record.writer);
  Writer& writer = known->second;
  if (!added) size_ -= weight(writer);
  writer.last_ordinal = std::max(writer.last_ordinal, ordinal);
  writer.acknowledged_below = std::max(writer.acknowledged_below, record.acknowledged_below);
  writer.offsets.emplace(record.request, file_offset);
  writer.offsets.erase(writer.offsets.begin(),
                       writer.offsets.lower_bound(writer.acknowledged_below));
  size_ += weight(writer);
}

std::optional<uint64_t> AppendRequests::find(uint64_t writer, uint64_t request) const {
  const auto known = writers_.find(writer);
  if (known == writers_.end()) return std::nullopt;
  const auto found = known->second.offsets.find(request);
  if (found == known->second.offsets.end()) return std::nullopt;
  return found->second;
}

bool AppendRequests::is_new(uint64_t writer, uint64_t request, uint64_t first_tried) const {
  if (first_tried < since_) return false;
  const auto known = writers_.find(writer);
  return known == writers_.end() || request >= known->second.acknowledged_below;
}

void AppendRequests::hand_over_to(uint64_t ordinal) {
  since_ = std::max(since_, ordinal > 2 ? ordinal - 2 : 0);
  std::erase_if(writers_, [&](const auto& each) {
    if (each.second.last_ordinal >= since_) return false;
    size_ -= weight(each.second);
    return true;
  });
}

std::string AppendRequests::encode() const {
  Encoder out;
  out.u64(since_).u32(static_cast<uint32_t>(writers_.size()));
  for (const auto& [id, writer] : writers_) {
    out.u64(id).u64(writer.last_ordinal).u64(writer.acknowledged_below);
    out.u32(static_cast<uint32_t>(writer.offsets.size()));
    for (const auto& [request, offset] : writer.offsets) out.u64(request).u64(offset);
  }
  return std::move(out).take();
}

Result<AppendRequests> AppendRequests::decode(std::string_view bytes) {
  Decoder in(bytes);
  AppendRequests requests(in.u64());
  const uint32_t writers = in.u32();
  for (uint32_t i = 0; i < writers && in.ok(); ++i) {
    Writer& writer = requests.writers_[in.u64()];
    writer.last_ordinal = in.u64();
    writer.acknowledged_below = in.u64();
    const uint32_t count = in.u32();
    for (uint32_t j = 0; j < count && in.ok(); ++j) {
      const uint64_t request = in.u64();
      writer.offsets.emplace(request, in.u64());
    }
    requests.size_ += weight(writer);
  }
  if (!in.at_end() || requests.writers_.size() != writers)
    return fail(Code::kCorrupt, "a damaged table of appended requests");
  return requests;
}

}  // namespace dogfs::chunk
