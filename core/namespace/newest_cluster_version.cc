// Alone in its file: a test links a build of an earlier version with another one in its place.
#include "core/namespace/cluster_version.h"

namespace dogfs::metadata {

uint32_t newest_cluster_version() { return kLatestClusterVersion; }

}  // namespace dogfs::metadata
