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

static uint16_t stream_open(struct stream_table *table, uint16_t upstream)
{
    for (uint16_t i = 0; i < table->size; i++) {
        if (table->streams[i].open)
            continue;
        table->streams[i] = (struct stream){.upstream = upstream, .open = true, .to_open = true};
        table->open_count++;
        return i;
    }
    return STREAM_NONE;
}

static bool has_allowance(const struct stream *stream, uint32_t allowance)
{
    return allowance == 0 || stream->taken < allowance;
}

// The connection to this upstream with the least in flight, or a new one.
static uint16_t stream_choose(struct stream_table *table, uint16_t upstream, uint32_t allowance)
{
    uint16_t best = STREAM_NONE, count = 0;
    for (uint16_t i = 0; i < table->size && table->open_count > 0; i++) {
        const struct stream *stream = &table->streams[i];
        if (!stream->open || stream->closing || stream->upstream != upstream)
            continue;
        count++;
        if (best == STREAM_NONE || stream->in_flight < table->streams[best].in_flight)
            best = i;
    }
    bool busy = best == STREAM_NONE || table->streams[best].in_flight >= STREAM_FULL ||
                !has_allowance(&table->streams[best], allowance);
    uint16_t fresh = STREAM_NONE;
    if (busy && count < STREAM_PER_UPSTREAM)
        fresh = stream_open(table, upstream);
    return fresh != STREAM_NONE ? fresh : best;
}

uint16_t stream_attach(struct stream_table *table, struct rng *rng, struct attempt *attempt,
                       uint16_t upstream, uint32_t allowance, uint64_t now_us)
{
    uint16_t index = stream_choose(table, upstream, allowance);
    if (index == STREAM_NONE || table->streams[index].in_flight >= STREAM_IN_FLIGHT)
        return STREAM_NONE;
    struct stream *stream = &table->streams[index];
    do
        attempt->id = rng_u16(rng);
    while (id_taken(stream, attempt->id));
    if (!stream->attempts)
        stream->silent_since_us = now_us;
    attempt->port = index;
    attempt->held = !has_allowance(stream, allowance);
    attempt->next_at_port = stream->attempts;
    stream->attempts = attempt;
    stream->in_flight++;
    stream->held += attempt->held;
    stream->taken += !attempt->held;
    stream->used_us = now_us;
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

void stream_heard(struct stream_table *table, uint16_t index, uint64_t now_us)
{
    struct stream *stream = &table->streams[index];
    stream->used_us = stream->silent_since_us = stream->heard_us = now_us;
    stream->replies++;
}

bool streams_close_idle(struct stream_table *table, uint64_t idle_us, uint64_t stuck_us,
                        uint16_t *stuck)
{
    *stuck = STREAM_NONE;
    for (uint16_t i = 0; i < table->size && table->open_count > 0; i++) {
        struct stream *stream = &table->streams[i];
        if (!stream->open || stream->closing)
            continue;
        if (!stream->attempts && stream->used_us < idle_us)
            stream_close(table, i);
        else if (stream->attempts && stream->silent_since_us < stuck_us)
            *stuck = i;
    }
    return table->open_count > 0;
}
