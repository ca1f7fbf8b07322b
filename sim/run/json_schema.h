#pragma once
// The part of JSON Schema (draft 7) that scenarios/schema.json uses: type, enum, pattern, minimum,
// maximum, minLength, minItems, maxItems, minProperties, items, properties, required,
// additionalProperties (false), oneOf and $ref to definitions. Says where a value fails and, in the
// words of the nearest description, what was expected there.

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace dogfs::sim {

struct Mismatch {
  std::string path;      // "$.faults[2].for"
  std::string expected;  // "a duration such as \"10s\""
  std::string found;
  // "$.faults[2].for: expected a duration such as \"10s\", found 5"
  std::string text() const;
};

// The first place where `value` is not what `schema` demands. Of the alternatives of a oneOf, the
// one whose required members are all there is meant.
std::optional<Mismatch> find_mismatch(const nlohmann::json& value, const nlohmann::json& schema);

}  // namespace dogfs::sim
