// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/name.h"

// Hashes of a name and of all names above it, made in one pass from the root down: each label
// extends the hash of the name after it. Keyed, so that attackers cannot choose names that collide.
//
// A step is xor, a 64 by 64 bit multiplication, and its halves folded together (as in wyhash), for
// each eight octets of a label with its length in front.

#define SUFFIX_LABELS_MAX 128

struct suffix_seed {
    uint64_t start;
    uint64_t factor; // odd
};

static inline uint64_t suffix_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline struct suffix_seed suffix_seed_of(uint64_t seed)
{
    uint64_t start = suffix_fold(seed ^ 0x9e3779b97f4a7c15u, 0xd6e8feb86659fd93u) ^ seed;
    uint64_t factor = suffix_fold(start ^ 0xbf58476d1ce4e5b9u, 0x94d049bb133111ebu) + seed;
    return (struct suffix_seed){start, factor | 1};
}

// One label in lower case, its length octet first. `whole`: the seven octets after it may be read
// as well; their values do not matter.
static inline uint64_t suffix_step(struct suffix_seed seed, uint64_t hash, const uint8_t *label,
                                   bool whole)
{
    size_t left = 1u + *label;
    for (; left > 8; left -= 8, label += 8)
        hash = suffix_fold(hash ^ load_word(label), seed.factor);
    uint64_t rest =
        whole ? load_word(label) & ~(uint64_t)0 >> (64 - 8 * left) : load_part(label, left);
    return suffix_fold(hash ^ rest, seed.factor);
}

// The hash of a whole name in lower case.
static inline uint64_t suffix_hash(struct suffix_seed seed, const uint8_t *name)
{
    uint8_t places[SUFFIX_LABELS_MAX];
    size_t count = 0;
    for (size_t at = 0; name[at] != 0; at += 1u + name[at])
        places[count++] = (uint8_t)at;
    uint64_t hash = seed.start;
    while (count > 0)
        hash = suffix_step(seed, hash, name + places[--count], false);
    return hash;
}

// The hashes of a name and of all names above it.
struct suffixes {
    unsigned count;                    // labels, without the root
    uint8_t places[SUFFIX_LABELS_MAX]; // where each begins
    uint64_t
        hashes[SUFFIX_LABELS_MAX + 1]; // of the name that begins there; the last one is the root's
};

static inline void suffixes_find(struct suffixes *parts, struct suffix_seed seed,
                                 const uint8_t *name)
{
    parts->count = 0;
    for (size_t at = 0; name[at] != 0; at += 1u + name[at])
        parts->places[parts->count++] = (uint8_t)at;
    parts->hashes[parts->count] = seed.start;
    for (unsigned i = parts->count; i-- > 0;)
        parts->hashes[i] = suffix_step(seed, parts->hashes[i + 1], name + parts->places[i], false);
}
