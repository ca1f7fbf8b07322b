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

namespace dogfs::tool {
namespace {

namespace fs = std::filesystem;

// What was found in one file.
struct Inspected {
  chunk::Footer footer;
  std::vector<uint64_t> damaged;  // numbers of cells whose bytes are wrong
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
  return Inspected{footer, std::move(damaged)};
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
                 {"damaged_cells", found.damaged}});
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

void inspect_all(Output& output, const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    const auto found = inspect(file);
    if (!found) {
      output.error(found.error().in(file));
      continue;
    }
    show(output, file, *found);
    if (!found->damaged.empty())
      output.error(Error{Code::kCorrupt,
                         fmt::format("{}: {} of {} cells are damaged", file, found->damaged.size(),
                                     found->footer.facts.cell_count())});
  }
}

}  // namespace

void add_inspect_command(CLI::App& chunk, Output& output) {
  CLI::App& command = *chunk.add_subcommand(
      "inspect", "Show what shard files say of themselves, and whether they are whole");
  const auto files = std::make_shared<std::vector<std::string>>();
  output.add_json_option(command);
  command.add_option("FILE", *files, "Shard files, of a chunk server's data directory")->required();
  command.callback([&output, files] { inspect_all(output, *files); });
}

}  // namespace dogfs::tool
