// SPDX-License-Identifier: MIT
#pragma once
#include "core/share.h"

// The client networks whose questions have stalled or ended connections to upstreams of late. Such
// a question is charged to its kind (kind.h), but there are few entries for kinds. A network that
// asks for ever new kinds is charged itself, and from then on its questions are charged to no
// kinds. A known kind is not charged to a network: a large network where that domain is popular
// must not suffer for it. A question that was only slow is forgiven once it is answered. Networks
// are those of core/share.h, compared as a whole. Questions without clients, such as refreshes,
// count as one network.

#define STALLING_NETWORKS 16u
#define STALLING_CHARGES  8         // with which a network is asked apart over TCP
#define STALLING_FORGIVEN 8         // charges that it may be forgiven in that time
#define STALLING_US       30000000u // for which it is asked apart

struct stalling {
    struct stalling_network {
        struct network network;
        uint64_t charged_us; // time of its latest charge
        uint8_t charges;
        uint8_t forgiven;
        bool there; // false: a free entry
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

// Where there is no free entry, the one with the oldest charge makes room.
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

// One of its charges was for a question that has been answered now. Only some are forgiven, as a
// network that is slow often is charged all the same.
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
