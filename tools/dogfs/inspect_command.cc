#include "tools/dogfs/inspect_command.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/chunk/shard_file.h"
#include "core/chunk/store_identity.h"
#include "tools/dogfs/inspected_log.h"

namespace dogfs::tool {
namespace {

namespace fs = std::filesystem;

// What was found in one file.
struct Inspected {
  chunk::Footer footer;
  std::vector<uint64_t> damaged;  // numbers of cells whose bytes are wrong
  bool misplaced = false;         // its name is another shard's

  std::string verdict() const {
    if (misplaced) return "misplaced";
    return damaged.empty() ? "whole" : "damaged";
  }
};

class ShardReader {
 public:
  explicit ShardReader(const fs::path& path) : file_(path, std::ios::binary) {}

  bool open() const { return file_.is_open(); }
  Result<std::string> read(uint64_t offset, size_t length) {
    std::string bytes(length, '\0');
    file_.clear();
    file_.seekg(static_cast<std::streamoff>(offset));
    file_.read(bytes.data(), static_cast<std::streamsize>(length));
    if (static_cast<size_t>(file_.gcount()) == length) return bytes;
    return fail(Code::kIo, "cannot read {} bytes at {}", length, offset);
  }

 private:
  std::ifstream file_;
};

Result<std::vector<uint64_t>> damaged_cells(ShardReader& reader, const chunk::Footer& footer) {
  const chunk::ShardFacts& facts = footer.facts;
  TRY(table, reader.read(facts.shard_length, facts.table_bytes()));
  TRY(checksums, chunk::decode_table(as_bytes(table), footer.cluster, facts));
  std::vector<uint64_t> damaged;
  for (uint64_t cell = 0; cell < checksums.size(); ++cell) {
    const uint64_t offset = cell * facts.shape.cell_bytes;
    TRY(bytes, reader.read(offset, std::min<uint64_t>(facts.shape.cell_bytes,
                                                      facts.shard_length - offset)));
    if (chunk::cell_checksum({footer.cluster, facts.name}, offset, as_bytes(bytes)) !=
        checksums[cell])
      damaged.push_back(cell);
  }
  return damaged;
}

Result<Inspected> inspect(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return fail(Code::kNotFound, "there is no such file");
  const uint64_t size = fs::file_size(path, error);
  if (error) return fail(Code::kInvalid, "not a file that can be read: {}", error.message());
  ShardReader reader(path);
  if (!reader.open()) return fail(Code::kDenied, "cannot be opened");
  if (size < chunk::kShardFooterBytes)
    return fail(Code::kCorrupt, "{} bytes, less than a footer", size);
  TRY(end, reader.read(size - chunk::kShardFooterBytes, chunk::kShardFooterBytes));
  TRY(footer, chunk::decode_footer(as_bytes(end)));
  if (footer.facts.file_bytes() != size)
    return fail(Code::kCorrupt, "{} bytes; by its footer it had {}", size,
                footer.facts.file_bytes());
  TRY(damaged, damaged_cells(reader, footer));
  const auto named = chunk::parse_file_name(path.filename().string());
  return Inspected{footer, std::move(damaged), named && *named != footer.facts.name};
}

std::string policy_of(const chunk::StripeShape& shape) {
  return shape.k == 1 ? fmt::format("rep-{}", shape.shard_count())
                      : fmt::format("rs-{}-{}", shape.k, shape.m);
}

void show(Output& output, const std::string& file, const Inspected& found) {
  const chunk::ShardFacts& facts = found.footer.facts;
  const std::string cluster = fmt::format("{:016x}", found.footer.cluster.value);
  const std::string block = fmt::format("{:016x}", facts.name.block.value);
  output.object({{"file", file},
                 {"cluster", cluster},
                 {"block", block},
                 {"shard", facts.name.shard},
                 {"generation", facts.name.generation.value},
                 {"policy", policy_of(facts.shape)},
                 {"cell_bytes", facts.shape.cell_bytes},
                 {"block_length", facts.block_length},
                 {"shard_length", facts.shard_length},
                 {"checksum", fmt::format("{:08x}", facts.checksum)},
                 {"cells", facts.cell_count()},
                 {"damaged_cells", found.damaged},
                 {"verdict", found.verdict()}});
  output.line(fmt::format("{}\n  cluster {}, block {}, generation {}", file, cluster, block,
                          facts.name.generation));
  output.line(fmt::format("  shard {} of {}, {} bytes of a block of {}, checksum {:08x}",
                          facts.name.shard, policy_of(facts.shape), facts.shard_length,
                          facts.block_length, facts.checksum));
  output.line(found.damaged.empty()
                  ? fmt::format("  {} cells of {} bytes, all right", facts.cell_count(),
                                facts.shape.cell_bytes)
                  : fmt::format("  {} cells of {} bytes; damaged: {}", facts.cell_count(),
                                facts.shape.cell_bytes, fmt::join(found.damaged, ", ")));
}

bool show_log(Output& output, const std::string& file, const InspectedLog& found) {
  const chunk::ShardName& name = found.origin.identity.name;
  const std::string cluster = fmt::format("{:016x}", found.origin.identity.cluster.value);
  const std::string block = fmt::format("{:016x}", name.block.value);
  const bool sealed = found.sealed != Epoch(0);
  output.object({{"file", file},
                 {"cluster", cluster},
                 {"block", block},
                 {"replica", name.shard},
                 {"generation", name.generation.value},
                 {"epoch", found.origin.epoch.value},
                 {"sealed", sealed},
                 {"records", found.records},
                 {"block_length", found.length},
                 {"bytes_behind", found.rest},
                 {"verdict", found.verdict()}});
  output.line(fmt::format(
      "{}\n  cluster {}, append block {}, generation {}, replica {}, epoch {}{}", file, cluster,
      block, name.generation, name.shard, found.origin.epoch, sealed ? ", sealed" : ""));
  output.line(fmt::format("  {} records, {} bytes", found.records, found.length));
  if (found.misplaced)
    output.error(Error{Code::kCorrupt, fmt::format("{} is the log of {}, by its header", file,
                                                   chunk::describe(name))});
  if (found.rest > 0)
    output.error(Error{
        Code::kCorrupt,
        fmt::format("{}: {} bytes behind the last good batch, torn or damaged", file, found.rest)});
  return found.rest == 0 && !found.misplaced;
}

// False when it is not what it should be.
bool inspect_file(Output& output, const std::string& file) {
  const auto log = inspect_log(file);
  if (log && *log) return show_log(output, file, **log);
  if (!log) {
    output.error(log.error().in(file));
    return false;
  }
  const auto found = inspect(file);
  if (!found) {
    output.error(found.error().in(file));
    return false;
  }
  show(output, file, *found);
  if (found->misplaced)
    output.error(Error{Code::kCorrupt, fmt::format("{} holds {}, by its footer", file,
                                                   chunk::describe(found->footer.facts.name))});
  if (!found->damaged.empty())
    output.error(Error{Code::kCorrupt,
                       fmt::format("{}: {} of {} cells are damaged", file, found->damaged.size(),
                                   found->footer.facts.cell_count())});
  return found->damaged.empty() && !found->misplaced;
}

void show_identity(Output& output, const fs::path& directory) {
  std::ifstream file(directory / "identity", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  const auto identity = chunk::decode_identity(as_bytes(bytes));
  if (!identity) return output.error(identity.error().in(directory.string()));
  const auto text = [](StoreId store) { return fmt::format("{:016x}", store.value); };
  std::vector<std::string> all;
  for (const StoreId each : identity->directories) all.push_back(text(each));
  output.object({{"data_directory", directory.string()},
                 {"cluster", fmt::format("{:016x}", identity->cluster.value)},
                 {"node", identity->node.value},
                 {"store", text(identity->store)},
                 {"directory", text(identity->own())},
                 {"directories", all}});
  output.line(fmt::format("{}\n  of node {} (store {}) of cluster {:016x}; directory {} of {}",
                          directory.string(), identity->node, text(identity->store),
                          identity->cluster.value, text(identity->own()),
                          std::max<size_t>(all.size(), 1)));
}

// The data directory of a chunk server, which need not run.
void inspect_directory(Output& output, const fs::path& directory) {
  std::error_code error;
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(directory / "shards", error))
    if (chunk::parse_file_name(entry.path().filename().string()))
      files.push_back(entry.path().string());
  const size_t shards = files.size();
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(directory / "appends", none))
    if (chunk::parse_append_file_name(entry.path().filename().string()))
      files.push_back(entry.path().string());
  if (error)
    return output.error(
        Error{Code::kInvalid,
              fmt::format("{} is no data directory of a chunk server", directory.string())});
  show_identity(output, directory);
  std::ranges::sort(files);
  size_t wrong = 0;
  for (const std::string& file : files) wrong += !inspect_file(output, file);
  const size_t logs = files.size() - shards;
  output.object({{"data_directory", directory.string()},
                 {"shards", shards},
                 {"logs", logs},
                 {"wrong", wrong}});
  output.line(fmt::format("{}: {} shards and {} append logs, {} of them wrong", directory.string(),
                          shards, logs, wrong));
}

void inspect_all(Output& output, const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    std::error_code error;
    if (fs::is_directory(path, error))
      inspect_directory(output, path);
    else
      inspect_file(output, path);
  }
}

}  // namespace

void add_inspect_command(CLI::App& chunk, Output& output) {
  CLI::App& command = *chunk.add_subcommand(
      "inspect",
      "Show what files of shards and append logs say of themselves, and whether they are whole; no "
      "server is asked");
  const auto files = std::make_shared<std::vector<std::string>>();
  output.add_json_option(command);
  command.add_option("FILE", *files, "Such files, or data directories of chunk servers")
      ->required();
  command.callback([&output, files] { inspect_all(output, *files); });
}

}  // namespace dogfs::tool
