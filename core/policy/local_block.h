// SPDX-License-Identifier: MIT
#pragma once
#include "core/policy/local.h"

// The layout of the block; for core/policy/local*.c alone.
//
//   | struct local | filter | table of names | names with their records ... | buckets |
//
// The filter has a bit for each name and entry, by the upper bits of its hash; a name without its
// bit is not local. The table leads to names by the lower bits. The buckets are a block set
// (block.h).

struct local {
    struct suffix_seed seed;
    size_t filter_at; // octets from here
    size_t table_at;
    size_t buckets_at;
    uint64_t bucket_count;
    uint32_t filter_shift; // a hash shifted by this is its bit
    uint32_t table_mask;
    uint32_t block_answer;
    uint32_t fingerprint;
    struct local_counts counts;
};

#define LOCAL_SPECIAL_PASS 255 // local_name.special: a forward zone
_Static_assert(SPECIAL_MAX < LOCAL_SPECIAL_PASS, "a row is no forward zone");

// A name, followed by its octets, padding to four, its sets, and their records.
struct local_name {
    uint32_t ttl;       // the lowest of its records
    uint16_t set_count; // 0: only `special` matters
    uint8_t special;    // 1 + row of the table of special names, or LOCAL_SPECIAL_PASS; 0: none
    uint8_t len;
    uint8_t bytes[];
};

// The records of one type as in an answer, each with a pointer to the question as its owner. Names
// in their data are uncompressed, so they can be copied to any offset.
struct local_set {
    uint16_t type;
    uint16_t count;
    uint16_t stride; // octets of each record where all are addresses, else 0
    uint16_t walk;   // of a CNAME, while the block is made: enum walk in local.c
    uint32_t len;
    uint32_t at;     // octets from the local_name
    uint32_t target; // of a CNAME: its local_name, in eights of octets from the block; 0: outside
};

static inline size_t local_sets_at(size_t name_len)
{
    return (offsetof(struct local_name, bytes) + name_len + 3) & ~(size_t)3;
}

static inline const struct local_set *local_sets(const struct local_name *name)
{
    return (const void *)((const uint8_t *)name + local_sets_at(name->len));
}

static inline const struct local_name *local_name_at(const struct local *local, uint32_t eights)
{
    return (const void *)((const uint8_t *)local + (size_t)eights * 8);
}

// The name with this hash, NULL: there is none. `bytes` are in lower case.
static inline const struct local_name *local_name_find(const struct local *local, uint64_t hash,
                                                       const uint8_t *bytes, size_t len)
{
    const uint32_t *table = (const void *)((const uint8_t *)local + local->table_at);
    for (uint64_t at = hash; table[at & local->table_mask] != 0; at++) {
        const struct local_name *name = local_name_at(local, table[at & local->table_mask]);
        if (name->len == len && memcmp(name->bytes, bytes, len) == 0)
            return name;
    }
    return NULL;
}
