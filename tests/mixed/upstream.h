// SPDX-License-Identifier: MIT
#pragma once
#include "tests/mixed/report.h"
#include "tests/mixed/truth.h"

// The upstream of the mixed run: a thread that answers over UDP and TCP what follows from the name
// (truth.h), and reports every message that is no well-formed query for something that a client has
// asked. A zone's SOA may be asked as well, by which a forwarder sees whether a server is alive.
// Some replies are late, and some connections are closed behind a reply.

struct upstream;

// At this address, on a port that is free. NULL, with errno, if there can be none.
struct upstream *upstream_start(struct truth *truth, struct report *report, const char *address,
                                uint64_t seed, uint16_t *port);
void upstream_stop(struct upstream *upstream);

struct upstream_counts {
    _Atomic uint64_t datagrams, messages, connections;
};
const struct upstream_counts *upstream_counts(const struct upstream *upstream);
