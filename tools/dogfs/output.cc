#include "tools/dogfs/output.h"

#include <cstdio>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace dogfs::tool {

void Output::add_json_option(CLI::App& command) {
  command.add_flag("--json", json_, "Print JSON lines, errors included");
}

void Output::object(const nlohmann::json& value) {
  if (json_) write_json(value);
}

void Output::write_json(const nlohmann::json& value) {
  FILE* out = stdout_taken_ ? stderr : stdout;
  // Names are bytes; what is not UTF-8 is shown with replacement characters.
  fmt::print(out, "{}\n", value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  std::fflush(out);
}

void Output::line(std::string_view text) {
  if (json_) return;
  fmt::print("{}\n", text);
  std::fflush(stdout);
}

void Output::error(const Error& error) {
  const int code = tool::exit_code(error.code);
  if (exit_code_ == kOk) exit_code_ = code;
  if (!json_) {
    fmt::print(stderr, "dogfs: {}\n", error.message);
    return;
  }
  write_json(
      {{"error",
        {{"code", code_name(error.code)}, {"message", error.message}, {"exit_code", code}}}});
}

}  // namespace dogfs::tool
