#pragma once
// Starting and stopping a local cluster: what `dogfs cluster` does, for the benchmark, too. Each
// call blocks. Those that start or stop servers hold the lock of the cluster's directory meanwhile:
// kUnavailable when another program does. What an error interrupts stays as it is and can be asked
// for again.

#include <functional>
#include <string>

#include "core/base/error.h"
#include "tools/dogfs/local_cluster.h"

namespace dogfs::tool {

// Told what was done, one line at a time.
using Report = std::function<void(const LocalNode& node, const std::string& done)>;

// Starts what does not run and waits until a leader stands and every server is live. When a server
// fails the error carries the end of its log. kExists: somebody else listens where a server should.
// Servers that were started stay up.
Result<void> bring_up(LocalCluster& cluster, const Report& report);
// Starts one server and waits until it listens. kExists when it runs or its address is taken.
Result<void> start_server(LocalCluster& cluster, const LocalNode& node);
// SIGKILL. kPrecondition when it does not run.
Result<void> kill_server(const LocalCluster& cluster, const LocalNode& node);
// SIGTERM to every server, and SIGKILL to those that are still there after ten seconds.
Result<void> bring_down(const LocalCluster& cluster, const Report& report);

}  // namespace dogfs::tool
