// SPDX-License-Identifier: MIT
#pragma once
#include "io/net/net.h"
#include "tests/netsim/files.h"

// What the files of the simulated engine share: engine.c (its table), requests.c (what is armed),
// buffers.c (its groups).

enum { ARMED_MAX = 2048, READY_MAX = 2048, PLACES_MAX = 512 };

// A request that waits for something to happen.
struct armed {
    struct net_request request;
    struct file *file;
    int fd;         // -1: it names a place
    bool cancelled; // ends at the first occasion from that moment on
    uint64_t late_us;
    uint64_t sum; // of the octets that it refers to
};

// Where a registered socket stands.
struct place {
    int fd;
    struct file *file; // where params.holds
};

struct simnet {
    struct net net;
    unsigned number; // its bit
    struct place places[PLACES_MAX];
    struct armed armed[ARMED_MAX];
    unsigned armed_count;
    struct net_event ready[READY_MAX]; // made, and not yet given
    unsigned ready_count;
    uint16_t *free[NET_GROUPS]; // buffers that are ours
    unsigned free_count[NET_GROUPS];
    uint64_t wakes;
    uint64_t deadline_us;
    uint64_t late_us; // when the first of what was cancelled may end
    bool maybe;       // something has happened since it was last found idle
    bool busy;        // its thread does not sleep
    bool slept;       // the last wait found nothing
    bool ended;
};

static inline struct simnet *simnet_of(struct net *net)
{
    return (struct simnet *)(void *)net;
}

// --- requests.c ----------------------------------------------------------------------------------

void request_arm(struct simnet *s, const struct net_request *request, struct file *file, int fd);

// Lets go of the file and forgets the request in this place.
void armed_drop(struct simnet *s, unsigned at);

// Can it have an event now?
[[nodiscard]] bool armed_can(const struct simnet *s, const struct armed *armed);

// Makes that event, after which the request may be over. False: nothing came of it.
[[nodiscard]] bool armed_go(struct simnet *s, unsigned at, struct net_event *event);

void request_cancel(struct simnet *s, const struct net_request *request);

// Adds an event, and one without octets.
void ready_put(struct simnet *s, const struct net_event *event);
void ready_add(struct simnet *s, uint64_t tag, int result);

// --- buffers.c -----------------------------------------------------------------------------------

// Takes back what was returned, and spoils it.
void buffers_take(struct simnet *s);

// Lends a buffer of the group, of which there is one.
[[nodiscard]] uint8_t *buffer_lend(struct simnet *s, unsigned group, struct net_event *event);
