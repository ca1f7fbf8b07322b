#include "nodes/client/metadata_calls.h"

#include "core/env/nursery.h"
#include "core/proto/metadata.pb.h"
#include "core/rpc/client.h"
#include "core/rpc/server.h"
#include "sim/world/fabric.h"
#include "sim/world/host.h"
#include "sim/world/world.h"

#include "tests/doctest.h"

namespace dogfs::nodes {
namespace {

constexpr int kServers = 3;

Address address_of(int server) { return {fmt::format("meta-{}", server), 7000}; }

// What one of the servers answers, as a test has it.
struct Behaviour {
  bool leads = false;
  int names = 0;        // as the leader; 0: knows of none
  bool answers = true;  // false: never
  std::optional<Code> error;
  bool unknown_first = false;  // instead of the error, once
  int asked = 0;
};

class Three {
 public:
  Three() {
    for (int i = 1; i <= kServers; ++i) {
      sim::Host& host = world.add_host(fmt::format("meta-{}", i), {});
      host.set_main([this, i](Env& env) { return serve(env, i); });
      host.boot();
    }
    client.set_main([this](Env& env) { return ask(env); });
  }
  Behaviour& server(int number) { return servers_.at(static_cast<size_t>(number - 1)); }

  // The outcome of the last of `questions` requests, made by a client that was just started.
  std::string outcome(Duration limit = 10s) {
    limit_ = limit;
    said_ = "not ended";
    if (client.up()) client.crash();
    client.boot();
    world.run_for(questions * limit + 5s);
    return said_;
  }
  int questions = 1;
  Duration refused_limit = 1h;
  Duration took{};  // the last question

  sim::World world{5};
  sim::Host& client = world.add_host("client", {});

 private:
  Task<Result<rpc::Reply>> answer(Env& env, int number) {
    Behaviour& behaviour = server(number);
    ++behaviour.asked;
    if (!behaviour.answers) co_await env.sleep(1h);
    if (std::exchange(behaviour.unknown_first, false)) co_return fail(Code::kUnknown, "perhaps");
    if (behaviour.error) co_return fail(*behaviour.error, "as planned");
    proto::MetadataReply reply;
    if (behaviour.leads) {
      reply.set_index(static_cast<uint64_t>(number));
      reply.set_body("body");
    } else if (behaviour.names > 0) {
      reply.mutable_redirect()->set_address(address_of(behaviour.names).to_string());
    } else {
      reply.mutable_redirect();
    }
    co_return rpc::Reply{rpc::serialize(reply), {}};
  }
  Task<> serve(Env& env, int number) {
    rpc::Server server(
        env, {.cluster = ClusterId(1), .node = NodeId(1), .store = {}, .credentials = {}});
    server.handle(rpc::Method::kMetadataExecute,
                  [this, &env, number](rpc::Call) { return answer(env, number); });
    co_await server.serve(std::move(*env.network().listen(address_of(number))));
  }
  Task<> ask(Env& env) {
    rpc::Client rpc(env, {});
    MetadataCallOptions options;
    options.refused_limit = refused_limit;
    for (int i = 1; i <= kServers; ++i) options.servers.push_back(address_of(i));
    MetadataCalls calls(env, rpc, options);
    co_await nursery(env, [&](Nursery& children) { return ask_all(env, children, rpc, calls); });
  }
  Task<> ask_all(Env& env, Nursery& children, rpc::Client& rpc, MetadataCalls& calls) {
    children.spawn(rpc.run());
    for (int i = 0; i < questions; ++i) {
      const Instant begin = env.now();
      auto answer =
          co_await calls.ask(rpc::Method::kMetadataExecute, Buffer::copy("command"), limit_);
      if (answer)
        said_ = fmt::format("meta-{}", answer->index.value);
      else
        said_ = code_name(answer.error().code);
      took = env.now() - begin;
    }
  }

  std::array<Behaviour, kServers> servers_;
  Duration limit_{};
  std::string said_;
};

TEST_CASE("the leader is found from any server, by redirects or by asking each") {
  for (int leader = 1; leader <= kServers; ++leader) {
    Three three;
    three.server(leader).leads = true;
    CHECK_EQ(three.outcome(), fmt::format("meta-{}", leader));
    for (int i = 1; i <= kServers; ++i) three.server(i).names = leader;
    CHECK_EQ(three.outcome(), fmt::format("meta-{}", leader));
  }
}

TEST_CASE("servers that name each other, or one that is cut off, do not hold a search up") {
  Three three;
  three.server(1).names = 2;
  three.server(2).names = 1;
  three.server(3).leads = true;
  CHECK_EQ(three.outcome(), "meta-3");
  three.server(2).answers = false;
  CHECK_EQ(three.outcome(), "meta-3");
  CHECK(three.server(1).asked + three.server(2).asked < 20);
}

TEST_CASE("a leader that is elected later is found later") {
  Three three;
  three.client.boot();
  three.world.run_for(3s);
  CHECK_EQ(three.outcome(1s), "unavailable");
  three.server(2).leads = true;
  CHECK_EQ(three.outcome(), "meta-2");
}

TEST_CASE("short questions find the leader although the first server asked is silent") {
  Three three;
  for (int leader = 1; leader <= kServers; ++leader) {
    for (int i = 1; i <= kServers; ++i) {
      three.server(i).leads = i == leader;
      three.server(i).answers = i == leader;
    }
    three.questions = kServers;  // as long as one attempt each
    CHECK_EQ(three.outcome(2s), fmt::format("meta-{}", leader));
  }
}

TEST_CASE("refused for sure is unavailable, perhaps done is unknown") {
  Three three;
  CHECK_EQ(three.outcome(3s), "unavailable");  // nobody leads
  three.server(1).error = Code::kUnknown;
  CHECK_EQ(three.outcome(3s), "unknown");
  three.server(1).error.reset();
  three.server(1).answers = false;
  CHECK_EQ(three.outcome(3s), "unknown");
  three.server(1).answers = true;
  for (int i = 1; i <= kServers; ++i) three.world.host(fmt::format("meta-{}", i)).crash();
  CHECK_EQ(three.outcome(3s), "unavailable");  // nobody could be reached
}

TEST_CASE("refused connections everywhere are told of soon, and a single server is waited for") {
  Three three;
  three.refused_limit = 1s;
  const auto host = [&](int server) -> sim::Host& {
    return three.world.host(fmt::format("meta-{}", server));
  };
  for (int i = 1; i <= kServers; ++i) host(i).crash();
  CHECK_EQ(three.outcome(), "unavailable");
  CHECK(three.took >= 1s);  // they may be about to start
  CHECK(three.took < 1500ms);
  host(2).boot();
  CHECK_EQ(three.outcome(), "unavailable");
  CHECK(three.took >= 10s);
  // A server that does not answer at all may be busy: it has refused nothing.
  host(2).crash();
  three.world.fabric().block(three.client, host(3));
  CHECK_EQ(three.outcome(), "unavailable");
  CHECK(three.took >= 10s);
}

TEST_CASE("an error of the leader is passed on, unless an attempt before it is in doubt") {
  Three three;
  for (int i = 1; i <= kServers; ++i) three.server(i).error = Code::kDenied;
  CHECK_EQ(three.outcome(), "denied");
  // Whoever is asked first leaves the request in doubt and then refuses.
  for (int i = 1; i <= kServers; ++i) three.server(i).unknown_first = true;
  CHECK_EQ(three.outcome(), "unknown");
}

}  // namespace
}  // namespace dogfs::nodes
