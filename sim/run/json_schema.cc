#include "sim/run/json_schema.h"

#include <regex>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/check.h"

namespace dogfs::sim {
namespace {

using nlohmann::json;

constexpr size_t kShownMax = 60;

std::string shown(const json& value) {
  if (value.is_object() && value.size() > 3) return "an object";
  if (value.is_array() && value.size() > 3) return "a list";
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > kShownMax) text = text.substr(0, kShownMax) + "...";
  return text;
}

bool has_type(const json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "integer") return value.is_number_integer();
  if (type == "boolean") return value.is_boolean();
  UNREACHABLE("schema type {}", type);
}

bool has_all(const json& value, const json& names) {
  if (!value.is_object()) return false;
  for (const json& name : names)
    if (!value.contains(name.get<std::string>())) return false;
  return true;
}

class Validator {
 public:
  explicit Validator(const json& root) : root_(root) {}

  std::optional<Mismatch> check(const json& value, const json& schema, const std::string& path) {
    if (schema.contains("$ref")) return check(value, referred(schema), path);
    if (schema.contains("oneOf")) return check_alternatives(value, schema, path);
    if (!keeps_bounds(value, schema)) return mismatch(value, schema, path);
    if (value.is_object()) return check_object(value, schema, path);
    if (value.is_array()) return check_array(value, schema, path);
    return std::nullopt;
  }

 private:
  const json& referred(const json& schema) {
    const auto name = schema.at("$ref").get<std::string>();  // "#/definitions/size"
    return root_.at(json::json_pointer(name.substr(1)));
  }

  static Mismatch mismatch(const json& value, const json& schema, const std::string& path) {
    return {path, schema.value("description", "something else"), shown(value)};
  }

  static bool keeps_bounds(const json& value, const json& schema) {
    if (schema.contains("type") && !has_type(value, schema.at("type"))) return false;
    if (schema.contains("enum")) {
      bool found = false;
      for (const json& allowed : schema.at("enum")) found |= allowed == value;
      if (!found) return false;
    }
    if (value.is_string()) return string_fits(value.get<std::string>(), schema);
    if (value.is_number_integer()) return number_fits(value, schema);
    if (!value.is_structured()) return true;
    const size_t least = schema.value(value.is_array() ? "minItems" : "minProperties", size_t{0});
    const size_t most = schema.value(value.is_array() ? "maxItems" : "maxProperties", SIZE_MAX);
    return value.size() >= least && value.size() <= most;
  }
  static bool string_fits(const std::string& text, const json& schema) {
    if (text.size() < schema.value("minLength", size_t{0})) return false;
    if (!schema.contains("pattern")) return true;
    return std::regex_search(text, std::regex(schema.at("pattern").get<std::string>()));
  }
  static bool number_fits(const json& value, const json& schema) {
    if (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX) return false;
    const auto number = value.get<int64_t>();
    return number >= schema.value("minimum", INT64_MIN) &&
           number <= schema.value("maximum", INT64_MAX);
  }

  std::optional<Mismatch> check_object(const json& value, const json& schema,
                                       const std::string& path) {
    const json none = json::object();
    const json& known = schema.contains("properties") ? schema.at("properties") : none;
    for (const auto& [name, member] : value.items()) {
      const std::string place = path + "." + name;
      if (!known.contains(name)) {
        if (schema.value("additionalProperties", true)) continue;
        return Mismatch{place, "one of " + names_of(known), fmt::format("\"{}\"", name)};
      }
      if (auto found = check(member, known.at(name), place)) return found;
    }
    for (const json& name : schema.value("required", json::array()))
      if (!value.contains(name.get<std::string>()))
        return Mismatch{path, fmt::format("a member \"{}\"", name.get<std::string>()),
                        shown(value)};
    return std::nullopt;
  }

  std::optional<Mismatch> check_array(const json& value, const json& schema,
                                      const std::string& path) {
    if (!schema.contains("items")) return std::nullopt;
    for (size_t i = 0; i < value.size(); ++i)
      if (auto found = check(value[i], schema.at("items"), fmt::format("{}[{}]", path, i)))
        return found;
    return std::nullopt;
  }

  std::optional<Mismatch> check_alternatives(const json& value, const json& schema,
                                             const std::string& path) {
    const json* meant = nullptr;
    for (const json& alternative : schema.at("oneOf")) {
      if (!has_all(value, alternative.at("required"))) continue;
      meant = &alternative;
      if (!check(value, alternative, path)) return std::nullopt;
    }
    if (meant == nullptr) meant = nearest(value, schema.at("oneOf"));
    if (meant == nullptr) return mismatch(value, schema, path);
    return check(value, *meant, path);
  }

  // The alternative of whose required members all but one are there, if one only has that.
  static const json* nearest(const json& value, const json& alternatives) {
    if (!value.is_object()) return nullptr;
    const json* found = nullptr;
    for (const json& alternative : alternatives) {
      const json& required = alternative.at("required");
      const auto kind = required.at(1).get<std::string>();  // "at" is first
      if (!value.contains(kind)) continue;
      if (found != nullptr) return nullptr;
      found = &alternative;
    }
    return found;
  }

  static std::string names_of(const json& known) {
    std::string text;
    for (const auto& [name, schema] : known.items()) text += (text.empty() ? "" : ", ") + name;
    return text;
  }

  const json& root_;
};

}  // namespace

std::string Mismatch::text() const {
  return fmt::format("{}: expected {}, found {}", path, expected, found);
}

std::optional<Mismatch> find_mismatch(const json& value, const json& schema) {
  return Validator(schema).check(value, schema, "$");
}

}  // namespace dogfs::sim
