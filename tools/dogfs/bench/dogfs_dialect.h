#pragma once
// DogfsDialect: a metadata client on one connection: handshake, sessions, numbered requests,
// credit. It speaks with the codecs of core/rpc and core/proto, and says all that nodes/client
// says; what it leaves out is the search for the leader and everything that waits.
//
// A session carries at most limits::kClientRequestsMax slots, as a client's does.

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/namespace/commands.h"
#include "core/namespace/queries.h"
#include "core/rpc/types.h"
#include "tools/dogfs/bench/load.h"

namespace dogfs::tool {

// What the clients of one connection do, slot by slot. An operation is one or more calls, each made
// from the answer to the one before.
class MetadataScript {
 public:
  // A change or a query.
  using Call = std::variant<metadata::Operation, metadata::Query>;
  virtual ~MetadataScript() = default;
  // The first call of a slot's next operation.
  virtual Call first(uint32_t slot) = 0;
  // The call that follows the answer; nothing when the operation is complete.
  virtual Result<std::optional<Call>> next(uint32_t slot, const metadata::Reply& reply) = 0;
};

class DogfsDialect final : public Dialect {
 public:
  DogfsDialect(std::unique_ptr<MetadataScript> script, uint32_t slots);

  void greet(std::string& out) override;
  bool ready() const override;
  void begin(uint32_t slot, std::string& out) override;
  Result<size_t> take(std::string_view in, std::string& out, std::vector<uint32_t>& ended) override;

 private:
  struct Session {
    ClientId client;
    RequestId last;
    // From the lowest request under way up: whether each is answered.
    RequestId lowest{1};
    std::deque<bool> answered;
  };
  struct Slot {
    bool query = false;
    RequestId request;
  };
  Result<void> answered(const rpc::FrameHeader& header, ByteView body, std::string& out,
                        std::vector<uint32_t>& ended);
  Result<void> check_sample(std::string_view body) const;
  Result<void> registered(size_t session, const metadata::Reply& reply);
  void call(uint32_t slot, const MetadataScript::Call& next, std::string& out);
  void send(uint64_t id, rpc::Method method, std::string_view message, std::string& out);
  Session& session_of(uint32_t slot) { return sessions_[slot / limits::kClientRequestsMax]; }
  static void settle(Session& session, RequestId request);

  const std::unique_ptr<MetadataScript> script_;
  std::vector<Session> sessions_;
  std::vector<Slot> slots_;
  size_t registered_ = 0;
  bool greeted_ = false;
  uint64_t calls_ = 0;
  uint64_t owed_ = 0;  // credit to give back
};

}  // namespace dogfs::tool
