// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/engine.h"

// The cache's memory: a region of its own, which another process can take over.

// Has engine_close leave the cache's memory where it is, for a thread that still reads there.
void engine_leave_region(struct engine *engine);

// The cache: any thread may read it; to write it, the workers must be at rest.
struct cache *engine_cache(struct engine *engine);
uint32_t engine_now_s(const struct engine *engine);

// Allocates the region, or uses the one that was inherited (NULL: there is none). 0 or a negative
// errno, with a sentence in `why`.
[[nodiscard]] int region_open(struct engine *engine, struct engine_inheritance *inheritance,
                              char why[static ENGINE_WHY_SIZE]);

// Gives it back.
void region_close(struct engine *engine);

// Goes by these settings from now on: the workers read while they store how old an answer may be.
void region_stale_set(struct engine *engine, const struct settings *settings);

// How many shards a cache of that size is divided into: the smallest multiple of the number of
// workers, each of which writes equally many, with which no shard is too large; 0 if there is none.
[[nodiscard]] uint32_t engine_shard_count(uint64_t cache_size, unsigned worker_count);
