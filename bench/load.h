// SPDX-License-Identifier: MIT
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What generators of load over UDP share: the questions and the sockets.

#define LOAD_QUERY_MAX     64
#define LOAD_SOCKET_BUFFER (4 << 20) // octets

struct load_query {
    uint8_t bytes[LOAD_QUERY_MAX];
    size_t len;
};

// "n<number>.bench.example A" with ID 0, as clients ask: RD, no EDNS.
void load_query_make(struct load_query *query, size_t number);

// "192.0.2.1:53"; false if it is no address and port of IPv4.
bool load_target_parse(struct sockaddr_in *to, const char *text);

// A socket that never blocks and has room for a burst. Returns it, or a negative errno.
int load_socket_open(const struct sockaddr_in *to);

uint64_t load_now_ns(void); // CLOCK_MONOTONIC
