// SPDX-License-Identifier: MIT
#pragma once
#include "io/xdp/plane.h"

// The state of a plane, shared by the files of this directory and no others.

struct plane_link {
    uint32_t interface; // its index
    int fd;
    bool generic; // not in the driver, but behind it
};

struct plane {
    uint32_t shard_count;
    size_t shard_size;
    unsigned cpu_count;
    int fds[PLANE_FDS];
    unsigned link_count;
    struct plane_link links[PLANE_LINKS_MAX];
};
