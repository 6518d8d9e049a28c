// SPDX-License-Identifier: MIT
#include "core/forward/source_port.h"

#include <assert.h>

// A slot is free, open or retired. Free slots stand in `free`, a retired one without attempts in
// the list of those to close; taking it from there frees it. An open slot may have attempts or not.

size_t source_port_size(uint16_t size)
{
    return size * (sizeof(struct source_port) + sizeof(uint16_t));
}

void source_port_init(struct source_port_table *table, void *memory, uint16_t size)
{
    *table = (struct source_port_table){
        .slots = memory,
        .size = size,
        .free_count = size,
        .to_close = SOURCE_PORT_NONE,
        .gathering = SOURCE_PORT_NONE,
    };
    table->free = (uint16_t *)(table->slots + size);
    memset(table->slots, 0, size * sizeof *table->slots);
    for (uint16_t i = 0; i < size; i++)
        table->free[i] = (uint16_t)(size - 1 - i);
}

static void close_later(struct source_port_table *table, uint16_t index)
{
    struct source_port *port = &table->slots[index];
    port->listed_next = table->to_close;
    table->to_close = index;
    table->closing_count++;
}

void source_port_retire(struct source_port_table *table, uint16_t index)
{
    struct source_port *port = &table->slots[index];
    if (!port->open || port->retired)
        return;
    port->retired = true;
    if (!port->attempts)
        close_later(table, index);
}

bool source_ports_retire_old(struct source_port_table *table, uint64_t now_us)
{
    bool any = false;
    for (uint16_t i = 0; i < table->size; i++) {
        if (!table->slots[i].open)
            continue;
        any = true;
        if (now_us - table->slots[i].opened_us > SOURCE_PORT_LIFE_US)
            source_port_retire(table, i);
    }
    return any;
}

static uint16_t port_open(struct source_port_table *table, struct rng *rng, uint16_t upstream,
                          uint64_t now_us)
{
    uint16_t index = table->free[--table->free_count];
    table->slots[index] = (struct source_port){
        .opened_us = now_us,
        .upstream = upstream,
        .number =
            (uint16_t)(SOURCE_PORT_LOWEST + rng_below(rng, UINT16_MAX + 1 - SOURCE_PORT_LOWEST)),
        .open = true,
        .to_open = true,
    };
    return index;
}

// Whether an attempt to this upstream may leave from here, where the port is not too old.
static bool is_usable(const struct source_port *port, uint16_t upstream)
{
    return port->open && !port->retired && port->upstream == upstream &&
           port->waiting < SOURCE_PORT_WAITING;
}

// The port where those gather that are to be sent, if they go to this upstream.
static uint16_t port_join(const struct source_port_table *table, uint16_t upstream, uint64_t now_us)
{
    uint16_t index = table->gathering;
    if (index == SOURCE_PORT_NONE)
        return SOURCE_PORT_NONE;
    // Those that were to be sent may have been dropped long ago.
    const struct source_port *port = &table->slots[index];
    bool joins = is_usable(port, upstream) && now_us - port->opened_us <= SOURCE_PORT_LIFE_US;
    return joins ? index : SOURCE_PORT_NONE;
}

void source_port_sent(struct source_port_table *table)
{
    table->gathering = SOURCE_PORT_NONE;
}

// Draws among the slots until one is open to this upstream; on the way it retires those that are
// old, or that stand idle in the way of an upstream that has none.
static uint16_t port_draw(struct source_port_table *table, struct rng *rng, uint16_t upstream,
                          uint64_t now_us)
{
    uint16_t idle = SOURCE_PORT_NONE;
    for (unsigned i = 0; i < SOURCE_PORT_DRAWS; i++) {
        uint16_t index = (uint16_t)rng_below(rng, table->size);
        struct source_port *port = &table->slots[index];
        if (!port->open || port->retired)
            continue;
        if (now_us - port->opened_us > SOURCE_PORT_LIFE_US)
            source_port_retire(table, index);
        else if (is_usable(port, upstream))
            return index;
        else if (port->upstream != upstream && !port->attempts)
            idle = index;
    }
    if (idle != SOURCE_PORT_NONE)
        source_port_retire(table, idle);
    return SOURCE_PORT_NONE;
}

// The same where there is none to open: any that is open to this upstream will do, from a random
// place on.
static uint16_t port_scan(const struct source_port_table *table, struct rng *rng, uint16_t upstream,
                          uint64_t now_us)
{
    uint32_t first = rng_below(rng, table->size);
    for (uint32_t i = 0; i < table->size; i++) {
        uint16_t index = (uint16_t)((first + i) % table->size);
        const struct source_port *port = &table->slots[index];
        if (is_usable(port, upstream) && now_us - port->opened_us <= SOURCE_PORT_LIFE_US)
            return index;
    }
    return SOURCE_PORT_NONE;
}

static bool id_taken(const struct source_port *port, uint16_t id)
{
    const struct attempt *attempt = port->attempts;
    while (attempt && attempt->id != id)
        attempt = attempt->next_at_slot;
    return attempt != NULL;
}

bool source_port_has_ended(const struct source_port_table *table, uint16_t index, uint16_t id)
{
    const struct source_port *port = &table->slots[index];
    bool found = false;
    for (unsigned i = 0; i < port->ended_count; i++)
        found |= port->ended[i] == id;
    return found;
}

uint16_t source_port_attach(struct source_port_table *table, struct rng *rng,
                            struct attempt *attempt, uint16_t upstream, uint64_t now_us)
{
    uint16_t index = port_join(table, upstream, now_us);
    // The last free ones are for upstreams that have none to draw, or they would have to wait until
    // one is closed for them.
    if (index == SOURCE_PORT_NONE && table->free_count <= table->size / SOURCE_PORT_SPARE_SHARE)
        index = port_draw(table, rng, upstream, now_us);
    if (index == SOURCE_PORT_NONE && table->free_count > 0)
        index = port_open(table, rng, upstream, now_us);
    if (index == SOURCE_PORT_NONE)
        index = port_scan(table, rng, upstream, now_us);
    if (index == SOURCE_PORT_NONE)
        return SOURCE_PORT_NONE;

    struct source_port *port = &table->slots[index];
    do
        attempt->id = rng_u16(rng);
    while (id_taken(port, attempt->id) || source_port_has_ended(table, index, attempt->id));
    attempt->slot = table->gathering = index;
    port->used_us = now_us;
    attempt->next_at_slot = port->attempts;
    port->attempts = attempt;
    port->waiting++;
    if (++port->uses == SOURCE_PORT_USES)
        source_port_retire(table, index);
    return index;
}

void source_port_detach(struct source_port_table *table, struct attempt *attempt)
{
    if (attempt->slot == SOURCE_PORT_NONE)
        return;
    struct source_port *port = &table->slots[attempt->slot];
    struct attempt **link = &port->attempts;
    while (*link != attempt)
        link = &(*link)->next_at_slot;
    *link = attempt->next_at_slot;
    assert(port->waiting > 0 && port->ended_count < SOURCE_PORT_USES);
    port->waiting--;
    if (attempt->sent_us != 0)
        port->ended[port->ended_count++] = attempt->id;
    if (port->retired && !port->attempts)
        close_later(table, attempt->slot);
    attempt->slot = SOURCE_PORT_NONE;
}

struct attempt *source_port_find(const struct source_port_table *table, uint16_t slot, uint16_t id)
{
    assert(slot < table->size);
    struct attempt *attempt = table->slots[slot].attempts;
    while (attempt && (attempt->id != id || attempt->queued))
        attempt = attempt->next_at_slot;
    return attempt;
}

uint16_t source_port_next_closing(struct source_port_table *table)
{
    uint16_t index = table->to_close;
    if (index == SOURCE_PORT_NONE)
        return SOURCE_PORT_NONE;
    struct source_port *port = &table->slots[index];
    table->to_close = port->listed_next;
    table->closing_count--;
    port->open = false;
    table->free[table->free_count++] = index;
    return index;
}

bool source_ports_short(const struct source_port_table *table)
{
    return table->free_count + table->closing_count < table->size / SOURCE_PORT_ROOM_SHARE;
}

uint16_t source_port_draw_kept(const struct source_port_table *table, struct rng *rng,
                               uint64_t now_us)
{
    uint16_t index = (uint16_t)rng_below(rng, table->size);
    const struct source_port *port = &table->slots[index];
    bool closing = port->retired && !port->attempts;
    return port->open && !closing && now_us - port->used_us >= SOURCE_PORT_KEPT_US
               ? index
               : SOURCE_PORT_NONE;
}
