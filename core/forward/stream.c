// SPDX-License-Identifier: MIT
#include "core/forward/stream.h"

#include <assert.h>

// A slot is free, open, or closing. A closing one has no attempts and takes none.

// How many connections each lane has to an upstream, and on how many of them one client network may
// wait: in the shared lane where they take a few questions each.
static const struct lane {
    unsigned connections, network;
} lanes[STREAM_LANES] = {
    [STREAM_SHARED] = {STREAM_PER_UPSTREAM, STREAM_NETWORK_MAX},
    [STREAM_SUSPECT] = {STREAM_SUSPECT_MAX, 1},
    [STREAM_APART] = {STREAM_APART_MAX, 1},
};

size_t stream_size(uint16_t size)
{
    return size * sizeof(struct stream);
}

void stream_init(struct stream_table *table, void *memory, uint16_t size)
{
    *table = (struct stream_table){.streams = memory, .size = size};
    memset(memory, 0, stream_size(size));
}

static bool id_taken(const struct stream *stream, uint16_t id)
{
    const struct attempt *attempt = stream->attempts;
    while (attempt && attempt->id != id)
        attempt = attempt->next_at_port;
    return attempt != NULL;
}

static uint16_t stream_open(struct stream_table *table, const struct stream_wish *wish)
{
    for (uint16_t i = 0; i < table->size; i++) {
        if (table->streams[i].open)
            continue;
        table->streams[i] = (struct stream){.upstream = wish->upstream,
                                            .lane = (uint8_t)wish->lane,
                                            .batch = wish->batch,
                                            .open = true,
                                            .to_open = true};
        table->open_count++;
        return i;
    }
    return STREAM_NONE;
}

static bool is_stale(const struct stream *stream, const struct stream_wish *wish)
{
    return stream->doubted ||
           (stream->attempts && wish->now_us - stream->silent_since_us >= wish->stale_us);
}

// Which of the two takes the next attempt? One that is not stale, among those one that may have
// more, and among those the one with the least in flight.
static bool is_better(const struct stream *a, const struct stream *b,
                      const struct stream_wish *wish)
{
    bool a_stale = is_stale(a, wish), b_stale = is_stale(b, wish);
    bool a_more = stream_has_room(a, wish->allowance), b_more = stream_has_room(b, wish->allowance);
    if (a_stale != b_stale)
        return b_stale;
    return a_more != b_more ? a_more : a->in_flight < b->in_flight;
}

// May another connection be opened, where there are `count` of them and so many in the other lanes
// than the shared one in all?
static bool may_open(const struct stream_table *table, unsigned count, unsigned apart_count,
                     enum stream_lane lane, bool extra)
{
    unsigned apart_max = (count == 0 ? 2u : 1u) * table->size / STREAM_APART_SHARE;
    if (lane != STREAM_SHARED)
        return count < lanes[lane].connections && apart_count < apart_max;
    return count < lanes[lane].connections + (extra ? STREAM_STALE_EXTRA : 0u);
}

// Is anything under way here that was asked for this network?
static bool waits_on(const struct stream *stream, uint32_t share)
{
    const struct attempt *a = stream->attempts;
    while (a && (a->held || a->share != share))
        a = a->next_at_port;
    return a != NULL;
}

// Is all that is under way here asked for one network, and not for this one?
static bool is_hogged(const struct stream *stream, uint32_t share)
{
    uint32_t one = share;
    for (const struct attempt *a = stream->attempts; a; a = a->next_at_port) {
        if (a->held)
            continue;
        if (a->share == share || (one != share && a->share != one))
            return false;
        one = a->share;
    }
    return one != share;
}

// The connection to this upstream that is best, or a new one.
static uint16_t stream_choose(struct stream_table *table, const struct stream_wish *wish)
{
    uint16_t best = STREAM_NONE, own = STREAM_NONE;
    unsigned count = 0, apart_count = 0, own_count = 0;
    bool shared = wish->lane == STREAM_SHARED, by_network = !shared || wish->allowance > 0;
    for (uint16_t i = 0; i < table->size && table->open_count > 0; i++) {
        const struct stream *stream = &table->streams[i];
        apart_count += stream->open && stream->lane != STREAM_SHARED;
        if (!stream->open || stream->closing || stream->upstream != wish->upstream ||
            stream->lane != wish->lane)
            continue;
        count++;
        if (best == STREAM_NONE || is_better(stream, &table->streams[best], wish))
            best = i;
        if (!by_network || !waits_on(stream, wish->share))
            continue;
        own_count++;
        if (own == STREAM_NONE || is_better(stream, &table->streams[own], wish))
            own = i;
    }
    if (own_count >= lanes[wish->lane].network)
        return own;
    const struct stream *chosen = best == STREAM_NONE ? NULL : &table->streams[best];
    bool stale = chosen && is_stale(chosen, wish);
    // Nobody waits for the places of a network that may keep them.
    bool hogged = by_network && chosen && is_hogged(chosen, wish->share);
    bool busy = !chosen || stale || chosen->in_flight >= STREAM_FULL ||
                !stream_has_room(chosen, wish->allowance) || (hogged && !shared);
    uint16_t fresh = STREAM_NONE;
    if (busy && may_open(table, count, apart_count, wish->lane, stale || hogged))
        fresh = stream_open(table, wish);
    return fresh != STREAM_NONE ? fresh : best;
}

uint16_t stream_attach(struct stream_table *table, struct rng *rng, struct attempt *attempt,
                       const struct stream_wish *wish)
{
    struct stream_wish in_lane = *wish;
    if (!stream_has_lanes(table))
        in_lane.lane = STREAM_SHARED;
    if (in_lane.lane == STREAM_SHARED)
        in_lane.batch = 0;
    uint16_t index = stream_choose(table, &in_lane);
    if (index == STREAM_NONE || table->streams[index].in_flight >= STREAM_IN_FLIGHT)
        return STREAM_NONE;
    struct stream *stream = &table->streams[index];
    do
        attempt->id = rng_u16(rng);
    while (id_taken(stream, attempt->id));
    if (!stream->attempts)
        stream->silent_since_us = wish->now_us;
    attempt->port = index;
    attempt->held = !stream_has_room(stream, wish->allowance);
    attempt->next_at_port = stream->attempts;
    stream->attempts = attempt;
    stream->in_flight++;
    stream->held += attempt->held;
    stream->taken += !attempt->held;
    stream->used_us = wish->now_us;
    return index;
}

void stream_detach(struct stream_table *table, struct attempt *attempt)
{
    if (attempt->port == STREAM_NONE)
        return;
    struct stream *stream = &table->streams[attempt->port];
    struct attempt **link = &stream->attempts;
    while (*link != attempt)
        link = &(*link)->next_at_port;
    *link = attempt->next_at_port;
    stream->doubted |= attempt->sent_us != 0 && stream->heard_us < attempt->sent_us;
    stream->in_flight--;
    stream->held -= attempt->held;
    attempt->held = false;
    attempt->port = STREAM_NONE;
}

struct attempt *stream_find(const struct stream_table *table, uint16_t index, uint16_t id)
{
    assert(index < table->size);
    struct attempt *attempt = table->streams[index].attempts;
    while (attempt && (attempt->id != id || attempt->sent_us == 0))
        attempt = attempt->next_at_port;
    return attempt;
}

void stream_closed(struct stream_table *table, uint16_t index)
{
    struct stream *stream = &table->streams[index];
    assert(stream->open && !stream->attempts);
    table->closing_count -= stream->closing;
    table->open_count--;
    stream->open = stream->closing = false;
}

void stream_close(struct stream_table *table, uint16_t index)
{
    struct stream *stream = &table->streams[index];
    assert(stream->open && !stream->attempts);
    table->closing_count += !stream->closing;
    stream->closing = true;
}

uint16_t stream_take_closing(struct stream_table *table)
{
    for (uint16_t i = 0; i < table->size && table->closing_count > 0; i++) {
        if (!table->streams[i].closing)
            continue;
        stream_closed(table, i);
        return i;
    }
    return STREAM_NONE;
}

void stream_connected(struct stream_table *table, uint16_t index, uint64_t now_us)
{
    struct stream *stream = &table->streams[index];
    assert(stream->open);
    stream->connected = true;
    stream->silent_since_us = now_us;
}

void stream_heard(struct stream_table *table, uint16_t index, uint64_t now_us)
{
    struct stream *stream = &table->streams[index];
    stream->used_us = stream->silent_since_us = stream->heard_us = now_us;
    stream->connected = true;
    stream->doubted = false;
    stream->replies++;
}

struct attempt *stream_oldest(const struct stream *stream)
{
    struct attempt *oldest = NULL;
    for (struct attempt *a = stream->attempts; a; a = a->next_at_port) {
        if (a->sent_us != 0)
            oldest = a;
    }
    return oldest;
}

unsigned stream_sent_count(const struct stream *stream)
{
    unsigned count = 0;
    for (const struct attempt *a = stream->attempts; a; a = a->next_at_port)
        count += a->sent_us != 0;
    return count;
}

bool streams_close_idle(struct stream_table *table, uint64_t idle_us)
{
    for (uint16_t i = 0; i < table->size && table->open_count > 0; i++) {
        struct stream *stream = &table->streams[i];
        if (stream->open && !stream->closing && !stream->attempts &&
            (stream->used_us < idle_us || (stream->doubted && stream->connected)))
            stream_close(table, i);
    }
    return table->open_count > 0;
}
