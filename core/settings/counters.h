// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The counters of a worker (counters.def). Only the worker writes, and any thread may read at any
// time. Each value is whole, but they are not all of the same moment.

enum counter {
#define COUNTER(identifier, ...) COUNTER_##identifier,
#define GAUGE(identifier, ...)   COUNTER_##identifier,
#include "core/settings/counters.def"
#undef COUNTER
#undef GAUGE
    COUNTER_COUNT
};
_Static_assert(COUNTER_COUNT <= 256, "some members have an octet for one");

// Times from a query to its answer: made at once, fetched from an upstream, and stale; and from a
// datagram to an upstream to its reply.
enum timing { TIMING_AT_ONCE, TIMING_UPSTREAM, TIMING_STALE, TIMING_REPLY, TIMING_COUNT };

struct counters {
    _Alignas(64) uint64_t values[COUNTER_COUNT];
    struct histogram timings[TIMING_COUNT];
};

struct counter_description {
    const char *metric;
    const char *labels; // as in the Prometheus text format, without braces; "" for none
    const char *help;
    bool gauge;
    const char *former;        // the name of the metric before it was renamed; NULL: none
    const char *former_labels; // of that; NULL: the same labels
};

extern const struct counter_description counter_descriptions[COUNTER_COUNT];

static inline const char *counter_former_labels(const struct counter_description *description)
{
    return description->former_labels ? description->former_labels : description->labels;
}

static inline uint64_t counter_get(const struct counters *counters, enum counter which)
{
    return __atomic_load_n(&counters->values[which], __ATOMIC_RELAXED);
}

// Only the worker itself writes, so a load and a store are enough: no locked instruction.
static inline void counter_set(struct counters *counters, enum counter which, uint64_t value)
{
    __atomic_store_n(&counters->values[which], value, __ATOMIC_RELAXED);
}

static inline void counter_add(struct counters *counters, enum counter which, uint64_t count)
{
    counter_set(counters, which, counter_get(counters, which) + count);
}
