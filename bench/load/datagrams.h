// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>
#include <sys/socket.h>

// Datagrams by the batch, for the programs that do nothing else with them: what recvmmsg has
// received is what sendmmsg sends, from the same octets. Built from libc alone.

#define DATAGRAMS_MAX 1024
#define DATAGRAM_SIZE 512 // octets; a longer datagram is cut

struct datagrams {
    struct mmsghdr messages[DATAGRAMS_MAX]; // msg_len of each is what was received
    struct iovec parts[DATAGRAMS_MAX];
    struct sockaddr_storage from[DATAGRAMS_MAX];
    uint8_t bytes[DATAGRAMS_MAX][DATAGRAM_SIZE];
};

// Waits for one datagram and receives up to `max` (at most DATAGRAMS_MAX) of those that are there.
// Returns their number, or a negative errno.
int datagrams_receive(int fd, struct datagrams *datagrams, unsigned max);

// Sends the first `count`, each with the length and to the address that its message has. One that
// cannot be sent is left out.
void datagrams_send(int fd, struct datagrams *datagrams, unsigned count);

// The address and its length, or 0 where `text` is no IP address.
socklen_t datagrams_address(struct sockaddr_storage *address, const char *text, uint16_t port);
