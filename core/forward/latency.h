// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>

// How long an upstream takes to reply: a histogram with exponential decay, and estimates from it.
//
// An upstream resolver has two modes. It answers from its own cache at the speed of the network;
// for the rest it asks others, which takes as long as the name's servers do. A mean mixes the two
// and is a good estimate of neither, so forwarders that wait by a mean resend too late or too
// often. Here the two modes are separated (Otsu 1979, on a logarithmic scale), and each has its
// tail: the time by which nearly all of its replies have come.
//
// Nothing here knows a clock or a network. Times are in microseconds.

#define LATENCY_BUCKETS 68 // four to each doubling, from 64 us to 8 s

struct latency {
    uint16_t counts[LATENCY_BUCKETS];
    uint16_t total;        // of the counts
    uint16_t fresh;        // samples since the estimates were last made
    uint32_t fast_us;      // the middle of the fast mode; 0: no samples yet
    uint32_t fast_tail_us; // nearly all replies of the fast mode take no longer
    uint32_t slow_tail_us; // nearly all replies take no longer
};

void latency_add(struct latency *latency, uint64_t sample_us);

// The upper edge of a bucket in microseconds.
uint32_t latency_edge_us(unsigned bucket);
