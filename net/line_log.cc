#include "net/line_log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include "core/base/check.h"

namespace dogfs::net {
namespace {

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  UNREACHABLE();
}

std::shared_ptr<spdlog::sinks::sink> make_sink(const std::string& file) {
  if (file.empty()) return std::make_shared<spdlog::sinks::stderr_sink_mt>();
  return std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
}

}  // namespace

Result<std::unique_ptr<LineLog>> LineLog::open(std::string name, const Options& options) {
  try {
    auto logger = std::make_shared<spdlog::logger>(std::move(name), make_sink(options.file));
    logger->set_level(spdlog_level(options.level));
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %n: %v");
    logger->flush_on(spdlog::level::debug);
    return std::unique_ptr<LineLog>(new LineLog(options.level, std::move(logger)));
  } catch (const spdlog::spdlog_ex& error) {
    return fail(Code::kIo, "cannot open the log file {}: {}", options.file, error.what());
  }
}

LineLog::LineLog(LogLevel level, std::shared_ptr<spdlog::logger> logger)
    : level_(level), logger_(std::move(logger)) {}

LineLog::~LineLog() = default;

void LineLog::write(LogLevel level, std::string_view text) {
  logger_->log(spdlog_level(level), spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace dogfs::net
