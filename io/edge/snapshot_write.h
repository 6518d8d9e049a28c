// SPDX-License-Identifier: MIT
#pragma once
#include "cache/cache.h"
#include "io/edge/snapshot.h"

// Writes what the cache holds to `path`: into a file beside it (`path`.new, which a crash may have
// left and which is then begun again) that takes its place when all of it is on the disk. So
// whatever happens there is the old file or the new one. Neither file is written over where it is
// not a snapshot of ours (snapshot_place.h), which is looked at again right before the new file
// takes the old one's name. For any thread but a worker: it takes no
// lock, stops nobody and rests several times in a millisecond, but it waits for the disk. The
// caller ignores or blocks SIGXFSZ. Returns 0, or a negative errno and `why` is a sentence: -EBUSY
// if another process is writing there, -EEXIST if what is there is not ours.
[[nodiscard]] int snapshot_write(const struct cache *cache, const char *path, uint32_t now_s,
                                 struct snapshot_result *result,
                                 char why[static SNAPSHOT_WHY_SIZE]);
