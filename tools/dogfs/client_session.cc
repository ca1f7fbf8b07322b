#include "tools/dogfs/client_session.h"

#include "nodes/client/client.h"
#include "tools/dogfs/cluster_target.h"
#include "tools/dogfs/output.h"

namespace dogfs::tool {
void run_command(Output& output, const std::string& cluster, const ClientBody& body) {
  auto target = find_cluster(cluster);
  if (!target) return output.error(target.error());
  int signal = 0;
  if (auto result = run_with_client(target->client_options(), body, &signal); !result)
    output.error(target->explain(result.error()));
  if (signal != 0) output.set_exit_code(kSignalled + signal);
}

}  // namespace dogfs::tool
