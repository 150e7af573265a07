/// \file
/// The address at which other ranks reach this one: hosts have several interfaces, and their own name may lead to none
/// of them.
#pragma once
#include <string>

#include "comm/communicator.h"

namespace valbench {

/// The address of this host that the system would send from to reach `host`. Sends nothing. Throws InputError when the
/// name does not resolve or no route leads there.
std::string address_towards(const std::string& host, int port);

/// 127.0.0.0/8 and ::1: reaches this host only.
bool is_loopback(const std::string& address);

/// A collective of all ranks. \param own address_towards(the meeting point). Where that is a loopback address, as on
/// rank 0's host when its own name stands in /etc/hosts for 127.0.1.1, but other ranks have another, it is the address
/// towards them.
std::string agree_on_address(const Rendezvous& rendezvous, const std::string& own, KeyStore& store);

}  // namespace valbench
