#include "tests/replicated_map/map_client.h"

#include "core/env/nursery.h"
#include "core/rpc/client.h"

#include "tests/replicated_map/map_history.h"

namespace dogfs::nodes {
namespace {

constexpr Duration kCallLimit = std::chrono::seconds(1);
constexpr Duration kRetryPause = std::chrono::milliseconds(20);

}  // namespace

Task<> MapClient::run(Env& env) {
  rpc::Client client(env, {});
  co_await nursery(env, [&](Nursery& children) { return operate(env, children, client); });
}

Task<> MapClient::operate(Env& env, Nursery& children, rpc::Client& client) {
  children.spawn(client.run());
  while (!stopped_) {
    const auto& key = options_.keys[env.random().below(options_.keys.size())];
    bool answered = false;
    if (env.random().chance(2, 3))
      answered = co_await append(env, client, key);
    else
      answered = (co_await read_once(client, key)).has_value();
    const auto think = static_cast<uint64_t>(options_.think_max.count());
    co_await env.sleep(answered ? Duration(env.random().below(think + 1)) : kRetryPause);
  }
}

// What may have been applied is never written again: each append has a piece of its own.
Task<bool> MapClient::append(Env& env, rpc::Client& client, std::string key) {
  const auto piece = fmt::format("{}.{},", options_.number, ++appends_);
  const size_t number = history_.begin_append(key, piece);
  auto reply = co_await client.call(server(), rpc::Method::kMetadataExecute,
                                    Buffer::take(key + " " + piece), kCallLimit);
  if (reply) {
    history_.done(number, std::string(reply->message.text()));
    co_return true;
  }
  env.log().info("append of {}: {}", piece, reply.error());
  try_another();
  if (reply.error().is(Code::kUnknown))
    history_.unknown(number);
  else
    history_.refused(number);
  co_return false;
}

Task<std::optional<std::string>> MapClient::read_once(rpc::Client& client, std::string key) {
  const size_t number = history_.begin_read(key);
  auto reply = co_await client.call(server(), rpc::Method::kMetadataQuery,
                                    Buffer::take(std::move(key)), kCallLimit);
  if (!reply) {
    try_another();
    history_.unknown(number);
    co_return std::nullopt;
  }
  std::string value(reply->message.text());
  history_.done(number, value);
  co_return value;
}

Task<std::optional<std::string>> MapClient::read(Env& env, std::string key, Duration limit) {
  rpc::Client client(env, {});
  std::optional<std::string> value;
  const Instant end = env.now() + limit;
  co_await nursery(
      env, [&](Nursery& children) { return read_until(env, children, client, key, end, value); });
  co_return value;
}

Task<> MapClient::read_until(Env& env, Nursery& children, rpc::Client& client, std::string key,
                             Instant end, std::optional<std::string>& value) {
  children.spawn(client.run());
  for (;;) {
    value = co_await read_once(client, key);
    if (value || env.now() >= end) co_return;
    co_await env.sleep(kRetryPause);
  }
}

}  // namespace dogfs::nodes
