#include "sim/check/space_recount.h"

#include <vector>

#include "core/namespace/tables.h"

namespace dogfs::sim {
namespace {

using metadata::BlockRow;
using metadata::FileRow;
using metadata::Tag;

struct Rows {
  std::map<BlockId, BlockRow> blocks;
  std::map<metadata::FileHandle, FileRow> files;
  std::multimap<InodeId, metadata::DentryRow> entries;  // by directory
  InodeId packs;
};

Rows read_rows(const metadata::BTreeView& view) {
  Rows rows;
  for (auto at = view.seek(""); at.valid(); at.next()) {
    const auto key = metadata::key::parse(at.key());
    if (!key) continue;
    const InodeId id(key->id);
    if (key->tag == Tag::kBlock)
      rows.blocks[BlockId(key->id)] = *metadata::decode<BlockRow>(at.value());
    if (key->tag == Tag::kFile)
      rows.files[{id, metadata::key::file_of(key->tail)}] = *metadata::decode<FileRow>(at.value());
    if (key->tag == Tag::kDentry)
      rows.entries.emplace(id, *metadata::decode_dentry(at.value(), id));
    if (key->tag == Tag::kDirectory && metadata::decode<metadata::DirectoryRow>(at.value())->packs)
      rows.packs = id;
  }
  return rows;
}

uint64_t length_of(const FileRow& file) {
  uint64_t bytes = file.content.size();
  for (const auto& extent : file.extents) bytes += extent.length;
  return bytes;
}

// Of everything that has a path.
uint64_t bytes_below_root(const Rows& rows) {
  uint64_t bytes = 0;
  std::vector<InodeId> open{metadata::kRootDirectory};
  for (size_t steps = 0; !open.empty() && steps <= rows.entries.size(); ++steps) {
    const InodeId here = open.back();
    open.pop_back();
    const auto [begin, end] = rows.entries.equal_range(here);
    for (auto entry = begin; entry != end; ++entry) {
      if (entry->second.id == rows.packs) continue;
      if (entry->second.kind == metadata::EntryKind::kDirectory) {
        open.push_back(entry->second.id);
      } else if (const auto file = rows.files.find(entry->second.file());
                 file != rows.files.end()) {
        bytes += length_of(file->second);
      }
    }
  }
  return bytes;
}

// Shards of so many bytes of a block, k of them for all of it.
uint64_t bytes_on_servers(const std::vector<metadata::ShardRow>& shards, uint64_t length,
                          uint64_t k) {
  uint64_t bytes = 0;
  for (const auto& shard : shards)
    if (shard.node) bytes += length / k + (length % k == 0 ? 0 : 1);
  return bytes;
}

uint64_t former_bytes(const BlockRow& block) {
  if (!block.append) return 0;
  uint64_t bytes = 0;
  for (const auto& former : block.append->former) {
    const bool log = former.generation == metadata::kLogGeneration;
    bytes +=
        bytes_on_servers(former.shards, block.length, log ? 1 : block.append->target.data_shards());
  }
  return bytes;
}

}  // namespace

SpaceRecount recount_space(const metadata::Tables& tables) {
  const Rows rows = read_rows(tables.rows());
  SpaceRecount recount;
  recount.file_bytes = bytes_below_root(rows);
  std::map<BlockId, uint64_t> in_use;  // bytes that files have
  for (const auto& [name, file] : rows.files)
    for (const auto& extent : file.extents) in_use[extent.block] += extent.length;
  for (const auto& [id, block] : rows.blocks) {
    const uint64_t bytes = bytes_on_servers(block.shards, block.length, block.policy.data_shards());
    recount.garbage_bytes += former_bytes(block);
    const auto used = in_use.find(id);
    if (used == in_use.end()) {
      recount.garbage_bytes += bytes;
      continue;
    }
    recount.placed_bytes += bytes;
    const bool sealed = block.state == metadata::BlockState::kSealed;
    if (sealed) recount.block_bytes += block.length;
    if (!block.pack) continue;
    recount.pack_bytes += block.length;
    recount.packed_bytes += used->second;
    if (sealed && !block.append) recount.packs[id] = {block.length, used->second};
  }
  return recount;
}

void check_recount(const SpaceRecount& recount, const metadata::Counters& told, uint64_t file_bytes,
                   Violations& violations) {
  const auto compare = [&](const char* what, uint64_t counted, uint64_t said) {
    if (counted == said) return;
    violations.add(Oracle::kSpace, "{} {} by the rows, and the metadata count {}", counted, what,
                   said);
  };
  compare("bytes of files", recount.file_bytes, file_bytes);
  compare("bytes of shards in use", recount.placed_bytes, told.placed_bytes);
  compare("bytes of garbage", recount.garbage_bytes, told.garbage_bytes);
  compare("bytes of blocks", recount.block_bytes, told.block_bytes);
  compare("bytes of packs", recount.pack_bytes, told.pack_bytes);
  compare("bytes that files have in packs", recount.packed_bytes, told.packed_bytes);
}

}  // namespace dogfs::sim
