#pragma once
// The text of an export: JSON lines, one for each row of the namespace, between a first line with
// the settings of the cluster and a last one with the count. Ids are hexadecimal, times are
// nanoseconds since 1970, what is absent is left away. Text that is not UTF-8 (a label may hold any
// bytes) stands as {"hex": "..."}.
//
//   {"dogfs_export": 1, "cluster": "0f..", "incarnation": 1, "policy": "rs-4-2", ...}
//   {"kind": "directory", "id": "..", "parent": "..", "modified": 18.., "owner": "ada"}
//   {"kind": "name", "in": "..", "name": "dog.jpg", "file": "..", "home": ".."}
//   {"kind": "file", "home": "..", "id": "..", "extents": [[1000, "block", 0]], ...}
//   {"kind": "block", "id": "..", "shards": [[1024, 77], [1025, 78], ...], ...}
//   {"end": true, "rows": 4}

#include <nlohmann/json_fwd.hpp>

#include "core/base/error.h"
#include "core/namespace/commands.h"

namespace dogfs::tool {

nlohmann::json export_header(const metadata::BeginImport& settings);
Result<metadata::BeginImport> read_export_header(const nlohmann::json& line);

Result<nlohmann::json> row_to_json(const metadata::ImportedRow& row);
// kInvalid for a line that says what no row can.
Result<metadata::ImportedRow> row_from_json(const nlohmann::json& line);

}  // namespace dogfs::tool
