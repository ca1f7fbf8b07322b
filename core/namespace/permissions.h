#pragma once
// Who may do what, by the mode bits of POSIX: those of the owner, of the group or of all others.
// What has neither an owner nor a mode is open to all; an owner without a mode gives 0755 to a
// directory and 0644 to a file. An operation without an asker is the cluster's own and is not
// checked.

#include <cstdint>
#include <string_view>

#include "core/base/error.h"
#include "core/namespace/commands.h"
#include "core/namespace/queries.h"

namespace dogfs::metadata {

class Tables;

enum class Access : uint8_t { kEnter = 1, kWrite = 2, kRead = 4 };

// kDenied naming `path`, unless the asker (null: anybody) has the access to what carries these.
Result<> check_access(const Asker* asker, const InodeAttributes& attributes, EntryKind kind,
                      Access access, std::string_view path);
// The same for a directory that has a row.
Result<> check_directory(const Tables& tables, const Asker* asker, InodeId directory, Access access,
                         std::string_view path);

// kInvalid and kTooLarge for names, modes and labels over their limits or out of order.
Result<> check_attributes(const InodeAttributes& attributes);

// Those of something new: what was asked for, and made by the asker.
InodeAttributes made_by(const Asker* asker, InodeAttributes attributes);

// The attributes as the operation leaves them. kDenied: only the owner changes mode and group, the
// group to one of their own; nobody who is checked gives things away.
Result<InodeAttributes> changed_attributes(const Asker* asker, EntryKind kind, InodeAttributes old,
                                           const SetAttributes& operation);

}  // namespace dogfs::metadata
