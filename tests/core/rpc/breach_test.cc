// What is wrong on the wire ends its connection, for a reason, and never more than that.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "core/rpc/frame_reader.h"
#include "core/rpc/handshake.h"

#include "tests/core/rpc/nodes.h"

#include "tests/doctest.h"

namespace dogfs::rpc::testing {
namespace {

std::string frame(FrameHeader header, const Buffer& message = {}, const Buffer& bulk = {}) {
  header.message_bytes = static_cast<uint32_t>(message.size());
  header.bulk_bytes = static_cast<uint32_t>(bulk.size());
  header.body_crc = body_crc(message.view(), bulk.view());
  const HeaderBytes bytes = encode_header(header);
  return std::string(as_text(bytes)) + std::string(message.text()) + std::string(bulk.text());
}

std::string hello(FrameType type, const Identity& identity) {
  return frame({.type = type}, encode_hello(identity, limits::kConnectionWindowBytes));
}

std::string echo_request(uint64_t call) {
  return frame({.type = FrameType::kRequest,
                .call = call,
                .method = static_cast<uint16_t>(kEcho),
                .deadline_ms = 1000},
               Buffer::copy("message"), Buffer::copy("bulk"));
}

// How a raw conversation went: what the peer said before the stream ended.
struct Heard {
  std::vector<FrameType> types;
  std::optional<Reason> goodbye;
  std::string text;
  bool ended = false;
};

Task<> listen_to(Env& env, Stream& stream, Heard& heard) {
  Stats stats;
  FrameReader reader(env, stream, stats);
  reader.grant(limits::kConnectionWindowBytes);
  for (;;) {
    const auto frame = co_await reader.next();
    if (!frame) break;
    heard.types.push_back(frame->header.type);
    if (frame->header.type != FrameType::kGoodbye) continue;
    heard.goodbye = static_cast<Reason>(frame->header.code);
    heard.text = std::string(frame->message.text());
    break;
  }
  heard.ended = true;
}

Task<Result<Heard>> talk(Env& env, Address to, std::string bytes, bool close_after) {
  CO_TRY(stream, co_await env.network().connect(std::move(to)));
  co_await asio::async_write(stream, asio::buffer(bytes), asio::as_tuple(asio::use_awaitable));
  Heard heard;
  if (close_after) co_return heard;
  const Deadline limit(env, stream, 2s);
  co_await listen_to(env, stream, heard);
  co_return heard;
}

// Says each of `conversations` to the server in a connection of its own, then calls it properly.
struct Talks {
  std::vector<std::string> conversations;
  bool close_after = false;
  std::vector<Heard> heard;
  bool alive_after = false;
};

Task<> hold_talks(Env& env, Client& client, Address to, Talks& talks) {
  for (const std::string& bytes : talks.conversations) {
    auto heard = co_await talk(env, to, bytes, talks.close_after);
    if (heard) talks.heard.push_back(std::move(*heard));
  }
  const auto reply = co_await client.call(to, kEcho, Buffer::copy("well?"), 5s);
  talks.alive_after = reply && reply->message.text() == "well?";
}

void run_talks(Nodes& nodes, Talks& talks) {
  nodes.serve(echo_setup(0ms));
  nodes.run_client(
      [&](Env& env, Client& client) { return hold_talks(env, client, nodes.address, talks); });
  CHECK(nodes.finish(1h));
  CHECK(talks.heard.size() == talks.conversations.size());
  CHECK(talks.alive_after);
  CHECK(nodes.server->calls() == 0);
}

// What the server says to one conversation.
Heard answer_to(const std::string& bytes) {
  Talks talks{.conversations = {bytes}, .close_after = false, .heard = {}};
  Nodes nodes(1);
  run_talks(nodes, talks);
  const auto reason = talks.heard[0].goodbye;
  if (reason) CHECK(nodes.server->stats().endings[static_cast<size_t>(*reason)] == 1);
  return talks.heard[0];
}

Identity member() {
  return {.cluster = ClusterId(0xc1), .node = {}, .store = {}, .credentials = {}};
}
std::string good_hello() { return hello(FrameType::kHello, member()); }

}  // namespace

TEST_CASE("a raw client that keeps to the protocol is answered") {
  Talks talks{.conversations = {good_hello() + echo_request(1)}, .close_after = false, .heard = {}};
  Nodes nodes(1);
  run_talks(nodes, talks);
  REQUIRE(talks.heard[0].types.size() >= 2);
  CHECK(talks.heard[0].types[0] == FrameType::kHelloReply);
  CHECK(talks.heard[0].types[1] == FrameType::kResponse);
  CHECK(!talks.heard[0].goodbye.has_value());
}

TEST_CASE("the server says why it ends a connection") {
  const auto method = static_cast<uint16_t>(kEcho);
  CHECK(answer_to("GET / HTTP/1.1\r\nHost: server\r\nAccept: */*\r\n\r\n").goodbye ==
        Reason::kGarbage);
  CHECK(answer_to(echo_request(1)).goodbye == Reason::kProtocol);  // before any hello
  CHECK(answer_to(frame({.type = FrameType::kPing})).goodbye == Reason::kProtocol);
  CHECK(answer_to(frame({.type = FrameType::kHello}, Buffer::copy("\xff\xff\xff"))).goodbye ==
        Reason::kProtocol);
  CHECK(answer_to(good_hello() + good_hello()).goodbye == Reason::kProtocol);
  CHECK(answer_to(good_hello() + frame({.type = FrameType::kResponse, .call = 1})).goodbye ==
        Reason::kProtocol);
  CHECK(answer_to(good_hello() + frame({.type = FrameType::kCredit, .call = 1})).goodbye ==
        Reason::kProtocol);
  CHECK(answer_to(good_hello() + "no frame at all, but longer than a header of one").goodbye ==
        Reason::kGarbage);
  const FrameHeader huge{.type = FrameType::kRequest,
                         .call = 1,
                         .method = method,
                         .message_bytes = limits::kFrameMessageBytesMax + 1};
  CHECK(answer_to(good_hello() + std::string(as_text(encode_header(huge)))).goodbye ==
        Reason::kOversized);
  Identity other = member();
  other.cluster = ClusterId(0xbad);
  const Heard wrong = answer_to(hello(FrameType::kHello, other));
  CHECK(wrong.goodbye == Reason::kWrongCluster);
  CHECK(wrong.text.contains("00000000000000c1"));
  std::string newer = good_hello();
  newer[4] = 9;
  CHECK(answer_to(newer).goodbye == Reason::kVersion);
}

TEST_CASE("more than the window ends the connection before it is read") {
  std::string bytes = good_hello();
  const Buffer bulk = pattern(limits::kFrameBulkBytesMax, 1);
  for (uint64_t call = 1; call <= 4; ++call)
    bytes +=
        frame({.type = FrameType::kRequest, .call = call, .method = static_cast<uint16_t>(kOther)},
              {}, bulk);
  Talks talks{.conversations = {bytes}, .close_after = false, .heard = {}};
  Nodes nodes(1);
  nodes.serve([](Env& env, Server& server) {
    echo_setup(0ms)(env, server);
    server.handle(kOther, [&env](Call call) { return echo(env, 1h, std::move(call)); });
  });
  nodes.run_client(
      [&](Env& env, Client& client) { return hold_talks(env, client, nodes.address, talks); });
  CHECK(nodes.finish(1h));
  REQUIRE(talks.heard.size() == 1);
  CHECK(talks.heard[0].goodbye == Reason::kProtocol);
  CHECK(talks.heard[0].text.contains("credit"));
  CHECK(talks.alive_after);
  CHECK(nodes.server->stats().held_bytes_max <= nodes.options.window);
}

TEST_CASE("a bit flipped anywhere in a conversation ends it with a reason") {
  const std::string good = good_hello() + echo_request(1);
  Talks talks;
  Random random(9);
  for (size_t at = 0; at < good.size(); ++at) {
    talks.conversations.push_back(good);
    talks.conversations.back()[at] ^= static_cast<char>(1 << random.below(8));
  }
  Nodes nodes(1);
  run_talks(nodes, talks);
  for (const Heard& heard : talks.heard) CHECK(heard.goodbye.has_value());
  CHECK(nodes.server->stats().calls == 1);  // only the good one at the end
}

TEST_CASE("a conversation cut anywhere does no harm") {
  const std::string good = good_hello() + echo_request(1);
  Talks talks{.conversations = {}, .close_after = true, .heard = {}};
  for (size_t length = 0; length < good.size(); ++length)
    talks.conversations.push_back(good.substr(0, length));
  Nodes nodes(1);
  run_talks(nodes, talks);
  nodes.world.run_for(10s);
  const auto& endings = nodes.server->stats().endings;
  CHECK(endings[static_cast<size_t>(Reason::kTruncated)] > good.size() / 2);
  CHECK(nodes.server->connections() <= 1);
  CHECK(nodes.server->stats().calls == 1);
}

namespace {

Task<> dawdle(Env& env, Address to, std::string bytes, Heard& heard) {
  auto stream = co_await env.network().connect(std::move(to));
  co_await asio::async_write(*stream, asio::buffer(bytes), asio::as_tuple(asio::use_awaitable));
  co_await listen_to(env, *stream, heard);
}

}  // namespace

TEST_CASE("a connection whose handshake does not come to an end is closed in time") {
  for (const size_t said : {size_t{0}, size_t{1}, kHeaderBytes, good_hello().size() - 1}) {
    Heard heard;
    Nodes nodes(1);
    nodes.serve(echo_setup(0ms));
    nodes.run_client([&](Env& env, Client&) {
      return dawdle(env, nodes.address, good_hello().substr(0, said), heard);
    });
    CHECK(nodes.finish(2 * nodes.options.connect_limit));
    CHECK(heard.ended);
    CHECK(heard.types.empty());
    CHECK(nodes.server->connections() == 0);
    CHECK(nodes.server->stats().endings[static_cast<size_t>(Reason::kSilent)] == 1);
  }
}

TEST_CASE("random bytes after a handshake never get through") {
  Random random(3);
  Talks talks;
  for (int i = 0; i < 100; ++i) {
    std::string noise(kHeaderBytes + random.below(200), '\0');
    for (char& byte : noise) byte = static_cast<char>(random.next());
    talks.conversations.push_back(good_hello() + noise);
  }
  Nodes nodes(1);
  run_talks(nodes, talks);
  for (const Heard& heard : talks.heard) CHECK(heard.goodbye == Reason::kGarbage);
}

namespace {

// A server that answers the first request with given bytes, whatever they are.
struct Forger {
  std::vector<std::string> answers;  // one per connection, the hello reply in it
  std::vector<Heard> heard;
};

Task<> forge(Env& env, Stream stream, std::string answer, Heard& heard) {
  // The client speaks first; its hello and request are read beside the answer.
  co_await asio::async_write(stream, asio::buffer(answer), asio::as_tuple(asio::use_awaitable));
  const Deadline limit(env, stream, 1s);
  co_await listen_to(env, stream, heard);
}

Task<> forge_all(Env& env, Forger& forger) {
  auto listener = env.network().listen({"server", 7000});
  for (const std::string& answer : forger.answers) {
    auto stream = co_await (*listener)->accept();
    forger.heard.emplace_back();
    co_await forge(env, std::move(*stream), answer, forger.heard.back());
  }
}

Task<> call_forger(Env& env, Client& client, Address to, size_t count,
                   std::vector<Result<Reply>>& results) {
  for (size_t i = 0; i < count; ++i) {
    results.push_back(co_await client.call(to, kEcho, Buffer::copy("ask"), 500ms));
    co_await env.sleep(3s);  // until the forger listens again, and no back-off is left
  }
}

}  // namespace

TEST_CASE("a bit flipped anywhere in a server's answer never becomes a reply") {
  Forger forger;
  std::vector<Result<Reply>> results;
  Nodes nodes(1);
  const std::string good = hello(FrameType::kHelloReply, nodes.server_identity) +
                           frame({.type = FrameType::kResponse, .call = 1}, Buffer::copy("answer"));
  for (size_t at = 0; at < good.size(); ++at) {
    forger.answers.push_back(good);
    forger.answers.back()[at] ^= 0x10;
  }
  nodes.server_host.set_main([&](Env& env) { return forge_all(env, forger); });
  nodes.server_host.boot();
  nodes.run_client([&](Env& env, Client& client) {
    return call_forger(env, client, nodes.address, forger.answers.size(), results);
  });
  CHECK(nodes.finish(1h));
  REQUIRE(results.size() == good.size());
  for (const auto& result : results) {
    REQUIRE(!result.has_value());
    CHECK((result.error().is(Code::kUnavailable) || result.error().is(Code::kUnknown)));
  }
  for (const Heard& heard : forger.heard) CHECK(heard.goodbye.has_value());
}

TEST_CASE("a response to a call that was never made ends the connection") {
  Forger forger;
  std::vector<Result<Reply>> results;
  Nodes nodes(1);
  forger.answers = {hello(FrameType::kHelloReply, nodes.server_identity) +
                    frame({.type = FrameType::kResponse, .call = 99})};
  nodes.server_host.set_main([&](Env& env) { return forge_all(env, forger); });
  nodes.server_host.boot();
  nodes.run_client([&](Env& env, Client& client) {
    return call_forger(env, client, nodes.address, 1, results);
  });
  CHECK(nodes.finish(1h));
  CHECK(!results[0].has_value());
  CHECK(forger.heard[0].goodbye == Reason::kProtocol);
}

}  // namespace dogfs::rpc::testing
