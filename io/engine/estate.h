// SPDX-License-Identifier: MIT
#pragma once
#include "cache/cache.h"
#include "core/policy/cookie.h"
#include "core/settings/counters.h"
#include "io/engine/listening.h"

// What an engine leaves to the one that takes its place in another process, so that nothing is lost
// when the program is replaced: its sockets, with what waits in them, and the cache's memory. And
// what it has counted, so that no total goes back.
//
// The successor uses the sockets and the memory while the one before still answers what it was
// asked; that one hears nobody and writes nothing from engine_rest on.

struct estate {
    unsigned worker_count;
    uint64_t clock_offset_us; // of its clock from CLOCK_BOOTTIME
    struct cookie_source cookies;
    int region_fd; // the cache's memory; -1: none
    struct listening_sockets *sockets;
    size_t count;
};

// For the successor's side: empty, of so many workers; closes and frees all that nobody has taken.
void estate_init(struct estate *estate, unsigned worker_count);
void estate_free(struct estate *estate);

// Adds an address with no sockets yet. NULL: there is no memory.
[[nodiscard]] struct listening_sockets *estate_add(struct estate *estate,
                                                   const struct address *address);

// Copies all that is alive from a region which `fd` is, into a cache that nobody writes yet, as far
// as there is room. False: there is no cache in it that this program knows.
[[nodiscard]] bool estate_copy(struct cache *to, int fd, uint32_t now_s);
