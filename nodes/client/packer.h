#pragma once
// Packer: appends the bytes of small files to packs (core/namespace/packs.h), one record each. The
// caller then makes a file of them (PutPacked); until it does, they are nobody's, so that anything
// that fails here has changed nothing that is to be seen. Owned by a Client and shared with its
// views, who all use the same pack of a policy. One thread; any number of calls at a time.

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/time.h"
#include "core/env/task.h"
#include "core/namespace/commands.h"
#include "core/placement/policy.h"
#include "nodes/client/session.h"

namespace dogfs::rpc {
class Client;
}

namespace dogfs::nodes {

class Appender;
struct ClientOptions;

// Where the bytes of a file lie, acknowledged.
struct PackedBytes {
  metadata::FileHandle pack;
  BlockId block;
  uint64_t block_offset = 0;
};

class Packer {
 public:
  struct Parts {
    Env& env;
    rpc::Client& rpc;
    MetadataCalls& calls;
    const ClientOptions& options;
  };
  Packer(const Parts& parts, const Session& session);
  ~Packer();
  Packer(const Packer&) = delete;
  Packer& operator=(const Packer&) = delete;

  // `policy`: of the file; else that of its directory, asked for by that session. Any error: the
  // file is to be stored in another way, which says what was wrong. At once for a while after a
  // pack failed.
  Task<Result<PackedBytes>> store(Session& session, std::string path,
                                  std::optional<placement::Policy> policy, Buffer bytes);
  // The same for a file of that policy, wherever it is.
  Task<Result<PackedBytes>> store_in(placement::Policy policy, Buffer bytes);
  // The path's directory is not, or not any more, what it was taken for.
  void forget(const std::string& path);
  // It has no room: for a while nothing is packed for it, so that no bytes are stored in vain.
  void avoid(const std::string& path);

 private:
  // What the files of a directory get.
  struct Layout {
    placement::Policy policy;
    bool dedup = false;  // they share blocks by their content, and no packs
  };
  Task<Result<Layout>> layout_of(Session& session, std::string directory);
  Task<Result<PackedBytes>> append(std::string pack, Buffer bytes);
  Task<Result<std::shared_ptr<Appender>>> find(std::string pack);
  Task<Result<std::shared_ptr<Appender>>> open(std::string pack);

  const Parts parts_;
  Session session_;  // names no asker: packs are the cluster's own
  uint32_t number_;  // of the packs that it uses, until one fails
  std::map<std::string, std::shared_ptr<Appender>> packs_;  // by path
  std::map<std::string, Instant> off_until_;                // likewise, of those that failed
  std::map<std::string, Instant> avoided_until_;            // by directory
  std::map<std::string, Layout> layouts_;                   // by directory; as they were
};

}  // namespace dogfs::nodes
