#pragma once
// Channel: a client's connection to one address, with everything that waits for it. Belongs to its
// Client; run() makes the connection when something wants to be sent, and keeps it until it is
// lost. Calls under way are owned by their callers' frames and registered here; calls outlive a
// connection only to hear how it ended.

#include <map>
#include <memory>
#include <optional>

#include "core/env/event.h"
#include "core/rpc/connection.h"
#include "core/rpc/outbox.h"
#include "core/rpc/types.h"

namespace dogfs::rpc {

class Channel final : private Connection::Receiver {
 public:
  // `identity` and `stats` are the Client's; the first handshake fills in an unknown cluster.
  Channel(Env& env, Address address, Identity& identity, const Options& options, Stats& stats);
  ~Channel() override;

  Task<> run();
  // As Client's.
  Task<Result<Reply>> call(Method method, Buffer message, Duration limit, Buffer bulk,
                           std::optional<uint32_t> bulk_crc);
  bool send(Method method, Buffer message, Buffer bulk);
  const std::optional<Peer>& peer() const { return peer_; }
  std::optional<std::string> refusal() const;

 private:
  class Pending;
  std::optional<Ending> receive(Frame frame) override;
  Result<void> admit(const Buffer& message, const Buffer& bulk) const;
  Task<Result<std::unique_ptr<Connection>>> open();
  void opened(std::unique_ptr<Connection> connection);
  void failed(const Error& error);
  // Ends all that waits: what was written is unknown, the rest unavailable.
  void lost(std::string_view why);

  Env& env_;
  const Address address_;
  Identity& identity_;
  const Options& options_;
  Stats& stats_;
  std::optional<Peer> peer_;

  Outbox outbox_;
  Event demand_;  // something waits to be sent
  std::unique_ptr<Connection> connection_;
  std::map<uint64_t, Pending*> calls_;
  uint64_t last_call_ = 0;

  Duration backoff_{};
  Instant retry_at_ = Instant::min();
  std::string last_failure_;
  bool refused_ = false;  // the last attempt to connect was, and did not only take too long
};

}  // namespace dogfs::rpc
