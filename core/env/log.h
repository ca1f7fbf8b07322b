#pragma once
// Log: what a node says to the people who run it. In the real world a line on stderr or in a file;
// in the simulated one a line of the trace, with virtual time. Formatting costs nothing when the
// level is off.

#include <string_view>

#include <fmt/format.h>

namespace dogfs {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

class Log {
 public:
  virtual ~Log() = default;
  virtual bool enabled(LogLevel level) const = 0;
  virtual void write(LogLevel level, std::string_view text) = 0;

  template <class... Args>
  void debug(fmt::format_string<Args...> text, Args&&... args) {
    line(LogLevel::kDebug, text, std::forward<Args>(args)...);
  }
  template <class... Args>
  void info(fmt::format_string<Args...> text, Args&&... args) {
    line(LogLevel::kInfo, text, std::forward<Args>(args)...);
  }
  template <class... Args>
  void warning(fmt::format_string<Args...> text, Args&&... args) {
    line(LogLevel::kWarning, text, std::forward<Args>(args)...);
  }
  template <class... Args>
  void error(fmt::format_string<Args...> text, Args&&... args) {
    line(LogLevel::kError, text, std::forward<Args>(args)...);
  }

 private:
  template <class... Args>
  void line(LogLevel level, fmt::format_string<Args...> text, Args&&... args) {
    if (enabled(level)) write(level, fmt::format(text, std::forward<Args>(args)...));
  }
};

}  // namespace dogfs
