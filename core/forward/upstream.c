// SPDX-License-Identifier: MIT
#include "core/forward/upstream.h"

enum {
    LOST_DEAD = 3,         // sends in a row without a reply after which it is taken for dead
    RETRY_US = 1000000,    // first pause before a dead one is tried again, doubling
    RETRY_DOUBLINGS = 4,   // up to 16 s
    EXPLORE_ONE_IN = 64,   // sends that go elsewhere than to the fastest, to learn of changes
    MARGIN_MIN_US = 10000, // the G of RFC 6298 2.3: what a tick and a busy machine may add
};

void upstream_answered(struct upstream *upstream, uint32_t round_trip_us)
{
    upstream->lost = 0;
    upstream->retry_us = 0;
    if (upstream->smoothed_us == 0) {
        upstream->smoothed_us = round_trip_us > 0 ? round_trip_us : 1;
        upstream->variation_us = round_trip_us / 2;
        return;
    }
    // RFC 6298 2.3, with alpha 1/8 and beta 1/4.
    uint32_t error = round_trip_us > upstream->smoothed_us ? round_trip_us - upstream->smoothed_us
                                                           : upstream->smoothed_us - round_trip_us;
    upstream->variation_us += (error / 4) - (upstream->variation_us / 4);
    upstream->smoothed_us += (round_trip_us / 8) - (upstream->smoothed_us / 8);
    if (upstream->smoothed_us == 0)
        upstream->smoothed_us = 1;
}

void upstream_lost(struct upstream *upstream, uint64_t now_us)
{
    upstream->lost++;
    if (upstream->lost < LOST_DEAD)
        return;
    uint32_t doublings = upstream->lost - LOST_DEAD;
    if (doublings > RETRY_DOUBLINGS)
        doublings = RETRY_DOUBLINGS;
    upstream->retry_us = now_us + ((uint64_t)RETRY_US << doublings);
}

uint32_t upstream_timeout_us(const struct upstream *upstream)
{
    if (upstream->smoothed_us == 0)
        return UPSTREAM_TIMEOUT_FIRST_US;
    uint32_t margin_us = 4 * upstream->variation_us;
    if (margin_us < MARGIN_MIN_US)
        margin_us = MARGIN_MIN_US;
    uint32_t timeout_us = upstream->smoothed_us + margin_us;
    if (timeout_us < UPSTREAM_TIMEOUT_MIN_US)
        return UPSTREAM_TIMEOUT_MIN_US;
    return timeout_us < UPSTREAM_TIMEOUT_MAX_US ? timeout_us : UPSTREAM_TIMEOUT_MAX_US;
}

static bool alive(const struct upstream *upstream, uint64_t now_us)
{
    return upstream->lost < LOST_DEAD || now_us >= upstream->retry_us;
}

// Lower is better; strategies differ in nothing else.
static uint64_t rank(const struct plan_zone *zone, const struct upstream *upstream, size_t place,
                     struct rng *rng)
{
    switch (zone->settings->strategy) {
    case FORWARD_ORDERED:
        return place;
    case FORWARD_RANDOM:
        return rng_u16(rng);
    default:
        // One that was never measured comes first: it is then measured.
        if (rng_below(rng, EXPLORE_ONE_IN) == 0)
            return 0;
        return upstream->smoothed_us + 4 * (uint64_t)upstream->variation_us +
               (uint64_t)upstream->lost * UPSTREAM_TIMEOUT_FIRST_US;
    }
}

int upstream_choose(const struct plan_zone *zone, const struct upstream *upstreams,
                    const uint8_t *sends, uint8_t sends_max, struct rng *rng, uint64_t now_us)
{
    int best = -1;
    uint64_t best_rank = UINT64_MAX;
    for (size_t i = 0; i < zone->upstream_count; i++) {
        const struct upstream *upstream = &upstreams[zone->upstreams[i]];
        if (sends[i] >= sends_max)
            continue;
        // A number of three parts: sends so far, dead or alive, and what the strategy says.
        uint64_t r = (uint64_t)sends[i] << 48 | (uint64_t)!alive(upstream, now_us) << 47 |
                     rank(zone, upstream, i, rng);
        if (r < best_rank) {
            best_rank = r;
            best = (int)i;
        }
    }
    return best;
}
