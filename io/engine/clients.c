// SPDX-License-Identifier: MIT
#include "io/engine/clients.h"

#include "io/engine/udp.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

// Slots are free or in use; the free ones stand in `free`. Those of one address are counted under a
// hash of it, so that now and then two addresses share a count: then both may have a few less.

enum { COUNTS = 4096, CLIENTS_NONE = -1 };

struct connection {
    struct address from;
    uint64_t used_us; // when something last came in or went out
    uint32_t waiting; // queries without a reply yet
    uint16_t listener;
    bool open;
    bool ended; // the client sends nothing more
};

struct clients {
    struct clients_config config;
    struct streams *streams;
    unsigned open_count;
    uint64_t due_us;
    uint16_t counts[COUNTS];
    uint32_t *free;
    struct connection connections[];
};

int clients_make(struct clients **out, const struct clients_config *config)
{
    struct clients *c = calloc(1, sizeof *c + config->count * sizeof *c->connections);
    if (!c)
        return -ENOMEM;
    c->config = *config;
    c->due_us = UINT64_MAX;
    c->free = calloc(config->count, sizeof *c->free);
    struct streams_config streams = {
        .ring = config->ring,
        .count = config->count,
        .group = config->group,
        .connect = OP_CLIENT_CONNECT,
        .receive = OP_CLIENT_RECEIVE,
        .send = OP_CLIENT_SEND,
        .message_max = CLIENTS_QUERY_MAX,
        .unsent_max = CLIENTS_UNSENT_MAX,
    };
    int error = c->free ? streams_make(&c->streams, &streams) : -ENOMEM;
    if (error < 0) {
        clients_free(c);
        return error;
    }
    for (uint32_t i = 0; i < config->count; i++)
        c->free[i] = config->count - 1 - i;
    *out = c;
    return 0;
}

void clients_free(struct clients *c)
{
    if (!c)
        return;
    streams_free(c->streams);
    free(c->free);
    free(c);
}

// Of an address: IPv6 clients have a whole network each.
static uint16_t *count_of(struct clients *c, const struct address *from)
{
    return &c->counts[pending_share(from) % COUNTS];
}

static void slot_close(struct clients *c, uint32_t slot)
{
    struct connection *connection = &c->connections[slot];
    assert(connection->open);
    streams_disconnect(c->streams, slot);
    connection->open = false;
    --*count_of(c, &connection->from);
    c->open_count--;
    c->free[c->config.count - 1 - c->open_count] = slot;
}

static bool is_idle(const struct clients *c, uint32_t slot)
{
    return c->connections[slot].waiting == 0 && streams_unsent(c->streams, slot) == 0;
}

// The connection that nothing has come from for the longest; CLIENTS_NONE: none is idle.
static int idlest(const struct clients *c)
{
    int best = CLIENTS_NONE;
    for (uint32_t i = 0; i < c->config.count; i++) {
        const struct connection *connection = &c->connections[i];
        if (connection->open && is_idle(c, i) &&
            (best < 0 || connection->used_us < c->connections[best].used_us))
            best = (int)i;
    }
    return best;
}

static bool peer_of(int fd, struct address *from)
{
    struct sockaddr_in6 peer;
    socklen_t len = sizeof peer;
    return getpeername(fd, (struct sockaddr *)&peer, &len) == 0 &&
           udp_address_take(from, (const struct sockaddr *)&peer);
}

enum clients_verdict clients_accepted(struct clients *c, int fd, uint16_t listener, uint64_t now_us)
{
    struct address from;
    enum clients_verdict verdict = CLIENTS_TAKEN;
    if (!peer_of(fd, &from))
        verdict = CLIENTS_GONE;
    else if (*count_of(c, &from) >= c->config.per_client_max)
        verdict = CLIENTS_TOO_MANY;
    if (verdict == CLIENTS_TAKEN && c->open_count == c->config.count) {
        int victim = idlest(c);
        if (victim >= 0)
            slot_close(c, (uint32_t)victim);
        else
            verdict = CLIENTS_FULL;
    }
    if (verdict != CLIENTS_TAKEN) {
        close(fd);
        return verdict;
    }
    uint32_t slot = c->free[c->config.count - 1 - c->open_count++];
    c->connections[slot] =
        (struct connection){.from = from, .used_us = now_us, .listener = listener, .open = true};
    ++*count_of(c, &from);
    streams_adopt(c->streams, slot, fd);
    if (c->due_us == UINT64_MAX)
        c->due_us = now_us + CLIENTS_TICK_US;
    return CLIENTS_TAKEN;
}

void clients_event(struct clients *c, const struct ring_event *event, uint64_t now_us)
{
    uint32_t slot = op_slot(event->tag);
    struct connection *connection = &c->connections[slot];
    enum stream_state state = streams_event(c->streams, event);
    if (state == STREAM_OLD)
        return;
    if (state == STREAM_BROKEN) {
        slot_close(c, slot);
        return;
    }
    connection->ended |= state == STREAM_ENDS;
    connection->used_us = now_us;
}

// A connection is over when the client has said and heard all.
static void close_if_over(struct clients *c, uint32_t slot)
{
    if (c->connections[slot].open && c->connections[slot].ended && is_idle(c, slot))
        slot_close(c, slot);
}

bool clients_query(struct clients *c, uint32_t slot, struct client *client, const uint8_t **bytes,
                   size_t *len)
{
    struct connection *connection = &c->connections[slot];
    if (!connection->open)
        return false;
    if (!streams_message(c->streams, slot, bytes, len)) {
        close_if_over(c, slot);
        return false;
    }
    if (*len == 0 || *len > CLIENTS_QUERY_MAX) {
        slot_close(c, slot);
        return false;
    }
    connection->waiting++;
    *client = (struct client){
        .from = connection->from,
        .listener = connection->listener,
        .tcp = true,
        .worker = c->config.worker,
        .connection = slot,
        .generation = streams_generation(c->streams, slot),
    };
    return true;
}

static bool is_current(const struct clients *c, const struct client *client)
{
    return client->connection < c->config.count && c->connections[client->connection].open &&
           streams_generation(c->streams, client->connection) == client->generation;
}

void clients_reply(struct clients *c, const struct client *client, const uint8_t *bytes, size_t len,
                   uint64_t now_us)
{
    uint32_t slot = client->connection;
    if (!is_current(c, client))
        return;
    c->connections[slot].waiting -= c->connections[slot].waiting > 0;
    c->connections[slot].used_us = now_us;
    if (!streams_send_message(c->streams, slot, bytes, len))
        slot_close(c, slot);
}

void clients_no_reply(struct clients *c, const struct client *client)
{
    if (!is_current(c, client))
        return;
    c->connections[client->connection].waiting -= c->connections[client->connection].waiting > 0;
    close_if_over(c, client->connection);
}

void clients_noise(struct clients *c, const struct client *client)
{
    if (is_current(c, client))
        slot_close(c, client->connection);
}

void clients_idle(struct clients *c, uint64_t idle_us)
{
    __atomic_store_n(&c->config.idle_us, idle_us, __ATOMIC_RELAXED);
}

uint64_t clients_expire(struct clients *c, uint64_t now_us)
{
    uint64_t idle_us = __atomic_load_n(&c->config.idle_us, __ATOMIC_RELAXED);
    uint64_t waiting_us = idle_us > CLIENTS_WAITING_US ? idle_us : CLIENTS_WAITING_US;
    if (now_us < c->due_us)
        return c->due_us;
    for (uint32_t i = 0; i < c->config.count && c->open_count > 0; i++) {
        const struct connection *connection = &c->connections[i];
        uint64_t silent_us = now_us - connection->used_us;
        if (connection->open && silent_us >= (connection->waiting > 0 ? waiting_us : idle_us))
            slot_close(c, i);
    }
    c->due_us = c->open_count > 0 ? now_us + CLIENTS_TICK_US : UINT64_MAX;
    return c->due_us;
}

unsigned clients_open(const struct clients *c)
{
    return c->open_count;
}
