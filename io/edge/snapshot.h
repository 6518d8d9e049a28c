// SPDX-License-Identifier: MIT
#pragma once
#include "cache/cache.h"

#include <pthread.h>
#include <stdbool.h>

// The cache's answers in a file, so that a restart begins with what was known before. What is
// written are keys, values and times, not the region: a snapshot fits any size of cache, any number
// of workers and any seed. The times are seconds of the wall clock, so answers age while nobody
// runs.
//
// The file, all numbers little-endian:
//
//   header, 64 octets: magic "ouzelsnp", version (4), flags (4, zero), the file's random id (8),
//                      when it was begun (4), zeros (28), checksum (8) of all before it
//   blocks, up to 256 KiB each: checksum (8), kind (4), octets behind this header (4), position
//                      in the file from 0 on (8), count of entries (4), zero (4), then entries:
//                      value length (4), key length (2), hits (1), asked (1), birth (4),
//                      expiry (4), value, key
//   the last block:    of its own kind, with the number of all entries (8) and of blocks (8)
//
// A block's checksum is XXH3 with the file's id as its seed, over all of the block behind it. So a
// block is right only in its own file, and only in its place. Entries that were asked for again
// stand in blocks of one kind and the others in those of another.

#define SNAPSHOT_MAGIC    "ouzelsnp"
#define SNAPSHOT_NEW      ".new" // ends the name of the file in which a snapshot is begun
#define SNAPSHOT_VERSION  2u     // raise it with each change of this or of what core/answer keeps
#define SNAPSHOT_WHY_SIZE 640

struct snapshot_result {
    uint64_t entries; // written, or in the cache now
    uint64_t octets;  // of the file
    uint64_t expired; // left out: over, even as stale answers
    uint64_t future;  // left out when reading: born later than now, so the clock was set back
    uint64_t unfit;   // left out: no whole answers (writing), no room for them (reading)
    uint32_t begun_s; // when the file was begun
};

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
