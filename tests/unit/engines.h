// SPDX-License-Identifier: MIT
#pragma once
#include "io/net/mmsg.h"
#include "io/net/net.h"
#include "io/net/uring.h"

// Tests that run once with each engine, which is their state.

#define WITH_BOTH_ENGINES(test)                                            \
    {"io_uring: " #test, test, NULL, NULL, (void *)(uintptr_t)&net_uring}, \
    {                                                                      \
        "epoll: " #test, test, NULL, NULL, (void *)(uintptr_t)&net_epoll   \
    }

static inline const struct net_engine *engine_of(void **state)
{
    return *state;
}
