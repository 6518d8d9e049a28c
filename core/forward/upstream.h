// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/plan.h"
#include "core/forward/rng.h"

// What one worker knows of an upstream: how long it takes, and how its last sends ended. The
// timeout follows RFC 6298 (smoothed round-trip time and its variation), with bounds for DNS.

#define UPSTREAM_TIMEOUT_FIRST_US 400000u // before anything is known
#define UPSTREAM_TIMEOUT_MIN_US   20000u
#define UPSTREAM_TIMEOUT_MAX_US   1500000u

struct upstream {
    uint32_t smoothed_us; // round-trip time; 0: not measured yet
    uint32_t variation_us;
    uint32_t lost;     // sends without a reply since the last reply
    uint64_t retry_us; // while it is taken for dead: when it may be tried again
};

void upstream_answered(struct upstream *upstream, uint32_t round_trip_us);
void upstream_lost(struct upstream *upstream, uint64_t now_us);

// How long to wait for a reply before the question is sent again.
[[nodiscard]] uint32_t upstream_timeout_us(const struct upstream *upstream);

// Chooses where the next send of a question goes: `sends[i]` counts those to the zone's i-th
// upstream so far. Those with fewer sends come first, among them the living, among them by the
// zone's strategy. Returns the place in the zone's list, or -1 where each has had `sends_max`.
[[nodiscard]] int upstream_choose(const struct plan_zone *zone, const struct upstream *upstreams,
                                  const uint8_t *sends, uint8_t sends_max, struct rng *rng,
                                  uint64_t now_us);
