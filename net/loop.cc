#include "net/loop.h"

#include <algorithm>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

namespace dogfs::net {

namespace asio = boost::asio;

// Keeps the loop running while nothing is waited for in it: a pool may be at work.
struct Loop::WorkGuard {
  asio::executor_work_guard<asio::io_context::executor_type> guard;
};

Loop::Loop(const Options& options)
    : disk_pool_(std::make_unique<asio::thread_pool>(options.disk_threads)),
      compute_pool_(std::make_unique<asio::thread_pool>(
          options.compute_threads > 0 ? options.compute_threads
                                      : std::max(1U, std::thread::hardware_concurrency()))),
      io_(std::make_unique<asio::io_context>(1)),
      guard_(std::make_unique<WorkGuard>(asio::make_work_guard(*io_))) {}

Loop::~Loop() = default;

void Loop::run() {
  io_->restart();
  io_->run();
}

void Loop::stop() { io_->stop(); }

bool Loop::run_one(Duration limit) { return io_->run_one_for(limit) > 0; }

}  // namespace dogfs::net
