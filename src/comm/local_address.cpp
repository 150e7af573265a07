#include "comm/local_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/error.h"

namespace valbench {
namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Addresses resolve(const std::string& host, int port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (code == 0) return {found, &::freeaddrinfo};
  throw InputError(
      fmt::format("MASTER_ADDR={} cannot be resolved: {}; set it to a name or address that every rank knows", host,
                  code == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(code)));
}

/// Empty where no route leads there. A datagram socket that is connected has chosen its address and sent nothing.
std::string source_address(const addrinfo& target) {
  const int fd = ::socket(target.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return {};
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  auto* generic = reinterpret_cast<sockaddr*>(&own);
  char text[NI_MAXHOST] = "";
  if (::connect(fd, target.ai_addr, target.ai_addrlen) == 0 && ::getsockname(fd, generic, &size) == 0) {
    (void)::getnameinfo(generic, size, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  }
  const int error = errno;
  ::close(fd);
  errno = error;
  return text;
}

std::string key_of(int rank) { return fmt::format("address/{}", rank); }

}  // namespace

std::string address_towards(const std::string& host, int port) {
  const Addresses targets = resolve(host, port);
  for (const addrinfo* target = targets.get(); target != nullptr; target = target->ai_next) {
    if (std::string own = source_address(*target); !own.empty()) return own;
  }
  throw InputError(fmt::format("no route leads from this host to MASTER_ADDR={}: {}; check the address and the network",
                               host, std::strerror(errno)));
}

bool is_loopback(const std::string& address) { return address.starts_with("127.") || address == "::1"; }

std::string agree_on_address(const Rendezvous& r, const std::string& own, KeyStore& store) {
  store.set(key_of(r.rank), own);
  if (!is_loopback(own)) return own;
  for (int rank = 0; rank < r.world_size; ++rank) {
    const std::string other = rank == r.rank ? own : store.wait_for(key_of(rank));
    if (!is_loopback(other)) return address_towards(other, r.port);
  }
  return own;
}

}  // namespace valbench
