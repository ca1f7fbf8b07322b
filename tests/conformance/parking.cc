#include "tests/conformance/parking.h"

#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "core/env/compute.h"
#include "core/env/deadline.h"
#include "core/env/disk.h"
#include "core/env/network.h"
#include "core/env/nursery.h"

#include "tests/doctest.h"

namespace dogfs::conformance {
namespace {

namespace http = boost::beast::http;
constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);

Task<> take_connections(std::unique_ptr<Listener> listener) {
  std::vector<Stream> held;
  for (;;) {
    auto stream = co_await listener->accept();
    if (!stream) co_return;
    held.push_back(std::move(*stream));
  }
}

Task<> sleeping(Ground& ground) {
  const Live counted(ground.live);
  co_await ground.node.env().sleep(1h);
}

Task<> waiting_for_event(Ground& ground) {
  const Live counted(ground.live);
  co_await ground.never.wait();
}

Task<> waiting_for_event_with_limit(Ground& ground) {
  const Live counted(ground.live);
  co_await ground.never.wait_for(1h);
}

Task<> accepting(Ground& ground) {
  const Live counted(ground.live);
  auto listener = ground.node.env().network().listen({ground.node.host(), 0});
  REQUIRE(listener);
  co_await (*listener)->accept();
}

Task<> connecting(Ground& ground) {
  const Live counted(ground.live);
  co_await ground.node.env().network().connect(ground.silence);
}

Task<Stream> connect_to_peer(Ground& ground) {
  const Live counted(ground.live);
  auto stream = co_await ground.node.env().network().connect(ground.talkative);
  REQUIRE(stream);
  co_return std::move(*stream);
}

Task<> reading(Ground& ground) {
  const Live counted(ground.live);
  Stream stream = co_await connect_to_peer(ground);
  std::string into(8, '\0');
  co_await stream.async_read_some(asio::buffer(into), asio::use_awaitable);
}

Task<> reading_a_message(Ground& ground) {
  const Live counted(ground.live);
  Stream stream = co_await connect_to_peer(ground);
  std::string into(8, '\0');
  co_await asio::async_read(stream, asio::buffer(into), kAsTuple);
}

Task<> reading_http(Ground& ground) {
  const Live counted(ground.live);
  Stream stream = co_await connect_to_peer(ground);
  boost::beast::flat_buffer buffer;
  http::request<http::string_body> request;
  co_await http::async_read(stream, buffer, request, asio::use_awaitable);
}

Task<> writing(Ground& ground) {
  const Live counted(ground.live);
  Stream stream = co_await connect_to_peer(ground);
  const std::string bytes(1 << 20, 'w');
  for (;;) co_await asio::async_write(stream, asio::buffer(bytes), asio::use_awaitable);
}

Task<> reading_with_deadline(Ground& ground) {
  const Live counted(ground.live);
  Stream stream = co_await connect_to_peer(ground);
  const Deadline deadline(ground.node.env(), stream, 1h);
  char into = 0;
  co_await stream.async_read_some(asio::buffer(&into, 1), kAsTuple);
}

Task<Result<int>> sleeping_for_a_result(Ground& ground) {
  const Live counted(ground.live);
  co_await ground.node.env().sleep(2h);
  co_return 1;
}

Task<> waiting_within(Ground& ground) {
  const Live counted(ground.live);
  const auto result = co_await within(ground.node.env(), 1h, sleeping_for_a_result(ground));
  CHECK_FALSE(result);
}

Task<> computing(Ground& ground) {
  const Live counted(ground.live);
  for (;;) co_await offload(ground.node.env(), 1000, [] { return 1; });
}

Task<> using_the_disk(Ground& ground) {
  const Live counted(ground.live);
  auto file = co_await ground.node.env().disk().open("parking", OpenMode::kAlways);
  REQUIRE(file);
  // Not in a CHECK, which would swallow the exception that ends this.
  for (bool good = true; good;) {
    const auto written = co_await (*file)->write(0, Buffer::take(std::string(1000, 'x')));
    const auto read = co_await (*file)->read(0, 1000);
    good = written && read;
    CHECK(good);
  }
}

Task<> wait_beside_child(Ground& ground, Nursery& children) {
  const Live counted(ground.live);
  children.spawn(sleeping(ground));
  co_await ground.never.wait();
}

Task<> nested(Ground& ground, int depth);

Task<> spawn_nested(Ground& ground, Nursery& children, int depth) {
  const Live counted(ground.live);
  children.spawn(sleeping(ground));
  if (depth > 0) children.spawn(nested(ground, depth - 1));
  children.spawn(nursery(ground.node.env(),
                         [&ground](Nursery& inner) { return wait_beside_child(ground, inner); }));
  co_await children.join();
}

Task<> nested(Ground& ground, int depth) {
  const Live counted(ground.live);
  co_await nursery(ground.node.env(), [&ground, depth](Nursery& children) {
    return spawn_nested(ground, children, depth);
  });
}

Task<> nested_nurseries(Ground& ground) { return nested(ground, 3); }

}  // namespace

Ground::Ground(World& world)
    : node(world.add_node()),
      peer(world.add_node()),
      silence(world.silent_address(node)),
      never(node.env()) {
  auto listener = peer.env().network().listen({peer.host(), 0});
  REQUIRE(listener);
  talkative = (*listener)->address();
  start_root(peer.env(), take_connections(std::move(*listener)), {});
}

std::vector<Place> parking_places() {
  return {
      {"sleeping", sleeping},
      {"waiting for an event", waiting_for_event},
      {"waiting for an event with a limit", waiting_for_event_with_limit},
      {"accepting", accepting},
      {"connecting", connecting},
      {"reading", reading},
      {"reading a message", reading_a_message},
      {"reading http", reading_http},
      {"writing", writing},
      {"reading with a deadline", reading_with_deadline},
      {"waiting within a limit", waiting_within},
      {"computing", computing},
      {"using the disk", using_the_disk},
      {"in nested nurseries", nested_nurseries},
  };
}

}  // namespace dogfs::conformance
