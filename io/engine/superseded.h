// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/control.h"

#include <assert.h>

// What is in force and immutable, and may be replaced by another while questions still go by it:
// each knows the one that it took the place of, which lives on until nothing goes by it any more.
// This stands first in what is kept so.

struct superseded {
    struct superseded *before; // NULL: none
    uint64_t since_us;         // when it took the place of that
};

// Puts `next` in the place of `now`, which is the newest; on one clock.
static inline void supersede(struct superseded *next, struct superseded *now, uint64_t now_us)
{
    assert(!next->before && now_us >= now->since_us);
    next->before = now;
    next->since_us = now_us;
}

// Cuts off those that others took the place of so long ago that nothing goes by them any more
// (SERVE_RELOAD_REST_US), and returns the newest of them; NULL: there is none.
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
