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
  TRY(root, RootDirectory::open(options.data_directory));
  root_ = root;
  log_ = std::move(log);
  clock_ = std::make_unique<SteadyClock>(loop_.io(), *this, gate_);
  compute_ = std::make_unique<PoolCompute>(loop_.compute_pool(), gate_);
  disk_compute_ = std::make_unique<PoolCompute>(loop_.disk_pool(), disk_gate_);
  disk_ = std::make_unique<FileDisk>(std::move(root), *this, *disk_compute_);
  auto network = std::make_unique<TcpNetwork>(loop_.io(), *this);
  TcpNetwork& tcp = *network;
  network_ = std::move(network);
  env_.emplace(Env::Parts{.operations = *this,
                          .clock = *clock_,
                          .network = *network_,
                          .disk = *disk_,
                          .compute = *compute_,
                          .log = *log_,
                          .buggify = nullptr},
               Random(random_seed()));
  tcp.attach(*env_);
  return {};
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
  if (root_) root_->unlock();
  shutdown();  // Asio services of this incarnation: what waits in its channels
  CHECK(live_tasks() == 0, "{} tasks outlived their process", live_tasks());
}

uint64_t Process::syncs() const { return disk_->syncs(); }

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
