#include "core/namespace/tables.h"

#include <vector>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/namespace/response_coding.h"

namespace dogfs::metadata {
namespace {

// Rows were validated when they entered the tree, so a row that does not decode is memory gone bad.
template <class Row>
Row must_decode(std::string_view bytes) {
  auto row = decode<Row>(bytes);
  CHECK(row.has_value(), "{}", row.error());
  return *std::move(row);
}

DentryRow must_decode_dentry(std::string_view bytes, InodeId directory) {
  auto row = decode_dentry(bytes, directory);
  CHECK(row.has_value(), "{}", row.error());
  return *row;
}

template <class Row>
std::optional<Row> read(const BTreeView& rows, const std::string& key) {
  const auto bytes = rows.find(key);
  if (!bytes) return std::nullopt;
  return must_decode<Row>(*bytes);
}

template <class T>
Result<> verdict(const Result<T>& result) {
  if (!result) return fail(result.error());
  return {};
}

template <class Row>
Result<> check_row(std::string_view bytes) {
  return verdict(decode<Row>(bytes));
}

Result<> check_session_row(std::string_view tail, std::string_view bytes) {
  if (!key::request_of(tail)) return check_row<SessionRow>(bytes);
  return verdict(decode_response(bytes));
}

Result<> check_value(const key::Parsed& key, std::string_view bytes) {
  switch (key.tag) {
    case Tag::kDirectory: return check_row<DirectoryRow>(bytes);
    case Tag::kDentry: return verdict(decode_dentry(bytes, InodeId(key.id)));
    case Tag::kReferrer: return check_row<ReferrerRow>(bytes);
    case Tag::kKnown: return check_row<KnownRow>(bytes);
    case Tag::kFile: return check_row<FileRow>(bytes);
    case Tag::kBlock: return check_row<BlockRow>(bytes);
    case Tag::kSlot: return check_row<SlotRow>(bytes);
    case Tag::kOutbox: return check_row<OutboxRow>(bytes);
    case Tag::kSettings: return check_row<SettingsRow>(bytes);
    case Tag::kSession: return check_session_row(key.tail, bytes);
    case Tag::kNode: return verdict(placement::decode_node(bytes));
  }
  return fail(Code::kUnsupported, "a row of kind {} is not known to this build",
              static_cast<int>(key.tag));
}

void count(uint64_t& counter, int sign, uint64_t by = 1) {
  sign > 0 ? counter += by : counter -= by;
}

// What one row adds to the counters.
void count_row(Counters& counters, const key::Parsed& key, std::string_view value, int sign) {
  if (key.tag == Tag::kDirectory) {
    return peek_packs(value) ? void() : count(counters.directories, sign);
  }
  if (key.tag == Tag::kSession && !key::request_of(key.tail)) {
    return count(counters.sessions, sign);
  }
  if (key.tag == Tag::kFile) {
    const FileState state = peek_file_state(value);
    if (state == FileState::kUpload) count(counters.uploads, sign);
    if (state == FileState::kPublished && !peek_pack(value)) count(counters.files, sign);
  }
  if (key.tag == Tag::kReferrer) {
    return count(counters.packed_bytes, sign, must_decode<ReferrerRow>(value).bytes);
  }
  if (key.tag == Tag::kKnown) return count(counters.known_blocks, sign);
  if (key.tag != Tag::kBlock) return;
  const auto block = must_decode<BlockRow>(value);
  count(counters.garbage_bytes, sign, block.former_bytes());
  if (block.is_garbage()) {
    count(counters.garbage_blocks, sign);
    return count(counters.garbage_bytes, sign, block.placed_bytes());
  }
  count(counters.blocks, sign);
  count(counters.placed_bytes, sign, block.placed_bytes());
  if (block.pack) count(counters.pack_bytes, sign, block.length);
  if (block.state == BlockState::kSealed) count(counters.block_bytes, sign, block.length);
  if (block.append) {
    if (block.has_log()) count(counters.append_blocks, sign);
    count(counters.former_generations, sign, block.append->former.size());
  }
  const bool narrow = block.durable_shards() < block.policy.width();
  if (block.state == BlockState::kSealed && narrow) count(counters.blocks_below_full_width, sign);
}

// Ids of a slot count up to here.
constexpr uint64_t kCounterEnd = uint64_t{1} << kCounterBits;

key::Parsed must_parse(std::string_view key) {
  const auto parsed = key::parse(key);
  CHECK(parsed.has_value());
  return *parsed;
}

uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

// --- Reading ---

std::optional<DirectoryRow> Tables::directory(InodeId id) const {
  return read<DirectoryRow>(rows_, key::directory(id));
}
std::optional<DentryRow> Tables::dentry(InodeId directory, std::string_view name) const {
  const auto bytes = rows_.find(key::dentry(directory, name));
  if (!bytes) return std::nullopt;
  return must_decode_dentry(*bytes, directory);
}
std::optional<FileRow> Tables::file(FileHandle file) const {
  return read<FileRow>(rows_, key::file(file));
}
std::optional<BlockRow> Tables::block(BlockId block) const {
  return read<BlockRow>(rows_, key::block(block));
}
std::optional<ReferrerRow> Tables::referrer(BlockId block, InodeId file) const {
  return read<ReferrerRow>(rows_, key::referrer(block, file));
}

std::optional<KnownRow> Tables::known(InodeId directory, const Sha256Digest& digest) const {
  return read<KnownRow>(rows_, key::known(directory, digest));
}

bool Tables::referred(BlockId block) const {
  const auto at = rows_.seek(key::referrer(block, InodeId(0)));
  if (!at.valid()) return false;
  const auto parsed = must_parse(at.key());
  return parsed.id == block.value && parsed.tag == Tag::kReferrer;
}

std::optional<SessionRow> Tables::session(ClientId client) const {
  const auto found = sessions_.find(client);
  return found == sessions_.end() ? std::nullopt : std::optional(found->second);
}
SlotRow Tables::slot(Slot slot) const {
  const auto found = slots_.find(slot);
  return found == slots_.end() ? SlotRow() : found->second;
}
std::optional<OutboxRow> Tables::outbox(Slot slot, OutboxKind kind, uint64_t id) const {
  return read<OutboxRow>(rows_, key::outbox(slot, kind, id));
}

std::optional<Response> Tables::result(ClientId client, RequestId request) const {
  const auto bytes = rows_.find(key::result(client, request));
  if (!bytes) return std::nullopt;
  auto response = decode_response(*bytes);
  CHECK(response.has_value(), "{}", response.error());
  return std::optional<Response>(std::in_place, *std::move(response));
}

std::optional<Tables::Entry> Tables::next_entry(InodeId directory, std::string_view after) const {
  // The smallest name after `after` is `after` with a zero byte behind it; no name holds one.
  const std::string from = key::dentry(directory, after) + (after.empty() ? "" : std::string(1, 0));
  const auto at = rows_.seek(from);
  if (!at.valid()) return std::nullopt;
  const auto parsed = must_parse(at.key());
  if (parsed.id != directory.value || parsed.tag != Tag::kDentry) return std::nullopt;
  return Entry{std::string(parsed.tail), must_decode_dentry(at.value(), directory)};
}

// --- Writing ---

void Tables::put(InodeId directory, const DirectoryRow& row) {
  write(key::directory(directory), encode(row));
}
void Tables::put(InodeId directory, std::string_view name, const DentryRow& row) {
  std::optional<DentryRow> before;
  write(key::dentry(directory, name), encode(row, directory),
        [&](std::string_view old) { before = must_decode_dentry(old, directory); });
  if (before) count_entry(directory, *before, -1);
  count_entry(directory, row, 1);
}
void Tables::put(FileHandle file, const FileRow& row) { write(key::file(file), encode(row)); }
void Tables::resize(InodeId directory, FileHandle file, const FileRow& row) {
  const DentryRow entry{.kind = EntryKind::kFile, .id = file.file, .home = file.home};
  count_entry(directory, entry, -1);
  put(file, row);
  count_entry(directory, entry, 1);
}
void Tables::put(BlockId block, const BlockRow& row) { write(key::block(block), encode(row)); }
void Tables::put(BlockId block, InodeId file, const ReferrerRow& row) {
  write(key::referrer(block, file), encode(row));
}
void Tables::put(InodeId directory, const Sha256Digest& digest, const KnownRow& row) {
  write(key::known(directory, digest), encode(row));
}
void Tables::put(ClientId client, const SessionRow& row) {
  write(key::session(client), encode(row));
}
void Tables::put(ClientId client, RequestId request, const Response& response) {
  write(key::result(client, request), encode_response(response));
}
void Tables::put(Slot slot, const SlotRow& row) { write(key::slot(slot), encode(row)); }
void Tables::put(Slot slot, OutboxKind kind, uint64_t id, const OutboxRow& row) {
  write(key::outbox(slot, kind, id), encode(row));
}
void Tables::put(const SettingsRow& row) { write(key::settings(), encode(row)); }

void Tables::erase_directory(InodeId directory) {
  erase(key::directory(directory));
  directories_.erase(directory);
}
void Tables::erase_dentry(InodeId directory, std::string_view name) {
  const auto entry = dentry(directory, name);
  CHECK(entry.has_value(), "erasing a name that is not there");
  count_entry(directory, *entry, -1);
  erase(key::dentry(directory, name));
}
void Tables::erase_file(FileHandle file) { erase(key::file(file)); }
void Tables::erase_block(BlockId block) { erase(key::block(block)); }
void Tables::erase_referrer(BlockId block, InodeId file) { erase(key::referrer(block, file)); }
void Tables::erase_known(InodeId directory, const Sha256Digest& digest) {
  erase(key::known(directory, digest));
}
void Tables::erase_outbox(Slot slot, OutboxKind kind, uint64_t id) {
  erase(key::outbox(slot, kind, id));
}

uint32_t Tables::erase_range(const std::string& begin, const std::string& end) {
  std::vector<std::string> keys;
  for (auto at = rows_.seek(begin); at.valid() && at.key() < end; at.next()) {
    keys.emplace_back(at.key());
  }
  for (const auto& key : keys) erase(key);
  return static_cast<uint32_t>(keys.size());
}

uint32_t Tables::erase_results(ClientId client, RequestId below) {
  return erase_range(key::result(client, RequestId(0)), key::result(client, below));
}

void Tables::erase_session(ClientId client) {
  const auto last_result = key::result(client, RequestId(UINT64_MAX));
  erase_range(key::session(client), last_result + std::string(1, '\0'));
}

bool Tables::has_inodes(Slot slot_number) const {
  return slot(slot_number).next_inode < kCounterEnd;
}

bool Tables::has_blocks(Slot slot_number, size_t count) const {
  return slot(slot_number).next_block + count <= kCounterEnd;
}

InodeId Tables::new_inode(Slot slot_number) {
  SlotRow row = slot(slot_number);
  CHECK(row.next_inode < kCounterEnd);
  const auto id = compose_id<InodeId>(slot_number, settings_.settings.incarnation, row.next_inode);
  ++row.next_inode;
  put(slot_number, row);
  return id;
}

BlockId Tables::new_block(Slot slot_number) {
  SlotRow row = slot(slot_number);
  CHECK(row.next_block < kCounterEnd);
  const auto id = compose_id<BlockId>(slot_number, settings_.settings.incarnation, row.next_block);
  ++row.next_block;
  put(slot_number, row);
  return id;
}

// Directories spread over all slots, whatever their parent, so that slots can be moved to other
// groups as load asks. Only counters of the parent's slot take part in the choice.
Slot Tables::new_directory_slot(Slot parent) {
  SlotRow row = slot(parent);
  Slot chosen;
  do {
    ++row.directories_made;
    chosen = Slot(static_cast<uint16_t>(mix(uint64_t{parent.value} << 36 | row.directories_made)));
  } while (!has_inodes(chosen));
  put(parent, row);
  return chosen;
}

void Tables::write_nodes_since(MapVersion before) {
  for (const auto& [id, node] : map_.nodes()) {
    if (node.changed > before) rows_.put(key::node(id), placement::encode_node(node));
  }
}

void Tables::write(const std::string& key, std::string_view value,
                   const BTree::Replaced& replaced) {
  const auto parsed = must_parse(key);
  rows_.put(key, value, [&](std::string_view old) {
    if (replaced) replaced(old);
    account(parsed, old, Act::kReplaced);
  });
  account(parsed, value, Act::kWritten);
}

void Tables::erase(const std::string& key) {
  const auto parsed = must_parse(key);
  const bool erased =
      rows_.erase(key, [&](std::string_view old) { account(parsed, old, Act::kErased); });
  CHECK(erased, "erasing a row that is not there");
}

void Tables::account(const key::Parsed& parsed, std::string_view value, Act act) {
  const int sign = act == Act::kWritten ? 1 : -1;
  count_row(counters_, parsed, value, sign);
  switch (parsed.tag) {
    case Tag::kFile: return account_upload(parsed, value, sign);
    case Tag::kDirectory: return account_directory(InodeId(parsed.id), value, sign);
    case Tag::kOutbox: return account_outbox(parsed, sign);
    case Tag::kBlock:
      account_append(BlockId(parsed.id), value, sign);
      return account_pack_block(BlockId(parsed.id), value, sign);
    case Tag::kReferrer: return account_referrer(BlockId(parsed.id), value, sign);
    case Tag::kSession: return account_session(parsed, value, act);
    case Tag::kSlot:
      if (sign > 0) slots_[slot_of(InodeId(parsed.id))] = must_decode<SlotRow>(value);
      return;
    case Tag::kSettings:
      if (sign > 0) settings_ = must_decode<SettingsRow>(value);
      return;
    default: return;
  }
}

// --- What directories hold ---

Use Tables::use(InodeId directory) const {
  const auto found = directories_.find(directory);
  return found == directories_.end() ? Use() : found->second.below;
}

InodeId Tables::parent(InodeId directory) const {
  const auto found = directories_.find(directory);
  return found == directories_.end() ? InodeId(0) : found->second.parent;
}

const Layout& Tables::layout(InodeId directory) const {
  const auto found = directories_.find(directory);
  CHECK(found != directories_.end(), "directory {} has a name and no row", directory);
  return found->second.layout;
}

Use Tables::use_of(const DentryRow& entry) const {
  if (entry.kind == EntryKind::kFile) {
    const auto row = file(entry.file());
    return {.bytes = row ? row->length() : 0, .entries = 1};
  }
  Use out = use(entry.id);
  ++out.entries;
  return out;
}

// The bound ends the walk when a planted bug has made a loop.
void Tables::count_entry(InodeId directory, const DentryRow& entry, int sign) {
  if (packs_ && entry.id == packs_) return;
  Use amount{.bytes = 0, .entries = 1};
  if (entry.kind == EntryKind::kDirectory) {
    amount = use_of(entry);
  } else if (const auto row = file(entry.file())) {
    amount.bytes = row->length();
    if (row->unsealed()) note_unsealed(directory, entry, sign);
  }
  for (size_t steps = 0; directory && steps < directories_.size(); ++steps) {
    const auto here = directories_.find(directory);
    if (here == directories_.end()) return;
    count(here->second.below.bytes, sign, amount.bytes);
    count(here->second.below.entries, sign, amount.entries);
    if (directory == packs_) return;
    directory = here->second.parent;
  }
}

void Tables::note_unsealed(InodeId directory, const DentryRow& entry, int sign) {
  if (sign > 0) {
    unsealed_[entry.file()] = directory;
  } else {
    unsealed_.erase(entry.file());
  }
}

// A row that is written again keeps what the directory holds: only erase() takes the place away.
void Tables::account_directory(InodeId directory, std::string_view value, int sign) {
  const auto row = must_decode<DirectoryRow>(value);
  if (row.quota != Quota()) count(quotas_, sign);
  if (row.packs && sign > 0) packs_ = directory;
  if (row.packs && sign < 0 && packs_ == directory) packs_ = InodeId(0);
  if (sign < 0) return;
  Directory& known = directories_[directory];
  known.parent = row.parent;
  known.layout = row.layout();
}

Tables::UseScan Tables::scan_uses() const {
  UseScan out;
  for (auto at = rows_.seek(""); at.valid(); at.next(), ++out.steps) {
    const auto parsed = must_parse(at.key());
    const InodeId id(parsed.id);
    if (parsed.tag == Tag::kDirectory) out.uses[id];
    if (parsed.tag != Tag::kDentry) continue;
    const DentryRow entry = must_decode_dentry(at.value(), id);
    if (packs_ && entry.id == packs_) continue;
    Use& use = out.uses[id];
    ++use.entries;
    if (entry.kind != EntryKind::kFile) continue;
    const auto row = file(entry.file());
    if (!row) continue;
    use.bytes += row->length();
    if (row->unsealed()) out.unsealed[entry.file()] = id;
  }
  out.steps += sum_upwards(out.uses);
  return out;
}

// From the leaves up: a directory is added to the one above when all below it have been.
uint64_t Tables::sum_upwards(std::map<InodeId, Use>& uses) const {
  std::map<InodeId, uint64_t> missing;  // directories below that are not added yet
  const auto above_of = [&](InodeId id) { return id == packs_ ? InodeId(0) : parent(id); };
  for (const auto& [id, use] : uses) ++missing[above_of(id)];
  std::vector<InodeId> whole;
  for (const auto& [id, use] : uses) {
    if (!missing.contains(id)) whole.push_back(id);
  }
  uint64_t steps = 2 * uses.size();
  for (; !whole.empty(); ++steps) {
    const InodeId id = whole.back();
    whole.pop_back();
    const auto above = uses.find(above_of(id));
    if (above == uses.end()) continue;
    above->second.bytes += uses.at(id).bytes;
    above->second.entries += uses.at(id).entries;
    if (--missing.at(above->first) == 0) whole.push_back(above->first);
  }
  return steps;
}

void Tables::finish_restore() {
  auto scan = scan_uses();
  for (const auto& [id, use] : scan.uses) {
    const auto known = directories_.find(id);
    if (known != directories_.end()) known->second.below = use;
  }
  unsealed_ = std::move(scan.unsealed);
}

void Tables::account_upload(const key::Parsed& parsed, std::string_view value, int sign) {
  if (peek_file_state(value) != FileState::kUpload) return;
  const FileHandle file{InodeId(parsed.id), key::file_of(parsed.tail)};
  if (sign < 0) {
    uploads_.erase(file);
    return;
  }
  const auto row = must_decode<FileRow>(value);
  uploads_[file] = {.file = file, .client = row.client, .epoch = row.epoch};
}

void Tables::account_session(const key::Parsed& parsed, std::string_view value, Act act) {
  if (key::request_of(parsed.tail)) return;
  const ClientId client = key::client_of(parsed.tail);
  if (act == Act::kWritten) sessions_[client] = must_decode<SessionRow>(value);
  if (act == Act::kErased) sessions_.erase(client);
}

void Tables::account_append(BlockId block, std::string_view value, int sign) {
  if (!peek_append(value)) return;
  const auto row = must_decode<BlockRow>(value);
  if (row.is_garbage()) return;
  const auto note = [&](std::set<BlockId>& blocks) {
    sign > 0 ? void(blocks.insert(block)) : void(blocks.erase(block));
  };
  if (row.has_log()) note(appends_);
  if (!row.append->former.empty()) note(formers_);
}

void Tables::account_pack_block(BlockId block, std::string_view value, int sign) {
  if (!peek_pack_block(value)) return;
  const auto row = must_decode<BlockRow>(value);
  pack_blocks_[block].length = sign > 0 && row.compactable() ? row.length : 0;
  note_sparse(block);
}

void Tables::account_referrer(BlockId block, std::string_view value, int sign) {
  const uint64_t bytes = must_decode<ReferrerRow>(value).bytes;
  if (bytes == 0) return;
  count(pack_blocks_[block].live, sign, bytes);
  note_sparse(block);
}

// A copy may share what the original has, so that files can have more than all of it.
void Tables::note_sparse(BlockId block) {
  const auto known = pack_blocks_.find(block);
  const auto [live, length] = known->second;
  if (length > 0 && live * 100 < length * limits::kPackLivePercentMin) {
    sparse_.insert(block);
  } else {
    sparse_.erase(block);
  }
  if (length == 0 && live == 0) pack_blocks_.erase(known);
}

void Tables::account_outbox(const key::Parsed& parsed, int sign) {
  const OutboxKind kind = key::outbox_kind_of(parsed.tail);
  if (kind != OutboxKind::kGarbage) {
    const std::string key =
        key::outbox(slot_of(InodeId(parsed.id)), kind, key::outbox_id_of(parsed.tail));
    sign > 0 ? void(removals_.insert(key)) : void(removals_.erase(key));
    return;
  }
  const Slot slot = slot_of(BlockId(parsed.id));
  uint64_t& count_of_slot = garbage_slots_[slot];
  count(count_of_slot, sign);
  if (count_of_slot == 0) garbage_slots_.erase(slot);
}

Result<> Tables::check(const key::Parsed& key, std::string_view value) {
  return check_value(key, value);
}

Result<> Tables::restore(std::string_view key, std::string_view value) {
  const auto parsed = key::parse(key);
  if (!parsed) {
    return fail(Code::kUnsupported, "a key of {} bytes is not known to this build", key.size());
  }
  TRY_VOID(check_value(*parsed, value));
  if (parsed->tag == Tag::kNode) map_.restore(*placement::decode_node(value));
  write(std::string(key), value);
  return {};
}

Counters Tables::scan_counters() const {
  Counters counters;
  for (auto at = rows_.seek(""); at.valid(); at.next()) {
    count_row(counters, must_parse(at.key()), at.value(), 1);
  }
  return counters;
}

}  // namespace dogfs::metadata
