// SPDX-License-Identifier: MIT
#pragma once
#include <stdint.h>

// What bench/hash_bpf.c and its BPF programs have in common.

#define HASH_NAME_MAX 255u

struct hash_exchange {
    uint64_t seed;
    uint64_t hash;
    uint32_t len;
    uint32_t unused;
    uint8_t head[5]; // as in a cache key, so that the name stands at the same odd place
    uint8_t name[HASH_NAME_MAX + 12];
};
