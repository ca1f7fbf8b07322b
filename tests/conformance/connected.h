#pragma once
// Connected: two nodes with one connection between them, and short ways to speak over a stream.
// The streams belong to the nodes and are destroyed before them; the tests use them while both
// nodes live, or after one was killed.

#include <memory>
#include <string>

#include "core/env/network.h"

#include "tests/conformance/world.h"

namespace dogfs::conformance {

class Connected {
 public:
  explicit Connected(World& world);

  Node& client;
  Node& server;
  std::unique_ptr<Listener> listener;
  Stream client_stream;
  Stream server_stream;
};

struct Got {
  error_code error;
  std::string bytes;
};

// Reads until `length` bytes are there or the stream fails.
Task<Got> read_bytes(Stream& stream, size_t length);
// Reads what one read gives, at most `length` bytes.
Task<Got> read_some(Stream& stream, size_t length);
Task<error_code> write_bytes(Stream& stream, std::string bytes);

// The same from outside of any task: runs them on their node to the end.
Got read_bytes(World& world, Node& node, Stream& stream, size_t length);
error_code write_bytes(World& world, Node& node, Stream& stream, std::string bytes);

}  // namespace dogfs::conformance
