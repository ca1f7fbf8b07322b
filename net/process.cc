#include "net/process.h"

#include <algorithm>
#include <random>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "core/base/check.h"
#include "core/env/nursery.h"
#include "net/file_disk.h"
#include "net/gate.h"
#include "net/loop.h"
#include "net/pool_compute.h"
#include "net/steady_clock.h"
#include "net/tcp_network.h"

namespace dogfs::net {
namespace {

uint64_t random_seed() {
  std::random_device device;  // the operating system's
  return static_cast<uint64_t>(device()) << 32 | device();
}

}  // namespace

Result<std::unique_ptr<Process>> Process::make(Loop& loop, ProcessOptions options) {
  auto process = std::unique_ptr<Process>(new Process(loop));
  TRY_VOID(process->open(std::move(options)));
  return process;
}

Process::Process(Loop& loop)
    : Operations(Executor(*this)),
      loop_(loop),
      gate_(std::make_shared<Gate>(*this, loop.io())),
      disk_gate_(std::make_shared<Gate>(*this, loop.io())) {}

Result<void> Process::open(ProcessOptions options) {
  TRY(log, LineLog::open(options.name, options.log));
  log_ = std::move(log);
  clock_ = std::make_unique<SteadyClock>(loop_.io(), *this, gate_);
  compute_ = std::make_unique<PoolCompute>(loop_.compute_pool(), gate_);
  disk_compute_ = std::make_unique<PoolCompute>(loop_.disk_pool(), disk_gate_);
  TRY_VOID(open_disk(options.data_directory, options.more_directories.empty()));
  for (const auto& directory : options.more_directories) TRY_VOID(open_disk(directory, false));
  auto network = std::make_unique<TcpNetwork>(loop_.io(), *this);
  TcpNetwork& tcp = *network;
  network_ = std::move(network);
  env_.emplace(Env::Parts{.operations = *this,
                          .clock = *clock_,
                          .network = *network_,
                          .disk = *disks_.front(),
                          .compute = *compute_,
                          .log = *log_,
                          .buggify = nullptr},
               Random(random_seed()));
  tcp.attach(*env_);
  return {};
}

// What another process uses is a mistake of whoever starts this one, not a disk that failed.
Result<void> Process::open_disk(const std::string& directory, bool required) {
  auto root = RootDirectory::open(directory);
  if (!root) {
    if (required || root.error().is(Code::kUnavailable)) return fail(root.error());
    log_->error("{}", root.error());
    TRY(none, RootDirectory::open(""));
    root = none;
  }
  roots_.push_back(*root);
  disks_.push_back(std::make_unique<FileDisk>(*root, *this, *disk_compute_));
  return {};
}

std::vector<Disk*> Process::disks() {
  std::vector<Disk*> disks;
  for (const auto& disk : disks_) disks.push_back(disk.get());
  return disks;
}

Process::~Process() {
  kill();
  shutdown();
  destroy();
}

void Process::start(Task<> main, std::move_only_function<void()> done) {
  start_root(*env_, std::move(main), std::move(done));
}

void Process::kill() {
  if (!alive()) return;
  CHECK(!running(), "a process cannot kill itself");
  gate_->shut();
  disk_gate_->shut_and_wait();  // as the kernel ends the system calls of a killed process
  Operations::kill();
  for (const auto& root : roots_) root->unlock();
  shutdown();  // Asio services of this incarnation: what waits in its channels
  CHECK(live_tasks() == 0, "{} tasks outlived their process", live_tasks());
}

uint64_t Process::syncs() const {
  uint64_t sum = 0;
  for (const auto& disk : disks_) sum += disk->syncs();
  return sum;
}

bool Process::running() const { return loop_.running() == this; }

void Process::post(std::move_only_function<void()> function) {
  const auto op =
      park([function = std::move(function)](error_code, size_t) mutable { function(); });
  if (alive()) schedule(op);
}

void Process::schedule(OperationRef op) {
  ready_.push_back(op);
  if (std::exchange(drain_posted_, true)) return;
  asio::post(loop_.io(), [gate = gate_] {
    if (Process* process = gate->process()) process->drain();
  });
}

void Process::drain() {
  drain_posted_ = false;  // what these make ready comes after the reactor was looked at
  const Instant begun = clock_->now();
  loop_.set_running(this);
  running_now_.swap(ready_);
  for (const OperationRef op : running_now_) fire(op);
  running_now_.clear();
  loop_.set_running(nullptr);
  longest_turn_ = std::max(longest_turn_, clock_->now() - begun);
}

}  // namespace dogfs::net
