#pragma once
// Bytes of commands, queries and their answers: the messages of namespace.proto as the values they
// carry. Bytes of a command are also the payload of a log entry.
//
// Everything decoded is validated (counts, enums, policies, ranges): bytes may come from anybody.
// kCorrupt: not such a message; kInvalid and kTooLarge: one that says what cannot be; kUnsupported:
// a command, query or answer of a later version, and then a node that read it from its log must
// stop. What only the state can judge (paths, leases, offsets) is left to the state machine.

#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/namespace/commands.h"
#include "core/namespace/queries.h"

namespace dogfs::proto {

std::string encode_command(const metadata::Command& command);
Result<metadata::Command> decode_command(std::string_view bytes);
// The command of these bytes, with another wall time: a field that stands twice counts as it stands
// last, so nothing is taken apart. The bytes must decode.
std::string stamped_command(std::string_view bytes, WallTime wall);

std::string encode_response(const metadata::Response& response);
Result<metadata::Response> decode_response(std::string_view bytes);

std::string encode_query(const metadata::Question& question);
Result<metadata::Question> decode_query(std::string_view bytes);

std::string encode_answer(const metadata::QueryResponse& answer);
Result<metadata::QueryResponse> decode_answer(std::string_view bytes);

// A part of an export: the question and its answer.
struct ExportQuestion {
  uint64_t id = 0;  // of the export; 0: begin one
  std::string position;
};
struct ExportPart {
  uint64_t id = 0;
  std::string position;  // to ask for the next part with
  std::vector<metadata::ImportedRow> rows;
  bool more = false;
  metadata::BeginImport settings;
};
std::string encode_export(const ExportQuestion& question);
Result<ExportQuestion> decode_export(std::string_view bytes);
std::string encode_export_part(const ExportPart& part);
Result<ExportPart> decode_export_part(std::string_view bytes);

}  // namespace dogfs::proto
