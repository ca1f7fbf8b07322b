#include "tools/dogfs/sim/worker_pool.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace dogfs::tool {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Answers begin with this byte; any other line is something the worker said.
constexpr char kAnswer = '\x1e';
constexpr size_t kLastWordsMax = 4000;

bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

[[noreturn]] void work(int descriptor, const Job& job) {
  uint64_t number = 0;
  for (;;) {
    const ssize_t size = ::read(descriptor, &number, sizeof number);
    if (size < 0 && errno == EINTR) continue;
    if (size != sizeof number) ::_exit(0);
    if (!write_all(descriptor, kAnswer + job(number) + "\n")) ::_exit(0);
  }
}

class Worker {
 public:
  // Null when no process can be made.
  static std::unique_ptr<Worker> start(const Job& job, const std::vector<int>& others) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return nullptr;
    std::fflush(nullptr);
    const pid_t pid = ::fork();
    if (pid < 0) {
      ::close(ends[0]);
      ::close(ends[1]);
      return nullptr;
    }
    if (pid == 0) {
      ::close(ends[0]);
      for (const int other : others) ::close(other);
      ::dup2(ends[1], STDERR_FILENO);
      work(ends[1], job);
    }
    ::close(ends[1]);
    return std::unique_ptr<Worker>(new Worker(pid, ends[0]));
  }
  ~Worker() {
    ::close(descriptor_);
    reap();
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  int descriptor() const { return descriptor_; }
  bool busy() const { return job_.has_value(); }
  uint64_t job() const { return *job_; }
  SteadyClock::time_point began() const { return began_; }

  bool give(uint64_t number) {
    job_ = number;
    began_ = SteadyClock::now();
    return ::write(descriptor_, &number, sizeof number) == sizeof number;
  }
  // False at the end of the worker.
  bool receive() {
    char bytes[65536];
    const ssize_t size = ::read(descriptor_, bytes, sizeof bytes);
    if (size < 0 && errno == EINTR) return true;
    if (size <= 0) return false;
    received_.append(bytes, static_cast<size_t>(size));
    return true;
  }
  // The answer to the job, once it is whole. Other lines become last words.
  std::optional<std::string> take_answer() {
    for (size_t end = received_.find('\n'); end != std::string::npos; end = received_.find('\n')) {
      std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      const size_t mark = line.find(kAnswer);
      if (mark != std::string::npos) {
        job_.reset();
        last_words_.clear();
        return line.substr(mark + 1);
      }
      last_words_ += line + "\n";
    }
    return std::nullopt;
  }
  Error death(bool timed_out) {
    const int status = reap();
    last_words_ += received_;
    if (last_words_.size() > kLastWordsMax)
      last_words_.erase(0, last_words_.size() - kLastWordsMax);
    std::string how = "ended";
    if (timed_out)
      how = "was killed, it took too long";
    else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
      how = fmt::format("died of signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (WIFSIGNALED(status))
      how = "aborted or was killed";
    return {Code::kUnknown, fmt::format("the process {}: {}", how, last_words_)};
  }

 private:
  Worker(pid_t pid, int descriptor) : pid_(pid), descriptor_(descriptor) {}

  // Ends the process, if it has not ended, and gives its status; at most once.
  int reap() {
    int status = 0;
    if (std::exchange(reaped_, true)) return status;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, &status, 0);
    return status;
  }

  const pid_t pid_;
  const int descriptor_;
  bool reaped_ = false;
  std::optional<uint64_t> job_;
  SteadyClock::time_point began_;
  std::string received_;
  std::string last_words_;
};

class Pool {
 public:
  Pool(const WorkerPoolOptions& options, const Job& job, const JobEnded& ended)
      : options_(options), job_(job), ended_(ended), next_(options.first) {}

  Result<void> run() {
    const uint64_t jobs = options_.last - options_.first + 1;
    const auto wanted = std::min<uint64_t>(std::max<uint32_t>(options_.workers, 1), jobs);
    for (uint64_t i = 0; i < wanted; ++i) TRY_VOID(add_worker());
    for (auto& worker : workers_) feed(*worker);
    while (std::ranges::any_of(workers_, [](const auto& worker) { return worker->busy(); }))
      TRY_VOID(wait());
    return {};
  }

 private:
  Result<void> add_worker() {
    std::vector<int> others;
    for (const auto& worker : workers_) others.push_back(worker->descriptor());
    auto worker = Worker::start(job_, others);
    if (!worker) return fail(Code::kIo, "no worker process: {}", std::strerror(errno));
    workers_.push_back(std::move(worker));
    return {};
  }
  void feed(Worker& worker) {
    if (next_ <= options_.last && !stopping_) worker.give(next_++);
  }

  Result<void> wait() {
    std::vector<pollfd> polled;
    for (const auto& worker : workers_) polled.push_back({worker->descriptor(), POLLIN, 0});
    ::poll(polled.data(), polled.size(), 1000);
    const auto now = SteadyClock::now();
    for (size_t i = polled.size(); i-- > 0;) {
      const bool heard = polled[i].revents != 0;
      const bool late = workers_[i]->busy() && now - workers_[i]->began() > options_.job_limit;
      if (heard && workers_[i]->receive())
        take_answer(*workers_[i]);
      else if (heard || late)
        TRY_VOID(replace(i, late && !heard));
    }
    return {};
  }
  void take_answer(Worker& worker) {
    if (!worker.busy()) return;
    const uint64_t number = worker.job();
    auto answer = worker.take_answer();
    if (!answer) return;
    if (!stopping_ && !ended_(number, std::move(*answer))) stopping_ = true;
    feed(worker);
  }
  Result<void> replace(size_t index, bool timed_out) {
    const auto worker = std::move(workers_[index]);
    workers_.erase(workers_.begin() + static_cast<ptrdiff_t>(index));
    if (worker->busy() && !stopping_) {
      const uint64_t number = worker->job();
      if (!ended_(number, fail(worker->death(timed_out)))) stopping_ = true;
    }
    if (stopping_ || next_ > options_.last) return {};
    TRY_VOID(add_worker());
    feed(*workers_.back());
    return {};
  }

  const WorkerPoolOptions& options_;
  const Job& job_;
  const JobEnded& ended_;
  uint64_t next_;
  bool stopping_ = false;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace

Result<void> run_jobs(const WorkerPoolOptions& options, const Job& job, const JobEnded& ended) {
  return Pool(options, job, ended).run();
}

}  // namespace dogfs::tool
