// SPDX-License-Identifier: MIT
#include "tests/netsim/resolvers.h"

#include "tests/mixed/reply.h"
#include "tests/netsim/clients.h"
#include "tests/netsim/network.h"
#include "tests/netsim/world.h"

#include "core/wire/bytes.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum {
    IN_MAX = 8192,
    OUT_MAX = 1 << 20,
    CONNECT_US = 5000,
    RESOLVER_PORT = 53,
    OPT_EMPTY = 11,
    OPT_COOKIE = 31,
    SLOW_US = 2000000,
};

// One TCP connection.
struct session {
    struct session *next;
    struct alarm timer;
    struct link *link;
    bool opened, silent;
    uint64_t read_us; // before this it reads nothing
    size_t cut;       // octets after which it stops; SIZE_MAX: never
    bool cut_resets;
    size_t in_len, out_len, out_done;
    uint8_t in[IN_MAX];
    uint8_t *out;
};

static struct host hosts[RESOLVERS_MAX];
static unsigned host_count;
static struct session *sessions;
static uint8_t reply[REPLY_MAX];
static unsigned close_count; // in order

static size_t reply_to(const uint8_t *query, size_t len, bool tcp)
{
    const char *why = NULL;
    size_t reply_len = reply_write(&clients_run.truth, query, len, tcp, reply, &why);
    if (reply_len == 0)
        world_fail("a %s of %zu octets reached an upstream that %s", tcp ? "message" : "datagram",
                   len, why);
    return reply_len;
}

// Leaves the question and the OPT record of a reply, and says that it is cut. Returns its length.
static size_t reply_truncate(size_t len)
{
    static const uint8_t opt[] = {0, 0, 41};
    size_t end = 12;
    while (reply[end])
        end += 1u + reply[end];
    end += 5;
    size_t opt_len = 0;
    if (len >= end + OPT_COOKIE && memcmp(reply + len - OPT_COOKIE, opt, sizeof opt) == 0)
        opt_len = OPT_COOKIE;
    else if (len >= end + OPT_EMPTY && memcmp(reply + len - OPT_EMPTY, opt, sizeof opt) == 0)
        opt_len = OPT_EMPTY;
    memmove(reply + end, reply + len - opt_len, opt_len);
    reply[2] |= 2;
    memset(reply + 6, 0, 4);
    return end + opt_len;
}

static void query_take(void *context, const struct address *from, const uint8_t *bytes, size_t len)
{
    const struct host *host = context;
    size_t reply_len = reply_to(bytes, len, false);
    if (world_mischief(world.params.silent_pm))
        return;
    if (world_mischief(world.params.refuse_pm)) {
        network_refuse(&host->at, from);
        return;
    }
    if (world_mischief(world.params.truncate_pm))
        reply_len = reply_truncate(reply_len);
    (void)network_to_engine(&host->at, from, reply, reply_len, true);
}

// --- connections ---------------------------------------------------------------------------------

static void session_free(struct session *session)
{
    struct session **link = &sessions;
    while (*link != session)
        link = &(*link)->next;
    *link = session->next;
    alarm_stop(&session->timer);
    free(session->out);
    free(session);
}

static void session_close(struct session *session, bool reset)
{
    link_close(session->link, reset);
    session_free(session);
}

static void message_take(struct session *session, const uint8_t *bytes, size_t len)
{
    size_t reply_len = reply_to(bytes, len, true);
    if (session->silent || session->out_len + 2 + reply_len > OUT_MAX)
        return;
    store_be16(session->out + session->out_len, (uint16_t)reply_len);
    memcpy(session->out + session->out_len + 2, reply, reply_len);
    session->out_len += 2 + reply_len;
}

static void messages_take(struct session *session)
{
    size_t at = 0;
    while (session->in_len - at >= 2 &&
           session->in_len - at >= 2 + (size_t)load_be16(session->in + at)) {
        size_t len = load_be16(session->in + at);
        message_take(session, session->in + at + 2, len);
        at += 2 + len;
    }
    memmove(session->in, session->in + at, session->in_len - at);
    session->in_len -= at;
    if (session->in_len == IN_MAX)
        world_fail("a message reached an upstream that is longer than any query");
}

// False: it has been closed.
static bool session_read(struct session *session)
{
    for (;;) {
        int got = link_read(session->link, session->in + session->in_len, IN_MAX - session->in_len);
        if (got == LINK_NOTHING)
            return true;
        if (got < 0) {
            session_close(session, got == LINK_RESET);
            return false;
        }
        session->in_len += (size_t)got;
        messages_take(session);
    }
}

// All is written. Most servers wait for more.
static void session_rest(struct session *session)
{
    session->out_done = session->out_len = 0;
    if (close_count >= world.params.closes || !world_mischief(world.params.close_pm))
        return;
    close_count++;
    session_close(session, false);
}

static void session_write(struct session *session)
{
    size_t end = session->out_len < session->cut ? session->out_len : session->cut;
    while (session->out_done < end) {
        int sent =
            link_write(session->link, session->out + session->out_done, end - session->out_done);
        if (sent < 0) {
            session_close(session, true);
            return;
        }
        if (sent == 0) // it is told when there is room
            return;
        session->out_done += (size_t)sent;
    }
    if (session->out_done == session->cut)
        session_close(session, session->cut_resets);
    else if (session->out_done == session->out_len && session->out_len > 0)
        session_rest(session);
}

static void session_run(void *context)
{
    struct session *session = context;
    if (!session->opened) {
        session->opened = true;
        bool refused = world_mischief(world.params.refuse_pm);
        link_decide(session->link, refused ? -ECONNREFUSED : 0);
        if (refused || session->link->engine_gone)
            session_close(session, refused);
        else
            alarm_hasten(&session->timer, world.now_us + 1);
        return;
    }
    if (session->read_us > world.now_us)
        alarm_hasten(&session->timer, session->read_us);
    else if (session_read(session))
        session_write(session);
}

static void connection_take(void *context, struct link *link)
{
    struct session *session = calloc(1, sizeof *session);
    (void)context;
    assert(session);
    session->out = malloc(OUT_MAX);
    assert(session->out);
    session->link = link;
    session->timer = (struct alarm){.run = session_run, .context = session};
    session->silent = world_mischief(world.params.stall_connection_pm);
    if (world_mischief(world.params.slow_pm))
        session->read_us = world.now_us + dice_skewed(&world.dice, SLOW_US);
    session->cut =
        world_mischief(world.params.end_early_pm) ? dice_below(&world.dice, 3000) : SIZE_MAX;
    session->cut_resets = dice_chance(&world.dice, 500);
    session->next = sessions;
    sessions = session;
    link->timer = &session->timer;
    uint64_t after_us = world_mischief(world.params.connect_never_pm)
                            ? 100000000
                            : dice_skewed(&world.dice, CONNECT_US);
    alarm_set(&session->timer, world.now_us + 1 + after_us);
}

void resolvers_begin(unsigned count)
{
    sessions = NULL;
    close_count = 0;
    host_count = count;
    for (unsigned i = 0; i < count; i++) {
        hosts[i] = (struct host){.at = {.ip = {10, 9, 0, (uint8_t)(i + 1)},
                                        .port = RESOLVER_PORT,
                                        .family = ADDRESS_IPV4},
                                 .datagram = query_take,
                                 .connect = connection_take,
                                 .context = &hosts[i]};
        network_add(&hosts[i]);
    }
}

bool resolvers_idle(void)
{
    return !sessions;
}

void resolvers_end(void)
{
    for (unsigned i = 0; i < host_count; i++)
        network_remove(&hosts[i]);
    host_count = 0;
}
