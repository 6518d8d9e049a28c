// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>

// How long an upstream takes to reply: a histogram that forgets, and what follows from it.
//
// An upstream resolver has two modes. What stands in its own cache it answers at the speed of the
// network; for the rest it goes and asks others, and that depends on the name and not on the
// upstream. A mean mixes the two and is a good guess for neither, which is why forwarders that
// wait by a mean resend too late or too often. Here the two are told apart (Otsu 1979, on a
// logarithmic scale), and each has its tail: the time by which nearly all of it has come.
//
// Nothing here knows the clock or the network. Times are in microseconds.

#define LATENCY_BUCKETS 68 // four to each doubling, from 64 us to 8 s

struct latency {
    uint16_t counts[LATENCY_BUCKETS];
    uint16_t total;        // of the counts
    uint16_t fresh;        // samples since the last look at all of them
    uint32_t fast_us;      // the middle of the fast mode; 0: nothing was measured yet
    uint32_t fast_tail_us; // nearly all of the fast mode is in by then
    uint32_t slow_tail_us; // nearly all of everything is
};

void latency_add(struct latency *latency, uint64_t sample_us);

// The upper edge of a bucket in microseconds.
uint32_t latency_edge_us(unsigned bucket);
