// SPDX-License-Identifier: MIT
#pragma once
#include "io/engine/engine.h"

// The cache's memory: a region that a successor can take over.

// Has engine_close leave the region mapped, for a thread that still reads it.
void engine_leave_region(struct engine *engine);

// The cache: any thread may read it; to write it, the workers must be at rest.
struct cache *engine_cache(struct engine *engine);
uint32_t engine_now_s(const struct engine *engine);

// Allocates the region, or uses the one that was inherited (NULL: there is none). 0 or a negative
// errno, with a sentence in `why`.
[[nodiscard]] int region_open(struct engine *engine, struct engine_inheritance *inheritance,
                              char why[static ENGINE_WHY_SIZE]);

// Unmaps and closes it.
void region_close(struct engine *engine);

// Applies the stale age of these settings, which the workers read when they store an answer.
void region_stale_set(struct engine *engine, const struct settings *settings);

// The number of shards of a cache of that size: the smallest multiple of the number of workers, so
// that each writes equally many, with which no shard is too large; 0: there is none.
[[nodiscard]] uint32_t engine_shard_count(uint64_t cache_size, unsigned worker_count);
