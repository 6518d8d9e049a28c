// SPDX-License-Identifier: MIT
#pragma once
#include "cache/cache.h"
#include "io/edge/snapshot.h"

#include <pthread.h>
#include <stdbool.h>

// How far a reading is, and how another thread ends it.
struct snapshot_gate {
    pthread_mutex_t lock; // held while something is stored in the cache
    bool closed;          // nothing is stored any more
    bool stored;          // something may have been
    uint64_t blocks;      // read so far; atomic
};

void snapshot_gate_init(struct snapshot_gate *gate);

// Has snapshot_read in another thread, which may never return, store nothing from now on; what it
// has stored is taken out again. The cache is the caller's when this returns.
void snapshot_gate_close(struct snapshot_gate *gate, struct cache *cache);

// Stores what `path` holds in the cache, which is empty and used by nobody yet; `cache->stale_s` is
// set. `gate`: NULL where nobody may want it to end before. Everything is checked first, so all
// that is still alive is taken or nothing. Returns 0; -ENOENT if there is no such file; or another
// negative errno, `why` is a sentence and the cache is still empty: -EBADMSG for a file that is
// damaged or none of ours, -EEXIST for what would not be written over (a link, a file of another
// user), -ECANCELED where the gate was closed.
[[nodiscard]] int snapshot_read(struct cache *cache, const char *path, uint32_t now_s,
                                struct snapshot_gate *gate, struct snapshot_result *result,
                                char why[static SNAPSHOT_WHY_SIZE]);
