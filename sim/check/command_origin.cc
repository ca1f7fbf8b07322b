#include "sim/check/command_origin.h"

#include <algorithm>

#include "core/namespace/pack_path.h"

namespace dogfs::sim {
namespace {

using metadata::AbandonUpload;
using metadata::Concatenate;
using metadata::Copy;
using metadata::ExpireLease;
using metadata::MakeDirectory;
using metadata::Publish;
using metadata::PutInline;
using metadata::PutPacked;
using metadata::Remove;
using metadata::Rename;
using metadata::SetAttributes;
using metadata::SetQuota;
using metadata::StartUpload;
using metadata::Truncate;

// Whether the command puts what the operation does.
bool puts(const Operation& operation, const metadata::Operation& command) {
  const auto version = operation.if_version.value_or(metadata::FileVersion());
  if (const auto* put = std::get_if<PutInline>(&command))
    return put->path == operation.path && put->version == version &&
           content_of(put->content) == operation.content;
  if (const auto* put = std::get_if<PutPacked>(&command))
    return put->path == operation.path && put->version == version &&
           put->length == operation.content.length;
  const auto* publish = std::get_if<Publish>(&command);
  return publish != nullptr && publish->path == operation.path && publish->version == version &&
         publish->length == operation.content.length;
}

// Whether the command is what the operation asked for.
bool asks_for(const Operation& operation, const metadata::Operation& command) {
  switch (operation.act) {
    case Act::kPut: return puts(operation, command);
    case Act::kMakeDirectory: {
      const auto* make = std::get_if<MakeDirectory>(&command);
      return make != nullptr && make->path == operation.path && make->parents == operation.parents;
    }
    case Act::kRename: {
      const auto* rename = std::get_if<Rename>(&command);
      return rename != nullptr && rename->from == operation.path && rename->to == operation.to;
    }
    case Act::kRemove: {
      const auto* remove = std::get_if<Remove>(&command);
      return remove != nullptr && remove->path == operation.path &&
             remove->recursive == operation.recursive;
    }
    case Act::kCopy: {
      const auto* copy = std::get_if<Copy>(&command);
      return copy != nullptr && copy->from == operation.path && copy->to == operation.to;
    }
    case Act::kTruncate: {
      const auto* truncate = std::get_if<Truncate>(&command);
      return truncate != nullptr && truncate->path == operation.path &&
             truncate->length == operation.cut_to;
    }
    case Act::kConcatenate: {
      const auto* joined = std::get_if<Concatenate>(&command);
      return joined != nullptr && joined->path == operation.path &&
             joined->sources == operation.sources;
    }
    case Act::kSetQuota: {
      const auto* set = std::get_if<SetQuota>(&command);
      return set != nullptr && set->path == operation.path && set->quota == operation.quota;
    }
    case Act::kSetAttributes: {
      const auto* set = std::get_if<SetAttributes>(&command);
      return set != nullptr && set->path == operation.path &&
             MarkChanges{set->owner, set->mode, set->labels} == operation.change;
    }
    case Act::kGet:
    case Act::kStat:
    case Act::kUse:
    case Act::kList: return false;
  }
  return false;
}

}  // namespace

bool came_of(const Operation& operation, const metadata::Command& command) {
  const bool sent =
      operation.requests.empty() ||
      std::ranges::count(operation.requests, RequestName{command.client, command.request}) > 0;
  return sent && asks_for(operation, command.operation);
}

bool changes_the_tree(const metadata::Operation& command) {
  const auto* made = std::get_if<MakeDirectory>(&command);
  if (made != nullptr && made->path == metadata::kPacksDirectory) return false;  // of no tree
  return std::holds_alternative<Publish>(command) || std::holds_alternative<PutInline>(command) ||
         std::holds_alternative<PutPacked>(command) ||
         std::holds_alternative<MakeDirectory>(command) ||
         std::holds_alternative<Rename>(command) || std::holds_alternative<Remove>(command) ||
         std::holds_alternative<Copy>(command) || std::holds_alternative<Truncate>(command) ||
         std::holds_alternative<Concatenate>(command) ||
         std::holds_alternative<SetQuota>(command) ||
         std::holds_alternative<SetAttributes>(command);
}

bool leases(const metadata::Operation& command) {
  return std::holds_alternative<StartUpload>(command) ||
         std::holds_alternative<AbandonUpload>(command) ||
         std::holds_alternative<ExpireLease>(command);
}

}  // namespace dogfs::sim
