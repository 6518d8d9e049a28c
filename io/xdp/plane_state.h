// SPDX-License-Identifier: MIT
#pragma once
#include "io/xdp/plane.h"

// The state of a plane, shared by the files of this directory and no others.

struct plane_link {
    uint32_t interface; // its index
    int fd;
    bool generic; // not in the driver, but behind it
};

// Who gets the samples.
struct plane_taker {
    void (*take)(void *context, const struct plane_sample *sample);
    void *context;
};

struct plane {
    uint32_t shard_count;
    size_t shard_size;
    unsigned cpu_count;
    int fds[PLANE_FDS];
    struct ring_buffer *samples; // NULL: not yet looked at
    struct plane_taker taker;    // of samples, during a call
    unsigned link_count;
    struct plane_link links[PLANE_LINKS_MAX];
};
