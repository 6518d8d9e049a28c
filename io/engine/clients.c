// SPDX-License-Identifier: MIT
#include "io/engine/clients.h"

#include "core/share.h"
#include "io/net/descriptor.h"
#include "io/net/entropy.h"
#include "io/net/udp.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

// A slot is open, on its way out (io/transport/connections.h), or free; the free ones stand in
// `free`. There are a few more than there may be connections, for those on their way out.
//
// A connection that holds back queries is stopped. It is among the ready as soon as what it waits
// for has happened, and stays stopped until its queries are fetched; one that is closed meanwhile
// is passed over there.

enum {
    LEAVING_MAX = 256,    // slots beyond the connections
    GATHERED_FREE = 4096, // octets of an incomplete query that any client may send
    CLIENTS_NONE = -1,
};

struct connection {
    struct address from;
    uint64_t used_us; // when a whole query came in, or something went out
    uint32_t waiting; // queries without a reply yet
    uint32_t unsent;  // octets
    uint32_t held;    // octets, as they are counted in its share: these, and of queries
    uint32_t share;
    uint16_t listener;
    bool open;
    bool ended;   // the client sends nothing more
    bool stopped; // queries of it may be held back
    bool ready;   // stands among the ready
    bool arrived; // stands among those that are to be asked for more
};

struct clients {
    struct clients_config config;
    struct connections *tcp;
    struct share_table shares; // connections of each network
    void *shares_memory;
    unsigned slot_count;
    unsigned open_count;
    unsigned free_count;
    unsigned ready_count;
    unsigned arrived_first, arrived_count;
    uint64_t held; // octets, of all
    uint64_t now_us;
    uint64_t due_us;
    uint32_t *free;
    uint32_t *ready;
    uint32_t *arrived; // in a circle
    struct connection connections[];
};

static void slot_freed(void *context, uint32_t slot)
{
    struct clients *c = context;
    assert(c->free_count < c->slot_count && !c->connections[slot].open);
    c->free[c->free_count++] = slot;
}

static int tables_make(struct clients *c)
{
    const struct clients_config *config = &c->config;
    uint64_t seed[2];
    if (entropy_draw(seed, sizeof seed) < 0)
        return -EIO;
    c->free = calloc(c->slot_count, sizeof *c->free);
    c->ready = calloc(c->slot_count, sizeof *c->ready);
    c->arrived = calloc(c->slot_count, sizeof *c->arrived);
    c->shares_memory = malloc(share_size(config->count));
    if (!c->free || !c->ready || !c->arrived || !c->shares_memory)
        return -ENOMEM;
    share_init(&c->shares, c->shares_memory, config->count, seed);
    return connections_make(&c->tcp, &(struct connections_config){
                                         .net = config->net,
                                         .count = c->slot_count,
                                         .group = config->group,
                                         .connect = OP_NEVER,
                                         .receive = OP_CLIENT_RECEIVE,
                                         .send = OP_CLIENT_SEND,
                                         .message_max = CLIENTS_QUERY_MAX,
                                         .unsent_max = config->held.most,
                                         .freed = slot_freed,
                                         .context = c,
                                     });
}

int clients_make(struct clients **out, const struct clients_config *config)
{
    unsigned slot_count = config->count + LEAVING_MAX;
    struct clients *c = calloc(1, sizeof *c + slot_count * sizeof *c->connections);
    if (!c)
        return -ENOMEM;
    c->config = *config;
    c->slot_count = slot_count;
    c->due_us = UINT64_MAX;
    int error = tables_make(c);
    if (error < 0) {
        clients_free(c);
        return error;
    }
    for (uint32_t i = slot_count; i-- > 0;)
        slot_freed(c, i);
    *out = c;
    return 0;
}

void clients_free(struct clients *c)
{
    if (!c)
        return;
    connections_free(c->tcp);
    free(c->shares_memory);
    free(c->free);
    free(c->ready);
    free(c->arrived);
    free(c);
}

static void held_set(struct clients *c, struct connection *connection, size_t held)
{
    uint64_t *of_share = &c->shares.shares[connection->share].octets;
    assert(connection->held <= *of_share && connection->held <= c->held);
    *of_share += held - connection->held;
    c->held += held - connection->held;
    connection->held = (uint32_t)held;
}

// Counts what is held for this client.
static void held_count(struct clients *c, uint32_t slot)
{
    struct connection *connection = &c->connections[slot];
    connection->unsent = (uint32_t)connections_unsent(c->tcp, slot);
    held_set(c, connection, connection->unsent + connections_gathered(c->tcp, slot));
}

// May so much more be held for its network?
static bool may_hold(const struct clients *c, uint32_t slot, size_t len)
{
    uint64_t of_network = c->shares.shares[c->connections[slot].share].octets + len;
    const struct clients_held *held = &c->config.held;
    return of_network <= held->least || (of_network <= held->most && c->held + len <= held->all);
}

static void slot_close(struct clients *c, uint32_t slot)
{
    struct connection *connection = &c->connections[slot];
    assert(connection->open && c->open_count > 0);
    held_set(c, connection, 0);
    share_release(&c->shares, connection->share);
    connection->open = false;
    c->open_count--;
    connections_disconnect(c->tcp, slot);
}

static bool is_idle(const struct clients *c, uint32_t slot)
{
    return c->connections[slot].waiting == 0 && c->connections[slot].unsent == 0;
}

// Has it asked for as much as may be under way?
static bool is_busy(const struct connection *connection)
{
    return connection->waiting >= CLIENTS_WAITING_MAX || connection->unsent >= CLIENTS_UNSENT_STOP;
}

// Something of this connection is done: where that was in the way of its queries they are fetched.
static void look_again(struct clients *c, uint32_t slot)
{
    struct connection *connection = &c->connections[slot];
    if (!connection->stopped || connection->ready || is_busy(connection))
        return;
    assert(c->ready_count < c->slot_count);
    connection->ready = true;
    c->ready[c->ready_count++] = slot;
}

// The connection that nothing has come from for the longest; CLIENTS_NONE: none is idle.
static int idlest(const struct clients *c)
{
    int best = CLIENTS_NONE;
    for (uint32_t i = 0; i < c->slot_count; i++) {
        const struct connection *connection = &c->connections[i];
        if (connection->open && is_idle(c, i) &&
            (best < 0 || connection->used_us < c->connections[best].used_us))
            best = (int)i;
    }
    return best;
}

// Of the network with the most connections, the one that nothing has come from for the longest;
// CLIENTS_NONE: no network would still have as many without one as the newcomer's with one more.
static int of_greediest(const struct clients *c, const struct address *newcomer)
{
    uint32_t most = share_held(&c->shares, newcomer) + 1;
    int best = CLIENTS_NONE;
    for (uint32_t i = 0; i < c->slot_count; i++) {
        const struct connection *connection = &c->connections[i];
        uint32_t held = connection->open ? c->shares.shares[connection->share].held : 0;
        bool older =
            best >= 0 && held == most && connection->used_us < c->connections[best].used_us;
        if (held > most || older) {
            best = (int)i;
            most = held;
        }
    }
    return best;
}

static enum clients_verdict admit(struct clients *c, int fd, struct address *from)
{
    if (!tcp_peer(fd, from))
        return CLIENTS_GONE;
    if (share_held(&c->shares, from) >= c->config.per_client_max)
        return CLIENTS_TOO_MANY;
    if (c->open_count == c->config.count) {
        int victim = idlest(c);
        if (victim < 0)
            victim = of_greediest(c, from);
        if (victim < 0)
            return CLIENTS_FULL;
        slot_close(c, (uint32_t)victim);
    }
    return c->free_count > 0 ? CLIENTS_TAKEN : CLIENTS_FULL;
}

enum clients_verdict clients_accepted(struct clients *c, int fd, uint16_t listener, uint64_t now_us)
{
    struct address from;
    enum clients_verdict verdict = admit(c, fd, &from);
    if (verdict != CLIENTS_TAKEN) {
        descriptor_close(fd); // no request names it
        return verdict;
    }
    uint32_t slot = c->free[--c->free_count];
    struct connection *connection = &c->connections[slot];
    assert(!connection->open && c->open_count < c->config.count);
    *connection = (struct connection){
        .from = from,
        .used_us = now_us,
        .share = share_reserve(&c->shares, &from),
        .listener = listener,
        .open = true,
        .ready = connection->ready,
        .arrived = connection->arrived,
    };
    c->open_count++;
    connections_adopt(c->tcp, slot, fd);
    if (c->due_us == UINT64_MAX)
        c->due_us = now_us + CLIENTS_TICK_US;
    return CLIENTS_TAKEN;
}

// It is asked for more at the end of a round.
static void receive_later(struct clients *c, uint32_t slot)
{
    if (c->connections[slot].arrived)
        return;
    assert(c->arrived_count < c->slot_count);
    c->connections[slot].arrived = true;
    c->arrived[(c->arrived_first + c->arrived_count++) % c->slot_count] = slot;
}

void clients_event(struct clients *c, const struct net_event *event, uint64_t now_us)
{
    uint32_t slot = op_slot(event->tag);
    assert(slot < c->slot_count);
    struct connection *connection = &c->connections[slot];
    enum connection_state state = connections_event(c->tcp, event);
    if (state == CONNECTION_OLD)
        return;
    assert(connection->open);
    c->now_us = now_us;
    held_count(c, slot);
    // What it says of a query that never ends keeps no connection open.
    if (op_kind(event->tag) == OP_CLIENT_SEND)
        connection->used_us = now_us;
    connection->ended |= state == CONNECTION_ENDS;
    // Not at once: where many find none, each would only be told so again.
    if (state == CONNECTION_NO_BUFFER)
        receive_later(c, slot);
    // What it sends of a query must end before there is too much of it.
    size_t gathered = connection->held - connection->unsent;
    if (state == CONNECTION_BROKEN || (gathered > GATHERED_FREE && !may_hold(c, slot, 0)))
        slot_close(c, slot);
}

bool clients_ready(struct clients *c, uint32_t *slot)
{
    while (c->ready_count > 0) {
        *slot = c->ready[--c->ready_count];
        assert(c->connections[*slot].ready);
        c->connections[*slot].ready = false;
        if (c->connections[*slot].open)
            return true;
    }
    return false;
}

void clients_receive(struct clients *c)
{
    for (unsigned i = 0; i < CLIENTS_RECEIVES_MAX && c->arrived_count > 0; i++) {
        uint32_t slot = c->arrived[c->arrived_first];
        assert(c->connections[slot].arrived);
        c->arrived_first = (c->arrived_first + 1) % c->slot_count;
        c->arrived_count--;
        c->connections[slot].arrived = false;
        if (c->connections[slot].open && !c->connections[slot].stopped)
            connections_receive(c->tcp, slot);
    }
}

// A connection is over when the client has said and heard all.
static void close_if_over(struct clients *c, uint32_t slot)
{
    const struct connection *connection = &c->connections[slot];
    if (connection->open && connection->ended && !connection->stopped && is_idle(c, slot))
        slot_close(c, slot);
}

bool clients_query(struct clients *c, uint32_t slot, struct client *client, const uint8_t **bytes,
                   size_t *len)
{
    assert(slot < c->slot_count);
    struct connection *connection = &c->connections[slot];
    connections_message_done(c->tcp, slot);
    if (!connection->open)
        return false;
    connection->stopped = is_busy(connection);
    if (connection->stopped)
        return false;
    if (!connections_message(c->tcp, slot, bytes, len)) {
        receive_later(c, slot);
        close_if_over(c, slot);
        return false;
    }
    if (*len == 0) {
        slot_close(c, slot);
        connections_message_done(c->tcp, slot);
        return false;
    }
    assert(connection->waiting < CLIENTS_WAITING_MAX);
    connection->waiting++;
    connection->used_us = c->now_us;
    held_count(c, slot);
    *client = (struct client){
        .from = connection->from,
        .listener = connection->listener,
        .transport = TRANSPORT_TCP,
        .worker = c->config.worker,
        .connection = slot,
        .generation = connections_generation(c->tcp, slot),
    };
    return true;
}

static bool is_current(const struct clients *c, const struct client *client)
{
    return client_has_connection(client) && client->connection < c->slot_count &&
           c->connections[client->connection].open &&
           connections_generation(c->tcp, client->connection) == client->generation;
}

// A query of its has come to its end.
static void answered(struct clients *c, uint32_t slot)
{
    assert(c->connections[slot].waiting > 0);
    c->connections[slot].waiting--;
    look_again(c, slot);
}

void clients_reply(struct clients *c, const struct client *client, const uint8_t *bytes, size_t len,
                   uint64_t now_us)
{
    uint32_t slot = client->connection;
    if (!is_current(c, client))
        return;
    c->connections[slot].used_us = c->now_us = now_us;
    if (!may_hold(c, slot, len) || !connections_send_message(c->tcp, slot, bytes, len)) {
        slot_close(c, slot);
        return;
    }
    held_count(c, slot);
    answered(c, slot);
}

void clients_no_reply(struct clients *c, const struct client *client)
{
    if (!is_current(c, client))
        return;
    answered(c, client->connection);
    close_if_over(c, client->connection);
}

void clients_not_dns(struct clients *c, const struct client *client)
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
    uint64_t ready_us = c->ready_count > 0 || c->arrived_count > 0 ? 0 : UINT64_MAX;
    if (now_us < c->due_us)
        return ready_us < c->due_us ? ready_us : c->due_us;
    for (uint32_t i = 0; i < c->slot_count && c->open_count > 0; i++) {
        const struct connection *connection = &c->connections[i];
        uint64_t silent_us = now_us - connection->used_us;
        if (connection->open && silent_us >= (connection->waiting > 0 ? waiting_us : idle_us))
            slot_close(c, i);
    }
    c->due_us = c->open_count > 0 ? now_us + CLIENTS_TICK_US : UINT64_MAX;
    return ready_us < c->due_us ? ready_us : c->due_us;
}

unsigned clients_open(const struct clients *c)
{
    return c->open_count;
}
