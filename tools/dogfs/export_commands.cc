#include "tools/dogfs/export_commands.h"

#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "nodes/client/client.h"
#include "tools/dogfs/client_session.h"
#include "tools/dogfs/cluster_target.h"
#include "tools/dogfs/local_file.h"
#include "tools/dogfs/namespace_text.h"
#include "tools/dogfs/output.h"

namespace dogfs::tool {
namespace {

using nlohmann::json;

constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kLineBytesMax = 16 << 20;                   // a file of the most blocks
constexpr size_t kBatchBytes = limits::kImportBytesMax / 8;  // one long row goes alone
constexpr size_t kBatchRows = limits::kImportRowsMax / 2;

struct Request {
  std::string cluster;
  std::string local;
};

// Writes lines as parts of the export come.
class TextSink final : public nodes::RowSink {
 public:
  explicit TextSink(LocalSink& file) : file_(file) {}
  Task<Result<void>> take(metadata::BeginImport settings,
                          std::vector<metadata::ImportedRow> rows) override {
    std::string text;
    if (!std::exchange(begun_, true)) text = export_header(settings).dump() + "\n";
    for (const auto& row : rows) {
      CO_TRY(line, row_to_json(row));
      text += line.dump() + "\n";
    }
    if (text.empty()) co_return Result<void>();
    co_return co_await file_.write(Buffer::take(std::move(text)));
  }

 private:
  LocalSink& file_;
  bool begun_ = false;
};

Task<Result<void>> export_all(Env& env, nodes::Client& client, Output& output, Request request) {
  CO_TRY(file, LocalSink::open(env, request.local, "namespace.jsonl"));
  TextSink sink(*file);
  CO_TRY(exported, co_await client.export_namespace(sink));
  const json end{{"end", true}, {"rows", exported.rows}};
  CO_TRY_VOID(co_await file->write(Buffer::take(end.dump() + "\n")));
  CO_TRY_VOID(file->commit());
  output.object({{"exported", exported.rows}, {"local", file->path()}});
  if (request.local != "-") output.line(fmt::format("{} rows exported", exported.rows));
  co_return Result<void>();
}

// Lines of a local file, and where they stand in it.
class Lines {
 public:
  explicit Lines(LocalSource& file) : file_(file) {}
  // The next line as JSON; nothing at the end.
  Task<Result<std::optional<json>>> next() {
    for (;;) {
      if (const size_t end = text_.find('\n', at_); end != text_.npos) {
        const std::string line = text_.substr(at_, end - at_);
        at_ = end + 1;
        ++number_;
        if (line.empty()) continue;
        json value = json::parse(line, nullptr, false);
        if (value.is_object()) co_return std::optional<json>(std::move(value));
        co_return fail(Code::kInvalid, "line {} is no JSON object", number_);
      }
      text_.erase(0, std::exchange(at_, 0));
      if (text_.size() > kLineBytesMax)
        co_return fail(Code::kTooLarge, "line {} has over {} bytes", number_ + 1, kLineBytesMax);
      CO_TRY(piece, co_await file_.read(kReadBytes));
      if (piece.empty() && text_.empty()) co_return std::optional<json>();
      text_ += piece.empty() ? "\n" : piece.text();
    }
  }
  Error at_line(const Error& error) const { return error.in(fmt::format("line {}", number_)); }

 private:
  LocalSource& file_;
  std::string text_;
  size_t at_ = 0;
  uint64_t number_ = 0;
};

// Collects rows and sends them, some at a time.
class Importer {
 public:
  explicit Importer(nodes::Client& client) : client_(client) {}
  Task<Result<void>> add(metadata::ImportedRow row) {
    const size_t size = row.key.size() + row.value.size();
    if (!rows_.empty() && (bytes_ + size > kBatchBytes || rows_.size() >= kBatchRows))
      CO_TRY_VOID(co_await send());
    bytes_ += size;
    rows_.push_back(std::move(row));
    co_return Result<void>();
  }
  Task<Result<void>> send() {
    count_ += rows_.size();
    bytes_ = 0;
    if (rows_.empty()) co_return Result<void>();
    CO_TRY_VOID(co_await client_.import_rows(std::exchange(rows_, {})));
    co_return Result<void>();
  }
  uint64_t count() const { return count_; }

 private:
  nodes::Client& client_;
  std::vector<metadata::ImportedRow> rows_;
  size_t bytes_ = 0;
  uint64_t count_ = 0;  // sent
};

Task<Result<void>> import_lines(Lines& lines, Importer& importer) {
  for (;;) {
    CO_TRY(line, co_await lines.next());
    if (!line) co_return fail(Code::kInvalid, "the export is cut: its last line is missing");
    if (line->contains("end")) {
      CO_TRY_VOID(co_await importer.send());
      const auto rows = line->find("rows");
      if (rows != line->end() && *rows == importer.count()) co_return Result<void>();
      co_return fail(Code::kInvalid, "the export is damaged: it has {} rows", importer.count());
    }
    auto row = row_from_json(*line);
    if (!row) co_return fail(lines.at_line(row.error()));
    auto added = co_await importer.add(*std::move(row));
    if (!added) co_return fail(lines.at_line(added.error()));
  }
}

Task<Result<void>> import_all(Env& env, nodes::Client& client, Output& output, Request request) {
  CO_TRY(file, LocalSource::open(env, request.local));
  Lines lines(*file);
  CO_TRY(first, co_await lines.next());
  if (!first || !first->contains("dogfs_export"))
    co_return fail(Code::kInvalid, "{} is no export of a namespace", request.local);
  CO_TRY(settings, read_export_header(*first));
  CO_TRY_VOID(co_await client.begin_import(settings));
  Importer importer(client);
  CO_TRY_VOID(co_await import_lines(lines, importer));
  CO_TRY_VOID(co_await client.finish_import(importer.count()));
  output.object({{"imported", importer.count()}});
  output.line(fmt::format("{} rows imported", importer.count()));
  co_return Result<void>();
}

using Perform = Task<Result<void>> (*)(Env&, nodes::Client&, Output&, Request);

void add(CLI::App& admin, Output& output, const std::string& name, const std::string& what,
         Perform perform) {
  CLI::App& command = *admin.add_subcommand(name, what);
  auto request = std::make_shared<Request>();
  output.add_json_option(command);
  add_cluster_option(command, request->cluster);
  command
      .add_option("LOCAL", request->local, "The text, JSON lines; - is standard output or input")
      ->required();
  command.callback([&output, request, perform] {
    if (perform == export_all && request->local == "-") output.give_up_stdout();
    run_command(output, request->cluster, [&](Env& env, nodes::Client& client) {
      return perform(env, client, output, *request);
    });
  });
}

}  // namespace

void add_export_commands(CLI::App& admin, Output& output) {
  add(admin, output, "export", "Write the whole namespace, as it is at one moment, as text",
      export_all);
  add(admin, output, "import", "Bring an exported namespace back into a new cluster of the same id",
      import_all);
}

}  // namespace dogfs::tool
