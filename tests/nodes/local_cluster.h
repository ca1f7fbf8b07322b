#pragma once
// LocalCluster: a simulated world with one LocalMetadata, chunk servers and a client host: what the
// tests of the client and the chunk server stand on. State of a test is declared before it.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nodes/chunk/chunk_node.h"
#include "nodes/client/client.h"
#include "nodes/client/memory_stream.h"
#include "sim/world/disk_image.h"
#include "sim/world/fabric.h"
#include "sim/world/host.h"
#include "sim/world/world.h"

#include "tests/nodes/local_metadata.h"

namespace dogfs::nodes::testing {

struct LocalClusterOptions {
  uint64_t seed = 1;
  int chunks = 6;
  int disks = 1;  // of each chunk server; of several the data directories are "disk-1", ...
  std::string policy = "rs-4-2";
  uint64_t block_bytes = limits::kMiB;
  uint32_t cell_bytes = 16 * limits::kKiB;
  uint32_t inline_bytes = 0;  // so that small files have shards, too
  bool pack = false;          // likewise
  ScrubOptions scrub{.bytes_per_second = 0};
};

class LocalCluster {
 public:
  // A client program; the references outlive it.
  using Script = std::function<Task<>(Env&, Client&)>;

  explicit LocalCluster(const LocalClusterOptions& options);

  // Runs the world until the script has ended; false if it did not within `limit`.
  bool run(Script script, Duration limit = 60s);
  // The same in two steps, to make things happen meanwhile.
  void start(Script script);
  bool ended() const { return client_host.process() == nullptr || client_host.process()->ended(); }
  bool finish(Duration limit);

  sim::Host& chunk(int number) { return *chunks_.at(static_cast<size_t>(number - 1)); }
  void boot_all();
  uint64_t shards_on_disks();

  sim::World world;
  MetadataModel metadata;
  sim::Host& metadata_host;
  sim::Host& client_host;
  ClientOptions client_options;

 private:
  Task<> metadata_main(Env& env);
  Task<> chunk_main(Env& env, std::string name);
  Task<> client_main(Env& env, Script script);

  std::vector<chunk::DataDirectory> directories_;
  ScrubOptions scrub_;
  std::vector<sim::Host*> chunks_;
};

// Bytes that depend on `seed` everywhere.
std::string pattern(size_t size, uint64_t seed);

}  // namespace dogfs::nodes::testing
