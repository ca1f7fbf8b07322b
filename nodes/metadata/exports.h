#pragma once
// Exports: frozen states of the namespace that somebody reads part by part. Each part says where
// the next begins, so a part may be asked for again. A state that nobody asks of for a minute is
// dropped, and all are when the server ends or another one leads: then the reader begins again.
// Owned by the metadata node.

#include <cstdint>
#include <map>

#include "core/base/time.h"
#include "core/proto/namespace_codec.h"
#include "nodes/metadata/metadata_group.h"

namespace dogfs::nodes {

class Exports {
 public:
  Exports(Env& env, MetadataGroup& group) : env_(env), group_(group) {}

  // Drops what is idle, for ever.
  Task<> run();
  // kUnavailable: too many are read at a time; kNotFound: this one is not, or no longer.
  Result<proto::ExportPart> part(const proto::ExportQuestion& question);

 private:
  struct View {
    metadata::Snapshot snapshot;
    metadata::BeginImport settings;
    Instant used;
  };
  Result<std::map<uint64_t, View>::iterator> open();
  void drop_idle();

  Env& env_;
  MetadataGroup& group_;
  std::map<uint64_t, View> views_;
};

}  // namespace dogfs::nodes
