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

// A free slot. Where there is none, the connection that has had nothing to do for longest is
// closed, so that there is one in a moment.
static uint16_t free_find(struct stream_table *table)
{
    struct stream *idle = NULL;
    if (table->open_count < table->size) {
        uint16_t i = 0;
        while (table->streams[i].open)
            i++;
        return i;
    }
    for (uint16_t i = 0; i < table->size && table->closing_count == 0; i++) {
        struct stream *stream = &table->streams[i];
        if (!stream->attempts && stream->connected && (!idle || stream->used_us < idle->used_us))
            idle = stream;
    }
    if (idle)
        stream_close(table, (uint16_t)(idle - table->streams));
    return STREAM_NONE;
}

static uint16_t stream_open(struct stream_table *table, const struct stream_wish *wish)
{
    uint16_t index = free_find(table);
    if (index == STREAM_NONE)
        return STREAM_NONE;
    table->streams[index] = (struct stream){.upstream = wish->upstream,
                                            .lane = (uint8_t)wish->lane,
                                            .part = wish->part,
                                            .batch = wish->batch,
                                            .open = true,
                                            .to_open = true};
    table->open_count++;
    return index;
}

static bool is_stale(const struct stream *stream, const struct stream_wish *wish)
{
    return stream->doubted ||
           (stream->attempts && wish->now_us - stream->silent_since_us >= wish->stale_us);
}

// Are answers late here though they come, as there are too many, or some that take long?
static bool is_crowded(const struct stream *stream, const struct stream_wish *wish)
{
    if (stream->in_flight < STREAM_CROWD)
        return false;
    const struct attempt *head = stream_oldest(stream);
    return stream->in_flight >= STREAM_IN_FLIGHT / 2 ||
           (head && wish->now_us - head->sent_us >= wish->stale_us);
}

// Will what is asked here be answered late, if ever?
static bool is_busy(const struct stream *stream, const struct stream_wish *wish)
{
    return is_stale(stream, wish) || (stream->lane == STREAM_SHARED && is_crowded(stream, wish));
}

// Which of the two takes the next attempt? One that is not busy, among those one that may have
// more, and among those the one with the least in flight.
static bool is_better(const struct stream *a, const struct stream *b,
                      const struct stream_wish *wish)
{
    bool a_busy = is_busy(a, wish), b_busy = is_busy(b, wish);
    bool a_more = stream_has_room(a), b_more = stream_has_room(b);
    if (a_busy != b_busy)
        return b_busy;
    return a_more != b_more ? a_more : a->in_flight < b->in_flight;
}

// Are there slots enough for connections beyond those that each upstream has?
static bool has_spare(const struct stream_table *table)
{
    return table->size - table->open_count > table->size / STREAM_APART_SHARE;
}

// The connection, unless it has just been closed to make room.
static uint16_t not_closing(const struct stream_table *table, uint16_t index)
{
    return index != STREAM_NONE && !table->streams[index].closing ? index : STREAM_NONE;
}

// How many connections of a lane to an upstream a network may wait on, but for a quarter that is
// left to others: the smaller its batches, the more.
static unsigned connections_max(const struct stream_wish *wish)
{
    if (wish->lane != STREAM_SUSPECT || wish->batch == 0)
        return STREAM_LANE_MIN;
    unsigned count = STREAM_SUSPECT_ALL / wish->batch;
    count = count < STREAM_SUSPECT_MAX ? count : STREAM_SUSPECT_MAX;
    return count > STREAM_LANE_MIN ? count : STREAM_LANE_MIN;
}

// Is anything here that was asked for the attempt's network?
static bool waits_on(const struct stream *stream, const struct attempt *attempt)
{
    const struct attempt *a = stream->attempts;
    while (a && !network_equal(&a->network, &attempt->network))
        a = a->next_at_port;
    return a != NULL;
}

// Does the attempt's network have more than its share of what is in flight here?
static bool is_hogged_by(const struct stream *stream, const struct attempt *attempt)
{
    unsigned count = 0;
    for (const struct attempt *a = stream->attempts; a; a = a->next_at_port)
        count += network_equal(&a->network, &attempt->network);
    return count > stream->in_flight / STREAM_NETWORK_SHARE;
}

// Do others wait here for what the attempt's network has asked: does a question of it stand in
// front of all others, for a while now, or is it most of a crowd?
static bool is_held_up_by(const struct stream *stream, const struct attempt *attempt,
                          const struct stream_wish *wish)
{
    const struct attempt *head = stream_oldest(stream);
    if (head && wish->now_us - head->sent_us >= wish->stale_us &&
        network_equal(&head->network, &attempt->network))
        return true;
    return is_crowded(stream, wish) && is_hogged_by(stream, attempt);
}

// The shared connection to this upstream that is best, or a new one. A network that holds others up
// on as many as there are for all waits there, and takes no more from them.
static uint16_t shared_choose(struct stream_table *table, const struct attempt *attempt,
                              const struct stream_wish *wish)
{
    uint16_t best = STREAM_NONE, own = STREAM_NONE;
    unsigned count = 0, own_count = 0;
    for (uint16_t i = 0; i < table->size && table->open_count > 0; i++) {
        const struct stream *stream = &table->streams[i];
        if (!stream->open || stream->closing || stream->upstream != wish->upstream ||
            stream->lane != STREAM_SHARED)
            continue;
        count++;
        if (best == STREAM_NONE || is_better(stream, &table->streams[best], wish))
            best = i;
        if (!is_held_up_by(stream, attempt, wish))
            continue;
        own_count++;
        if (own == STREAM_NONE || stream->in_flight < table->streams[own].in_flight)
            own = i;
    }
    if (own_count >= STREAM_PER_UPSTREAM)
        return own;
    const struct stream *chosen = best == STREAM_NONE ? NULL : &table->streams[best];
    bool busy = chosen && is_busy(chosen, wish);
    uint16_t fresh = STREAM_NONE;
    if ((!chosen || busy || chosen->in_flight >= STREAM_FULL) &&
        count < STREAM_PER_UPSTREAM + (busy && has_spare(table) ? STREAM_EXTRA : 0u))
        fresh = stream_open(table, wish);
    return fresh != STREAM_NONE ? fresh : not_closing(table, best);
}

// The same in another lane. A network that waits on most of the connections that there may be, to
// this upstream or to all, waits there; any other gets one of its own as long as there is one.
static uint16_t lane_choose(struct stream_table *table, const struct attempt *attempt,
                            const struct stream_wish *wish)
{
    uint16_t best = STREAM_NONE, own = STREAM_NONE;
    unsigned count = 0, own_count = 0, all_count = 0, all_own_count = 0;
    for (uint16_t i = 0; i < table->size && table->open_count > 0; i++) {
        const struct stream *stream = &table->streams[i];
        if (!stream->open || stream->closing || stream->lane == STREAM_SHARED)
            continue;
        bool waits = waits_on(stream, attempt);
        all_count++;
        all_own_count += waits;
        if (stream->upstream != wish->upstream || stream->lane != wish->lane)
            continue;
        count++;
        if (best == STREAM_NONE || is_better(stream, &table->streams[best], wish))
            best = i;
        if (!waits)
            continue;
        own_count++;
        if (own == STREAM_NONE || is_better(stream, &table->streams[own], wish))
            own = i;
    }
    unsigned max = connections_max(wish);
    unsigned lane_max = wish->lane == STREAM_SUSPECT ? STREAM_SUSPECT_MAX : STREAM_LANE_MIN;
    unsigned all_max = (count == 0 ? 2u : 1u) * table->size / STREAM_APART_SHARE;
    const struct stream *mine = own == STREAM_NONE ? NULL : &table->streams[own];
    bool mine_serves = mine && !is_stale(mine, wish) && stream_has_room(mine);
    if (mine_serves || own_count >= max - (max + 3) / 4)
        return own;
    const struct stream *idle = best == STREAM_NONE ? NULL : &table->streams[best];
    if (idle && !idle->attempts && stream_has_room(idle) && !idle->doubted)
        return best;
    uint16_t fresh = STREAM_NONE;
    if (count < lane_max && all_count < all_max && all_own_count < all_max - all_max / 4)
        fresh = stream_open(table, wish);
    if (fresh != STREAM_NONE)
        return fresh;
    return own != STREAM_NONE ? own : not_closing(table, best);
}

static uint16_t stream_choose(struct stream_table *table, const struct attempt *attempt,
                              const struct stream_wish *wish)
{
    return wish->lane == STREAM_SHARED ? shared_choose(table, attempt, wish)
                                       : lane_choose(table, attempt, wish);
}

uint16_t stream_attach(struct stream_table *table, struct rng *rng, struct attempt *attempt,
                       const struct stream_wish *wish)
{
    struct stream_wish in_lane = *wish;
    if (!stream_has_lanes(table))
        in_lane.lane = STREAM_SHARED;
    if (in_lane.lane == STREAM_SHARED)
        in_lane.batch = 0;
    uint16_t index = stream_choose(table, attempt, &in_lane);
    if (index == STREAM_NONE || table->streams[index].in_flight >= STREAM_IN_FLIGHT)
        return STREAM_NONE;
    struct stream *stream = &table->streams[index];
    do
        attempt->id = rng_u16(rng);
    while (id_taken(stream, attempt->id));
    if (!stream->attempts)
        stream->silent_since_us = wish->now_us;
    attempt->port = index;
    attempt->held = !stream_has_room(stream);
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
}

void stream_late(struct stream_table *table, uint16_t index)
{
    struct stream *stream = &table->streams[index];
    stream->unanswered -= stream->unanswered > 0;
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
            (stream->used_us < idle_us ||
             ((stream->doubted || stream->lane != STREAM_SHARED) && stream->connected)))
            stream_close(table, i);
    }
    return table->open_count > 0;
}
