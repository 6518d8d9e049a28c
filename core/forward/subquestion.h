// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/state.h"

// Questions that wait for others (enum subquestion). A parent has ended as far as upstreams are
// concerned: it has its answer in hand, or none, and goes on, to be joined by clients, until its
// subquestion ends. That one is a question like any other: clients may join it, and what it is
// answered with is cached. Attempts for it are charged to the networks of the parent's clients.
//
// A parent has one subquestion at a time and each kind of them once; whoever follows aliases
// through names that lead to each other, or to new ones without end, is stopped here: such a row
// would outlive all its clients.

#define SUBQUESTION_DEPTH_MAX   16       // questions that wait for one another
#define SUBQUESTION_TIME_MIN_US 1000000u // that a parent gets beyond its deadline, where it is late

// Would they wait for each other, or too many in a row?
[[nodiscard]] bool subquestion_loops(const struct question *parent, const struct question *sub);

// Has a question go on that has ended and was taken (forward_next_ended), or was just added and
// begun: it can be joined, until forward_end or its deadline.
void subquestion_begin(struct forward *f, uint64_t now_us, struct question *parent,
                       enum subquestion what);

// Lets it wait for `sub`, which is open; and no longer.
void subquestion_wait(struct forward *f, struct question *parent, struct question *sub);
void subquestion_leave(struct forward *f, struct question *parent);

// Keeps this answer in hand for a question, which has none there. False: there is no room, or its
// network has its share.
[[nodiscard]] bool subquestion_hold(struct forward *f, uint64_t now_us, struct question *question,
                                    const struct answer *answer);

// Which question is to be given up so that this answer of a question of that network has room in
// hand? The oldest of the network that holds most, if it holds more than this one would. NULL:
// none.
[[nodiscard]] struct question *subquestion_to_give_up(struct forward *f,
                                                      const struct network *network,
                                                      const struct answer *answer);

// The answer in hand is no longer needed, if there is one.
void subquestion_release(struct forward *f, struct question *question);
