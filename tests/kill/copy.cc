#include "tests/kill/copy.h"

#include <cstdio>

#include <sys/wait.h>
#include <unistd.h>

#include "core/base/check.h"

#if defined(__has_feature) && __has_feature(address_sanitizer)
#include <sanitizer/lsan_interface.h>
#else
static int __lsan_do_recoverable_leak_check() { return 0; }
#endif

namespace dogfs::testing {
namespace {

void write_all(int to, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = write(to, text.data(), text.size());
    if (count <= 0) return;
    text.remove_prefix(static_cast<size_t>(count));
  }
}

std::string read_all(int from) {
  std::string text;
  char piece[512];
  for (ssize_t count = 0; (count = read(from, piece, sizeof piece)) > 0;)
    text.append(piece, static_cast<size_t>(count));
  return text;
}

}  // namespace

std::string in_copy(const std::function<std::string()>& act, bool look_for_leaks) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  std::fflush(nullptr);
  const pid_t copy = fork();
  CHECK(copy >= 0);
  if (copy == 0) {
    close(ends[0]);
    std::string complaint = act();
    if (look_for_leaks && __lsan_do_recoverable_leak_check() != 0) complaint += "; it leaks";
    write_all(ends[1], complaint);
    _exit(0);
  }
  close(ends[1]);
  std::string complaint = read_all(ends[0]);
  close(ends[0]);
  int status = 0;
  CHECK(waitpid(copy, &status, 0) == copy);
  if (WIFSIGNALED(status)) complaint += fmt::format("; died of signal {}", WTERMSIG(status));
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
    complaint += fmt::format("; ended with exit code {}", WEXITSTATUS(status));
  return complaint;
}

}  // namespace dogfs::testing
