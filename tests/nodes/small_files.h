#pragma once
// Many small files in packs of a LocalCluster, of bytes that follow from their names: put by
// several writers at once, read again, and removed. Shared by the tests of packs and of their
// compaction; what must not fail is required.

#include <set>
#include <string>

#include "core/env/nursery.h"
#include "core/namespace/invariants.h"
#include "nodes/client/client.h"

#include "tests/nodes/local_cluster.h"

#include "tests/doctest.h"

namespace dogfs::nodes::testing {

inline constexpr uint32_t kInline = 1000;

struct Put {
  std::set<std::string> done;
  std::set<std::string> refused;
  std::set<std::string> unknown;
};

inline std::string path_of(int writer, int number) {
  return fmt::format("/f-{}-{}", writer, number);
}

// Of many sizes, all of them packed.
inline std::string bytes_of(int writer, int number, size_t most) {
  const uint64_t seed = static_cast<uint64_t>(writer) * 1000 + static_cast<uint64_t>(number);
  return pattern(kInline + 1 + seed * 7919 % most, seed);
}

inline Task<> put_some(Env& env, Client& client, int writer, int count, size_t most, Duration pause,
                       Put& put) {
  for (int i = 0; i < count; ++i) {
    const std::string path = path_of(writer, i);
    MemorySource source(bytes_of(writer, i, most));
    const auto stored = co_await client.put(path, source, {});
    if (stored)
      put.done.insert(path);
    else
      (stored.error().is(Code::kUnknown) ? put.unknown : put.refused).insert(path);
    if (pause > Duration(0)) co_await env.sleep(pause);
  }
}

inline Task<> put_at_once(Env& env, Client& client, Nursery& children, int writers, int count,
                          size_t most, Duration pause, Put& put) {
  for (int writer = 0; writer < writers; ++writer)
    children.spawn(put_some(env, client, writer, count, most, pause, put));
  co_await children.join();
}

inline std::string read(LocalCluster& cluster, const std::string& path, GetOptions options = {}) {
  MemorySink sink;
  REQUIRE(cluster.run([&](Env&, Client& client) -> Task<> {
    const auto got = co_await client.get(path, sink, options);
    CHECK_MESSAGE(got.has_value(), path, ": ", got.error().message);
  }));
  return sink.bytes;
}

inline void check_files(LocalCluster& cluster, const Put& put, int writers, int count,
                        size_t most) {
  for (int writer = 0; writer < writers; ++writer)
    for (int i = 0; i < count; ++i) {
      const std::string path = path_of(writer, i);
      if (!put.done.contains(path)) continue;
      CAPTURE(path);
      CHECK((read(cluster, path) == bytes_of(writer, i, most)));
    }
}

inline size_t blocks(LocalCluster& cluster) { return cluster.metadata.machine.counters().blocks; }

inline void check_sound(LocalCluster& cluster) {
  const auto sound = metadata::check_invariants(cluster.metadata.machine);
  CHECK_MESSAGE(sound.has_value(), sound.error().message);
}

inline Result<Changed> remove(LocalCluster& cluster, const std::string& path) {
  std::optional<Result<Changed>> removed;
  REQUIRE(cluster.run(
      [&](Env&, Client& client) -> Task<> { removed = co_await client.remove(path, false); }));
  return *removed;
}

}  // namespace dogfs::nodes::testing
