#include "tools/dogfs/namespace_text.h"

#include <array>
#include <charconv>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/namespace/path.h"
#include "core/namespace/schema.h"
#include "core/placement/cluster_map.h"
#include "tools/dogfs/policy_option.h"

namespace dogfs::tool {
namespace {

using namespace metadata;
using nlohmann::json;

constexpr int kFormat = 1;
constexpr std::array<std::string_view, 4> kFileStates{"", "upload", "published", "dropped"};
constexpr std::array<std::string_view, 7> kBlockStates{"",        "open",      "sealed", "garbage",
                                                       "ordered", "appending", "sealing"};
constexpr std::array<std::string_view, 4> kPending{"", "garbage", "tree", "file"};
constexpr std::array<std::string_view, 4> kLabelKinds{"", "xattrs", "headers", "tags"};

// What a line says and no row can; turned into a Result where lines enter.
struct Malformed {
  std::string what;
};

// --- Values ---

template <class Id>
std::string hex(Id id) {
  return fmt::format("{:016x}", id.value);
}

uint64_t number_of(const std::string& text) {
  uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value, 16);
  if (read.ec != std::errc() || read.ptr != end) throw Malformed{text + " is no id"};
  return value;
}

// get<T>() alone would cut what does not fit.
template <class T>
T integer(const json& value) {
  if (value.is_number_unsigned() && std::in_range<T>(value.get<uint64_t>())) return value.get<T>();
  if (value.is_number_integer() && !value.is_number_unsigned() &&
      std::in_range<T>(value.get<int64_t>()))
    return value.get<T>();
  throw Malformed{value.dump(-1, ' ', false, json::error_handler_t::replace) +
                  " is no integer of this field"};
}

template <class Id>
Id id_at(const json& line, const char* key) {
  return Id(number_of(line.at(key).get<std::string>()));
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

json bytes_to_json(const std::string& bytes) {
  if (is_utf8(bytes)) return bytes;
  std::string digits;
  for (const char c : bytes) digits += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return {{"hex", digits}};
}

std::string bytes_of(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  const auto digits = value.at("hex").get<std::string>();
  if (digits.size() % 2 != 0) throw Malformed{"half a byte of hex"};
  std::string out;
  for (size_t i = 0; i < digits.size(); i += 2)
    out += static_cast<char>(number_of(digits.substr(i, 2)));
  return out;
}

template <class Enum, size_t kCount>
Enum name_of(const json& value, const std::array<std::string_view, kCount>& names) {
  const auto name = value.get<std::string>();
  for (size_t i = 1; i < kCount; ++i)
    if (names[i] == name) return static_cast<Enum>(i);
  throw Malformed{"there is no \"" + name + "\""};
}

placement::Policy policy_of(const json& value) {
  const auto policy = placement::Policy::parse(value.get<std::string>());
  if (!policy) throw Malformed{policy.error().message};
  return *policy;
}

Sha256Digest digest_of(const json& value) {
  const auto digest = Sha256Digest::from_text(value.get<std::string>());
  if (!digest) throw Malformed{value.get<std::string>() + " is no SHA-256"};
  return *digest;
}

template <class T>
std::optional<T> optional_at(const json& line, const char* key) {
  if (!line.contains(key)) return std::nullopt;
  return integer<T>(line.at(key));
}

// --- What inodes carry ---

void add_attributes(const InodeAttributes& from, json& line) {
  if (!from.owner.empty()) line["owner"] = bytes_to_json(from.owner);
  if (!from.group.empty()) line["group"] = bytes_to_json(from.group);
  if (from.mode) line["mode"] = *from.mode;
  if (from.accessed) line["accessed"] = from.accessed->nanoseconds;
  for (const Label& label : from.labels) {
    json pair = json::array({bytes_to_json(label.name), bytes_to_json(label.value)});
    line[std::string(kLabelKinds[static_cast<size_t>(label.kind)])].push_back(std::move(pair));
  }
}

InodeAttributes attributes_of(const json& line) {
  InodeAttributes out;
  if (line.contains("owner")) out.owner = bytes_of(line.at("owner"));
  if (line.contains("group")) out.group = bytes_of(line.at("group"));
  out.mode = optional_at<uint16_t>(line, "mode");
  if (line.contains("accessed")) out.accessed = WallTime{integer<int64_t>(line.at("accessed"))};
  for (size_t kind = 1; kind < kLabelKinds.size(); ++kind) {
    const std::string name(kLabelKinds[kind]);
    if (!line.contains(name)) continue;
    for (const json& pair : line.at(name))
      out.labels.push_back(
          {static_cast<LabelKind>(kind), bytes_of(pair.at(0)), bytes_of(pair.at(1))});
  }
  return out;
}

// --- Rows to lines ---

Result<json> directory_line(const key::Parsed& key, std::string_view value) {
  TRY(row, decode<DirectoryRow>(value));
  json line{{"kind", "directory"},
            {"id", hex(InodeId(key.id))},
            {"parent", hex(row.parent)},
            {"modified", row.modified.nanoseconds}};
  if (row.policy) line["policy"] = row.policy->text();
  if (row.block_bytes) line["block_bytes"] = *row.block_bytes;
  if (row.cell_bytes) line["cell_bytes"] = *row.cell_bytes;
  if (row.content_mode) line["content"] = content_mode_name(*row.content_mode);
  if (row.packs) line["packs"] = true;
  if (row.quota.bytes) line["quota_bytes"] = *row.quota.bytes;
  if (row.quota.entries) line["quota_entries"] = *row.quota.entries;
  add_attributes(row.attributes, line);
  return line;
}

Result<json> name_line(const key::Parsed& key, std::string_view value) {
  TRY(row, decode_dentry(value, InodeId(key.id)));
  json line{{"kind", "name"},
            {"in", hex(InodeId(key.id))},
            {"name", bytes_to_json(std::string(key.tail))}};
  if (row.kind == EntryKind::kDirectory) {
    line["directory"] = hex(row.id);
  } else {
    line["file"] = hex(row.id);
    line["home"] = hex(row.home);
  }
  return line;
}

Result<json> file_line(const key::Parsed& key, std::string_view value) {
  TRY(row, decode<FileRow>(value));
  json line{{"kind", "file"},
            {"home", hex(InodeId(key.id))},
            {"id", hex(key::file_of(key.tail))},
            {"state", kFileStates[static_cast<size_t>(row.state)]},
            {"policy", row.policy.text()},
            {"modified", row.modified.nanoseconds}};
  if (row.changes > 0) line["changes"] = row.changes;
  if (row.cuts > 0) line["cuts"] = row.cuts;
  if (row.client) line["client"] = row.client.value;
  if (row.epoch) line["epoch"] = row.epoch.value;
  if (!row.content.empty()) line["content"] = bytes_to_json(row.content);
  if (row.block_bytes > 0) line["block_bytes"] = row.block_bytes;
  if (row.cell_bytes > 0) line["cell_bytes"] = row.cell_bytes;
  if (row.pack) line["pack"] = true;
  if (row.appends > 0) line["appends"] = {row.appends, hex(row.last_append)};
  for (const Extent& extent : row.extents)
    line["extents"].push_back({extent.length, hex(extent.block), extent.block_offset});
  add_attributes(row.attributes, line);
  return line;
}

json shards_to_json(const std::vector<ShardRow>& shards) {
  json out = json::array();
  for (const ShardRow& shard : shards) {
    json one = json::array({shard.node.value});
    if (shard.durable || shard.lost) one.push_back(shard.checksum);
    if (shard.lost) one.push_back("lost");
    out.push_back(std::move(one));
  }
  return out;
}

json append_to_json(const AppendRow& append) {
  json out{{"home", hex(append.file.home)},
           {"file", hex(append.file.file)},
           {"ordinal", append.ordinal},
           {"previous", hex(append.previous)},
           {"capacity", append.capacity},
           {"target", append.target.text()},
           {"target_cell_bytes", append.target_cell_bytes},
           {"epoch", append.epoch.value},
           {"activation", append.activation},
           {"begun", append.begun}};
  if (append.claimed > 0) out["claimed"] = append.claimed;
  if (append.next) {
    json nodes = json::array();
    for (const NodeId node : append.next->nodes) nodes.push_back(node.value);
    out["next"] = {{"generation", append.next->generation.value},
                   {"attempt", append.next->attempt},
                   {"nodes", std::move(nodes)}};
  }
  for (const FormerRow& former : append.former)
    out["former"].push_back({{"generation", former.generation.value},
                             {"ordered", former.ordered},
                             {"shards", shards_to_json(former.shards)}});
  return out;
}

Result<json> block_line(const key::Parsed& key, std::string_view value) {
  TRY(row, decode<BlockRow>(value));
  json line{{"kind", "block"},
            {"id", hex(BlockId(key.id))},
            {"state", kBlockStates[static_cast<size_t>(row.state)]},
            {"policy", row.policy.text()},
            {"generation", row.generation.value},
            {"placement_version", row.placement_version.value},
            {"length", row.length}};
  if (row.shared) line["shared"] = true;
  if (row.pack) line["pack"] = true;
  if (row.cell_bytes != 0) line["cell_bytes"] = row.cell_bytes;
  line["shards"] = shards_to_json(row.shards);
  if (row.append) line["append"] = append_to_json(*row.append);
  if (row.digest) line["sha256"] = row.digest->text();
  if (row.known_in) line["known_in"] = hex(row.known_in);
  if (row.disowned) line["disowned"] = true;
  return line;
}

Result<json> known_line(const key::Parsed& key, std::string_view value) {
  TRY(row, decode<KnownRow>(value));
  return json{{"kind", "known"},
              {"in", hex(InodeId(key.id))},
              {"sha256", key::digest_of(key.tail).text()},
              {"block", hex(row.block)}};
}

Result<json> referrer_line(const key::Parsed& key, std::string_view value) {
  TRY(row, decode<ReferrerRow>(value));
  json line{{"kind", "referrer"},
            {"block", hex(BlockId(key.id))},
            {"file", hex(key::file_of(key.tail))},
            {"home", hex(row.home)}};
  if (row.bytes > 0) line["bytes"] = row.bytes;
  return line;
}

Result<json> pending_line(const key::Parsed& key, std::string_view value) {
  TRY(row, decode<OutboxRow>(value));
  return json{{"kind", "pending"},
              {"slot", slot_of(InodeId(key.id)).value},
              {"what", kPending[static_cast<size_t>(key::outbox_kind_of(key.tail))]},
              {"id", hex(InodeId(key::outbox_id_of(key.tail)))},
              {"since", row.since.value},
              {"home", hex(row.home)}};
}

Result<json> server_line(std::string_view value) {
  TRY(node, placement::decode_node(value));
  return json{{"kind", "server"},
              {"id", node.id.value},
              {"name", bytes_to_json(node.name)},
              {"store", hex(node.store)},
              {"address", bytes_to_json(node.address)},
              {"zone", bytes_to_json(node.zone)},
              {"disks", node.disks},
              {"capacity_bytes", node.capacity_bytes},
              {"used_bytes", node.used_bytes},
              {"state", static_cast<int>(node.state)},
              {"changed", node.changed.value}};
}

// --- Lines to rows ---

ImportedRow directory_row(const json& line) {
  DirectoryRow row{.parent = id_at<InodeId>(line, "parent"),
                   .policy = {},
                   .modified = {integer<int64_t>(line.at("modified"))},
                   .quota = {.bytes = optional_at<uint64_t>(line, "quota_bytes"),
                             .entries = optional_at<uint64_t>(line, "quota_entries")},
                   .attributes = attributes_of(line),
                   .block_bytes = optional_at<uint64_t>(line, "block_bytes"),
                   .cell_bytes = optional_at<uint32_t>(line, "cell_bytes")};
  row.packs = line.value("packs", false);
  if (line.contains("content")) {
    const auto name = line.at("content").get<std::string>();
    row.content_mode = content_mode_of(name);
    if (!row.content_mode) throw Malformed{"there is no content \"" + name + "\""};
  }
  if (line.contains("policy")) row.policy = policy_of(line.at("policy"));
  return {key::directory(id_at<InodeId>(line, "id")), encode(row)};
}

ImportedRow name_row(const json& line) {
  const auto in = id_at<InodeId>(line, "in");
  DentryRow row;
  if (line.contains("directory")) {
    row.id = id_at<InodeId>(line, "directory");
  } else {
    row.kind = EntryKind::kFile;
    row.id = id_at<InodeId>(line, "file");
    row.home = id_at<InodeId>(line, "home");
  }
  return {key::dentry(in, bytes_of(line.at("name"))), encode(row, in)};
}

ImportedRow file_row(const json& line) {
  FileRow row{.state = name_of<FileState>(line.at("state"), kFileStates),
              .policy = policy_of(line.at("policy")),
              .modified = {integer<int64_t>(line.at("modified"))},
              .client = ClientId(optional_at<uint64_t>(line, "client").value_or(0)),
              .epoch = Epoch(optional_at<uint64_t>(line, "epoch").value_or(0)),
              .extents = {},
              .content = line.contains("content") ? bytes_of(line.at("content")) : "",
              .changes = optional_at<uint64_t>(line, "changes").value_or(0),
              .attributes = attributes_of(line)};
  row.block_bytes = optional_at<uint64_t>(line, "block_bytes").value_or(0);
  row.cell_bytes = optional_at<uint32_t>(line, "cell_bytes").value_or(0);
  row.pack = line.value("pack", false);
  row.cuts = optional_at<uint64_t>(line, "cuts").value_or(0);
  if (line.contains("appends")) {
    row.appends = integer<uint32_t>(line.at("appends").at(0));
    row.last_append = BlockId(number_of(line.at("appends").at(1).get<std::string>()));
  }
  for (const json& extent : line.value("extents", json::array()))
    row.extents.push_back({.file_offset = row.length(),
                           .length = integer<uint64_t>(extent.at(0)),
                           .block = BlockId(number_of(extent.at(1).get<std::string>())),
                           .block_offset = integer<uint64_t>(extent.at(2))});
  return {key::file({id_at<InodeId>(line, "home"), id_at<InodeId>(line, "id")}), encode(row)};
}

std::vector<ShardRow> shards_of(const json& value) {
  std::vector<ShardRow> out;
  for (const json& shard : value) {
    ShardRow one{.node = NodeId(integer<uint32_t>(shard.at(0)))};
    one.lost = shard.size() > 2;
    one.durable = shard.size() == 2;
    if (shard.size() > 1) one.checksum = integer<uint32_t>(shard.at(1));
    out.push_back(one);
  }
  return out;
}

void check_width(size_t shards, const placement::Policy& policy) {
  if (shards != policy.width())
    throw Malformed{fmt::format("{} shards, {} has {}", shards, policy.text(), policy.width())};
}

NextRow next_of(const json& value, const placement::Policy& target) {
  NextRow out{.generation = Generation(integer<uint64_t>(value.at("generation"))),
              .attempt = integer<uint64_t>(value.at("attempt")),
              .nodes = {}};
  for (const json& node : value.at("nodes")) out.nodes.emplace_back(integer<uint32_t>(node));
  check_width(out.nodes.size(), target);
  return out;
}

AppendRow append_of(const json& value) {
  AppendRow out{.file = {id_at<InodeId>(value, "home"), id_at<InodeId>(value, "file")},
                .ordinal = integer<uint32_t>(value.at("ordinal")),
                .previous = id_at<BlockId>(value, "previous"),
                .capacity = integer<uint64_t>(value.at("capacity")),
                .target = policy_of(value.at("target")),
                .target_cell_bytes = integer<uint32_t>(value.at("target_cell_bytes")),
                .epoch = Epoch(integer<uint64_t>(value.at("epoch"))),
                .activation = integer<uint64_t>(value.at("activation")),
                .begun = value.at("begun").get<bool>(),
                .claimed = optional_at<uint64_t>(value, "claimed").value_or(0),
                .next = {},
                .former = {}};
  if (value.contains("next")) out.next = next_of(value.at("next"), out.target);
  for (const json& former : value.value("former", json::array()))
    out.former.push_back({.generation = Generation(integer<uint64_t>(former.at("generation"))),
                          .ordered = former.at("ordered").get<bool>(),
                          .shards = shards_of(former.at("shards"))});
  return out;
}

ImportedRow block_row(const json& line) {
  BlockRow row{
      .state = name_of<BlockState>(line.at("state"), kBlockStates),
      .policy = policy_of(line.at("policy")),
      .generation = Generation(integer<uint64_t>(line.at("generation"))),
      .placement_version = PlacementVersion(integer<uint64_t>(line.at("placement_version"))),
      .length = integer<uint64_t>(line.at("length")),
      .shared = line.value("shared", false),
      .pack = line.value("pack", false),
      .shards = shards_of(line.at("shards")),
      .cell_bytes = optional_at<uint32_t>(line, "cell_bytes").value_or(0)};
  check_width(row.shards.size(), row.policy);
  if (line.contains("append")) row.append = append_of(line.at("append"));
  if (line.contains("sha256")) row.digest = digest_of(line.at("sha256"));
  if (line.contains("known_in")) row.known_in = id_at<InodeId>(line, "known_in");
  row.disowned = line.value("disowned", false);
  if ((row.known_in || row.disowned) && !row.digest)
    throw Malformed{"a block is known, or disowned, without its SHA-256"};
  return {key::block(id_at<BlockId>(line, "id")), encode(row)};
}

ImportedRow referrer_row(const json& line) {
  return {key::referrer(id_at<BlockId>(line, "block"), id_at<InodeId>(line, "file")),
          encode(ReferrerRow{.home = id_at<InodeId>(line, "home"),
                             .bytes = optional_at<uint64_t>(line, "bytes").value_or(0)})};
}

ImportedRow known_row(const json& line) {
  return {key::known(id_at<InodeId>(line, "in"), digest_of(line.at("sha256"))),
          encode(KnownRow{.block = id_at<BlockId>(line, "block")})};
}

ImportedRow pending_row(const json& line) {
  return {
      key::outbox(Slot(integer<uint16_t>(line.at("slot"))),
                  name_of<OutboxKind>(line.at("what"), kPending), id_at<InodeId>(line, "id").value),
      encode(OutboxRow{.since = LogIndex(integer<uint64_t>(line.at("since"))),
                       .home = id_at<InodeId>(line, "home")})};
}

ImportedRow server_row(const json& line) {
  placement::Node node;
  node.id = NodeId(integer<uint32_t>(line.at("id")));
  node.kind = placement::NodeKind::kChunk;
  node.name = bytes_of(line.at("name"));
  node.store = id_at<StoreId>(line, "store");
  node.address = bytes_of(line.at("address"));
  node.zone = bytes_of(line.at("zone"));
  node.disks = integer<uint32_t>(line.at("disks"));
  node.capacity_bytes = integer<uint64_t>(line.at("capacity_bytes"));
  node.used_bytes = integer<uint64_t>(line.at("used_bytes"));
  node.state = static_cast<placement::NodeState>(integer<uint8_t>(line.at("state")));
  node.changed = MapVersion(integer<uint64_t>(line.at("changed")));
  return {key::node(node.id), placement::encode_node(node)};
}

ImportedRow row_of(const json& line) {
  const auto kind = line.at("kind").get<std::string>();
  if (kind == "directory") return directory_row(line);
  if (kind == "name") return name_row(line);
  if (kind == "file") return file_row(line);
  if (kind == "block") return block_row(line);
  if (kind == "referrer") return referrer_row(line);
  if (kind == "known") return known_row(line);
  if (kind == "pending") return pending_row(line);
  if (kind == "server") return server_row(line);
  throw Malformed{"there is no kind \"" + kind + "\""};
}

// JSON that is not as it should be, by type or by value, is a person's mistake.
template <class Read>
auto refusing(Read read) -> Result<decltype(read())> {
  try {
    return read();
  } catch (const Malformed& malformed) {
    return fail(Code::kInvalid, "{}", malformed.what);
  } catch (const json::exception& malformed) {
    return fail(Code::kInvalid, "{}", malformed.what());
  }
}

}  // namespace

json export_header(const BeginImport& settings) {
  return {{"dogfs_export", kFormat},
          {"cluster", hex(settings.cluster)},
          {"incarnation", settings.incarnation.value},
          {"policy", settings.policy.text()},
          {"block_bytes", settings.block_bytes},
          {"cell_bytes", settings.cell_bytes},
          {"inline_bytes", settings.inline_bytes},
          {"trash_seconds", settings.trash_seconds},
          {"trash_clock", settings.trash_clock},
          {"next_node", settings.next_node}};
}

Result<BeginImport> read_export_header(const json& line) {
  return refusing([&] {
    if (integer<int>(line.at("dogfs_export")) != kFormat) throw Malformed{"another format"};
    return BeginImport{.cluster = id_at<ClusterId>(line, "cluster"),
                       .incarnation = Incarnation(integer<uint16_t>(line.at("incarnation"))),
                       .policy = policy_of(line.at("policy")),
                       .block_bytes = integer<uint64_t>(line.at("block_bytes")),
                       .cell_bytes = integer<uint32_t>(line.at("cell_bytes")),
                       .inline_bytes = integer<uint32_t>(line.at("inline_bytes")),
                       .trash_seconds = integer<uint64_t>(line.at("trash_seconds")),
                       .trash_clock = integer<uint64_t>(line.at("trash_clock")),
                       .next_node = integer<uint32_t>(line.at("next_node"))};
  });
}

Result<json> row_to_json(const ImportedRow& row) {
  const auto key = key::parse(row.key);
  if (!key) return fail(Code::kCorrupt, "a key of {} bytes is none", row.key.size());
  switch (key->tag) {
    case Tag::kDirectory: return directory_line(*key, row.value);
    case Tag::kDentry: return name_line(*key, row.value);
    case Tag::kFile: return file_line(*key, row.value);
    case Tag::kBlock: return block_line(*key, row.value);
    case Tag::kReferrer: return referrer_line(*key, row.value);
    case Tag::kKnown: return known_line(*key, row.value);
    case Tag::kOutbox: return pending_line(*key, row.value);
    case Tag::kNode: return server_line(row.value);
    case Tag::kSession:
    case Tag::kSlot:
    case Tag::kSettings: break;
  }
  return fail(Code::kCorrupt, "a row that is not exported");
}

Result<ImportedRow> row_from_json(const json& line) {
  return refusing([&] { return row_of(line); });
}

}  // namespace dogfs::tool
