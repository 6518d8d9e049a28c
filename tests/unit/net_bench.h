// SPDX-License-Identifier: MIT
#pragma once
#include "io/net/sockaddr.h"
#include "io/net/udp.h"

#include "tests/unit/engines.h"
#include "tests/unit/packet.h"

#include <sys/socket.h>
#include <unistd.h>

// A net of the engine that a test is for, sockets to ask it with, and what is expected of it.

enum {
    DATAGRAMS = 0, // groups
    OCTETS = 1,
    BUFFERS = 16,
    PLACES = 64,
    WAIT_US = 20000,
    EVENTS = 32,
    TAG = 7, // of what a test is about
    OTHER_TAG = 8,
    CANCEL_TAG = 9,
    WAKE_TAG = 10,
};

static inline struct net *net_make(void **state)
{
    struct net *net;
    struct net_config config = {
        .engine = engine_of(state),
        .places = PLACES,
        .wake_tag = WAKE_TAG,
        .groups[DATAGRAMS] = {BUFFERS, 448, .addresses = true},
        .groups[OCTETS] = {BUFFERS, 4096, .addresses = false},
    };
    assert_int_equal(net_open(&net, &config), 0);
    assert_int_equal(net_start(net), 0);
    return net;
}

static inline void net_finish(struct net *net)
{
    net_end(net);
    net_close(net);
}

// A socket that hears at a free port of this address; fills `to` with where that is.
static inline int hearer(const char *text, struct sockaddr_in6 *to)
{
    struct address address;
    assert_true(address_parse(&address, text, strlen(text), 0));
    int fd = udp_listen(&address);
    assert_true(fd >= 0);
    struct sockaddr_in6 at;
    socklen_t len = sizeof at;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    address.port = ntohs(((struct sockaddr_in *)(void *)&at)->sin_port);
    sockaddr_write(to, &address);
    return fd;
}

static inline int client_to(const struct sockaddr_in6 *to)
{
    int fd = socket(to->sin6_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    socklen_t len = to->sin6_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof *to;
    assert_int_equal(connect(fd, (const struct sockaddr *)to, len), 0);
    return fd;
}

static inline void number_send(int fd, uint32_t number)
{
    assert_int_equal(send(fd, &number, sizeof number, 0), sizeof number);
}

static inline uint32_t number_of(const struct net_event *event)
{
    uint32_t number;
    assert_true(event->lent);
    assert_int_equal(event->result, sizeof number);
    memcpy(&number, event->bytes, sizeof number);
    return number;
}

// The next event but those of cancels; false: none comes.
static inline bool event_next(struct net *net, struct net_event *event)
{
    for (unsigned i = 0; i < 50; i++) {
        int count = net_wait(net, WAIT_US, event, 1);
        assert_true(count >= 0);
        if (count == 1 && event->tag != CANCEL_TAG)
            return true;
        if (count == 0 && i > 1)
            return false;
    }
    return false;
}

static inline void event_expect(struct net *net, uint64_t tag, int result)
{
    struct net_event event;
    assert_true(event_next(net, &event));
    assert_int_equal(event.tag, tag);
    assert_int_equal(event.result, result);
    assert_false(event.more || event.lent);
}

static inline void nothing_expect(struct net *net)
{
    struct net_event event;
    assert_false(event_next(net, &event));
}
