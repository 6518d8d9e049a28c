// SPDX-License-Identifier: MIT
#pragma once
#include "core/share.h"

// Which client networks have asked lately what connections to upstreams stall or end on? What does
// that is held against its kind (kind.h), but there are few places for kinds: whoever has ever new
// ones is known by where they ask from, and from then on no more kinds are charged for them. A kind
// that is known is not held against a network: one of many clients in which a domain is popular is
// not to suffer for it; nor is a question that was only slow, once it is answered. Networks are
// those of core/share.h, each known by the whole of it. What is asked for nobody, such as
// refreshes, is one network.

#define STALLING_NETWORKS 16u
#define STALLING_CHARGES  8         // with which a network is asked apart over TCP
#define STALLING_FORGIVEN 8         // charges that it may be forgiven meanwhile
#define STALLING_US       30000000u // for which it is

struct stalling {
    struct stalling_network {
        struct network network;
        uint64_t charged_us; // when it was charged last
        uint8_t charges;
        uint8_t forgiven;
        bool there; // or the place is free
    } networks[STALLING_NETWORKS];
};

static inline struct stalling_network *stalling_find(struct stalling *stalling,
                                                     const struct network *network)
{
    for (unsigned i = 0; i < STALLING_NETWORKS; i++) {
        struct stalling_network *n = &stalling->networks[i];
        if (n->there && network_equal(&n->network, network))
            return n;
    }
    return NULL;
}

// Of those that are there already the one that was charged first makes room.
static inline void stalling_charge(struct stalling *stalling, const struct network *network,
                                   uint64_t now_us)
{
    struct stalling_network *n = stalling_find(stalling, network);
    struct stalling_network *oldest = &stalling->networks[0];
    for (unsigned i = 1; i < STALLING_NETWORKS; i++) {
        if (stalling->networks[i].charged_us < oldest->charged_us)
            oldest = &stalling->networks[i];
    }
    if (!n || now_us - n->charged_us >= STALLING_US) {
        n = n ? n : oldest;
        *n = (struct stalling_network){.network = *network, .there = true};
    }
    n->charges += n->charges < STALLING_CHARGES;
    n->charged_us = now_us;
}

// One of its charges was for something that is answered now. Who is slow often is held against it
// all the same.
static inline void stalling_forgive(struct stalling *stalling, const struct network *network)
{
    struct stalling_network *n = stalling_find(stalling, network);
    if (!n || n->charges == 0 || n->forgiven == STALLING_FORGIVEN)
        return;
    n->charges--;
    n->forgiven++;
}

static inline bool stalling_has(struct stalling *stalling, const struct network *network,
                                uint64_t now_us)
{
    const struct stalling_network *n = stalling_find(stalling, network);
    return n && n->charges >= STALLING_CHARGES && now_us - n->charged_us < STALLING_US;
}
