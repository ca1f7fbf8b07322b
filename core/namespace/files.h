#pragma once
// Published files: where one may be put, how it takes its place, and the operations that need no
// upload. Each checks everything and then writes, so that a refused one has written nothing.

#include <string_view>

#include "core/namespace/commands.h"
#include "core/namespace/entry_context.h"
#include "core/namespace/layouts.h"
#include "core/namespace/resolve.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {

// Where a new file of that path goes, with what it would replace. kExists for a directory, or for a
// file that must not be there; kPrecondition for another version; kDenied; the errors of resolve().
struct PlaceWanted {
  std::string_view path;
  PublishCondition condition = PublishCondition::kOverwrite;
  FileVersion version;  // for kIfVersion
};
Result<Resolved> file_place(const Tables& tables, const EntryContext& entry,
                            const PlaceWanted& wanted);

// kNoSpace when a file of that length may not be put there, in place of what is.
Result<> check_growth(const Tables& tables, const Resolved& target, uint64_t length);

// kTooLarge when the directory's slot has no ids left.
Result<> check_room(const Tables& tables, const Resolved& target, std::string_view path);

// The row of a file that one entry makes and publishes; it has no bytes yet.
FileRow published_row(const Tables& tables, const EntryContext& entry, const LayoutInForce& layout,
                      const InodeAttributes& attributes);

// Gives the file, whose row is written, its name, and drops the one that had it.
void link_file(Tables& tables, const EntryContext& entry, const Resolved& target, FileHandle file);

Response apply(Tables& tables, const EntryContext& entry, const PutInline& operation);
Response apply(Tables& tables, const EntryContext& entry, const SetAttributes& operation);

}  // namespace dogfs::metadata
