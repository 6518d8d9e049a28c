// SPDX-License-Identifier: MIT
#pragma once
#include "cache/cache.h"
#include "io/edge/snapshot.h"

// Writes the cached answers to `path`: into a new file (`path`.new, which may be left from a
// crash), which is renamed when all of it is on the disk. So there always is the old file or the
// new one. A file that is no snapshot of ours is never overwritten (snapshot_place.h), which is
// checked again right before the renaming. For any thread but a worker: it takes no lock, delays no
// worker and yields several times in a millisecond, but it waits for the disk. The caller ignores
// or blocks SIGXFSZ. Returns 0, or a negative errno and `why` is a sentence: -EBUSY if another
// process is writing there, -EEXIST if what is there is not ours.
[[nodiscard]] int snapshot_write(const struct cache *cache, const char *path, uint32_t now_s,
                                 struct snapshot_result *result,
                                 char why[static SNAPSHOT_WHY_SIZE]);
