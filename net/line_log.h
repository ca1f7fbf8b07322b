#pragma once
// LineLog: a log as lines of text, on stderr or in a file, each with wall time, level and the name
// of the process. A line is handed to the operating system before write() returns, so that the last
// words of a crash are not lost. Any thread.

#include <memory>
#include <string>

#include "core/base/error.h"
#include "core/env/log.h"

namespace spdlog {
class logger;
}

namespace dogfs::net {

class LineLog final : public Log {
 public:
  struct Options {
    LogLevel level = LogLevel::kInfo;
    std::string file;  // appended to; empty: stderr
  };
  // kIo: the file cannot be opened.
  static Result<std::unique_ptr<LineLog>> open(std::string name, const Options& options);
  ~LineLog() override;

  bool enabled(LogLevel level) const override { return level >= level_; }
  void write(LogLevel level, std::string_view text) override;

 private:
  LineLog(LogLevel level, std::shared_ptr<spdlog::logger> logger);

  LogLevel level_;
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace dogfs::net
