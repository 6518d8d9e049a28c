// SPDX-License-Identifier: MIT
#pragma once
#include "cache/layout.h"

// What the test and its BPF program have in common: the sizes, and what passes between them.

// Of a shard, which is an element of the map. The verifier has to know it; it accepts offsets
// within an element that are below 1 << 29, so LAYOUT_SHARD_SIZE_MAX is the most there can be.
#ifndef SHARD_SIZE
#define SHARD_SIZE (2u << 20)
#endif
#define SHARDS      3u
#define REGION_SIZE ((uint64_t)SHARDS * SHARD_SIZE)

#define EXCHANGE_KEY_MAX   272u
#define EXCHANGE_HEAD_LEN  5u  // octets of a key before its name
#define EXCHANGE_VALUE_MAX 64u // octets of a value that the program gives back
#define EXCHANGE_DAWDLE    500u

enum exchange_verdict { EXCHANGE_NONE, EXCHANGE_MISS, EXCHANGE_HIT, EXCHANGE_CHANGED };

struct exchange {
    // The test writes these.
    uint64_t hash_given; // not 0: to be taken for the key's hash, which so can be any
    uint32_t key_len;
    uint32_t disturb; // not 0: change the sequence word between the copy and the second look at it
    uint64_t dawdle;  // rounds to wait between key and value, so that a writer can come between
    uint8_t key[EXCHANGE_KEY_MAX + LAYOUT_WORD]; // it is read by whole words

    // The program writes these.
    uint64_t hash;
    uint32_t verdict;
    uint32_t second;   // not 0: found in the second bucket
    uint64_t sequence; // of the bucket looked at last
    uint32_t shard;
    uint64_t offset; // of the entry within it
    uint64_t word;   // its first
    uint64_t times;  // its second
    uint8_t value[EXCHANGE_VALUE_MAX];
};
