#pragma once
// PoolCompute: runs jobs on a thread pool. A process has one for computing and one for its files.
// The handler stays in the process's registry; the pool gets the job, a reference and the gate.

#include <memory>

#include "core/env/compute.h"

namespace boost::asio {
class thread_pool;
}

namespace dogfs::net {

class Gate;

class PoolCompute final : public Compute {
 public:
  PoolCompute(asio::thread_pool& pool, std::shared_ptr<Gate> gate)
      : pool_(pool), gate_(std::move(gate)) {}
  void run(std::shared_ptr<Job> job, size_t work_bytes, OperationRef op) override;

 private:
  asio::thread_pool& pool_;
  std::shared_ptr<Gate> gate_;
};

}  // namespace dogfs::net
