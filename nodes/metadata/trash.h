#pragma once
// Trash: counts the time that removed names lie in the trash, on the leader's monotonic clock, and
// has the state machine drop what is due. Time without a leader, and what passed between the last
// count and a change of leaders, does not count. Owned by the metadata node.

#include "core/base/time.h"
#include "nodes/metadata/metadata_group.h"

namespace dogfs::nodes {

struct TrashOptions {
  Duration look_every = std::chrono::seconds(30);
};

class Trash {
 public:
  Trash(Env& env, TrashOptions options, MetadataGroup& group)
      : env_(env), options_(options), group_(group) {}

  // For ever; does something only while this server leads.
  Task<> run();

 private:
  Task<> watch(Term term);

  Env& env_;
  const TrashOptions options_;
  MetadataGroup& group_;
};

}  // namespace dogfs::nodes
