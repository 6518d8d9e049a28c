// SPDX-License-Identifier: MIT
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What an engine is given and what it gives back: requests, events, buffers and the table of its
// functions. An engine gets all requests of a round at once, in an array, and fills an array of
// events, so it is called once for many datagrams. Users of an engine include net.h.

enum { NET_GROUPS = 3, NET_QUEUE_MAX = 512 };

enum net_kind {
    NET_SEND_TO,
    NET_SEND_FROM,
    NET_SEND,
    NET_RECEIVE_FROM,
    NET_RECEIVE,
    NET_CONNECTION_SEND,
    NET_CONNECTION_RECEIVE,
    NET_ACCEPT,
    NET_CONNECT,
    NET_CLOSE,
    NET_CANCEL,      // of a descriptor
    NET_CANCEL_FROM, // of a place
    NET_WAKE,
    NET_WATCH,
};

// The functions of net.h fill these; each says there what it needs.
struct net_request {
    uint64_t tag;
    const void *bytes;
    const struct sockaddr *to;
    uint32_t len;   // of the octets
    int32_t socket; // a descriptor, or a place
    uint8_t kind;   // enum net_kind
    uint8_t group;
    bool local; // NET_RECEIVE_FROM: with the address that each datagram was sent to
    union {
        uint8_t from[16];        // NET_SEND_FROM
        uint64_t cancelled;      // NET_CANCEL, NET_CANCEL_FROM: a tag
        const struct net *woken; // NET_WAKE
    };
};

struct net_event {
    uint64_t tag;                // as given with the request
    int32_t result;              // octets, a descriptor, 0, or a negative errno
    uint16_t buffer;             // where `lent`
    bool lent;                   // the octets lie in a buffer, which is to be given back
    bool more;                   // the request stays armed
    bool cut;                    // the datagram was longer than the buffer
    uint8_t *bytes;              // where `lent`: `result` octets
    const struct sockaddr *from; // NET_RECEIVE_FROM; NULL: it cannot be told
    const void *local;           // a struct in_addr or in6_addr; NULL: it was not asked for
};

struct net_group_config {
    unsigned count; // of buffers, a power of two; 0: the group is not used
    size_t size;    // octets of each, a multiple of 64
    bool
        addresses; // for NET_RECEIVE_FROM alone, which puts up to NET_DATAGRAM_HEAD octets in front
};

#define NET_DATAGRAM_HEAD 96

// Buffers that arrive octets lie in. Those that are neither lent nor among the returned are the
// engine's.
struct net_group {
    uint8_t *bytes;
    size_t size;
    unsigned count;
    bool addresses;
    bool *lent;         // of each buffer: it is the caller's
    uint16_t *returned; // given back, and not yet taken by the engine
    unsigned returned_count;
};

struct net_config {
    const struct net_engine *engine;
    unsigned places;   // of registered sockets
    uint64_t wake_tag; // of the event that net_wake makes here
    struct net_group_config groups[NET_GROUPS];
};

// An engine's own struct begins with this one.
struct net {
    const struct net_engine *engine;
    unsigned places;
    uint64_t wake_tag;
    int error; // of the first submission that failed: nothing works after it
    unsigned queued;
    unsigned closes; // among those that are queued
    struct net_group groups[NET_GROUPS];
    struct net_request queue[NET_QUEUE_MAX];
};

// All return 0 or a negative errno unless another thing is said. `submit` and `wait` carry out the
// queue from its first request to its last and take the buffers that were returned.
struct net_engine {
    const char *name;             // as in server.engine
    size_t size;                  // of its own struct
    int (*open)(struct net *net); // leaves nothing behind on failure
    void (*close)(struct net *net);
    int (*start)(struct net *net);
    int (*place)(struct net *net, unsigned place, int fd);
    int (*submit)(struct net *net);
    int (*wait)(struct net *net, uint64_t timeout_us, struct net_event *events, unsigned event_max);
    void (*end)(struct net *net);
    const char *(*why)(int error); // one sentence, which says what to change
};
