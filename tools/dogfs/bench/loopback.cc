#include "tools/dogfs/bench/loopback.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace dogfs::tool {

int listen_on_loopback(uint16_t& port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(socket, generic, length) != 0 || ::listen(socket, 64) != 0 ||
      ::getsockname(socket, generic, &length) != 0)
    return -1;
  port = ntohs(address.sin_port);
  return socket;
}

}  // namespace dogfs::tool
