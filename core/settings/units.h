// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>

// The units of sizes (octets) and durations (milliseconds).

#define KIB(n)          ((uint64_t)(n) << 10)
#define MIB(n)          ((uint64_t)(n) << 20)
#define GIB(n)          ((uint64_t)(n) << 30)
#define SECONDS(n)      ((uint64_t)(n)*1000)
#define MILLISECONDS(n) ((uint64_t)(n))
#define HOURS(n)        ((uint64_t)(n)*3600 * 1000)
#define DAYS(n)         ((uint64_t)(n)*24 * 3600 * 1000)

struct unit {
    const char *suffix;
    uint64_t factor;
};

// The largest first, as formatting wants it. The last one is what a bare number counts.
static const struct unit size_units[] = {
    {"G", GIB(1)},
    {"M", MIB(1)},
    {"K", KIB(1)},
    {"", 1},
};
static const struct unit duration_units[] = {
    {"d", DAYS(1)}, {"h", HOURS(1)}, {"m", SECONDS(60)}, {"s", SECONDS(1)}, {"ms", 1},
};
