// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>

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
#define SNAPSHOT_VERSION  3u     // raise it with each change of this or of what core/answer keeps
#define SNAPSHOT_WHY_SIZE 640

struct snapshot_result {
    uint64_t entries; // written, or in the cache now
    uint64_t octets;  // of the file
    uint64_t expired; // left out: over, even as stale answers
    uint64_t future;  // left out when reading: born later than now, so the clock was set back
    uint64_t unfit;   // left out: no whole answers (writing), no room for them (reading)
    uint32_t begun_s; // when the file was begun
};
