// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/suffix.h"

// Block lists: millions of names, each of which includes all names below it, and exceptions.
//
// Reading a line yields an entry of eight octets for each name, which the caller gathers. The
// entries go into a set: buckets of one cache line with eight entries. Names are not stored: an
// entry is 63 bits of a keyed hash and one bit for exceptions. So a name that is not among n listed
// ones matches with a chance of n / 2^63 for each of its suffixes: 2^-43 with a million.

#define BLOCK_LINE_MAX    4096 // octets of a line; a longer one is bad
#define BLOCK_ENTRY_ALLOW 1u   // the lowest bit of an entry

// An entry of a name in lower case.
static inline uint64_t block_entry(struct suffix_seed seed, const uint8_t *name, bool allow)
{
    uint64_t hash = suffix_hash(seed, name) & ~(uint64_t)BLOCK_ENTRY_ALLOW;
    return (hash ? hash : 2) | allow;
}

enum block_line {
    BLOCK_LINE_TAKEN,
    BLOCK_LINE_EMPTY,   // nothing, or a comment
    BLOCK_LINE_SKIPPED, // not just a name: an adblock rule with options
    BLOCK_LINE_BAD,     // `why` says what is wrong
};

// The most names of a line: each has at least two octets.
#define BLOCK_LINE_NAMES (BLOCK_LINE_MAX / 2)

struct block_names {
    uint64_t entries[BLOCK_LINE_NAMES];
    size_t count;
    const char *why; // of BLOCK_LINE_BAD: a few words
};

// Reads a line of a list (without its end). These forms may stand in one file:
//   name                  also as *.name or .name, which mean the same
//   0.0.0.0 name name...  as in a hosts file; names of the machine itself (localhost) are left out
//   ||name^               as in adblock filters;  @@||name^  is an exception
//   # comment, ! comment, [header]
// `allow`: it is a file of names that must not be blocked, so its names are exceptions.
enum block_line block_line_read(const char *line, size_t len, bool allow, struct suffix_seed seed,
                                struct block_names *names);

// --- the set -----------------------------------------------------------------------------------

#define BLOCK_BUCKET 8 // entries: a cache line

// The number of buckets, with about six entries in each.
static inline uint64_t block_buckets(uint64_t entry_count)
{
    return entry_count / 6 + 1;
}

static inline uint64_t block_bucket_of(uint64_t entry, uint64_t bucket_count)
{
    return (uint64_t)((unsigned __int128)entry * bucket_count >> 64);
}

// Adds an entry to a set of `bucket_count` buckets, which were zeroed before the first and have
// room. Where the name is there already, an exception wins. False: it was there.
bool block_add(uint64_t *buckets, uint64_t bucket_count, uint64_t entry);

enum block_verdict { BLOCK_ABSENT, BLOCK_LISTED, BLOCK_EXCEPTED };

// Looks up a name by its hash (suffix_hash).
static inline enum block_verdict block_find(const uint64_t *buckets, uint64_t bucket_count,
                                            uint64_t hash)
{
    hash &= ~(uint64_t)BLOCK_ENTRY_ALLOW;
    hash = hash ? hash : 2;
    uint64_t bucket = block_bucket_of(hash, bucket_count);
    for (;;) {
        const uint64_t *entries = buckets + bucket * BLOCK_BUCKET;
        for (size_t i = 0; i < BLOCK_BUCKET; i++) {
            if ((entries[i] ^ hash) <= BLOCK_ENTRY_ALLOW)
                return entries[i] & BLOCK_ENTRY_ALLOW ? BLOCK_EXCEPTED : BLOCK_LISTED;
        }
        if (entries[BLOCK_BUCKET - 1] == 0)
            return BLOCK_ABSENT;
        bucket = bucket + 1 < bucket_count ? bucket + 1 : 0;
    }
}
