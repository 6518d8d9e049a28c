// SPDX-License-Identifier: MIT
#pragma once
#include <stddef.h>
#include <stdint.h>

// Unpredictable random numbers, for message IDs, source ports and 0x20 case (RFC 5452 10). ChaCha20
// (RFC 8439 2.3) as a generator with fast key erasure: each refill overwrites its own key, so a
// state that leaks reveals no earlier numbers. The same seed gives the same numbers, which the
// simulator needs.

struct rng {
    uint32_t key[8];
    uint8_t pool[192];
    size_t used; // octets of the pool
};

void rng_seed(struct rng *rng, const uint8_t seed[static 32]);
uint64_t rng_u64(struct rng *rng);
uint16_t rng_u16(struct rng *rng);
void rng_bytes(struct rng *rng, uint8_t *bytes, size_t count);

// A number in 0 .. bound - 1, all equally likely; bound must not be 0.
uint32_t rng_below(struct rng *rng, uint32_t bound);
