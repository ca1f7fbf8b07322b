#pragma once
// Ports of loopback, for servers of a local cluster. What is true of a port may be over a moment
// later: the server that cannot listen says so, too.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/error.h"

namespace dogfs::tool {

// Whether a server could listen there now.
bool port_is_free(uint16_t port);
// `count` of them, below the range from which outgoing connections take theirs (32768 and up on
// Linux), or a restarted server could find its port taken. kUnavailable.
Result<std::vector<uint16_t>> free_ports(size_t count);
// Whether somebody takes connections there.
bool port_answers(uint16_t port);

}  // namespace dogfs::tool
