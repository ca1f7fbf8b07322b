#pragma once
// MetadataCalls: how clients and chunk servers reach the metadata leader. Knows some metadata
// servers, asks one of them, follows redirects, goes on to the next when one is silent, and backs
// off when all were tried. Owned by a Client or a ChunkNode; one thread; any number of calls at a
// time, which share what is known of the leader.
//
// Every request to the leader is answered with proto::MetadataReply: a redirect, after which the
// server has done nothing, or a log index and a body in the method's own format.
//
// The same bytes are sent again until there is an answer, so a request that changes something must
// be one that is applied once (a session's request id) or may be applied twice.

#include <optional>
#include <string_view>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/env/env.h"
#include "core/env/network.h"
#include "core/rpc/method.h"

namespace dogfs::rpc {
class Client;
}

namespace dogfs::nodes {

struct MetadataCallOptions {
  std::vector<Address> servers;  // any of the metadata servers; at least one
  Duration attempt_limit = 2s;   // one request to one server
  // A request ends after so long if all servers have refused the connection, each time.
  Duration refused_limit = Duration::max();
  // When all servers were tried in vain: a part of the time waited so far, with jitter.
  Duration backoff_min = 20ms;
  Duration backoff_max = 1s;
};

struct MetadataAnswer {
  LogIndex index;  // where in the log the answer holds
  Buffer body;
  // How often the request may have reached a server before: 0 says that this answer is the only
  // thing that came of it.
  int doubtful_attempts = 0;
};

class MetadataCalls {
 public:
  // `rpc` outlives this and is run by its owner.
  MetadataCalls(Env& env, rpc::Client& rpc, MetadataCallOptions options);

  // What the leader answers, within `limit`. Errors: the leader's own, passed through;
  // kUnavailable when no attempt was executed, naming what the servers said; kUnknown when one may
  // have been.
  Task<Result<MetadataAnswer>> ask(rpc::Method method, Buffer message, Duration limit);

  // The server that answered as leader last; none before the first answer.
  const std::optional<Address>& leader() const { return leader_; }
  const std::vector<Address>& servers() const { return options_.servers; }

 private:
  struct Search;
  Task<Result<MetadataAnswer>> attempt(Search& search, rpc::Method method, Buffer message);
  Address next_server(Search& search) const;
  void redirected(Search& search, std::string_view address);
  Task<> pause(Search& search);
  std::unexpected<Error> give_up(const Search& search, Duration limit) const;

  Env& env_;
  rpc::Client& rpc_;
  const MetadataCallOptions options_;
  std::optional<Address> leader_;
  size_t first_server_ = 0;  // where the next search begins: anywhere, but behind a silent server
};

}  // namespace dogfs::nodes
