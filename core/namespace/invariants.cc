#include "core/namespace/invariants.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "core/base/limits.h"
#include "core/namespace/import.h"
#include "core/namespace/packs.h"
#include "core/namespace/state_machine.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {
namespace {

// Everything the rows say, decoded once.
struct Contents {
  std::map<InodeId, DirectoryRow> directories;
  std::map<std::pair<InodeId, std::string>, DentryRow> dentries;
  std::map<FileHandle, FileRow> files;
  std::map<BlockId, BlockRow> blocks;
  std::map<BlockId, std::set<FileHandle>> referrers;       // as the rows say
  std::map<std::pair<BlockId, InodeId>, uint64_t> packed;  // likewise: bytes of files in packs
  std::map<std::pair<InodeId, Sha256Digest>, BlockId> known;
  std::map<ClientId, SessionRow> sessions;
  std::map<ClientId, uint32_t> results;
  std::map<Slot, SlotRow> slots;
  std::set<BlockId> garbage;
  std::set<InodeId> trees;
  std::set<FileHandle> dropped;
  uint32_t nodes = 0;
};

void read_session(Contents& out, std::string_view tail, std::string_view value) {
  const ClientId client = key::client_of(tail);
  if (key::request_of(tail)) {
    ++out.results[client];
  } else {
    out.sessions[client] = *decode<SessionRow>(value);
  }
}

void read_outbox(Contents& out, std::string_view tail, std::string_view value) {
  const uint64_t id = key::outbox_id_of(tail);
  switch (key::outbox_kind_of(tail)) {
    case OutboxKind::kGarbage: out.garbage.insert(BlockId(id)); break;
    case OutboxKind::kRemoveTree: out.trees.insert(InodeId(id)); break;
    case OutboxKind::kDropFile:
      out.dropped.insert({decode<OutboxRow>(value)->home, InodeId(id)});
      break;
  }
}

void read_row(Contents& out, const key::Parsed& parsed, std::string_view value) {
  const InodeId id(parsed.id);
  switch (parsed.tag) {
    case Tag::kDirectory: out.directories[id] = *decode<DirectoryRow>(value); break;
    case Tag::kDentry:
      out.dentries[{id, std::string(parsed.tail)}] = *decode_dentry(value, id);
      break;
    case Tag::kFile: out.files[{id, key::file_of(parsed.tail)}] = *decode<FileRow>(value); break;
    case Tag::kReferrer: {
      const auto row = *decode<ReferrerRow>(value);
      const InodeId file = key::file_of(parsed.tail);
      out.referrers[BlockId(parsed.id)].insert({row.home, file});
      if (row.bytes > 0) out.packed[{BlockId(parsed.id), file}] = row.bytes;
      break;
    }
    case Tag::kKnown:
      out.known[{id, key::digest_of(parsed.tail)}] = decode<KnownRow>(value)->block;
      break;
    case Tag::kBlock: out.blocks[BlockId(parsed.id)] = *decode<BlockRow>(value); break;
    case Tag::kSession: read_session(out, parsed.tail, value); break;
    case Tag::kOutbox: read_outbox(out, parsed.tail, value); break;
    case Tag::kNode: ++out.nodes; break;
    case Tag::kSlot: out.slots[slot_of(id)] = *decode<SlotRow>(value); break;
    case Tag::kSettings: break;
  }
}

Contents read(const BTreeView& rows) {
  Contents out;
  for (auto at = rows.seek(""); at.valid(); at.next()) {
    read_row(out, *key::parse(at.key()), at.value());
  }
  return out;
}

template <class... Args>
std::unexpected<Error> broken(fmt::format_string<Args...> text, Args&&... args) {
  return fail(Code::kCorrupt, text, std::forward<Args>(args)...);
}

Result<> check_pack(const std::string& name, const FileRow& row) {
  const auto policy = policy_of_pack(fmt::format("{}/{}", kPacksDirectory, name));
  const bool right = row.pack && row.state == FileState::kPublished && row.content.empty() &&
                     row.extents.size() <= 1 && row.length() == 0 && policy == row.policy &&
                     pack_replicas(row.policy).has_value();
  if (right) return {};
  return broken("{} in the directory of packs is none", name);
}

// The directory, if there is one, is below the root, and all packs are in it and nothing else.
Result<> check_packs(const Contents& all, const Tables& tables) {
  for (const auto& [id, row] : all.directories) {
    if (!row.packs) continue;
    const auto named = all.dentries.find({kRootDirectory, std::string(kPacksDirectory.substr(1))});
    const bool there = row.parent == kRootDirectory && id == tables.packs() &&
                       named != all.dentries.end() && named->second.id == id;
    if (!there) return broken("directory {} of packs is not the one that packs are in", id);
  }
  int64_t packs = 0;
  for (const auto& [place, entry] : all.dentries) {
    if (!tables.packs() || place.first != tables.packs()) continue;
    const auto file = all.files.find(entry.file());
    if (entry.kind != EntryKind::kFile || file == all.files.end()) {
      return broken("{} in the directory of packs is no file", place.second);
    }
    TRY_VOID(check_pack(place.second, file->second));
    ++packs;
  }
  const auto marked = std::ranges::count_if(all.files, [](auto& file) { return file.second.pack; });
  if (marked != packs) return broken("{} packs, {} of them in their directory", marked, packs);
  return {};
}

// What nothing is above: sums are made and quotas are looked for upwards, to where they end.
Result<> check_tops(const Contents& all) {
  if (all.trees.contains(kRootDirectory)) return broken("the root is being removed");
  const auto top = [&](InodeId id) -> Result<> {
    const auto row = all.directories.find(id);
    if (row == all.directories.end() || !row->second.parent) return {};
    return broken("directory {} lies in none and thinks it is in {}", id, row->second.parent);
  };
  TRY_VOID(top(kRootDirectory));
  for (const InodeId id : all.trees) TRY_VOID(top(id));
  return {};
}

// Each directory is entered from its parent's name or from the outbox, and only once.
Result<> check_directories(const Contents& all) {
  TRY_VOID(check_tops(all));
  std::vector<InodeId> open(all.trees.begin(), all.trees.end());
  if (!all.directories.empty()) open.push_back(kRootDirectory);
  std::set<InodeId> reached(open.begin(), open.end());
  while (!open.empty()) {
    const InodeId here = open.back();
    open.pop_back();
    if (!all.directories.contains(here)) return broken("directory {} has no row", here);
    for (auto at = all.dentries.lower_bound({here, ""});
         at != all.dentries.end() && at->first.first == here; ++at) {
      const auto& [name, dentry] = *at;
      if (dentry.kind != EntryKind::kDirectory) continue;
      if (!reached.insert(dentry.id).second) return broken("directory {} has two names", dentry.id);
      open.push_back(dentry.id);
      const auto child = all.directories.find(dentry.id);
      if (child == all.directories.end()) return broken("directory {} has no row", dentry.id);
      if (child->second.parent != here) {
        return broken("directory {} is in {} and thinks it is in {}", dentry.id, here,
                      child->second.parent);
      }
    }
  }
  for (const auto& [id, row] : all.directories) {
    if (!reached.contains(id)) return broken("directory {} cannot be reached", id);
  }
  for (const auto& [name, dentry] : all.dentries) {
    if (!reached.contains(name.first)) return broken("a name in {}, no directory", name.first);
  }
  return {};
}

Result<> check_files(const Contents& all) {
  std::map<FileHandle, uint32_t> names;
  for (const auto& [name, dentry] : all.dentries) {
    if (dentry.kind == EntryKind::kFile) ++names[dentry.file()];
  }
  for (const auto& [file, count] : names) {
    if (!all.files.contains(file)) return broken("file {} has a name and no row", file.file);
    if (count > 1) return broken("file {} has {} names", file.file, count);
  }
  for (const auto& [file, row] : all.files) {
    const bool named = names.contains(file);
    if (named != (row.state == FileState::kPublished)) {
      return broken("file {} in state {} has {} name", file.file, static_cast<int>(row.state),
                    named ? "a" : "no");
    }
    if (all.dropped.contains(file) != (row.state == FileState::kDropped)) {
      return broken("file {} in state {} and the outbox disagree", file.file,
                    static_cast<int>(row.state));
    }
    if ((row.state == FileState::kUpload) != static_cast<bool>(row.client)) {
      return broken("file {} in state {} has a lease of client {}", file.file,
                    static_cast<int>(row.state), row.client);
    }
  }
  for (const auto& file : all.dropped) {
    if (!all.files.contains(file)) return broken("dropped file {} has no row", file.file);
  }
  return {};
}

// Who refers to each block, by the extents, and how often.
struct References {
  std::map<BlockId, std::set<FileHandle>> files;
  std::map<BlockId, uint32_t> extents;
  std::map<std::pair<BlockId, InodeId>, uint64_t> packed;
  std::set<BlockId> open_ends;
};

// Where the block of an extent has no length yet.
Result<> check_unsealed(const FileHandle& file, const FileRow& row, const Extent& extent,
                        const BlockRow& block) {
  if (block.pack && extent.length > 0) {
    if (row.state != FileState::kUpload &&
        extent.block_offset + extent.length <= block.append->claimed) {
      return {};
    }
    return broken("file {} has bytes of block {} that were not claimed", file.file, extent.block);
  }
  const bool last = &extent == &row.extents.back();
  if (row.state == FileState::kUpload || !last || extent.length != 0 || extent.block_offset != 0 ||
      block.append->file != file || block.append->ordinal != row.appends) {
    return broken("block {} takes appends and is not the open end of file {}", extent.block,
                  file.file);
  }
  return {};
}

// What a block of appends carries, and that only they carry it.
Result<> check_append(BlockId id, const BlockRow& block) {
  if (!block.append) {
    return block.unsealed() ? Result<>(broken("block {} takes appends and has no epoch", id))
                            : Result<>();
  }
  const AppendRow& append = *block.append;
  if (block.state == BlockState::kOpen || append.ordinal == 0 || !append.epoch) {
    return broken("block {} in state {} is of appends", id, static_cast<int>(block.state));
  }
  if (append.claimed > 0 &&
      (!block.pack || !append.begun ||
       (block.state == BlockState::kSealed && append.claimed > block.length))) {
    return broken("files have bytes of block {} up to {}", id, append.claimed);
  }
  const bool shared = block.shared && !block.pack;
  if (block.unsealed() && (!block.has_log() || block.length != 0 || shared)) {
    return broken("block {} takes appends at generation {}, with {} bytes", id, block.generation,
                  block.length);
  }
  if (block.has_log() && !block.policy.replicated()) {
    return broken("block {} has logs and is {}", id, block.policy.text());
  }
  if (append.next && (block.state != BlockState::kSealed || !block.has_log())) {
    return broken("block {} in state {} is being converted", id, static_cast<int>(block.state));
  }
  if (!block.has_log() && append.former.empty()) {
    return broken("block {} carries what it had for its logs", id);
  }
  return {};
}

Result<> check_servers(BlockId id, const std::vector<ShardRow>& shards) {
  std::set<NodeId> servers;
  for (const ShardRow& shard : shards) {
    if (shard.node && !servers.insert(shard.node).second) {
      return broken("two shards of block {} are on node {}", id, shard.node);
    }
  }
  return {};
}

// No two generations are one, the next is above all, and each lies on servers of its own.
Result<> check_generations(BlockId id, const BlockRow& block) {
  TRY_VOID(check_servers(id, block.shards));
  if (!block.append) return {};
  std::set<Generation> seen{block.generation};
  for (const FormerRow& former : block.append->former) {
    if (!seen.insert(former.generation).second) {
      return broken("block {} has generation {} twice", id, former.generation);
    }
    if (std::ranges::all_of(former.shards, [](const ShardRow& s) { return !s.node; })) {
      return broken("block {} names generation {}, which is deleted", id, former.generation);
    }
    TRY_VOID(check_servers(id, former.shards));
  }
  if (!block.append->next) return {};
  if (block.append->next->generation <= *seen.rbegin()) {
    return broken("block {} goes back to generation {}", id, block.append->next->generation);
  }
  std::vector<ShardRow> next;
  for (const NodeId node : block.append->next->nodes) next.push_back({.node = node});
  return check_servers(id, next);
}

Result<> check_extents(const Contents& all, const FileHandle& file, const FileRow& row,
                       uint32_t inline_bytes, References& references) {
  uint64_t end = row.content.size();
  for (const Extent& extent : row.extents) {
    const auto block = all.blocks.find(extent.block);
    if (block == all.blocks.end()) return broken("block {} has no row", extent.block);
    if (block->second.is_garbage()) return broken("block {} in use is garbage", extent.block);
    references.files[extent.block].insert(file);
    ++references.extents[extent.block];
    if (block->second.pack && extent.length > 0) {
      references.packed[{extent.block, file.file}] += extent.length;
    }
    if (extent.file_offset != end) return broken("file {} has a gap at {}", file.file, end);
    end += extent.length;
    if (block->second.unsealed()) {
      TRY_VOID(check_unsealed(file, row, extent, block->second));
      if (extent.length == 0) references.open_ends.insert(extent.block);
      continue;
    }
    if (row.pack) return broken("pack {} keeps block {}", file.file, extent.block);
    if (row.state != FileState::kPublished) continue;
    if (block->second.state != BlockState::kSealed || extent.length == 0 ||
        extent.block_offset + extent.length > block->second.length) {
      return broken("block {} of published file {} is not whole", extent.block, file.file);
    }
  }
  if (row.content.size() > inline_bytes) {
    return broken("file {} has {} bytes inline", file.file, row.content.size());
  }
  return {};
}

Result<> check_referrers(const Contents& all, const References& references) {
  for (const auto& [id, files] : references.files) {
    const auto set = all.referrers.find(id);
    const bool shared = all.blocks.at(id).shared;
    if (!shared && references.extents.at(id) > 1) return broken("block {} twice", id);
    if (shared != (set != all.referrers.end())) {
      return broken("block {} is {}shared and has {} set of referrers", id, shared ? "" : "not ",
                    shared ? "no" : "a");
    }
    if (shared && set->second != files) {
      return broken("block {} has {} referrers and names {}", id, files.size(), set->second.size());
    }
  }
  if (references.packed != all.packed) return broken("bytes in packs miscounted");
  for (const auto& [id, files] : all.referrers) {
    if (!references.files.contains(id)) return broken("block {} has referrers for nothing", id);
  }
  return {};
}

// What a directory knows is as it knows it, and is what says that it is known.
Result<> check_known(const Contents& all) {
  for (const auto& [place, id] : all.known) {
    const auto block = all.blocks.find(id);
    if (block == all.blocks.end()) return broken("known block {} has no row", id);
    if (block->second.known_in != place.first || block->second.digest != place.second ||
        !block->second.shared) {
      return broken("directory {} knows block {} as what it is not", place.first, id);
    }
  }
  for (const auto& [id, block] : all.blocks) {
    if (block.digest && block.state != BlockState::kSealed) {
      return broken("block {} in state {} has a digest", id, static_cast<int>(block.state));
    }
    if (block.disowned && (!block.digest || block.known_in)) {
      return broken("block {} is disowned and known, or has no digest", id);
    }
    if (!block.known_in) continue;
    const auto known = all.known.find({block.known_in, *block.digest});
    if (known == all.known.end() || known->second != id) {
      return broken("block {} is not known in directory {}", id, block.known_in);
    }
  }
  return {};
}

Result<> check_blocks(const Contents& all, uint32_t inline_bytes) {
  References references;
  for (const auto& [file, row] : all.files) {
    TRY_VOID(check_extents(all, file, row, inline_bytes, references));
  }
  TRY_VOID(check_referrers(all, references));
  TRY_VOID(check_known(all));
  const auto& referred = references.files;
  for (const auto& [id, block] : all.blocks) {
    if (referred.contains(id) == block.is_garbage()) {
      return broken("block {} in state {} is {}referred to", id, static_cast<int>(block.state),
                    referred.contains(id) ? "" : "not ");
    }
    if (all.garbage.contains(id) != block.is_garbage()) {
      return broken("block {} and the outbox disagree", id);
    }
    const size_t needed =
        block.has_log() ? append_seal_quorum(block.shards.size()) : block.policy.min_shards();
    const bool lacks_shards = block.durable_shards() + block.lost_shards() < needed;
    if (block.state == BlockState::kSealed && lacks_shards) {
      return broken("block {} is sealed with {} durable shards", id, block.durable_shards());
    }
    if (block.unsealed() && !block.is_garbage() && !references.open_ends.contains(id)) {
      return broken("block {} takes appends and is the open end of no file", id);
    }
    TRY_VOID(check_append(id, block));
    TRY_VOID(check_generations(id, block));
  }
  for (const BlockId id : all.garbage) {
    if (!all.blocks.contains(id)) return broken("garbage block {} has no row", id);
  }
  return {};
}

Result<> check_ids(const Contents& all, const Tables& tables) {
  const Incarnation current = tables.settings().settings.incarnation;
  // Of an earlier incarnation all are; slot 0 gave the root before there was one.
  const auto below = [&](InodeId id) {
    return incarnation_of(id) < current ||
           (incarnation_of(id) == current && counter_of(id) < tables.slot(slot_of(id)).next_inode);
  };
  for (const auto& [id, row] : all.directories) {
    if (!below(id)) return broken("directory {} lies above its slot's counter", id);
  }
  for (const auto& [file, row] : all.files) {
    if (!below(file.file)) return broken("file {} lies above its slot's counter", file.file);
  }
  for (const auto& [id, block] : all.blocks) {
    const bool earlier = incarnation_of(id) < current;
    if (!earlier &&
        (incarnation_of(id) > current || counter_of(id) >= tables.slot(slot_of(id)).next_block)) {
      return broken("block {} lies above its slot's counter", id);
    }
  }
  return {};
}

Result<> check_sessions(const Contents& all, const Tables& tables) {
  for (const auto& [client, count] : all.results) {
    if (!all.sessions.contains(client)) return broken("results of client {} outlived it", client);
  }
  for (const auto& [client, session] : all.sessions) {
    const auto found = all.results.find(client);
    const uint32_t results = found == all.results.end() ? 0 : found->second;
    if (results != session.results) {
      return broken("client {} has {} results and counts {}", client, results, session.results);
    }
    const auto known = tables.sessions().find(client);
    if (known == tables.sessions().end() || known->second != session) {
      return broken("session {} is not known as its row says", client);
    }
  }
  if (tables.sessions().size() != all.sessions.size()) return broken("a session too many is known");
  return {};
}

// What waits in the outbox waits there once.
Result<> check_outbox(const Contents& all, const Tables& tables) {
  if (tables.removals().size() != all.trees.size() + all.dropped.size()) {
    return broken("removals miscounted");
  }
  uint64_t garbage = 0;
  for (const auto& [slot, count] : tables.garbage_slots()) garbage += count;
  if (garbage != all.garbage.size()) return broken("garbage slots miscounted");
  return {};
}

// All that rows can break, one kind after another; false behind the last.
Result<bool> check_kind(const Contents& all, const Tables& tables, uint64_t kind) {
  switch (kind) {
    case 0:
      TRY_VOID(check_directories(all));
      TRY_VOID(check_packs(all, tables));
      return true;
    case 1: TRY_VOID(check_files(all)); return true;
    case 2: TRY_VOID(check_blocks(all, tables.settings().settings.inline_bytes)); return true;
    case 3: TRY_VOID(check_ids(all, tables)); return true;
    case 4: TRY_VOID(check_outbox(all, tables)); return true;
    default: return false;
  }
}

Result<> check_rows(const Contents& all, const Tables& tables) {
  for (uint64_t kind = 0;; ++kind) {
    TRY(more, check_kind(all, tables, kind));
    if (!more) return {};
  }
}

Result<> check_append_sets(const Contents& all, const Tables& tables) {
  std::set<BlockId> appends;
  std::set<BlockId> formers;
  for (const auto& [id, block] : all.blocks) {
    if (!block.append || block.is_garbage()) continue;
    if (block.has_log()) appends.insert(id);
    if (!block.append->former.empty()) formers.insert(id);
  }
  if (tables.appends() != appends) return broken("blocks of appends miscounted");
  if (tables.formers() != formers) return broken("blocks with former generations miscounted");
  return {};
}

Result<> check_sparse(const Contents& all, const Tables& tables) {
  std::map<BlockId, uint64_t> live;
  for (const auto& [place, bytes] : all.packed) live[place.first] += bytes;
  std::set<BlockId> sparse;
  for (const auto& [id, block] : all.blocks) {
    if (!block.compactable()) continue;
    if (live[id] * 100 < block.length * limits::kPackLivePercentMin) sparse.insert(id);
  }
  if (tables.sparse() != sparse) return broken("blocks of packs with little in use miscounted");
  return {};
}

Result<> check_derived(const Contents& all, const Tables& tables) {
  TRY_VOID(check_append_sets(all, tables));
  TRY_VOID(check_sparse(all, tables));
  if (tables.counters() != tables.scan_counters()) return broken("counters differ from a scan");
  const auto uploads = std::ranges::count_if(
      all.files, [](const auto& file) { return file.second.state == FileState::kUpload; });
  if (tables.uploads().size() != static_cast<size_t>(uploads)) return broken("uploads miscounted");
  for (const auto& [file, upload] : tables.uploads()) {
    const auto row = all.files.find(file);
    if (row == all.files.end() || row->second.client != upload.client ||
        row->second.epoch != upload.epoch) {
      return broken("upload {} is not what its row says", file.file);
    }
  }
  if (tables.map().nodes().size() != all.nodes) return broken("nodes miscounted");
  for (const auto& [slot, row] : all.slots) {
    if (tables.slot(slot) != row) return broken("slot {} is not known as its row says", slot);
  }
  for (const auto& [directory, row] : all.directories) {
    if (tables.layout(directory) != row.layout()) return broken("the layout of {}", directory);
  }
  const auto scan = tables.scan_uses();
  for (const auto& [directory, use] : scan.uses) {
    if (use != tables.use(directory)) return broken("what directory {} holds", directory);
  }
  if (tables.unsealed() != scan.unsealed) return broken("files with an open end miscounted");
  return {};
}

}  // namespace

Result<> check_invariants(const StateMachine& machine) {
  return check_invariants(machine.tables());
}

Result<> check_invariants(const Tables& tables) {
  const Contents all = read(tables.rows());
  TRY_VOID(check_rows(all, tables));
  TRY_VOID(check_sessions(all, tables));
  return check_derived(all, tables);
}

struct ImportCheck::Parts {
  Contents read;
  std::string position;  // the key that was read last
  uint64_t rows = 0;     // read
  bool all_read = false;
  uint64_t kind = 0;  // of what is checked next
};

ImportCheck::ImportCheck() : parts_(std::make_unique<Parts>()) {}
ImportCheck::~ImportCheck() = default;

// What else is written meanwhile (sessions, metadata servers) is neither read nor counted, so that
// a step is the same whenever it is taken.
Result<> ImportCheck::read_some(const Tables& tables, uint64_t rows_expected) {
  Parts& p = *parts_;
  auto at = tables.rows().seek(p.position.empty() ? "" : p.position + std::string(1, '\0'));
  for (size_t seen = 0; at.valid() && seen < limits::kImportRowsMax; at.next()) {
    const auto parsed = *key::parse(at.key());
    if (!is_exported(parsed, at.value())) continue;
    read_row(p.read, parsed, at.value());
    p.position = at.key();
    ++p.rows;
    ++seen;
  }
  // Rows of sessions come and go, and do not say whether the import has more.
  while (at.valid() && !is_exported(*key::parse(at.key()), at.value())) at.next();
  if (at.valid()) return {};
  if (p.rows != rows_expected) {
    return broken(
        "{} rows are here, {} were imported: some came twice, or are left of an import of another "
        "export; found the cluster anew",
        p.rows, rows_expected);
  }
  p.all_read = true;
  return {};
}

Result<bool> ImportCheck::step(const Tables& tables, uint64_t rows_expected) {
  Parts& p = *parts_;
  if (!p.all_read) {
    TRY_VOID(read_some(tables, rows_expected));
  } else {
    auto more = check_kind(p.read, tables, p.kind);
    if (!more) {
      return fail(Code::kCorrupt, "what was imported is no sound namespace: {}",
                  more.error().message);
    }
    if (!*more) return false;
    ++p.kind;
  }
  ++steps_;
  return true;
}

}  // namespace dogfs::metadata
