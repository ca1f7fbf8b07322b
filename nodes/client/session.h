#pragma once
// Session: a client's word with the metadata leader. It opens a session when the first change needs
// one, numbers the requests, sends each until it is answered, and tells the leader which answers it
// has, so that each change is applied once. Queries need none of that. Owned by the Client; one
// thread; at most kClientRequestsMax changes under way at a time, further ones wait.
//
// An expired session is replaced: by the next change, and at once when the request surely never
// arrived before.
//
// Several callers may share one session: each has a view of it, which notes its own answers.

#include <functional>
#include <memory>
#include <optional>
#include <set>

#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/env/event.h"
#include "core/env/task.h"
#include "core/namespace/commands.h"
#include "core/namespace/queries.h"

namespace dogfs::nodes {

class MetadataCalls;

class Session {
 public:
  // `limit` is for one change or query, with all its attempts. An `asker` is named in each, and
  // then permissions are checked.
  Session(Env& env, MetadataCalls& calls, Duration limit, std::optional<metadata::Asker> asker);
  // A view of the other's session. `sent` hears of each request, before it is sent.
  using RequestSent = std::function<void(ClientId, RequestId)>;
  Session(const Session& other, RequestSent sent);
  // A view of the other's session that names no asker: for what is the cluster's own.
  static Session for_nobody(const Session& other);

  template <class T>
  struct At {
    LogIndex position;  // the log index at which it holds
    T value;
  };

  // Errors: those of the state machine; kUnavailable, surely not applied; kUnknown, perhaps.
  Task<Result<At<metadata::Reply>>> execute(metadata::Operation operation);
  // The same, when the answer must be a T; any other is kUnknown.
  template <class T>
  Task<Result<At<T>>> execute_for(metadata::Operation operation) {
    CO_TRY(done, co_await execute(std::move(operation)));
    if (T* value = std::get_if<T>(&done.value)) co_return At<T>{done.position, std::move(*value)};
    co_return fail(Code::kUnknown, "the metadata server answered another question");
  }

  // The length up to which the cluster keeps files in their inode. Opens a session if there is
  // none.
  Task<Result<uint32_t>> inline_bytes();

  Task<Result<At<metadata::Answer>>> query(metadata::Query query);
  template <class T>
  Task<Result<At<T>>> query_for(metadata::Query asked) {
    CO_TRY(answer, co_await query(std::move(asked)));
    if (T* value = std::get_if<T>(&answer.value))
      co_return At<T>{answer.position, std::move(*value)};
    co_return fail(Code::kCorrupt, "the metadata server answered another question");
  }

  // Of the answer that came last to this view, a refusal included.
  LogIndex last_position() const { return last_position_; }
  // So many answers came so far.
  uint64_t answers() const { return answers_; }

 private:
  Session(const Session& other, RequestSent sent, std::optional<metadata::Asker> asker);
  // One registration at the metadata leader. Requests keep the one that they began with.
  struct Registered {
    ClientId client;
    uint32_t inline_bytes = 0;
    RequestId last_request;
    std::set<RequestId> under_way;
  };
  class Request;
  struct Shared {
    explicit Shared(Env& env) : changed(env) {}
    std::shared_ptr<Registered> registered;  // null: none, or it expired
    bool opening = false;
    Event changed;  // a request ended or a registration came
  };

  Task<Result<std::shared_ptr<Registered>>> registered();
  Task<Result<void>> open();
  void note(LogIndex answered_at);

  Env& env_;
  MetadataCalls& calls_;
  const Duration limit_;
  const std::optional<metadata::Asker> asker_;
  const std::shared_ptr<Shared> shared_;
  const RequestSent sent_;  // may be empty
  LogIndex last_position_;
  uint64_t answers_ = 0;
};

}  // namespace dogfs::nodes
