// Direct handlers: functions that answer now, later or never through their Responder.
#include "tests/core/rpc/nodes.h"

#include "tests/doctest.h"

namespace dogfs::rpc::testing {
namespace {

// What a direct handler was given and has not answered. Lives longer than the server.
struct Kept {
  struct One {
    Buffer message;
    Responder respond;
  };
  std::vector<One> calls;

  void answer_all() {
    for (size_t i = calls.size(); i-- > 0;) calls[i].respond(Reply{calls[i].message, {}});
    calls.clear();
  }
};

Nodes::Setup keep_all(Kept& kept) {
  return [&kept](Env&, Server& server) {
    server.handle_directly(kEcho, [&kept](Call call, Responder respond) {
      kept.calls.push_back({std::move(call.message), std::move(respond)});
    });
  };
}

struct Outcome {
  std::optional<Result<Reply>> result;
};

Task<> ask(Client& client, Address to, int number, Duration limit, Outcome& outcome) {
  outcome.result = co_await client.call(to, kEcho, Buffer::copy(std::to_string(number)), limit);
}

Task<> ask_all(Nursery& children, Client& client, Address to, Duration limit,
               std::vector<Outcome>& outcomes) {
  for (size_t i = 0; i < outcomes.size(); ++i)
    children.spawn(ask(client, to, static_cast<int>(i), limit, outcomes[i]));
  co_await children.join();
}

Nodes::Script ask_many(const Nodes& nodes, Duration limit, std::vector<Outcome>& outcomes) {
  return [&nodes, limit, &outcomes](Env& env, Client& client) {
    return nursery(env, [&nodes, limit, &outcomes, &client](Nursery& children) {
      return ask_all(children, client, nodes.address, limit, outcomes);
    });
  };
}

bool echoed(const Outcome& outcome, size_t number) {
  return outcome.result && *outcome.result &&
         (*outcome.result)->message.text() == std::to_string(number);
}

}  // namespace

TEST_CASE("a direct handler may answer before it returns") {
  std::vector<Outcome> outcomes(300);
  Nodes nodes(1);
  nodes.serve([](Env&, Server& server) {
    server.handle_directly(kEcho, [](Call call, Responder respond) {
      respond(Reply{call.message, std::move(call.bulk)});
    });
  });
  nodes.run_client(ask_many(nodes, 1s, outcomes));
  CHECK(nodes.finish(5s));
  for (size_t i = 0; i < outcomes.size(); ++i) CHECK(echoed(outcomes[i], i));
  CHECK(nodes.server->calls() == 0);
}

TEST_CASE("answers kept for later reach their callers, in any order") {
  std::vector<Outcome> outcomes(300);
  Kept kept;
  Nodes nodes(1);
  nodes.serve(keep_all(kept));
  nodes.run_client(ask_many(nodes, 10s, outcomes));
  nodes.world.run_for(1s);
  CHECK(kept.calls.size() == 300);
  CHECK(nodes.server->calls() == 300);
  kept.answer_all();
  CHECK(nodes.finish(5s));
  for (size_t i = 0; i < outcomes.size(); ++i) CHECK(echoed(outcomes[i], i));
  CHECK(nodes.server->calls() == 0);
}

TEST_CASE("a direct call counts until its deadline, and a later answer is dropped") {
  std::vector<Outcome> outcomes(3);
  Kept kept;
  Nodes nodes(1);
  nodes.serve(keep_all(kept));
  nodes.run_client(ask_many(nodes, 2s, outcomes));
  nodes.world.run_for(1900ms);
  CHECK(nodes.server->calls() == 3);
  nodes.world.run_for(1s);
  CHECK(nodes.server->calls() == 0);
  for (const Outcome& outcome : outcomes) {
    REQUIRE(outcome.result.has_value());
    CHECK(outcome.result->error().is(Code::kUnknown));
  }
  kept.answer_all();
  nodes.world.run_for(1s);
  CHECK(nodes.server->stats().endings[static_cast<size_t>(Reason::kProtocol)] == 0);
}

TEST_CASE("a direct call that nobody will answer any more is unknown at once") {
  std::vector<Outcome> outcomes(1);
  Kept kept;
  Nodes nodes(1);
  nodes.serve(keep_all(kept));
  nodes.run_client(ask_many(nodes, 10s, outcomes));
  nodes.world.run_for(100ms);
  kept.calls.clear();
  CHECK(nodes.finish(100ms));
  CHECK(outcomes[0].result->error().is(Code::kUnknown));
}

TEST_CASE("an answer to a connection that is gone is dropped") {
  std::vector<Outcome> outcomes(5);
  Kept kept;
  Nodes nodes(1);
  nodes.serve(keep_all(kept));
  nodes.run_client(ask_many(nodes, 10s, outcomes));
  nodes.world.run_for(100ms);
  REQUIRE(kept.calls.size() == 5);
  SUBCASE("the client died") {
    nodes.client_host.crash();
    nodes.world.run_for(1s);
    CHECK(nodes.server->calls() == 0);
  }
  SUBCASE("the server died") { nodes.server_host.crash(); }
  kept.answer_all();
  nodes.world.run_for(1s);
}

TEST_CASE("a direct call whose caller gave up counts no more") {
  std::vector<Outcome> outcomes(5);
  Kept kept;
  Nodes nodes(1);
  nodes.serve(keep_all(kept));
  nodes.run_client([&](Env& env, Client& client) -> Task<> {
    auto all = nursery(env, [&](Nursery& children) {
      return ask_all(children, client, nodes.address, 10s, outcomes);
    });
    return nursery(env, [&env, all = std::move(all)](Nursery& children) mutable {
      children.spawn(std::move(all));
      return env.sleep(500ms);
    });
  });
  nodes.world.run_for(400ms);
  CHECK(nodes.server->calls() == 5);
  nodes.world.run_for(200ms);
  CHECK(nodes.server->calls() == 0);
  kept.answer_all();
  nodes.world.run_for(1s);
}

}  // namespace dogfs::rpc::testing
