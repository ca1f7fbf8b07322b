#pragma once
// Output: how a command answers. For a person, plain text on stdout and errors on stderr; with
// --json, one JSON object a line on stdout, errors included. Carries the exit code of the first
// error to the end of main(); an answer that cannot be written is one. Lives in main(); one thread.

#include <cstdio>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "core/base/error.h"
#include "tools/dogfs/exit_code.h"

namespace CLI {
class App;
}

namespace dogfs::tool {

class Output {
 public:
  void add_json_option(CLI::App& command);
  void use_json() { json_ = true; }
  bool json() const { return json_; }
  // The command writes file bytes to stdout: JSON goes to stderr instead.
  void give_up_stdout() { stdout_taken_ = true; }

  // One object, only with --json.
  void object(const nlohmann::json& value);
  // One line for a person, not with --json.
  void line(std::string_view text);
  // {"error": {"code", "message", "exit_code"}}, or "dogfs: message" on stderr.
  void error(const Error& error);

  int exit_code() const { return exit_code_; }
  void set_exit_code(int code) { exit_code_ = code; }

 private:
  void write_json(const nlohmann::json& value);
  void write(std::FILE* out, std::string_view text);

  bool json_ = false;
  bool stdout_taken_ = false;
  int exit_code_ = kOk;
};

}  // namespace dogfs::tool
