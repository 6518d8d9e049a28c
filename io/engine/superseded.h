// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/control.h"

#include <assert.h>

// A chain of immutable objects of one kind, such as settings: a newer one supersedes the one in
// force, which lives on until no question uses it any more. This is the first member of such an
// object.

struct superseded {
    struct superseded *before; // NULL: none
    uint64_t since_us;         // when it superseded that one
};

// Has `next` supersede `now`, the newest. All times are on one clock.
static inline void supersede(struct superseded *next, struct superseded *now, uint64_t now_us)
{
    assert(!next->before && now_us >= now->since_us);
    next->before = now;
    next->since_us = now_us;
}

// Cuts off the objects that were superseded more than SERVE_RELOAD_REST_US ago, which no question
// uses any more, and returns the newest of them; NULL: there are none.
[[nodiscard]] static inline struct superseded *superseded_cut(struct superseded *newest,
                                                              uint64_t now_us)
{
    while (newest && now_us - newest->since_us <= SERVE_RELOAD_REST_US)
        newest = newest->before;
    struct superseded *old = newest ? newest->before : NULL;
    if (newest)
        newest->before = NULL;
    return old;
}
