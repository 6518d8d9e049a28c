// SPDX-License-Identifier: MIT
#include "core/forward/stream.h"

#include <assert.h>

// A slot is free, open, or closing. A closing one has no attempts and takes none.

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

static uint16_t stream_open(struct stream_table *table, uint16_t upstream, bool apart)
{
    for (uint16_t i = 0; i < table->size; i++) {
        if (table->streams[i].open)
            continue;
        table->streams[i] =
            (struct stream){.upstream = upstream, .open = true, .to_open = true, .apart = apart};
        table->open_count++;
        return i;
    }
    return STREAM_NONE;
}

static bool has_allowance(const struct stream *stream, uint32_t allowance)
{
    return allowance == 0 || stream->taken < allowance;
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
    bool a_more = has_allowance(a, wish->allowance), b_more = has_allowance(b, wish->allowance);
    if (a_stale != b_stale)
        return b_stale;
    return a_more != b_more ? a_more : a->in_flight < b->in_flight;
}

// May another connection be opened, where there are `count` of them and so many apart in all?
static bool may_open(const struct stream_table *table, unsigned count, unsigned apart_count,
                     bool apart, bool extra)
{
    if (apart)
        return count < STREAM_APART_MAX && apart_count < table->size / STREAM_APART_SHARE;
    return count < STREAM_PER_UPSTREAM + (extra ? STREAM_STALE_EXTRA : 0u);
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
static uint16_t stream_choose(struct stream_table *table, const struct stream_wish *wish,
                              bool apart)
{
    uint16_t best = STREAM_NONE, own = STREAM_NONE;
    unsigned count = 0, apart_count = 0, own_count = 0;
    for (uint16_t i = 0; i < table->size && table->open_count > 0; i++) {
        const struct stream *stream = &table->streams[i];
        apart_count += stream->open && stream->apart;
        if (!stream->open || stream->closing || stream->upstream != wish->upstream ||
            stream->apart != apart)
            continue;
        count++;
        if (best == STREAM_NONE || is_better(stream, &table->streams[best], wish))
            best = i;
        if (wish->allowance == 0 || !waits_on(stream, wish->share))
            continue;
        own_count++;
        if (own == STREAM_NONE || is_better(stream, &table->streams[own], wish))
            own = i;
    }
    if (own_count >= STREAM_NETWORK_MAX)
        return own;
    const struct stream *chosen = best == STREAM_NONE ? NULL : &table->streams[best];
    bool stale = chosen && is_stale(chosen, wish);
    bool busy = !chosen || stale || chosen->in_flight >= STREAM_FULL ||
                !has_allowance(chosen, wish->allowance);
    uint16_t fresh = STREAM_NONE;
    // Nobody waits for the places of a network that may keep them.
    bool extra = stale || (wish->allowance > 0 && chosen && is_hogged(chosen, wish->share));
    if (busy && may_open(table, count, apart_count, apart, extra))
        fresh = stream_open(table, wish->upstream, apart);
    return fresh != STREAM_NONE ? fresh : best;
}

uint16_t stream_attach(struct stream_table *table, struct rng *rng, struct attempt *attempt,
                       const struct stream_wish *wish)
{
    // A small table has no room for any apart.
    bool apart = wish->apart && table->size >= STREAM_APART_SHARE;
    uint16_t index = stream_choose(table, wish, apart);
    if (index == STREAM_NONE || table->streams[index].in_flight >= STREAM_IN_FLIGHT)
        return STREAM_NONE;
    struct stream *stream = &table->streams[index];
    do
        attempt->id = rng_u16(rng);
    while (id_taken(stream, attempt->id));
    if (!stream->attempts)
        stream->silent_since_us = wish->now_us;
    attempt->port = index;
    attempt->held = !has_allowance(stream, wish->allowance);
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
