// SPDX-License-Identifier: MIT
#pragma once
#include "core/address.h"

// Ends loops with whoever answers everything. What comes from a port that sends text, the time or
// anything else to whoever writes to it (RFC 862, 864, 867, 5905) is no query, and gets an error;
// which it answers in turn, and so on for ever. Nobody of us can tell such a port by its number. So
// to an address and port that sends nonsense again and again goes a bounded number of errors, and
// then none until no nonsense has come for a while; then the loop has ended.
//
// Only what cannot be read as a query counts here, and only over UDP from a client that is not
// proven (client_limits.h): what is asked well is answered, if with an error, whatever came before.

#define ERROR_LOOP_MAX      50       // errors with no pause between them
#define ERROR_LOOP_QUIET_US 1000000u // which is so long, after which all is forgotten
#define ERROR_LOOP_PLACES   1024     // a power of two; in each stands who came last

struct error_loop {
    uint64_t seed[2];
    struct {
        uint64_t from_hash; // under a secret: nobody finds another client with the same one
        uint64_t last_us;   // when it last sent nonsense
        uint32_t errors;
    } places[ERROR_LOOP_PLACES];
};

void error_loop_init(struct error_loop *loop, const uint64_t seed[2]);

// Nonsense has come from this address and port: may it be told so? If not, there is to be no reply.
[[nodiscard]] bool error_loop_may(struct error_loop *loop, uint64_t now_us,
                                  const struct address *from);
