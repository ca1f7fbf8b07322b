#include "net/pool_compute.h"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "net/gate.h"

namespace dogfs::net {

void PoolCompute::run(std::shared_ptr<Job> job, size_t, OperationRef op) {
  asio::post(pool_, [gate = gate_, job = std::move(job), op] {
    if (!gate->enter()) return;
    job->run();
    gate->leave(op);
  });
}

}  // namespace dogfs::net
