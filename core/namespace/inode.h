#pragma once
// What names a file, what inodes of files and directories carry, and who asks for them: the words
// that commands, queries and rows share. Plain values.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/sha256.h"
#include "core/base/time.h"
#include "core/placement/policy.h"

namespace dogfs::metadata {

// Names a file wherever it is linked: the directory it was made in, which never changes and gives
// the slot, and its id.
struct FileHandle {
  InodeId home;
  InodeId file;
  auto operator<=>(const FileHandle&) const = default;
};

// Names a state of a file's inode, and never returns: each file published has an id of its own, and
// each change of it counts.
struct FileVersion {
  InodeId file;
  uint64_t changes = 0;
  bool operator==(const FileVersion&) const = default;
};

enum class LabelKind : uint8_t {
  kXattr = 1,
  kHeader = 2,  // of the content, as HTTP has them: "content-type"
  kTag = 3,
};

struct Label {
  LabelKind kind = LabelKind::kXattr;
  std::string name;
  std::string value;
  bool operator==(const Label&) const = default;
};

// Of files and directories. What is absent costs no bytes.
struct InodeAttributes {
  std::string owner;             // "": nobody's
  std::string group;             // "": nobody's
  std::optional<uint16_t> mode;  // 12 bits
  std::optional<WallTime> accessed;
  std::vector<Label> labels;  // by kind and name, none twice
  bool operator==(const InodeAttributes&) const = default;
};

// The most that a directory and all below it may hold; absent: no end.
struct Quota {
  std::optional<uint64_t> bytes;
  std::optional<uint64_t> entries;  // files and directories, itself not counted
  bool operator==(const Quota&) const = default;
};

// What is known of the content of a file's blocks.
enum class ContentMode : uint8_t {
  kNone = 0,
  kSha256 = 1,  // blocks carry the SHA-256 of their bytes
  kDedup = 2,   // and one that the directory that says so knows already is not stored again
};

// In what files are stored that are made in a directory or below, as far as it says so; what is
// absent is as above it, and above the root as the cluster was founded.
struct Layout {
  std::optional<placement::Policy> policy;
  std::optional<uint64_t> block_bytes;
  std::optional<uint32_t> cell_bytes;  // unit of striping
  std::optional<ContentMode> content_mode = std::nullopt;
  bool operator==(const Layout&) const = default;
};

// Who asks. Without one nothing is checked.
struct Asker {
  std::string user;
  std::vector<std::string> groups;
  bool operator==(const Asker&) const = default;
};

}  // namespace dogfs::metadata
