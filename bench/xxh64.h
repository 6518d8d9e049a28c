// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>

// The steps of XXH64 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md), for bench/hash.bpf.c, which
// cannot have libxxhash. bench/hash_bpf.c holds it against that.

#define XXH64_PRIME1 0x9e3779b185ebca87u
#define XXH64_PRIME2 0xc2b2ae3d27d4eb4fu
#define XXH64_PRIME3 0x165667b19e3779f9u
#define XXH64_PRIME4 0x85ebca77c2b2ae63u
#define XXH64_PRIME5 0x27d4eb2f165667c5u

static inline __attribute__((always_inline)) uint64_t xxh64_rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static inline __attribute__((always_inline)) uint64_t xxh64_round(uint64_t lane, uint64_t word)
{
    return xxh64_rotate(lane + word * XXH64_PRIME2, 31) * XXH64_PRIME1;
}

static inline __attribute__((always_inline)) uint64_t xxh64_merge(uint64_t hash, uint64_t lane)
{
    return (hash ^ xxh64_round(0, lane)) * XXH64_PRIME1 + XXH64_PRIME4;
}

static inline __attribute__((always_inline)) uint64_t xxh64_lanes(const uint64_t lanes[4])
{
    uint64_t hash = xxh64_rotate(lanes[0], 1) + xxh64_rotate(lanes[1], 7) +
                    xxh64_rotate(lanes[2], 12) + xxh64_rotate(lanes[3], 18);
    for (unsigned i = 0; i < 4; i++)
        hash = xxh64_merge(hash, lanes[i]);
    return hash;
}

// What is behind the last 32: by eight octets, by four and by one.
static inline __attribute__((always_inline)) uint64_t xxh64_eight(uint64_t hash, uint64_t word)
{
    return xxh64_rotate(hash ^ xxh64_round(0, word), 27) * XXH64_PRIME1 + XXH64_PRIME4;
}

static inline __attribute__((always_inline)) uint64_t xxh64_four(uint64_t hash, uint32_t word)
{
    return xxh64_rotate(hash ^ word * XXH64_PRIME1, 23) * XXH64_PRIME2 + XXH64_PRIME3;
}

static inline __attribute__((always_inline)) uint64_t xxh64_one(uint64_t hash, uint8_t octet)
{
    return xxh64_rotate(hash ^ octet * XXH64_PRIME5, 11) * XXH64_PRIME1;
}

static inline __attribute__((always_inline)) uint64_t xxh64_end(uint64_t hash)
{
    hash = (hash ^ hash >> 33) * XXH64_PRIME2;
    hash = (hash ^ hash >> 29) * XXH64_PRIME3;
    return hash ^ hash >> 32;
}
