// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"

// Sockets: how they are made, and what is asked of one without a request to its net. A simulation
// links its own.

// True if no other socket holds this address and port. Sockets with SO_REUSEPORT share a port
// silently, so this is asked before the first of ours is bound. Returns 0 or a negative errno.
[[nodiscard]] int udp_probe(const struct address *address);

// Is the address this machine's now? Sockets are bound to one that is not as well, and hear when it
// comes.
[[nodiscard]] bool udp_is_here(const struct address *address);

// A bound socket for clients, one of several that share the port (SO_REUSEPORT). On a wildcard it
// tells with each datagram where that was sent to. Returns a descriptor or a negative errno.
[[nodiscard]] int udp_listen(const struct address *address);

// A socket with the same address and port, from which replies leave and at which nothing is heard:
// it is connected to itself, so the kernel gives it no client's datagram. Each datagram that has
// left wakes who waits at the socket it left from, for there is room again; at the socket that
// queries come to the ring always waits, and each reply would pay for that (docs/decisions/0009).
// It has to be made before the address is heard at. Returns a descriptor or a negative errno.
[[nodiscard]] int udp_sender(const struct address *address);

// From now on no other program can bind to this socket's port: udp_listen and udp_sender have to
// allow that (SO_REUSEADDR) until all of ours are bound.
void udp_port_close(int fd);

// A socket for queries to one upstream from one local port. Returns a descriptor, or a negative
// errno; `bound` says whether the port could be had, so that the failure is the upstream's.
[[nodiscard]] int udp_connect(const struct address *upstream, uint16_t port, bool *bound);

// A TCP socket that is to be connected to that address. Returns a descriptor or a negative errno.
[[nodiscard]] int tcp_socket(const struct address *address);

// A TCP socket that listens there, one of several that share the port (SO_REUSEPORT). Returns a
// descriptor or a negative errno.
[[nodiscard]] int tcp_listen(const struct address *address);

// As udp_probe, for TCP.
[[nodiscard]] int tcp_probe(const struct address *address);

// Datagrams that arrived at this socket and were dropped, as it was full.
[[nodiscard]] uint64_t udp_drops(int fd);

// The address of the other side of a connection. False: it is gone.
[[nodiscard]] bool tcp_peer(int fd, struct address *peer);

// Ends a connection in both directions, so that its requests end.
void tcp_shutdown(int fd);
