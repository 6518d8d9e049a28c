// SPDX-License-Identifier: MIT
#include "tests/netsim/network.h"

#include "tests/netsim/files.h"
#include "tests/netsim/world.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static struct host *hosts;
static unsigned flight_count;

struct flight {
    struct alarm timer;
    struct address from, to;
    bool to_engine;
    uint16_t len;
    uint8_t bytes[];
};

void network_begin(void)
{
    hosts = NULL;
    flight_count = 0;
}

void network_add(struct host *host)
{
    host->next = hosts;
    hosts = host;
}

void network_remove(struct host *host)
{
    struct host **link = &hosts;
    while (*link != host)
        link = &(*link)->next;
    *link = host->next;
}

unsigned network_flights(void)
{
    return flight_count;
}

static struct host *host_at(const struct address *at)
{
    struct host *host = hosts;
    while (host && !address_equal(&host->at, at))
        host = host->next;
    return host;
}

static void text_of(const struct address *address, char text[static ADDRESS_TEXT_MAX])
{
    address_format(address, text);
}

// --- where datagrams arrive ----------------------------------------------------------------------

struct search {
    const struct address *from, *to;
    unsigned lot, count;
};

static bool takes(const struct file *file, const struct search *search)
{
    const struct address *to = search->to;
    if (file->kind != FILE_UDP || !file->bound || file->at.port != to->port ||
        file->at.family != to->family)
        return false;
    if (file->peer.family != ADDRESS_NONE)
        return address_equal(&file->peer, search->from);
    return file->hears && (address_is_wildcard(&file->at) || address_equal(&file->at, to));
}

static bool takes_by_lot(const struct file *file, const void *context)
{
    struct search *search = (struct search *)(uintptr_t)context;
    return takes(file, search) && search->count++ == search->lot;
}

// One of the sockets that share the port, the same one for the same sender.
static struct file *socket_for(const struct address *from, const struct address *to)
{
    struct search search = {from, to, UINT32_MAX, 0};
    (void)file_find(takes_by_lot, &search);
    if (search.count == 0)
        return NULL;
    uint64_t hash = from->port;
    for (unsigned i = 0; i < sizeof from->ip; i++)
        hash = dice_mix(hash ^ from->ip[i]);
    search = (struct search){from, to, (unsigned)(hash % search.count), 0};
    return file_find(takes_by_lot, &search);
}

static void arrive_at_host(const struct flight *flight)
{
    struct host *host = host_at(&flight->to);
    char text[ADDRESS_TEXT_MAX];
    text_of(&flight->to, text);
    if (!host || !host->datagram)
        world_fail("a datagram of %u octets was sent to %s, where there is nobody", flight->len,
                   text);
    host->datagram(host->context, &flight->from, flight->bytes, flight->len);
}

static void arrive(void *context)
{
    struct flight *flight = context;
    flight_count--;
    if (flight->to_engine) {
        struct file *file = socket_for(&flight->from, &flight->to);
        if (file)
            (void)file_datagram(file, &flight->from, &flight->to, flight->bytes, flight->len);
    } else {
        arrive_at_host(flight);
    }
    free(flight);
}

static void fly(const struct address *from, const struct address *to, bool to_engine,
                const uint8_t *bytes, size_t len)
{
    struct flight *flight = malloc(sizeof *flight + len);
    assert(flight && len <= UINT16_MAX);
    *flight = (struct flight){.timer = {.run = arrive, .context = flight},
                              .from = *from,
                              .to = *to,
                              .to_engine = to_engine,
                              .len = (uint16_t)len};
    memcpy(flight->bytes, bytes, len);
    flight_count++;
    alarm_set(&flight->timer, world.now_us + dice_skewed(&world.dice, world.params.delay_us));
}

// --- what is sent --------------------------------------------------------------------------------

void network_from_engine(const struct address *from, const struct address *to, const uint8_t *bytes,
                         size_t len)
{
    char text[ADDRESS_TEXT_MAX];
    struct host *host = host_at(to);
    bool upstream = host && host->connect;
    text_of(to, text);
    if (!host)
        world_fail("a datagram of %zu octets is sent to %s, where there is nobody", len, text);
    world_tell("%zu octets to %s", len, text);
    world_mix(bytes, len);
    if (world_mischief(world.params.loss_pm))
        return;
    fly(from, to, false, bytes, len);
    if (upstream && world_mischief(world.params.twice_pm))
        fly(from, to, false, bytes, len);
}

struct link *network_connect(const struct address *to)
{
    struct host *host = host_at(to);
    static const struct address nowhere = {.family = ADDRESS_IPV4};
    if (!host || !host->connect)
        world_fail("a connection to where there is nobody");
    struct link *link = link_make(to, &nowhere);
    link->connecting = true;
    host->connect(host->context, link);
    return link;
}

unsigned network_to_engine(const struct address *from, const struct address *to,
                           const uint8_t *bytes, size_t len, bool spoil)
{
    if (world_mischief(world.params.loss_pm))
        return 0;
    if (spoil && world_mischief(world.params.cut_pm))
        len = dice_below(&world.dice, (uint32_t)len);
    fly(from, to, true, bytes, len);
    if (!world_mischief(world.params.twice_pm))
        return 1;
    fly(from, to, true, bytes, len);
    return 2;
}

void network_refuse(const struct address *from, const struct address *to)
{
    struct file *file = socket_for(from, to);
    if (!file)
        return;
    file->error = -ECONNREFUSED;
    world.gone++;
    file_changed(file);
}
