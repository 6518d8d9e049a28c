// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>

// The cached answers in a file, so that a restart begins with a warm cache. The file has keys,
// values and times, not the region: it fits any size of cache, any number of workers and any seed.
// Times are seconds of the wall clock, so answers age while no process runs.
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
// A block's checksum is XXH3 with the file's id as its seed, over the rest of the block. So a block
// is valid only in its own file and place. Entries with hits are in blocks of one kind, and all
// others in blocks of another.

#define SNAPSHOT_MAGIC    "ouzelsnp"
#define SNAPSHOT_NEW      ".new" // ends the name of the file in which a snapshot is begun
#define SNAPSHOT_VERSION  3u     // raise it with each change of this or of what core/answer keeps
#define SNAPSHOT_WHY_SIZE 640

struct snapshot_result {
    uint64_t entries; // written, or in the cache now
    uint64_t octets;  // of the file
    uint64_t expired; // left out: expired, even as stale answers
    uint64_t future;  // left out when reading: born later than now, so the clock was set back
    uint64_t unfit;   // left out: invalid answers (writing), no room for them (reading)
    uint32_t begun_s; // when the file was begun
};
