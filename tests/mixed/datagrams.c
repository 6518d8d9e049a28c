// SPDX-License-Identifier: MIT
#include "tests/mixed/datagrams.h"

#include "core/wire/bytes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    CLIENTS = 24,
    BYSTANDERS = 8,
    REFUSED_EVERY = 6, // client
    BURST_MAX = 64,
    WINDOW = 64,           // replies that are due to a client before it waits
    PATIENCE_US = 1000000, // for them
    REFUSED_PAUSE_US = 3000,
    REFUSED_REST_US = 100000, // before a refused one begins again: what still comes is not due then
    READ_MAX = 64,
    REPLY_ROOM = 4096,
    TOKEN = 1 << 20,
    BURSTS_MAX = 16, // of a socket: in the long run a port gets no errors any more
    ASKS = BURSTS_MAX * BURST_MAX,
};

struct datagram_client {
    int fd;
    bool refused, bystander;
    const struct server *server;
    struct cookie cookie;
    size_t due;
    uint64_t sent_us;
    size_t asked, bursts; // that were sent from this socket
    uint16_t first_id;
    struct ask asks[ASKS]; // by ID, from `first_id` on
};

struct datagrams {
    struct run *run;
    int epoll;
    struct datagram_client clients[CLIENTS + BYSTANDERS];
    uint8_t out[BURST_MAX][ASK_QUERY_MAX];
    uint8_t in[READ_MAX][REPLY_ROOM];
};

// The query with this ID that has no reply yet; NULL: there is none.
static struct ask *ask_of(struct datagram_client *client, uint16_t id)
{
    uint16_t place = (uint16_t)(id - client->first_id);
    return place < client->asked && client->asks[place].waiting ? &client->asks[place] : NULL;
}

static void socket_open(struct datagrams *d, struct datagram_client *client)
{
    uint32_t number = (uint32_t)(client - d->clients);
    client->fd = client_socket(d->run, client->server, SOCK_DGRAM, client->refused, number);
    client->first_id = (uint16_t)dice_u64(&d->run->dice);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = TOKEN + number};
    if (client->fd < 0 || epoll_ctl(d->epoll, EPOLL_CTL_ADD, client->fd, &event) != 0)
        abort();
}

// What has not come by now was lost.
static void socket_close(struct datagrams *d, struct datagram_client *client)
{
    for (size_t i = 0; i < client->asked; i++) {
        struct ask *ask = &client->asks[i];
        bool lost = ask->waiting && ask_due(d->run, client->refused, false, ask);
        d->run->tallies[false][ask->shape].lost += lost;
        ask->waiting = false;
    }
    close(client->fd);
    client->due = client->bursts = client->asked = 0;
}

struct datagrams *datagrams_make(struct run *run, int epoll)
{
    struct datagrams *d = calloc(1, sizeof *d);
    if (!d)
        abort();
    d->run = run;
    d->epoll = epoll;
    for (uint32_t i = 0; i < CLIENTS + BYSTANDERS; i++) {
        struct datagram_client *client = &d->clients[i];
        client->server = &run->servers[i % run->server_count];
        client->bystander = i >= CLIENTS;
        client->refused = i % REFUSED_EVERY == 0 && client->server->at.ss_family == AF_INET;
        cookie_draw(&client->cookie, &run->dice);
        socket_open(d, client);
    }
    return d;
}

void datagrams_free(struct datagrams *d)
{
    for (size_t i = 0; i < CLIENTS + BYSTANDERS; i++)
        socket_close(d, &d->clients[i]);
    free(d);
}

static size_t burst_length(struct dice *dice)
{
    static const uint8_t lengths[] = {1, 1, 1, 2, 7, 30, BURST_MAX, BURST_MAX};
    return lengths[dice_below(dice, sizeof lengths)];
}

static size_t query_add(struct datagrams *d, struct datagram_client *client, uint8_t *out)
{
    uint16_t id = (uint16_t)(client->first_id + client->asked);
    struct ask *ask = &client->asks[client->asked++];
    *ask = ask_choose(d->run, ASK_ANY);
    bool due = ask_due(d->run, client->refused, false, ask);
    d->run->tallies[false][ask->shape].asked++;
    d->run->tallies[false][ask->shape].due += due;
    client->due += due;
    return ask_write(&d->run->truth, &d->run->shapes.items[ask->shape], ask, id, &client->cookie,
                     out);
}

// Whether it may send now; a client that has waited for long enough begins again.
static bool client_ready(struct datagrams *d, struct datagram_client *client, uint64_t now_us)
{
    bool tired = client->bursts >= BURSTS_MAX;
    bool waited = now_us - client->sent_us >= patient_us(d->run, PATIENCE_US);
    // Nothing is due to it that it could wait for.
    uint64_t pause_us = tired ? patient_us(d->run, REFUSED_REST_US) : REFUSED_PAUSE_US;
    if (client->refused && now_us - client->sent_us < pause_us)
        return false;
    if ((client->due >= WINDOW || (tired && client->due > 0)) && !waited)
        return false;
    if (tired || client->due >= WINDOW) {
        // Another port: what is late for the one before is not for it.
        int before = dup(client->fd);
        socket_close(d, client);
        socket_open(d, client);
        close(before);
    }
    return true;
}

void datagrams_send(struct datagrams *d, uint64_t now_us)
{
    struct mmsghdr messages[BURST_MAX] = {0};
    struct iovec parts[BURST_MAX];
    struct datagram_client *client = &d->clients[dice_below(&d->run->dice, CLIENTS)];
    if (!client_ready(d, client, now_us))
        return;
    size_t count = burst_length(&d->run->dice);
    client->sent_us = now_us;
    client->bursts++;
    for (size_t i = 0; i < count; i++) {
        parts[i] = (struct iovec){d->out[i], query_add(d, client, d->out[i])};
        messages[i].msg_hdr = (struct msghdr){.msg_name = (void *)&client->server->at,
                                              .msg_namelen = client->server->size,
                                              .msg_iov = &parts[i],
                                              .msg_iovlen = 1};
    }
    (void)sendmmsg(client->fd, messages, (unsigned)count, 0);
}

static bool same_address(const struct sockaddr_storage *a, const struct server *server)
{
    const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)&server->at;
    const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)&server->at;
    if (a->ss_family != server->at.ss_family)
        return false;
    return a->ss_family == AF_INET
               ? a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr
               : a6->sin6_port == b6->sin6_port &&
                     memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
}

static void datagram_take(struct datagrams *d, struct datagram_client *client,
                          const struct sockaddr_storage *from, const uint8_t *bytes, size_t len)
{
    struct run *run = d->run;
    uint16_t id = len >= 2 ? load_be16(bytes) : 0;
    struct ask *ask = len >= 2 ? ask_of(client, id) : NULL;
    if (!same_address(from, client->server))
        report_wrong(&run->report, bytes, len, NULL, 0, "a client got a datagram from a stranger");
    else if (client->bystander)
        report_wrong(&run->report, bytes, len, NULL, 0, "a bystander got a datagram");
    else if (!ask)
        report_wrong(&run->report, bytes, len, NULL, 0, "a client got a reply that it is not due");
    else {
        client->due -= ask_due(run, client->refused, false, ask);
        reply_judge(run, client->refused, false, ask, &client->cookie, id, bytes, len, "a client");
    }
}

bool datagrams_read(struct datagrams *d, uint64_t token)
{
    if (token < TOKEN || token >= TOKEN + CLIENTS + BYSTANDERS)
        return false;
    struct datagram_client *client = &d->clients[token - TOKEN];
    struct mmsghdr messages[READ_MAX] = {0};
    struct iovec parts[READ_MAX];
    struct sockaddr_storage from[READ_MAX];
    for (size_t i = 0; i < READ_MAX; i++) {
        parts[i] = (struct iovec){d->in[i], REPLY_ROOM};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                              .msg_namelen = sizeof from[i],
                                              .msg_iov = &parts[i],
                                              .msg_iovlen = 1};
    }
    int count = recvmmsg(client->fd, messages, READ_MAX, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++)
        datagram_take(d, client, &from[i], d->in[i], messages[i].msg_len);
    return true;
}

size_t datagrams_waiting(const struct datagrams *d)
{
    size_t waiting = 0;
    for (size_t i = 0; i < CLIENTS; i++)
        waiting += d->clients[i].due;
    return waiting;
}
