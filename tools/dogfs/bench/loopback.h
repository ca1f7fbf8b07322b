#pragma once
// Sockets of the null systems: plain ones of loopback, without a layer of ours between. The caller
// closes what it gets.

#include <cstdint>

namespace dogfs::tool {

// A listening TCP socket on a free port, which is put into `port`; -1 and errno when there is none.
int listen_on_loopback(uint16_t& port);

}  // namespace dogfs::tool
