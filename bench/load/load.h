// SPDX-License-Identifier: MIT
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What generators of load over UDP share: the questions and the sockets.

#define LOAD_QUERY_MAX   64
#define LOAD_NS_A_SECOND 1000000000

struct load_query {
    uint8_t bytes[LOAD_QUERY_MAX];
    size_t len;
};

// "n<number>.bench.example A" with ID 0, as clients ask: RD, no EDNS.
void load_query_make(struct load_query *query, size_t number);

struct load_order {
    struct sockaddr_in to;
    double rate; // queries a second
    double seconds;
    size_t names; // different ones
};

// The first words behind a generator's name: ADDRESS:PORT (of IPv4) RATE SECONDS NAMES. False if
// there are not as many words as `argc` says there must be, or one of these is wrong.
bool load_order_parse(struct load_order *order, char *const *argv, int argc, int argc_wanted);

// A socket that never blocks, with room for so many octets to receive. Returns it, or a negative
// errno.
int load_socket_open(const struct sockaddr_in *to, int receive_buffer);

uint64_t load_now_ns(void); // CLOCK_MONOTONIC
