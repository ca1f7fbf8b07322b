#include "tools/dogfs/output.h"

#include <cerrno>
#include <cstring>

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
  // Names are bytes; what is not UTF-8 is shown with replacement characters.
  write(stdout_taken_ ? stderr : stdout,
        value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void Output::write(std::FILE* out, std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), out) == text.size() &&
                       std::fputc('\n', out) != EOF && std::fflush(out) == 0;
  if (written || exit_code_ != kOk) return;
  exit_code_ = kFailed;
  if (out == stdout) std::fprintf(stderr, "dogfs: standard output: %s\n", std::strerror(errno));
}

void Output::line(std::string_view text) {
  if (!json_) write(stdout, text);
}

void Output::error(const Error& error) {
  const int code = tool::exit_code(error.code);
  if (exit_code_ == kOk) exit_code_ = code;
  if (!json_) return write(stderr, fmt::format("dogfs: {}", error.message));
  write_json(
      {{"error",
        {{"code", code_name(error.code)}, {"message", error.message}, {"exit_code", code}}}});
}

}  // namespace dogfs::tool
