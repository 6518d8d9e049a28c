// SPDX-License-Identifier: MIT
#include "core/forward/upstream.h"

#include <string.h>

enum {
    EARLY_FIRST_US = 150000, // before anything is known
    EARLY_FEW_US = 30000,    // with too few samples to speak of a tail
    EARLY_MIN_US = 10000,    // what a busy machine or a tick may add is no loss
    LATE_MIN_US = 30000,
    WAIT_MAX_US = 1500000,
    SAMPLES_FEW = 8,
    SILENCE_PROBE_US = 150000,   // and for so long, after which it is probed
    SILENCE_DEAD_US = 250000,    // and taken for dead, if the probe got no reply
    VOUCHED_US = 250000,         // for which a reply to a probe counts
    HEARD_US = 1000000,          // since a reply, before which ICMP is not believed
    TCP_PROBE_US = 5000000,      // between two probes over TCP, or a question and a probe
    TCP_PROBE_FIRST_US = 500000, // after the first silence
    PROBE_MIN_US = 100000,       // between two probes
    PROBE_MAX_US = 1000000,      // after a long silence
    PROBE_SHARE = 32,            // of the silence so far
    COPIES_SILENT = 2,           // probes with questions of a kind that it was silent to
    LOSS_SHARE = 32,             // of a new sample in the smoothed loss
    EXPLORE_ONE_IN = 64,         // questions that go to any that lives, to learn of changes
    BAND_US = 500,               // how much worse is still as good
    TCP_RETRY_MIN_US = 500000,   // after a connection that could not be had, doubling
    TCP_RETRY_DOUBLINGS = 6,     // up to 32 s
};

void upstream_init(struct upstream *u, struct rng *rng, uint64_t now_us)
{
    memset(u, 0, sizeof *u);
    u->silent_since_us = now_us;
    rng_bytes(rng, u->cookie, sizeof u->cookie);
}

void upstream_sent(struct upstream *u, enum transport transport, uint64_t now_us)
{
    u->in_flight++;
    if (transport_has_connections(transport))
        u->tcp_probe_us = now_us + TCP_PROBE_US;
}

void upstream_forgotten(struct upstream *u)
{
    u->in_flight--;
}

static void alive_now(struct upstream *u)
{
    u->health = UPSTREAM_ALIVE;
    u->gone = u->over_tcp = u->probe_late = false;
    u->probes = u->overdue = 0;
    u->silent_to.count = 0;
}

void upstream_replied(struct upstream *u, uint32_t kind, uint64_t sent_us, uint64_t now_us,
                      enum transport transport, bool sample)
{
    u->in_flight--;
    u->reply_us = now_us;
    if (transport_has_connections(transport)) {
        // Of what becomes of datagrams it tells nothing.
        u->tcp_reply_us = now_us;
        u->over_tcp = u->health == UPSTREAM_DEAD;
        u->gone &= !u->over_tcp;
        if (u->health == UPSTREAM_UNKNOWN)
            alive_now(u);
        return;
    }
    alive_now(u);
    u->udp_reply_us = now_us;
    if (kind == KIND_PROBE)
        u->vouched_until_us = now_us + VOUCHED_US;
    if (sent_us > u->reply_sent_us)
        u->reply_sent_us = sent_us;
    if (!sample)
        return;
    u->loss_pm = (uint16_t)(u->loss_pm - u->loss_pm / LOSS_SHARE);
    latency_add(&u->latency, now_us - sent_us);
}

void upstream_lost(struct upstream *u, bool sample)
{
    u->in_flight--;
    if (sample)
        u->loss_pm = (uint16_t)(u->loss_pm + (1000 - u->loss_pm) / LOSS_SHARE);
}

void upstream_answered(struct upstream *u)
{
    u->failed = 0;
    u->failed_at.count = 0;
}

void upstream_failed(struct upstream *u, uint32_t kind, uint64_t now_us)
{
    bool failed = upstream_fails_all(u);
    if (u->failed < UPSTREAM_FAILED_FAILS)
        u->failed++;
    kinds_add(&u->failed_at, kind);
    if (!failed && upstream_fails_all(u) && u->health == UPSTREAM_ALIVE && u->overdue == 0)
        u->silent_since_us = now_us; // the longer it lasts, the rarer are the probes
}

static bool is_silent(const struct upstream *u, uint64_t now_us)
{
    return u->overdue >= UPSTREAM_OVERDUE_DEAD && u->probe_late &&
           now_us - u->silent_since_us >= SILENCE_DEAD_US;
}

// One that replies over TCP is asked over TCP from now on.
static void dead_now(struct upstream *u, uint64_t now_us)
{
    if (u->health == UPSTREAM_DEAD)
        return;
    u->health = UPSTREAM_DEAD;
    u->over_tcp = u->tcp_reply_us != 0 && u->tcp_reply_us >= u->silent_since_us;
    if (u->tcp_probe_us < now_us + TCP_PROBE_FIRST_US)
        u->tcp_probe_us = now_us + TCP_PROBE_FIRST_US;
}

void upstream_overdue(struct upstream *u, uint32_t kind, uint64_t sent_us, uint64_t now_us)
{
    // A later send was answered: this one got lost, but the server is well.
    if (u->health == UPSTREAM_ALIVE && sent_us < u->reply_sent_us)
        return;
    if (u->overdue == 0 && u->health != UPSTREAM_DEAD)
        u->silent_since_us = sent_us;
    if (u->overdue < UINT8_MAX)
        u->overdue++;
    if (kind == KIND_PROBE)
        u->probe_late = true;
    else
        kinds_add(&u->silent_to, kind);
    u->gone = false;
    if (u->health == UPSTREAM_UNKNOWN || is_silent(u, now_us))
        dead_now(u, now_us);
}

void upstream_tcp_overdue(struct upstream *u, uint64_t sent_us)
{
    if (u->tcp_reply_us >= sent_us)
        return;
    u->over_tcp = false;
}

void upstreams_age(const struct zone *zone, struct upstream *upstreams, uint64_t now_us)
{
    for (size_t i = 0; i < zone->upstream_count; i++) {
        struct upstream *u = &upstreams[zone->upstreams[i]];
        if (is_silent(u, now_us))
            dead_now(u, now_us);
    }
}

bool upstream_unreachable(struct upstream *u, uint64_t sent_us, uint64_t now_us)
{
    bool heard = u->health == UPSTREAM_ALIVE &&
                 (now_us - u->udp_reply_us < HEARD_US || u->reply_sent_us > sent_us);
    if (heard && sent_us != 0)
        return false;
    if (u->health != UPSTREAM_DEAD)
        u->silent_since_us = now_us;
    u->health = UPSTREAM_DEAD;
    u->gone = !u->over_tcp;
    if (u->probe_us < now_us + PROBE_MIN_US)
        u->probe_us = now_us + PROBE_MIN_US;
    return true;
}

void upstream_tcp_failed(struct upstream *u, uint64_t now_us)
{
    unsigned doublings = u->tcp_failures;
    if (u->tcp_failures < TCP_RETRY_DOUBLINGS)
        u->tcp_failures++;
    u->tcp_retry_us = now_us + ((uint64_t)TCP_RETRY_MIN_US << doublings);
    u->over_tcp = false;
}

void upstream_tcp_worked(struct upstream *u)
{
    u->tcp_failures = 0;
    u->tcp_retry_us = 0;
}

static uint32_t within(uint64_t value, uint32_t least)
{
    value = value > least ? value : least;
    return (uint32_t)(value < WAIT_MAX_US ? value : WAIT_MAX_US);
}

uint32_t upstream_early_us(const struct upstream *u)
{
    const struct latency *l = &u->latency;
    if (l->total == 0)
        return EARLY_FIRST_US;
    uint64_t tail = l->fast_tail_us + (uint64_t)l->fast_tail_us / 4;
    if (l->total < SAMPLES_FEW)
        return within(2 * tail, EARLY_FEW_US);
    return within(tail, EARLY_MIN_US);
}

uint32_t upstream_late_us(const struct upstream *u)
{
    uint32_t early = upstream_early_us(u);
    uint64_t tail = u->latency.slow_tail_us + (uint64_t)u->latency.slow_tail_us / 2;
    return within(tail > 2 * (uint64_t)early ? tail : 2 * (uint64_t)early, LATE_MIN_US);
}

// The average wait of a question that is sent there: the fast mode, and for lost ones the time
// until the resend.
static uint64_t cost_us(const struct upstream *u)
{
    uint32_t early = upstream_early_us(u);
    return u->latency.fast_us + (uint64_t)early * u->loss_pm / 1000;
}

// Lower is better; strategies differ in nothing else. Chance decides who is asked first, but not
// who is to make good for one that does not answer.
static uint64_t rank(const struct zone *zone, const struct upstream *u, size_t place, bool first,
                     struct rng *rng)
{
    if (zone->settings->strategy == FORWARD_ORDERED)
        return place;
    if (zone->settings->strategy == FORWARD_RANDOM && first)
        return rng_u16(rng);
    return cost_us(u);
}

// Those that are nearly as fast as the fastest share the load: the one with the least in flight.
static int band_choose(const struct choice *c, int best)
{
    const struct zone *zone = c->zone;
    const struct upstream *first = &c->upstreams[zone->upstreams[best]];
    uint64_t limit = cost_us(first);
    limit += limit / 4 + BAND_US;
    for (size_t i = 0; i < zone->upstream_count; i++) {
        const struct upstream *u = &c->upstreams[zone->upstreams[i]];
        if (upstream_is_trusted(u, c->kind, c->now_us) && cost_us(u) <= limit &&
            u->in_flight < c->upstreams[zone->upstreams[best]].in_flight)
            best = (int)i;
    }
    return best;
}

int upstream_choose(const struct choice *c, struct rng *rng)
{
    const struct zone *zone = c->zone;
    int best = -1;
    uint64_t best_rank = UINT64_MAX;
    bool fastest = zone->settings->strategy == FORWARD_FASTEST;
    bool explore = fastest && zone->upstream_count > 1 && rng_below(rng, EXPLORE_ONE_IN) == 0;
    for (size_t i = 0; i < zone->upstream_count; i++) {
        const struct upstream *u = &c->upstreams[zone->upstreams[i]];
        if (c->sends[i] >= UPSTREAM_SENDS_MAX || !upstream_is_there(u))
            continue;
        // A number of five parts, the first being the weightiest.
        uint64_t r = explore ? rng_u16(rng) : rank(zone, u, i, c->first, rng);
        r |= (uint64_t)c->sends[i] << 50 | (uint64_t)(u->health == UPSTREAM_UNKNOWN) << 49 |
             (uint64_t)(u->over_tcp || upstream_owes(u, c->kind, c->now_us)) << 48 |
             (uint64_t)upstream_fails(u, c->kind) << 47;
        if (r < best_rank) {
            best_rank = r;
            best = (int)i;
        }
    }
    return best >= 0 && fastest && c->first && !explore ? band_choose(c, best) : best;
}

// The longer the silence, the rarer are the probes.
static void probe_note(struct upstream *u, uint64_t now_us)
{
    uint64_t pause = (now_us - u->silent_since_us) / PROBE_SHARE;
    pause = pause > PROBE_MIN_US ? pause : PROBE_MIN_US;
    u->probe_us = now_us + (pause < PROBE_MAX_US ? pause : PROBE_MAX_US);
    if (u->probes < UINT8_MAX)
        u->probes++;
    else
        u->probes = UPSTREAM_COPIES;
}

// A client's question may get no reply for reasons of its own. So one of a kind that this upstream
// was silent to is copied a few times at most, and after many copies every other probe is for an
// SOA.
static bool wants_copy(const struct upstream *u, uint32_t kind)
{
    if (u->health == UPSTREAM_DEAD && u->probes >= COPIES_SILENT && kinds_have(&u->silent_to, kind))
        return false;
    return u->probes < UPSTREAM_COPIES || u->probes % 2 == 0;
}

int upstream_try(const struct zone *zone, struct upstream *upstreams, uint32_t kind,
                 const uint8_t *sends, uint8_t sends_max, uint64_t now_us)
{
    int found = -1;
    uint64_t due_us = UINT64_MAX;
    for (size_t i = 0; i < zone->upstream_count; i++) {
        struct upstream *u = &upstreams[zone->upstreams[i]];
        if (upstream_is_trusted(u, kind, now_us) || sends[i] >= sends_max || !wants_copy(u, kind))
            continue;
        // Of several that may have one, the one that has waited longest.
        if (u->probe_us < due_us) {
            due_us = u->probe_us;
            found = (int)i;
        }
    }
    if (found < 0 || due_us > now_us)
        return -1;
    probe_note(&upstreams[zone->upstreams[found]], now_us);
    return found;
}

// May it be dead, or be back from the dead? Then a question of our own tells.
static bool wants_probe(const struct upstream *u, uint64_t now_us)
{
    if (now_us < u->probe_us)
        return false;
    return u->health == UPSTREAM_DEAD ||
           (u->overdue >= UPSTREAM_OVERDUE_DEAD && now_us - u->silent_since_us >= SILENCE_PROBE_US);
}

static bool wants_tcp_probe(const struct upstream *u, uint64_t now_us)
{
    return u->health == UPSTREAM_DEAD && now_us >= u->tcp_probe_us && now_us >= u->tcp_retry_us;
}

static int probe_find(const struct zone *zone, const struct upstream *upstreams,
                      enum transport transport, uint64_t now_us)
{
    for (int i = 0; i < zone->upstream_count; i++) {
        const struct upstream *u = &upstreams[zone->upstreams[i]];
        if (transport_has_connections(transport) ? wants_tcp_probe(u, now_us)
                                                 : wants_probe(u, now_us))
            return i;
    }
    return -1;
}

bool upstream_probe_due(const struct zone *zone, const struct upstream *upstreams,
                        enum transport transport, uint64_t now_us)
{
    return probe_find(zone, upstreams, transport, now_us) >= 0;
}

int upstream_probe(const struct zone *zone, struct upstream *upstreams, enum transport transport,
                   uint64_t now_us)
{
    int found = probe_find(zone, upstreams, transport, now_us);
    if (found >= 0 && transport_has_connections(transport))
        upstreams[zone->upstreams[found]].tcp_probe_us = now_us + TCP_PROBE_US;
    else if (found >= 0)
        probe_note(&upstreams[zone->upstreams[found]], now_us);
    return found;
}

uint64_t upstream_next_probe_us(const struct zone *zone, const struct upstream *upstreams,
                                uint32_t kind, uint64_t now_us)
{
    uint64_t next_us = UINT64_MAX;
    for (size_t i = 0; i < zone->upstream_count; i++) {
        const struct upstream *u = &upstreams[zone->upstreams[i]];
        if (!upstream_is_trusted(u, kind, now_us) && u->probe_us < next_us)
            next_us = u->probe_us;
        if (u->health == UPSTREAM_DEAD && !u->over_tcp && u->tcp_probe_us < next_us &&
            u->tcp_retry_us < next_us)
            next_us = u->tcp_probe_us > u->tcp_retry_us ? u->tcp_probe_us : u->tcp_retry_us;
    }
    return next_us;
}

bool upstream_all_dead(const struct zone *zone, const struct upstream *upstreams)
{
    for (size_t i = 0; i < zone->upstream_count; i++) {
        if (upstream_is_there(&upstreams[zone->upstreams[i]]))
            return false;
    }
    return true;
}
