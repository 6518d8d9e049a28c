// SPDX-License-Identifier: MIT
#pragma once
#include "cache/cache.h"
#include "io/edge/snapshot.h"

#include <pthread.h>
#include <stdbool.h>

// The progress of a reading, and how another thread stops it.
struct snapshot_gate {
    pthread_mutex_t lock; // held while something is stored in the cache
    bool closed;          // nothing more is stored
    bool stored;          // something may have been stored
    uint64_t blocks;      // read so far; atomic
};

void snapshot_gate_init(struct snapshot_gate *gate);

// Stops snapshot_read in another thread, which may never return: it stores nothing more, and what
// it has stored is removed. The cache is the caller's when this returns.
void snapshot_gate_close(struct snapshot_gate *gate, struct cache *cache);

// Loads the file at `path` into the cache, which is empty and not used yet; `cache->stale_s` is
// set. `gate` is NULL if no other thread may stop it. The whole file is checked first, so either
// all answers that have not expired are stored or none. Returns 0; -ENOENT if there is no such
// file; or another negative errno, `why` is a sentence and the cache is still empty: -EBADMSG for a
// file that is damaged or none of ours, -EEXIST for what would not be written over (a link, a file
// of another user), -ECANCELED where the gate was closed.
[[nodiscard]] int snapshot_read(struct cache *cache, const char *path, uint32_t now_s,
                                struct snapshot_gate *gate, struct snapshot_result *result,
                                char why[static SNAPSHOT_WHY_SIZE]);
