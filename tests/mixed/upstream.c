// SPDX-License-Identifier: MIT
#include "tests/mixed/upstream.h"

#include "core/wire/bytes.h"
#include "tests/mixed/reply.h"
#include "tests/sim/dice.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    LATE_MAX = 4096, // replies under way, a power of two
    LATE_US = 1500,
    LATE_ROOM = 1400,
    LATE_PER_MILLE = 400,
    CONNECTIONS = 256,
    CLOSE_PER_MILLE = 50,
    CLOSE_AFTER_US = 5000, // without a query
    UNSENT_MAX = 1 << 20,
    EVENTS = 64,
    OF_UDP = CONNECTIONS,
    OF_LISTENER,
    RECEIVE_BUFFER = 4 << 20,
};

struct late {
    uint64_t due_us;
    struct sockaddr_in to;
    uint16_t len;
    uint8_t bytes[LATE_ROOM];
};

struct connection {
    int fd;            // -1: none
    uint64_t close_us; // 0: it is not to be closed
    size_t in_len, out_len, out_done;
    uint8_t in[2 + 4096];
    uint8_t *out; // UNSENT_MAX octets
};

struct upstream {
    struct truth *truth;
    struct report *report;
    struct dice dice;
    struct upstream_counts counts;
    pthread_t thread;
    _Atomic bool stop;
    int epoll, udp, listener;
    struct late late[LATE_MAX];
    size_t late_first, late_end;
    struct connection connections[CONNECTIONS];
    uint8_t in[65536], reply[REPLY_MAX];
};

static size_t query_take(struct upstream *u, const uint8_t *bytes, size_t len, bool tcp)
{
    const char *why = NULL;
    size_t size = reply_write(u->truth, bytes, len, tcp, u->reply, &why);
    if (size == 0)
        report_wrong(u->report, bytes, len, NULL, 0, "%s reached the upstream that %s",
                     tcp ? "a message" : "a datagram", why);
    return size;
}

static void late_put(struct upstream *u, const struct sockaddr_in *to, size_t len)
{
    struct late *late = &u->late[u->late_end++ % LATE_MAX];
    late->due_us = report_now_us() + LATE_US;
    late->to = *to;
    late->len = (uint16_t)len;
    memcpy(late->bytes, u->reply, len);
}

static void late_send(struct upstream *u)
{
    for (uint64_t now = report_now_us(); u->late_first < u->late_end; u->late_first++) {
        struct late *late = &u->late[u->late_first % LATE_MAX];
        if (late->due_us > now)
            return;
        (void)sendto(u->udp, late->bytes, late->len, 0, (struct sockaddr *)&late->to,
                     sizeof late->to);
    }
}

static void datagrams_take(struct upstream *u)
{
    struct sockaddr_in from;
    for (socklen_t size = sizeof from;; size = sizeof from) {
        ssize_t len =
            recvfrom(u->udp, u->in, sizeof u->in, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
        if (len < 0 && errno == EAGAIN)
            return;
        if (len < 0)
            continue;
        u->counts.datagrams++;
        size_t reply = query_take(u, u->in, (size_t)len, false);
        if (reply == 0)
            continue;
        bool room = u->late_end - u->late_first < LATE_MAX && reply <= LATE_ROOM;
        if (room && dice_chance(&u->dice, LATE_PER_MILLE))
            late_put(u, &from, reply);
        else
            (void)sendto(u->udp, u->reply, reply, 0, (struct sockaddr *)&from, size);
    }
}

static void watch(struct upstream *u, int fd, uint32_t of, uint32_t events, int how)
{
    struct epoll_event event = {.events = events, .data.u32 = of};
    if (epoll_ctl(u->epoll, how, fd, &event) != 0)
        abort();
}

static void connection_close(struct connection *c)
{
    close(c->fd);
    c->fd = -1;
}

static void connection_accept(struct upstream *u)
{
    int fd = accept4(u->listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0)
        return;
    u->counts.connections++;
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        struct connection *c = &u->connections[i];
        if (c->fd >= 0)
            continue;
        *c = (struct connection){.fd = fd, .out = c->out};
        if (!c->out && !(c->out = malloc(UNSENT_MAX)))
            abort();
        watch(u, fd, i, EPOLLIN, EPOLL_CTL_ADD);
        return;
    }
    close(fd);
}

static void connection_flush(struct upstream *u, struct connection *c)
{
    while (c->fd >= 0 && c->out_done < c->out_len) {
        ssize_t sent = send(c->fd, c->out + c->out_done, c->out_len - c->out_done,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            if (errno == EAGAIN)
                watch(u, c->fd, (uint32_t)(c - u->connections), EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            else
                connection_close(c);
            return;
        }
        c->out_done += (size_t)sent;
    }
    c->out_len = c->out_done = 0;
    if (c->fd >= 0)
        watch(u, c->fd, (uint32_t)(c - u->connections), EPOLLIN, EPOLL_CTL_MOD);
}

static void message_take(struct upstream *u, struct connection *c, const uint8_t *bytes, size_t len)
{
    u->counts.messages++;
    size_t reply = query_take(u, bytes, len, true);
    if (reply == 0 || c->out_len + 2 + reply > UNSENT_MAX)
        return;
    store_be16(c->out + c->out_len, (uint16_t)reply);
    memcpy(c->out + c->out_len + 2, u->reply, reply);
    c->out_len += 2 + reply;
}

static void connection_read(struct upstream *u, struct connection *c)
{
    ssize_t got = recv(c->fd, c->in + c->in_len, sizeof c->in - c->in_len, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        connection_close(c);
        return;
    }
    c->in_len += got > 0 ? (size_t)got : 0;
    size_t at = 0;
    while (c->in_len - at >= 2 && c->in_len - at >= 2 + (size_t)load_be16(c->in + at)) {
        size_t len = load_be16(c->in + at);
        message_take(u, c, c->in + at + 2, len);
        at += 2 + len;
    }
    memmove(c->in, c->in + at, c->in_len - at);
    c->in_len -= at;
    if (c->in_len == sizeof c->in) {
        report_wrong(u->report, c->in, c->in_len, NULL, 0,
                     "a message reached the upstream that is longer than any query");
        connection_close(c);
        return;
    }
    bool closes = c->in_len == 0 && dice_chance(&u->dice, CLOSE_PER_MILLE);
    c->close_us = closes ? report_now_us() + CLOSE_AFTER_US : 0;
    connection_flush(u, c);
}

static void idle_close(struct upstream *u)
{
    uint64_t now_us = report_now_us();
    for (struct connection *c = u->connections; c < u->connections + CONNECTIONS; c++)
        if (c->fd >= 0 && c->out_len == 0 && c->close_us != 0 && c->close_us <= now_us)
            connection_close(c);
}

static void *serve(void *argument)
{
    struct upstream *u = argument;
    struct epoll_event events[EVENTS];
    while (!u->stop) {
        int wait_ms = u->late_first < u->late_end ? 1 : 20;
        int count = epoll_wait(u->epoll, events, EVENTS, wait_ms);
        for (int i = 0; i < count; i++) {
            uint32_t of = events[i].data.u32;
            if (of == OF_UDP)
                datagrams_take(u);
            else if (of == OF_LISTENER)
                connection_accept(u);
            else if (u->connections[of].fd >= 0 && events[i].events & EPOLLOUT)
                connection_flush(u, &u->connections[of]);
            else if (u->connections[of].fd >= 0)
                connection_read(u, &u->connections[of]);
        }
        late_send(u);
        idle_close(u);
    }
    return NULL;
}

// Both sockets on one port. Negative errno if that cannot be had.
static int sockets_open(struct upstream *u, const char *address, uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof at;
    int buffer = RECEIVE_BUFFER;
    if (inet_pton(AF_INET, address, &at.sin_addr) != 1)
        return -EINVAL;
    u->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    u->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (setsockopt(u->udp, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) != 0)
        setsockopt(u->udp, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    if (bind(u->udp, (struct sockaddr *)&at, sizeof at) != 0 ||
        getsockname(u->udp, (struct sockaddr *)&at, &size) != 0 ||
        bind(u->listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(u->listener, 512) != 0)
        return -errno;
    *port = ntohs(at.sin_port);
    return 0;
}

struct upstream *upstream_start(struct truth *truth, struct report *report, const char *address,
                                uint64_t seed, uint16_t *port)
{
    struct upstream *u = calloc(1, sizeof *u);
    if (!u)
        return NULL;
    u->truth = truth;
    u->report = report;
    u->dice = dice_for(seed, 77);
    for (size_t i = 0; i < CONNECTIONS; i++)
        u->connections[i].fd = -1;
    int error = sockets_open(u, address, port);
    u->epoll = epoll_create1(0);
    if (error < 0 || u->epoll < 0) {
        errno = error < 0 ? -error : errno;
        free(u);
        return NULL;
    }
    watch(u, u->udp, OF_UDP, EPOLLIN, EPOLL_CTL_ADD);
    watch(u, u->listener, OF_LISTENER, EPOLLIN, EPOLL_CTL_ADD);
    error = pthread_create(&u->thread, NULL, serve, u);
    if (error != 0) {
        errno = error;
        free(u);
        return NULL;
    }
    return u;
}

void upstream_stop(struct upstream *u)
{
    u->stop = true;
    pthread_join(u->thread, NULL);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (u->connections[i].fd >= 0)
            close(u->connections[i].fd);
        free(u->connections[i].out);
    }
    close(u->udp);
    close(u->listener);
    close(u->epoll);
    free(u);
}

const struct upstream_counts *upstream_counts(const struct upstream *u)
{
    return &u->counts;
}
