#pragma once
// Runtime: one server or tool: a Loop, one Process on it, and the signals that ask it to stop. This
// is what a main() needs:
//
//   auto runtime = net::Runtime::make(options);
//   if (!runtime) ...
//   const int signal = (*runtime)->run(serve((*runtime)->env()));
//   return signal == 0 ? 0 : 128 + signal;
//
// SIGINT, SIGTERM or SIGHUP cancels main, whose nurseries then end in order; a second one ends the
// program at once. One that is ignored when it begins (nohup) stays ignored. SIGUSR1 asks for a
// report.

#include <functional>
#include <memory>

#include "net/loop.h"
#include "net/process.h"

namespace dogfs::net {

class Runtime {
 public:
  struct Options {
    ProcessOptions process;
    Loop::Options loop;
    // Called on SIGUSR1, from the loop; without it that signal ends the program.
    std::move_only_function<void(Process&)> report;
  };
  static Result<std::unique_ptr<Runtime>> make(Options options);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  Env& env() { return process_->env(); }
  Process& process() { return *process_; }
  // Runs main until it has ended, by itself or because it was asked to stop. Returns the signal
  // that asked, or 0. Called once.
  int run(Task<> main);

 private:
  struct Signals;

  explicit Runtime(Options& options);

  Loop loop_;
  std::move_only_function<void(Process&)> report_;
  std::unique_ptr<Process> process_;
  std::unique_ptr<Signals> signals_;
};

}  // namespace dogfs::net
