#pragma once
// What the codecs of namespace.proto share: file handles, and the checks of their decoders: a
// number of the wire becomes an enum, a policy or a list only when it can be one. Internal to the
// namespace codec.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/namespace/commands.h"
#include "core/placement/policy.h"
#include "core/proto/namespace.pb.h"

namespace dogfs::proto {

template <class Enum>
Result<Enum> checked_enum(uint32_t value, Enum first, Enum last, std::string_view what) {
  if (value >= static_cast<uint32_t>(first) && value <= static_cast<uint32_t>(last)) {
    return static_cast<Enum>(value);
  }
  return fail(Code::kInvalid, "there is no {} {}", what, value);
}

inline Result<placement::Policy> checked_policy(uint32_t code) {
  if (code > UINT16_MAX)
    return fail(Code::kInvalid, "policy code {:#x} stands for no policy", code);
  return placement::Policy::from_code(static_cast<uint16_t>(code));
}

inline Result<std::optional<placement::Policy>> optional_policy(uint32_t code) {
  if (code == 0) return std::nullopt;
  TRY(policy, checked_policy(code));
  return policy;
}

inline Result<> checked_count(int count, size_t most, std::string_view what) {
  if (static_cast<size_t>(count) <= most) return {};
  return fail(Code::kTooLarge, "{} {} in one message, at most {} are allowed", count, what, most);
}

inline Result<std::string> checked_path(const std::string& path) {
  if (path.size() <= limits::kPathBytesMax) return path;
  return fail(Code::kTooLarge, "a path of {} bytes, at most {} are allowed", path.size(),
              limits::kPathBytesMax);
}

inline Result<std::string> checked_content(const std::string& content) {
  if (content.size() <= limits::kInlineBytesMax) return content;
  return fail(Code::kTooLarge, "an inline file of {} bytes, at most {} are allowed", content.size(),
              limits::kInlineBytesMax);
}

// Empty bytes: there is none.
inline Result<std::optional<Sha256Digest>> optional_digest(const std::string& bytes) {
  const auto digest = Sha256Digest::from_bytes(bytes);
  if (digest || bytes.empty()) return digest;
  return fail(Code::kInvalid, "a digest of {} bytes, it has {}", bytes.size(),
              Sha256Digest::kBytes);
}

inline std::string digest_bytes(const std::optional<Sha256Digest>& digest) {
  return digest ? std::string(digest->view()) : std::string();
}

inline Result<metadata::ContentMode> checked_content_mode(uint32_t mode) {
  using metadata::ContentMode;
  return checked_enum(mode, ContentMode::kNone, ContentMode::kDedup, "mode of content");
}

void put(const metadata::FileVersion& version, FileVersion& out);
metadata::FileVersion version_of(const FileVersion& message);

void put(const metadata::Asker& asker, Asker& out);
Result<metadata::Asker> read(const Asker& from);

// Bounds only; whether labels are in order is for the state machine to say.
void put(const metadata::InodeAttributes& attributes, InodeAttributes& out);
Result<metadata::InodeAttributes> read(const InodeAttributes& from);

void put(const metadata::SetAttributes& op, SetAttributes& out);
Result<metadata::SetAttributes> read(const SetAttributes& from);

void put(const metadata::Quota& quota, Quota& out);
metadata::Quota quota_of(const Quota& message);

void put(const metadata::BeginImport& op, BeginImport& out);
Result<metadata::BeginImport> read(const BeginImport& from);
void put(const metadata::ImportedRow& row, ImportedRow& out);
Result<std::vector<metadata::ImportedRow>> read_rows(
    const google::protobuf::RepeatedPtrField<ImportedRow>& from);

void put(const metadata::PlacedBlock& block, PlacedBlock& to);
Result<metadata::PlacedBlock> read(const PlacedBlock& from);
void put(const std::vector<metadata::DurableShard>& shards,
         google::protobuf::RepeatedPtrField<DurableShard>& to);
Result<std::vector<metadata::DurableShard>> read_durable(
    const google::protobuf::RepeatedPtrField<DurableShard>& from);

void put(const metadata::OpenAppend& op, OpenAppend& to);
Result<metadata::OpenAppend> read(const OpenAppend& from);
void put(const metadata::ActivateAppend& op, ActivateAppend& to);
metadata::ActivateAppend read(const ActivateAppend& from);
void put(const metadata::BeginSeal& op, BeginSeal& to);
metadata::BeginSeal read(const BeginSeal& from);
void put(const metadata::FixAppend& op, FixAppend& to);
Result<metadata::FixAppend> read(const FixAppend& from);
void put(const metadata::BeginConversion& op, BeginConversion& to);
Result<metadata::BeginConversion> read(const BeginConversion& from);
void put(const metadata::CommitConversion& op, CommitConversion& to);
Result<metadata::CommitConversion> read(const CommitConversion& from);

void put(const metadata::AppendOpened& reply, AppendOpened& to);
Result<metadata::AppendOpened> read(const AppendOpened& from);
void put(const metadata::AppendActivated& reply, AppendActivated& to);
Result<metadata::AppendActivated> read(const AppendActivated& from);
void put(const metadata::SealBegun& reply, SealBegun& to);
Result<metadata::SealBegun> read(const SealBegun& from);
void put(const metadata::ConversionBegun& reply, ConversionBegun& to);
Result<metadata::ConversionBegun> read(const ConversionBegun& from);

inline void put(const metadata::FileHandle& file, FileHandle& out) {
  out.set_home(file.home.value);
  out.set_file(file.file.value);
}

inline metadata::FileHandle file_of(const FileHandle& message) {
  return {InodeId(message.home()), InodeId(message.file())};
}

// The value of a decoded message, or why its bytes are none.
template <class Message>
Result<Message> parsed(std::string_view bytes, std::string_view what) {
  Message message;
  if (bytes.size() <= limits::kFrameMessageBytesMax &&
      message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return message;
  }
  return fail(Code::kCorrupt, "{} bytes are no {}", bytes.size(), what);
}

}  // namespace dogfs::proto
