// SPDX-License-Identifier: MIT
#pragma once
#include "core/wire/siphash.h"

// What the hash of a cache key is made of (docs/decisions/0003-the-hash-of-a-key.md): SipHash-1-3
// of the name, with a number for type, class and flags in its lower half. It is in pieces of this
// kind so that a BPF program computes the same.

// The region's seed has 64 bits and SipHash's key 128; the second half follows from the first. An
// odd factor (2^64 over the golden ratio) keeps all of its bits.
static inline struct siphash key_hash_begin(uint64_t seed)
{
    return siphash_begin(seed, seed * 0x9e3779b97f4a7c15u);
}

// Spreads the five octets before the name, most significant first, over 32 bits; an odd multiplier
// makes it one to one before the shift (Knuth, TAOCP 6.4).
static inline uint64_t key_hash_head(uint64_t head)
{
    return head * 0x9e3779b97f4a7c15u >> 32;
}
