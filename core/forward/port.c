// SPDX-License-Identifier: MIT
#include "core/forward/port.h"

#include <assert.h>

// A slot is free, open or retired. Free slots stand in `free`, a retired one without attempts in
// the list of those to close; taking it from there frees it. An open slot may have attempts or not.

size_t port_size(uint16_t size)
{
    return size * (sizeof(struct port) + sizeof(uint16_t));
}

void port_init(struct port_table *table, void *memory, uint16_t size)
{
    *table = (struct port_table){
        .ports = memory, .size = size, .free_count = size, .to_close = PORT_NONE};
    table->free = (uint16_t *)(table->ports + size);
    memset(table->ports, 0, size * sizeof *table->ports);
    for (uint16_t i = 0; i < size; i++)
        table->free[i] = (uint16_t)(size - 1 - i);
}

static void close_later(struct port_table *table, uint16_t index)
{
    struct port *port = &table->ports[index];
    port->listed_next = table->to_close;
    table->to_close = index;
    table->closing_count++;
}

void port_retire(struct port_table *table, uint16_t index)
{
    struct port *port = &table->ports[index];
    if (!port->open || port->retired)
        return;
    port->retired = true;
    if (!port->attempts)
        close_later(table, index);
}

bool ports_retire_old(struct port_table *table, uint64_t now_us)
{
    bool any = false;
    for (uint16_t i = 0; i < table->size; i++) {
        if (!table->ports[i].open)
            continue;
        any = true;
        if (now_us - table->ports[i].opened_us > PORT_LIFE_US)
            port_retire(table, i);
    }
    return any;
}

static uint16_t port_open(struct port_table *table, struct rng *rng, uint16_t upstream,
                          uint64_t now_us)
{
    uint16_t index = table->free[--table->free_count];
    table->ports[index] = (struct port){
        .opened_us = now_us,
        .upstream = upstream,
        .number = (uint16_t)(PORT_LOWEST + rng_below(rng, UINT16_MAX + 1 - PORT_LOWEST)),
        .open = true,
        .to_open = true,
    };
    return index;
}

// Draws among the slots until one is open to this upstream; on the way it retires those that are
// old, or that stand idle in the way of an upstream that has none.
static uint16_t port_draw(struct port_table *table, struct rng *rng, uint16_t upstream,
                          uint64_t now_us)
{
    uint16_t idle = PORT_NONE;
    for (unsigned i = 0; i < PORT_DRAWS; i++) {
        uint16_t index = (uint16_t)rng_below(rng, table->size);
        struct port *port = &table->ports[index];
        if (!port->open || port->retired)
            continue;
        if (now_us - port->opened_us > PORT_LIFE_US)
            port_retire(table, index);
        else if (port->upstream == upstream)
            return index;
        else if (!port->attempts)
            idle = index;
    }
    if (idle != PORT_NONE)
        port_retire(table, idle);
    return PORT_NONE;
}

// The same where there is none to open: any that is open to this upstream will do, from a random
// place on.
static uint16_t port_scan(const struct port_table *table, struct rng *rng, uint16_t upstream,
                          uint64_t now_us)
{
    uint32_t first = rng_below(rng, table->size);
    for (uint32_t i = 0; i < table->size; i++) {
        uint16_t index = (uint16_t)((first + i) % table->size);
        const struct port *port = &table->ports[index];
        if (port->open && !port->retired && port->upstream == upstream &&
            now_us - port->opened_us <= PORT_LIFE_US)
            return index;
    }
    return PORT_NONE;
}

static bool id_taken(const struct port *port, uint16_t id)
{
    const struct attempt *attempt = port->attempts;
    while (attempt && attempt->id != id)
        attempt = attempt->next_at_port;
    return attempt != NULL;
}

bool port_has_ended(const struct port_table *table, uint16_t index, uint16_t id)
{
    const struct port *port = &table->ports[index];
    for (unsigned i = 0; i < port->ended_count; i++) {
        if (port->ended[i] == id)
            return true;
    }
    return false;
}

uint16_t port_attach(struct port_table *table, struct rng *rng, struct attempt *attempt,
                     uint16_t upstream, uint64_t now_us)
{
    uint16_t index = PORT_NONE;
    // The last free ones are for upstreams that have none to draw, or they would have to wait until
    // one is closed for them.
    if (table->free_count <= table->size / PORT_SPARE_SHARE)
        index = port_draw(table, rng, upstream, now_us);
    if (index == PORT_NONE && table->free_count > 0)
        index = port_open(table, rng, upstream, now_us);
    if (index == PORT_NONE)
        index = port_scan(table, rng, upstream, now_us);
    if (index == PORT_NONE)
        return PORT_NONE;

    struct port *port = &table->ports[index];
    do
        attempt->id = rng_u16(rng);
    while (id_taken(port, attempt->id) || port_has_ended(table, index, attempt->id));
    attempt->port = index;
    port->used_us = now_us;
    attempt->next_at_port = port->attempts;
    port->attempts = attempt;
    if (++port->uses == PORT_USES)
        port_retire(table, index);
    return index;
}

void port_detach(struct port_table *table, struct attempt *attempt)
{
    if (attempt->port == PORT_NONE)
        return;
    struct port *port = &table->ports[attempt->port];
    struct attempt **link = &port->attempts;
    while (*link != attempt)
        link = &(*link)->next_at_port;
    *link = attempt->next_at_port;
    if (attempt->sent_us != 0)
        port->ended[port->ended_count++] = attempt->id;
    if (port->retired && !port->attempts)
        close_later(table, attempt->port);
    attempt->port = PORT_NONE;
}

struct attempt *port_find(const struct port_table *table, uint16_t port, uint16_t id)
{
    assert(port < table->size);
    struct attempt *attempt = table->ports[port].attempts;
    while (attempt && (attempt->id != id || attempt->queued))
        attempt = attempt->next_at_port;
    return attempt;
}

uint16_t port_next_closing(struct port_table *table)
{
    uint16_t index = table->to_close;
    if (index == PORT_NONE)
        return PORT_NONE;
    struct port *port = &table->ports[index];
    table->to_close = port->listed_next;
    table->closing_count--;
    port->open = false;
    table->free[table->free_count++] = index;
    return index;
}

bool ports_short(const struct port_table *table)
{
    return table->free_count + table->closing_count < table->size / PORT_ROOM_SHARE;
}

uint16_t port_draw_kept(const struct port_table *table, struct rng *rng, uint64_t now_us)
{
    uint16_t index = (uint16_t)rng_below(rng, table->size);
    const struct port *port = &table->ports[index];
    bool closing = port->retired && !port->attempts;
    return port->open && !closing && now_us - port->used_us >= PORT_KEPT_US ? index : PORT_NONE;
}
