// SPDX-License-Identifier: MIT
#pragma once
#include "cache/cache.h"
#include "core/policy/cookie.h"
#include "core/settings/counters.h"
#include "io/engine/listening.h"
#include "io/xdp/plane.h"

// What an engine passes to its successor in another process, so that an upgrade loses no query and
// no cached answer: the sockets, with the datagrams queued in them, and the cache's region.
// io/daemon/upgrade.h has what the rest of the process passes on.
//
// The successor uses the sockets and the region while the predecessor still answers the queries
// that it had. From engine_rest on the predecessor receives nothing and writes nothing.

struct engine_inheritance {
    unsigned worker_count;
    uint64_t clock_offset_us; // of its clock from CLOCK_BOOTTIME
    struct cookie_source cookies;
    int region_fd; // the cache's region; -1: none, or that of the plane
    struct plane_passed plane;
    struct listening_sockets *sockets;
    size_t count;
};

// For the successor. Init: empty, for that number of workers. Free closes the descriptors that
// were not moved out, and frees the memory.
void engine_inheritance_init(struct engine_inheritance *inheritance, unsigned worker_count);
void engine_inheritance_free(struct engine_inheritance *inheritance);

// Adds an address with no sockets yet. NULL: there is no memory.
[[nodiscard]] struct listening_sockets *engine_inheritance_add(
    struct engine_inheritance *inheritance, const struct address *address);

// Copies the answers of the region `fd`, of `size` octets, that are neither expired nor too stale
// into a cache that no worker writes yet, as far as there is room. False: the region has no cache
// of a known form.
[[nodiscard]] bool engine_inheritance_copy_cache(struct cache *to, int fd, size_t size,
                                                 uint32_t now_s);
