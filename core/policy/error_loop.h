// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"

// Ends loops with services that reply to any datagram, such as echo, chargen, daytime and NTP (RFC
// 862, 864, 867, 5905). Their datagrams are no DNS queries and get an error, to which they reply in
// turn, without end. Such a service cannot be told by its port. So an address and port that keeps
// sending unreadable datagrams gets a bounded number of errors, and then none until it has been
// silent for a while.
//
// Only unreadable datagrams over UDP count, from clients that are not proven (client_limits.h).
// Valid queries are answered whatever came before.

#define ERROR_LOOP_MAX 50 // errors without a pause between them
#define ERROR_LOOP_QUIET_US \
    1000000u                   // the length of such a pause, after which the count starts again
#define ERROR_LOOP_PLACES 1024 // a power of two; each has the client that came last

struct error_loop {
    uint64_t seed[2];
    struct {
        uint64_t from_hash; // keyed, against chosen collisions
        uint64_t last_us;   // when it last sent an unreadable datagram
        uint32_t errors;
    } places[ERROR_LOOP_PLACES];
};

void error_loop_init(struct error_loop *loop, const uint64_t seed[2]);

// Counts an unreadable datagram from this address and port. True: an error may be sent; false: no
// reply.
[[nodiscard]] bool error_loop_may(struct error_loop *loop, uint64_t now_us,
                                  const struct address *from);
