// SPDX-License-Identifier: MIT
#include "core/forward/connection_table.h"

#include <assert.h>

// A slot is free, open, or closing. A closing one has no attempts and takes none.

size_t connection_table_size(uint16_t size)
{
    return size * sizeof(struct connection);
}

void connection_table_init(struct connection_table *table, void *memory, uint16_t size)
{
    *table = (struct connection_table){.slots = memory, .size = size};
    memset(memory, 0, connection_table_size(size));
}

static bool id_taken(const struct connection *connection, uint16_t id)
{
    const struct attempt *attempt = connection->attempts;
    while (attempt && attempt->id != id)
        attempt = attempt->next_at_slot;
    return attempt != NULL;
}

// A free slot. Where there is none, the connection that has had nothing to do for longest is
// closed, so that there is one in a moment.
static uint16_t free_find(struct connection_table *table)
{
    struct connection *idle = NULL;
    if (table->open_count < table->size) {
        uint16_t i = 0;
        while (table->slots[i].open)
            i++;
        return i;
    }
    for (uint16_t i = 0; i < table->size && table->closing_count == 0; i++) {
        struct connection *connection = &table->slots[i];
        if (!connection->attempts && connection->connected &&
            (!idle || connection->used_us < idle->used_us))
            idle = connection;
    }
    if (idle)
        connection_close(table, (uint16_t)(idle - table->slots));
    return CONNECTION_NONE;
}

static uint16_t connection_open(struct connection_table *table, const struct connection_wish *wish)
{
    uint16_t index = free_find(table);
    if (index == CONNECTION_NONE)
        return CONNECTION_NONE;
    table->slots[index] = (struct connection){.upstream = wish->upstream,
                                              .lane = (uint8_t)wish->lane,
                                              .part = wish->part,
                                              .batch = wish->batch,
                                              .open = true,
                                              .to_open = true};
    table->open_count++;
    return index;
}

static bool is_stale(const struct connection *connection, const struct connection_wish *wish)
{
    return connection->doubted ||
           (connection->attempts && wish->now_us - connection->silent_since_us >= wish->stale_us);
}

// Are answers late here though they come, as there are too many, or some that take long?
static bool is_crowded(const struct connection *connection, const struct connection_wish *wish)
{
    if (connection->in_flight < CONNECTION_CROWD)
        return false;
    const struct attempt *head = connection_oldest(connection);
    return connection->in_flight >= CONNECTION_IN_FLIGHT / 2 ||
           (head && wish->now_us - head->sent_us >= wish->stale_us);
}

// Will what is asked here be answered late, if ever?
static bool is_busy(const struct connection *connection, const struct connection_wish *wish)
{
    return is_stale(connection, wish) ||
           (connection->lane == LANE_SHARED && is_crowded(connection, wish));
}

// Which of the two takes the next attempt? One that is not busy, among those one that may have
// more, and among those the one with the least in flight.
static bool is_better(const struct connection *a, const struct connection *b,
                      const struct connection_wish *wish)
{
    bool a_busy = is_busy(a, wish), b_busy = is_busy(b, wish);
    bool a_more = connection_has_room(a), b_more = connection_has_room(b);
    if (a_busy != b_busy)
        return b_busy;
    return a_more != b_more ? a_more : a->in_flight < b->in_flight;
}

// Are there slots enough for connections beyond those that each upstream has?
static bool has_spare(const struct connection_table *table)
{
    return table->size - table->open_count > table->size / LANE_SHARE;
}

// The connection, unless it has just been closed to make room.
static uint16_t not_closing(const struct connection_table *table, uint16_t index)
{
    return index != CONNECTION_NONE && !table->slots[index].closing ? index : CONNECTION_NONE;
}

// How many connections of a lane to an upstream a network may wait on, but for a quarter that is
// left to others: the smaller its batches, the more.
static unsigned connections_max(const struct connection_wish *wish)
{
    if (wish->lane != LANE_SUSPECT || wish->batch == 0)
        return LANE_MIN;
    unsigned count = LANE_SUSPECT_ALL / wish->batch;
    count = count < LANE_SUSPECT_MAX ? count : LANE_SUSPECT_MAX;
    return count > LANE_MIN ? count : LANE_MIN;
}

// Is anything here that was asked for the attempt's network?
static bool waits_on(const struct connection *connection, const struct attempt *attempt)
{
    const struct attempt *a = connection->attempts;
    while (a && !network_equal(&a->network, &attempt->network))
        a = a->next_at_slot;
    return a != NULL;
}

// Does the attempt's network have more than its share of what is in flight here?
static bool is_hogged_by(const struct connection *connection, const struct attempt *attempt)
{
    unsigned count = 0;
    for (const struct attempt *a = connection->attempts; a; a = a->next_at_slot)
        count += network_equal(&a->network, &attempt->network);
    return count > connection->in_flight / CONNECTION_NETWORK_SHARE;
}

// Do others wait here for what the attempt's network has asked: does a question of it stand in
// front of all others, for a while now, or is it most of a crowd?
static bool is_held_up_by(const struct connection *connection, const struct attempt *attempt,
                          const struct connection_wish *wish)
{
    const struct attempt *head = connection_oldest(connection);
    if (head && wish->now_us - head->sent_us >= wish->stale_us &&
        network_equal(&head->network, &attempt->network))
        return true;
    return is_crowded(connection, wish) && is_hogged_by(connection, attempt);
}

// The shared connection to this upstream that is best, or a new one. A network that holds others up
// on as many as there are for all waits there, and takes no more from them.
static uint16_t shared_choose(struct connection_table *table, const struct attempt *attempt,
                              const struct connection_wish *wish)
{
    uint16_t best = CONNECTION_NONE, own = CONNECTION_NONE;
    unsigned count = 0, own_count = 0;
    for (uint16_t i = 0; i < table->size && table->open_count > 0; i++) {
        const struct connection *connection = &table->slots[i];
        if (!connection->open || connection->closing || connection->upstream != wish->upstream ||
            connection->lane != LANE_SHARED)
            continue;
        count++;
        if (best == CONNECTION_NONE || is_better(connection, &table->slots[best], wish))
            best = i;
        if (!is_held_up_by(connection, attempt, wish))
            continue;
        own_count++;
        if (own == CONNECTION_NONE || connection->in_flight < table->slots[own].in_flight)
            own = i;
    }
    if (own_count >= CONNECTION_PER_UPSTREAM)
        return own;
    const struct connection *chosen = best == CONNECTION_NONE ? NULL : &table->slots[best];
    bool busy = chosen && is_busy(chosen, wish);
    uint16_t fresh = CONNECTION_NONE;
    if ((!chosen || busy || chosen->in_flight >= CONNECTION_FULL) &&
        count < CONNECTION_PER_UPSTREAM + (busy && has_spare(table) ? CONNECTION_EXTRA : 0u))
        fresh = connection_open(table, wish);
    return fresh != CONNECTION_NONE ? fresh : not_closing(table, best);
}

// The same in another lane. A network that waits on most of the connections that there may be, to
// this upstream or to all, waits there; any other gets one of its own as long as there is one.
static uint16_t lane_choose(struct connection_table *table, const struct attempt *attempt,
                            const struct connection_wish *wish)
{
    uint16_t best = CONNECTION_NONE, own = CONNECTION_NONE;
    unsigned count = 0, own_count = 0, all_count = 0, all_own_count = 0;
    for (uint16_t i = 0; i < table->size && table->open_count > 0; i++) {
        const struct connection *connection = &table->slots[i];
        if (!connection->open || connection->closing || connection->lane == LANE_SHARED)
            continue;
        bool waits = waits_on(connection, attempt);
        all_count++;
        all_own_count += waits;
        if (connection->upstream != wish->upstream || connection->lane != wish->lane)
            continue;
        count++;
        if (best == CONNECTION_NONE || is_better(connection, &table->slots[best], wish))
            best = i;
        if (!waits)
            continue;
        own_count++;
        if (own == CONNECTION_NONE || is_better(connection, &table->slots[own], wish))
            own = i;
    }
    unsigned max = connections_max(wish);
    unsigned lane_max = wish->lane == LANE_SUSPECT ? LANE_SUSPECT_MAX : LANE_MIN;
    unsigned all_max = (count == 0 ? 2u : 1u) * table->size / LANE_SHARE;
    const struct connection *mine = own == CONNECTION_NONE ? NULL : &table->slots[own];
    bool mine_serves = mine && !is_stale(mine, wish) && connection_has_room(mine);
    if (mine_serves || own_count >= max - (max + 3) / 4)
        return own;
    const struct connection *idle = best == CONNECTION_NONE ? NULL : &table->slots[best];
    if (idle && !idle->attempts && connection_has_room(idle) && !idle->doubted)
        return best;
    uint16_t fresh = CONNECTION_NONE;
    if (count < lane_max && all_count < all_max && all_own_count < all_max - all_max / 4)
        fresh = connection_open(table, wish);
    if (fresh != CONNECTION_NONE)
        return fresh;
    return own != CONNECTION_NONE ? own : not_closing(table, best);
}

static uint16_t connection_choose(struct connection_table *table, const struct attempt *attempt,
                                  const struct connection_wish *wish)
{
    return wish->lane == LANE_SHARED ? shared_choose(table, attempt, wish)
                                     : lane_choose(table, attempt, wish);
}

uint16_t connection_attach(struct connection_table *table, struct rng *rng, struct attempt *attempt,
                           const struct connection_wish *wish)
{
    struct connection_wish in_lane = *wish;
    if (!connection_table_has_lanes(table))
        in_lane.lane = LANE_SHARED;
    if (in_lane.lane == LANE_SHARED)
        in_lane.batch = 0;
    uint16_t index = connection_choose(table, attempt, &in_lane);
    if (index == CONNECTION_NONE || table->slots[index].in_flight >= CONNECTION_IN_FLIGHT)
        return CONNECTION_NONE;
    struct connection *connection = &table->slots[index];
    do
        attempt->id = rng_u16(rng);
    while (id_taken(connection, attempt->id));
    if (!connection->attempts)
        connection->silent_since_us = wish->now_us;
    attempt->slot = index;
    attempt->deferred = !connection_has_room(connection);
    attempt->next_at_slot = connection->attempts;
    connection->attempts = attempt;
    connection->in_flight++;
    connection->deferred += attempt->deferred;
    connection->taken += !attempt->deferred;
    connection->used_us = wish->now_us;
    return index;
}

void connection_detach(struct connection_table *table, struct attempt *attempt)
{
    if (attempt->slot == CONNECTION_NONE)
        return;
    struct connection *connection = &table->slots[attempt->slot];
    struct attempt **link = &connection->attempts;
    while (*link != attempt)
        link = &(*link)->next_at_slot;
    *link = attempt->next_at_slot;
    connection->doubted |= attempt->sent_us != 0 && connection->heard_us < attempt->sent_us;
    connection->in_flight--;
    connection->deferred -= attempt->deferred;
    attempt->deferred = false;
    attempt->slot = CONNECTION_NONE;
}

struct attempt *connection_find(const struct connection_table *table, uint16_t index, uint16_t id)
{
    assert(index < table->size);
    struct attempt *attempt = table->slots[index].attempts;
    while (attempt && (attempt->id != id || attempt->sent_us == 0))
        attempt = attempt->next_at_slot;
    return attempt;
}

void connection_closed(struct connection_table *table, uint16_t index)
{
    struct connection *connection = &table->slots[index];
    assert(connection->open && !connection->attempts);
    table->closing_count -= connection->closing;
    table->open_count--;
    connection->open = connection->closing = false;
}

void connection_close(struct connection_table *table, uint16_t index)
{
    struct connection *connection = &table->slots[index];
    assert(connection->open && !connection->attempts);
    table->closing_count += !connection->closing;
    connection->closing = true;
}

uint16_t connection_next_closing(struct connection_table *table)
{
    for (uint16_t i = 0; i < table->size && table->closing_count > 0; i++) {
        if (!table->slots[i].closing)
            continue;
        connection_closed(table, i);
        return i;
    }
    return CONNECTION_NONE;
}

void connection_established(struct connection_table *table, uint16_t index, uint64_t now_us)
{
    struct connection *connection = &table->slots[index];
    assert(connection->open);
    connection->connected = true;
    connection->silent_since_us = now_us;
}

void connection_heard(struct connection_table *table, uint16_t index, uint64_t now_us)
{
    struct connection *connection = &table->slots[index];
    connection->used_us = connection->silent_since_us = connection->heard_us = now_us;
    connection->connected = true;
    connection->doubted = false;
}

void connection_late(struct connection_table *table, uint16_t index)
{
    struct connection *connection = &table->slots[index];
    connection->unanswered -= connection->unanswered > 0;
}

struct attempt *connection_oldest(const struct connection *connection)
{
    struct attempt *oldest = NULL;
    for (struct attempt *a = connection->attempts; a; a = a->next_at_slot) {
        if (a->sent_us != 0)
            oldest = a;
    }
    return oldest;
}

unsigned connection_sent_count(const struct connection *connection)
{
    unsigned count = 0;
    for (const struct attempt *a = connection->attempts; a; a = a->next_at_slot)
        count += a->sent_us != 0;
    return count;
}

bool connections_close_idle(struct connection_table *table, uint64_t idle_us)
{
    for (uint16_t i = 0; i < table->size && table->open_count > 0; i++) {
        struct connection *connection = &table->slots[i];
        if (connection->open && !connection->closing && !connection->attempts &&
            (connection->used_us < idle_us ||
             ((connection->doubted || connection->lane != LANE_SHARED) && connection->connected)))
            connection_close(table, i);
    }
    return table->open_count > 0;
}
