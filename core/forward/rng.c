// SPDX-License-Identifier: MIT
#include "core/forward/rng.h"

#include <string.h>

enum { ROUNDS = 20, BLOCK = 64, BLOCKS = 4, KEY_LEN = 32 };

static inline uint32_t rotate(uint32_t v, unsigned bits)
{
    return v << bits | v >> (32 - bits);
}

static inline void quarter_round(uint32_t *x, unsigned a, unsigned b, unsigned c, unsigned d)
{
    x[a] += x[b];
    x[d] = rotate(x[d] ^ x[a], 16);
    x[c] += x[d];
    x[b] = rotate(x[b] ^ x[c], 12);
    x[a] += x[b];
    x[d] = rotate(x[d] ^ x[a], 8);
    x[c] += x[d];
    x[b] = rotate(x[b] ^ x[c], 7);
}

// One block of the key stream (RFC 8439 2.3) with a nonce of zero: no key is used twice.
static void chacha_block(const uint32_t key[static 8], uint32_t count, uint8_t out[static BLOCK])
{
    uint32_t start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    memcpy(start + 4, key, KEY_LEN);
    start[12] = count;

    uint32_t x[16];
    memcpy(x, start, sizeof x);
    for (unsigned round = 0; round < ROUNDS; round += 2) {
        for (unsigned i = 0; i < 4; i++)
            quarter_round(x, i, 4 + i, 8 + i, 12 + i);
        for (unsigned i = 0; i < 4; i++)
            quarter_round(x, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
    }
    for (unsigned i = 0; i < 16; i++)
        x[i] += start[i];
    memcpy(out, x, BLOCK);
}

static void refill(struct rng *rng)
{
    uint8_t connection[BLOCK * BLOCKS];
    for (uint32_t i = 0; i < BLOCKS; i++)
        chacha_block(rng->key, i, connection + i * BLOCK);
    // The first octets become the next key and are never given out.
    memcpy(rng->key, connection, KEY_LEN);
    memcpy(rng->pool, connection + sizeof connection - sizeof rng->pool, sizeof rng->pool);
    rng->used = 0;
}

void rng_seed(struct rng *rng, const uint8_t seed[static 32])
{
    memcpy(rng->key, seed, KEY_LEN);
    refill(rng);
}

void rng_bytes(struct rng *rng, uint8_t *bytes, size_t count)
{
    while (count > 0) {
        if (rng->used == sizeof rng->pool)
            refill(rng);
        size_t take = sizeof rng->pool - rng->used;
        take = take < count ? take : count;
        memcpy(bytes, rng->pool + rng->used, take);
        memset(rng->pool + rng->used, 0, take);
        rng->used += take;
        bytes += take;
        count -= take;
    }
}

uint64_t rng_u64(struct rng *rng)
{
    uint64_t v;
    rng_bytes(rng, (uint8_t *)&v, sizeof v);
    return v;
}

uint16_t rng_u16(struct rng *rng)
{
    uint16_t v;
    rng_bytes(rng, (uint8_t *)&v, sizeof v);
    return v;
}

// Lemire's method (2019): the multiplication maps the range, and the few values that would make
// some results likelier are drawn again.
uint32_t rng_below(struct rng *rng, uint32_t bound)
{
    uint32_t uneven = -bound % bound;
    uint64_t product;
    do {
        uint32_t v;
        rng_bytes(rng, (uint8_t *)&v, sizeof v);
        product = (uint64_t)v * bound;
    } while ((uint32_t)product < uneven);
    return (uint32_t)(product >> 32);
}
