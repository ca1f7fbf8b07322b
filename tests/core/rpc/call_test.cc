// Calls between two healthy nodes: replies, errors, deadlines, cancellation, order, handshakes.
#include "core/proto/chunk.pb.h"

#include "tests/core/rpc/nodes.h"

#include "tests/doctest.h"

namespace dogfs::rpc::testing {
namespace {

struct Tally {
  std::vector<int> order;  // of completions
  int good = 0;
  std::vector<Code> codes;
};

Task<> call_once(Client& client, Address to, int number, Tally& tally) {
  const Buffer message = Buffer::copy(fmt::format("request {}", number));
  const Buffer bulk = pattern(static_cast<size_t>(number) * 37, static_cast<uint64_t>(number));
  const auto reply = co_await client.call(to, kEcho, message, 10s, bulk);
  if (reply && reply->message == message && reply->bulk == bulk) ++tally.good;
  if (!reply) tally.codes.push_back(reply.error().code);
  tally.order.push_back(number);
}

Task<> call_many(Nursery& children, Client& client, Address to, int count, Tally& tally) {
  for (int i = 0; i < count; ++i) children.spawn(call_once(client, to, i, tally));
  co_await children.join();
}

Nodes::Script many(const Nodes& nodes, int count, Tally& tally) {
  return [&nodes, count, &tally](Env& env, Client& client) {
    return nursery(env, [&nodes, count, &tally, &client](Nursery& children) {
      return call_many(children, client, nodes.address, count, tally);
    });
  };
}

// One call, its outcome and how long it took.
struct One {
  std::optional<Result<Reply>> result;
  Duration took{};
};

Task<> call_into(Env& env, Client& client, Address to, Method method, Buffer message,
                 Duration limit, One& one) {
  const Instant begin = env.now();
  one.result = co_await client.call(to, method, std::move(message), limit);
  one.took = env.now() - begin;
}

Nodes::Script single(const Nodes& nodes, Method method, Buffer message, Duration limit, One& one) {
  return [&nodes, method, message, limit, &one](Env& env, Client& client) {
    return call_into(env, client, nodes.address, method, message, limit, one);
  };
}

Task<Result<Reply>> refuse(Call) { co_return fail(Code::kNotLeader, "ask node 7"); }

}  // namespace

TEST_CASE("many calls share a connection, end in any order, and each gets its own reply") {
  Tally tally;
  Nodes nodes(1);
  nodes.serve(echo_setup(20ms));
  nodes.run_client(many(nodes, 500, tally));
  nodes.world.run_for(5s);
  CHECK(tally.good == 500);
  CHECK(!std::ranges::is_sorted(tally.order));
  CHECK(nodes.server->stats().connections == 1);
  CHECK(nodes.server->stats().calls == 500);
  CHECK(nodes.server->calls() == 0);
}

TEST_CASE("a handler's error reaches the caller with its code and text") {
  One one;
  Nodes nodes(1);
  nodes.serve([](Env&, Server& server) { server.handle(kEcho, refuse); });
  nodes.run_client(single(nodes, kEcho, {}, 1s, one));
  CHECK(nodes.finish(5s));
  REQUIRE(one.result.has_value());
  REQUIRE(!one.result->has_value());
  CHECK(one.result->error() == Error{Code::kNotLeader, "ask node 7"});
}

TEST_CASE("a method that nobody handles is refused as unsupported") {
  One one;
  Nodes nodes(1);
  nodes.serve(echo_setup(0ms));
  nodes.run_client(single(nodes, kOther, {}, 1s, one));
  CHECK(nodes.finish(5s));
  CHECK(one.result->error().code == Code::kUnsupported);
}

TEST_CASE("a message over the limit is refused at once and nothing is sent") {
  One one;
  Nodes nodes(1);
  nodes.serve(echo_setup(0ms));
  nodes.run_client(single(nodes, kEcho, pattern(limits::kFrameMessageBytesMax + 1, 1), 1s, one));
  CHECK(nodes.finish(5s));
  CHECK(one.result->error().code == Code::kTooLarge);
  CHECK(nodes.server->stats().connections == 0);
}

namespace {

Task<Result<Reply>> oversized_reply(Call) {
  co_return Reply{{}, pattern(limits::kFrameBulkBytesMax + 1, 1)};
}

}  // namespace

TEST_CASE("a reply over the limit becomes an error, and the connection lives on") {
  One one;
  Nodes nodes(1);
  nodes.serve([](Env&, Server& server) { server.handle(kEcho, oversized_reply); });
  nodes.run_client(single(nodes, kEcho, {}, 1s, one));
  CHECK(nodes.finish(5s));
  CHECK(one.result->error().code == Code::kTooLarge);
}

namespace {

Task<Result<Answer<proto::ShardBeginReply>>> begin_shard(proto::ShardBeginRequest request,
                                                         Call call) {
  proto::ShardBeginReply reply;
  reply.set_upload(request.k() + request.m());
  co_return Answer<proto::ShardBeginReply>{reply, std::move(call.bulk)};
}

struct Typed {
  std::optional<Result<Answer<proto::ShardBeginReply>>> good;
  std::optional<Result<Reply>> garbage;
};

Task<> call_typed(Client& client, Address to, Typed& typed) {
  proto::ShardBeginRequest request;
  request.set_k(4);
  request.set_m(2);
  typed.good = co_await client.call<proto::ShardBeginReply>(to, Method::kShardBegin, request, 1s,
                                                            Buffer::copy("bulk"));
  typed.garbage =
      co_await client.call(to, Method::kShardBegin, Buffer::copy("\xff\xff garbage"), 1s);
}

}  // namespace

TEST_CASE("typed calls carry protobufs and bulk; bytes that are no message are invalid") {
  Typed typed;
  Nodes nodes(1);
  nodes.serve([](Env&, Server& server) {
    server.handle<proto::ShardBeginRequest>(Method::kShardBegin, begin_shard);
  });
  nodes.run_client([&](Env&, Client& client) { return call_typed(client, nodes.address, typed); });
  CHECK(nodes.finish(5s));
  REQUIRE(typed.good->has_value());
  CHECK((*typed.good)->message.upload() == 6);
  CHECK((*typed.good)->bulk.text() == "bulk");
  REQUIRE(!typed.garbage->has_value());
  CHECK(typed.garbage->error().code == Code::kInvalid);
}

namespace {

struct Checked {
  std::vector<std::optional<uint32_t>> seen;  // by the handler
  std::vector<std::optional<uint32_t>> got;   // with the replies
  std::vector<Code> codes;
};

Task<Result<Reply>> echo_checked(Checked& checked, Call call) {
  checked.seen.push_back(call.bulk_crc);
  co_return Reply{{}, std::move(call.bulk), call.bulk_crc};
}

Task<> call_checked(Client& client, Address to, Checked& checked) {
  const Buffer bulk = pattern(64 * limits::kKiB, 1);
  for (const uint32_t damage : {0u, 1u}) {
    const auto reply = co_await client.call(to, kEcho, Buffer::copy("message"), 1s, bulk,
                                            crc32c(bulk.view()) ^ damage);
    if (reply) checked.got.push_back(reply->bulk_crc);
    if (!reply) checked.codes.push_back(reply.error().code);
  }
}

}  // namespace

TEST_CASE("bulk bytes travel with their checksum, and one that is wrong ends the connection") {
  Checked checked;
  Nodes nodes(1);
  nodes.serve([&](Env&, Server& server) {
    server.handle(kEcho, [&](Call call) { return echo_checked(checked, std::move(call)); });
  });
  nodes.run_client(
      [&](Env&, Client& client) { return call_checked(client, nodes.address, checked); });
  CHECK(nodes.finish(5s));
  nodes.world.run_for(1s);  // the server lingers, so that its goodbye is read
  const uint64_t ended_as_corrupt =
      nodes.server->stats().endings[static_cast<size_t>(Reason::kCorrupt)];
  const auto crc = std::optional(crc32c(pattern(64 * limits::kKiB, 1).view()));
  CHECK((checked.seen == std::vector{crc}));
  CHECK((checked.got == std::vector{crc}));
  CHECK((checked.codes == std::vector{Code::kUnknown}));
  CHECK_EQ(ended_as_corrupt, 1);
}

namespace {

struct Watched {
  int begun = 0;
  int ended = 0;      // by themselves
  int destroyed = 0;  // in any way
  Duration given{};   // time until the deadline that the handler saw
};

struct Counted {
  explicit Counted(int& count) : destroyed(count) {}
  ~Counted() { ++destroyed; }
  int& destroyed;
};

Task<Result<Reply>> hang(Env& env, Watched& watched, Call call) {
  const Counted counted(watched.destroyed);
  ++watched.begun;
  watched.given = call.deadline - env.now();
  co_await env.sleep(1h);
  ++watched.ended;
  co_return Reply{};
}

Nodes::Setup hang_setup(Watched& watched) {
  return [&watched](Env& env, Server& server) {
    server.handle(kEcho,
                  [&env, &watched](Call call) { return hang(env, watched, std::move(call)); });
    server.handle(kOther, [&env](Call call) { return echo(env, 0ms, std::move(call)); });
  };
}

}  // namespace

TEST_CASE("an unanswered call ends at its deadline as unknown, and its handler is cancelled") {
  One one;
  Watched watched;
  Nodes nodes(1);
  nodes.serve(hang_setup(watched));
  nodes.run_client(single(nodes, kEcho, {}, 300ms, one));
  CHECK(nodes.finish(5s));
  CHECK(one.result->error().code == Code::kUnknown);
  CHECK(one.took >= 300ms);
  CHECK(one.took < 301ms);
  nodes.world.run_for(10ms);
  CHECK(watched.begun == 1);
  CHECK(watched.destroyed == 1);
  CHECK(watched.ended == 0);
  CHECK(watched.given <= 300ms);
  CHECK(watched.given > 290ms);
  CHECK(nodes.server->calls() == 0);
}

namespace {

Task<> give_up(Env& env, Client& client, Address to, One& after) {
  co_await env.sleep(10ms);
  const auto never = co_await within(env, 100ms, client.call(to, kEcho, {}, 1h));
  CHECK(never.error().code == Code::kDeadline);
  co_await call_into(env, client, to, kOther, Buffer::copy("still there"), 1s, after);
}

}  // namespace

TEST_CASE("cancelling a call cancels its handler at once, and the connection lives on") {
  One after;
  Watched watched;
  Nodes nodes(1);
  nodes.serve(hang_setup(watched));
  nodes.run_client(
      [&](Env& env, Client& client) { return give_up(env, client, nodes.address, after); });
  CHECK(nodes.finish(5s));
  REQUIRE(after.result->has_value());
  CHECK((*after.result)->message.text() == "still there");
  CHECK(watched.destroyed == 1);
  CHECK(watched.ended == 0);
  CHECK(nodes.server->stats().connections == 1);
}

TEST_CASE("a server that has enough to do refuses further calls as busy, unexecuted") {
  Tally tally;
  Watched watched;
  Nodes nodes(1);
  nodes.bounds.calls = 3;
  nodes.serve(hang_setup(watched));
  nodes.run_client(many(nodes, 10, tally));
  nodes.world.run_for(1s);
  CHECK(watched.begun == 3);
  CHECK(tally.codes.size() == 7);
  for (const Code code : tally.codes) CHECK(code == Code::kUnavailable);
  CHECK(nodes.server->stats().calls_busy == 7);
}

TEST_CASE("calls beyond the handlers of a connection wait their turn") {
  Tally tally;
  Nodes nodes(1);
  nodes.bounds.handlers_per_connection = 2;
  nodes.serve(echo_setup(5ms));
  nodes.run_client(many(nodes, 50, tally));
  CHECK(nodes.finish(5s));
  CHECK(tally.good == 50);
}

namespace {

Task<> hang_and_give_up(Env& env, Client& client, Address to, One& first) {
  co_await nursery(env, [&](Nursery& children) {
    children.spawn(call_into(env, client, to, kEcho, {}, 1s, first));
    return give_up(env, client, to, first);
  });
}

}  // namespace

TEST_CASE("a cancelled call that waits its turn is never begun and gives its place back") {
  One first;
  Watched watched;
  Nodes nodes(1);
  nodes.bounds.handlers_per_connection = 1;
  nodes.serve(hang_setup(watched));
  nodes.run_client([&](Env& env, Client& client) {
    return hang_and_give_up(env, client, nodes.address, first);
  });
  nodes.world.run_for(50ms);
  CHECK(nodes.server->calls() == 2);
  nodes.world.run_for(100ms);
  CHECK(nodes.server->calls() == 2);  // the hanging one, and the next one that waits
  CHECK(watched.begun == 1);
}

namespace {

struct Heard {
  std::vector<uint64_t> numbers;
  std::vector<NodeId> from;
};

Task<> hear(Env& env, Heard& heard, Call call) {
  co_await env.sleep(Duration(env.random().below(100'000)));
  heard.numbers.push_back(std::stoull(std::string(call.message.text())));
  heard.from.push_back(call.peer.identity.node);
}

Task<> tell(Env& env, Client& client, Address to, int count) {
  for (int i = 0; i < count; ++i) client.send(to, kTell, Buffer::copy(std::to_string(i)));
  // An unknown one-way method is dropped and does no harm.
  client.send(to, Method::kHeartbeat, Buffer());
  co_await env.sleep(1s);
}

}  // namespace

TEST_CASE("one-way messages arrive in order, also those sent before there was a connection") {
  Heard heard;
  Nodes nodes(3);
  nodes.client_identity.node = NodeId(5);
  nodes.serve([&](Env& env, Server& server) {
    server.handle_one_way(kTell, [&](Call call) { return hear(env, heard, std::move(call)); });
  });
  nodes.run_client([&](Env& env, Client& client) { return tell(env, client, nodes.address, 300); });
  nodes.world.run_for(1s);
  REQUIRE(heard.numbers.size() == 300);
  for (uint64_t i = 0; i < 300; ++i) CHECK(heard.numbers[i] == i);
  CHECK(heard.from.front() == NodeId(5));
  CHECK(nodes.server->stats().one_ways_dropped == 1);
}

namespace {

Task<> flood(Client& client, Address to, int& accepted) {
  for (int i = 0; i < 40; ++i) accepted += client.send(to, kTell, pattern(limits::kMiB, 1));
  co_return;
}

}  // namespace

TEST_CASE("one-way messages beyond the queue are dropped, newest first, and counted") {
  int accepted = 0;
  Nodes nodes(1);
  nodes.run_client([&](Env&, Client& client) { return flood(client, nodes.address, accepted); });
  nodes.world.step();
  nodes.world.run_for(1us);
  CHECK(accepted == limits::kOneWayQueueBytesMax / limits::kMiB - 1);  // each costs a bit more
}

TEST_CASE("a client of another cluster is refused, and both sides know why") {
  One one;
  Nodes nodes(1);
  nodes.client_identity.cluster = ClusterId(0xbad);
  nodes.serve(echo_setup(0ms));
  nodes.run_client(single(nodes, kEcho, {}, 5s, one));
  CHECK(nodes.finish(10s));
  CHECK(one.result->error().code == Code::kUnavailable);
  CHECK(one.result->error().message.contains("wrong_cluster"));
  CHECK(one.result->error().message.contains("00000000000000c1"));
  CHECK(one.took < 1s);
  nodes.world.run_for(1s);
  const auto wrong = static_cast<size_t>(Reason::kWrongCluster);
  CHECK(nodes.server->stats().endings[wrong] == 1);
  CHECK(nodes.server->stats().connections == 0);
  CHECK(nodes.server->stats().calls == 0);
}

namespace {

Task<> learn(Client& client, Address to, std::optional<Peer>& peer, ClusterId& learned) {
  co_await client.call(to, kEcho, {}, 1s);
  peer = client.peer(to);
  learned = client.identity().cluster;
}

}  // namespace

TEST_CASE("a client that knows no cluster takes the first that answers and keeps to it") {
  std::optional<Peer> peer;
  ClusterId learned;
  Nodes nodes(1);
  nodes.client_identity.cluster = ClusterId(0);
  nodes.serve(echo_setup(0ms));
  nodes.run_client(
      [&](Env&, Client& client) { return learn(client, nodes.address, peer, learned); });
  CHECK(nodes.finish(5s));
  REQUIRE(peer.has_value());
  CHECK(peer->identity.node == NodeId(1));
  CHECK(peer->identity.store == StoreId(11));
  CHECK(learned == ClusterId(0xc1));
}

namespace {

Task<> connect_twice(Nodes& nodes, Client& client, One& first, One& second, Env& env) {
  co_await call_into(env, client, nodes.address, kEcho, {}, 1s, first);
  Client other(env, nodes.client_identity, nodes.options);
  co_await nursery(env, [&](Nursery& children) {
    children.spawn(other.run());
    return call_into(env, other, nodes.address, kEcho, {}, 1s, second);
  });
}

}  // namespace

TEST_CASE("a connection too many is told that the server is busy") {
  One first;
  One second;
  Nodes nodes(1);
  nodes.bounds.connections = 1;
  nodes.serve(echo_setup(0ms));
  nodes.run_client(
      [&](Env& env, Client& client) { return connect_twice(nodes, client, first, second, env); });
  CHECK(nodes.finish(5s));
  CHECK(first.result->has_value());
  REQUIRE(!second.result->has_value());
  CHECK(second.result->error().code == Code::kUnavailable);
  CHECK(second.result->error().message.contains("busy"));
}

}  // namespace dogfs::rpc::testing
