// SPDX-License-Identifier: MIT
#pragma once
#include "core/forward/state.h"

// Subquestions: a question may need the answer to another one (enum subquestion). The parent is
// done with upstreams, with an answer in hand or without one, and stays open until its subquestion
// ends; clients may still join it. The subquestion is an ordinary question: clients may join it,
// and its answer is cached. Its attempts are charged to the networks of the parent's clients.
//
// A parent has one subquestion at a time, and each kind once. Aliases that form a loop, or a chain
// without an end, stop here: such a chain would outlive all its clients.

#define SUBQUESTION_DEPTH_MAX   16       // questions in a chain of parents
#define SUBQUESTION_TIME_MIN_US 1000000u // the least that a parent has for a subquestion

// Would `parent` wait for itself, or the chain of subquestions be too long?
[[nodiscard]] bool subquestion_loops(const struct question *parent, const struct question *sub);

// Reopens a question that has ended (from forward_next_ended), or takes one that was just begun:
// clients may join it until forward_end or its deadline.
void subquestion_begin(struct forward *f, uint64_t now_us, struct question *parent,
                       enum subquestion what);

// The parent begins to wait for `sub`, which is open; or stops waiting.
void subquestion_wait(struct forward *f, struct question *parent, struct question *sub);
void subquestion_leave(struct forward *f, struct question *parent);

// Stores an answer in hand for a question that has none. False: there is no room, or the question's
// network has its share.
[[nodiscard]] bool subquestion_hold(struct forward *f, uint64_t now_us, struct question *question,
                                    const struct answer *answer);

// The question to give up so that this answer, for a question of that network, has room: the oldest
// of the network that holds most, if that is more than this one would hold. NULL: none.
[[nodiscard]] struct question *subquestion_to_give_up(struct forward *f,
                                                      const struct network *network,
                                                      const struct answer *answer);

// Frees the answer in hand, if there is one.
void subquestion_release(struct forward *f, struct question *question);
