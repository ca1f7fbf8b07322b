// Takes the place of the function of this name: a build from before cluster version 2.
#include "core/namespace/cluster_version.h"

namespace dogfs::metadata {

uint32_t newest_cluster_version() { return 1; }

}  // namespace dogfs::metadata
