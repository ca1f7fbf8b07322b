#pragma once
// Client: calls to any server by its address. One Client belongs to a node, which spawns run() in a
// nursery that ends before the Client is destroyed; one thread. There is one connection to each
// address, made when it is first needed and again after it was lost.
//
// Outcomes of a call (promise P4; the table is in README.md):
//   a reply        the handler's;
//   its error      the handler's, whatever it means by it;
//   kUnavailable   surely not executed: not connected, refused, or never written;
//   kUnknown       may have been executed: lost, or not answered in time, after it was written;
//   kTooLarge      over the frame limits; nothing was sent.
// Whether kUnknown may be retried only the caller knows. After a failed connect, calls to that
// address fail at once until the back-off is over: whoever retries keeps its own pace.
//
// Cancelling a call tells the server, which cancels the handler.

#include <concepts>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/env/task.h"
#include "core/rpc/message_codec.h"
#include "core/rpc/types.h"

namespace dogfs {
class Env;
class Nursery;
}  // namespace dogfs

namespace dogfs::rpc {

class Channel;

class Client {
 public:
  Client(Env& env, Identity identity, Options options = {});
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Keeps the connections; ends only by cancellation, and then every call under way fails.
  Task<> run();

  // `bulk_crc`: of `bulk`, if it is known; see Reply.
  Task<Result<Reply>> call(Address to, Method method, Buffer message, Duration limit,
                           Buffer bulk = {}, std::optional<uint32_t> bulk_crc = std::nullopt);
  // The same with protobufs: call<MyReply>(to, method, my_request, 2s). A reply that is no Response
  // is kInvalid.
  template <class Response, std::derived_from<google::protobuf::MessageLite> Request>
  Task<Result<Answer<Response>>> call(Address to, Method method, Request request, Duration limit,
                                      Buffer bulk = {}) {
    return typed<Response>(call(std::move(to), method, serialize(request), limit, std::move(bulk)));
  }

  // Best effort, never waits. One-way messages to one address arrive in order while a connection
  // lasts; they are lost with it. False: dropped at once (back-off, a full queue, too large); the
  // queue drops what comes last.
  bool send(const Address& to, Method method, Buffer message, Buffer bulk = {});
  template <std::derived_from<google::protobuf::MessageLite> Message>
  bool send(const Address& to, Method method, const Message& message, Buffer bulk = {}) {
    return send(to, method, serialize(message), std::move(bulk));
  }

  // Who answered there last; nothing before the first handshake.
  std::optional<Peer> peer(const Address& address) const;
  // Why the last attempt to connect there failed; nothing when it did not, or only took too long.
  std::optional<std::string> refusal(const Address& address) const;
  // What this side says of itself; the cluster is known after the first handshake at the latest.
  const Identity& identity() const { return identity_; }
  const Stats& stats() const { return stats_; }

 private:
  template <class Response>
  static Task<Result<Answer<Response>>> typed(Task<Result<Reply>> call) {
    auto reply = co_await std::move(call);
    if (!reply) co_return fail(std::move(reply).error());
    Answer<Response> answer;
    CO_TRY_VOID(parse(reply->message, answer.message));
    answer.bulk = std::move(reply->bulk);
    answer.bulk_crc = reply->bulk_crc;
    co_return answer;
  }
  Task<> keep(Nursery& children);
  // Null when there are too many.
  Channel* channel(const Address& address);

  Env& env_;
  Identity identity_;
  const Options options_;
  Stats stats_;
  Nursery* children_ = nullptr;  // while run() runs
  std::map<Address, std::unique_ptr<Channel>> channels_;
};

}  // namespace dogfs::rpc
