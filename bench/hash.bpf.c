// SPDX-License-Identifier: MIT
#include "bench/hash.h"
#include "bench/xxh64.h"
#include "core/wire/key_hash.h"

// The hashes that a key could have, as BPF programs, each of a name that lies in a map; and a
// program that does nothing but find the map, whose time is to be taken off theirs.

#define SECTION(name)  __attribute__((section(name), used))
#define OPAQUE(number) __asm__ volatile("" : "+r"(number))

enum { MAP_TYPE_ARRAY = 2, MAP_MMAPABLE = 1024, XDP_PASS = 2 };

struct {
    int (*type)[MAP_TYPE_ARRAY];
    int (*map_flags)[MAP_MMAPABLE];
    int (*max_entries)[1];
    int (*key_size)[sizeof(uint32_t)];
    int (*value_size)[sizeof(struct hash_exchange)];
} exchange_map SECTION(".maps");

const char licence[] SECTION("license") = "MIT";

static void *(*const map_lookup)(void *map, const void *key) = (void *)1; // the helper's number

static inline struct hash_exchange *exchange_of(void)
{
    uint32_t first = 0;
    struct hash_exchange *exchange = map_lookup(&exchange_map, &first);
    return exchange && exchange->len <= HASH_NAME_MAX ? exchange : 0;
}

static inline uint64_t word_at(const struct hash_exchange *exchange, uint32_t at)
{
    return *(const volatile uint64_t *)(exchange->name + at);
}

SECTION("xdp") int nothing(void *packet)
{
    struct hash_exchange *exchange = exchange_of();
    (void)packet;
    if (exchange)
        exchange->hash = exchange->seed;
    return XDP_PASS;
}

SECTION("xdp") int siphash13(void *packet)
{
    struct hash_exchange *exchange = exchange_of();
    (void)packet;
    if (!exchange)
        return XDP_PASS;
    uint32_t len = exchange->len, at = 0;
    struct siphash hash = key_hash_begin(exchange->seed);
    for (; at + 8 <= len && at < HASH_NAME_MAX; at += 8)
        siphash_word(&hash, word_at(exchange, at));
    OPAQUE(at);
    if (at > HASH_NAME_MAX)
        return XDP_PASS;
    uint64_t rest = word_at(exchange, at) & ((1ull << 8 * (len % 8)) - 1);
    exchange->hash = siphash_end(&hash, rest, len);
    return XDP_PASS;
}

SECTION("xdp") int xxh64(void *packet)
{
    struct hash_exchange *exchange = exchange_of();
    (void)packet;
    if (!exchange)
        return XDP_PASS;
    uint32_t len = exchange->len, at = 0;
    uint64_t seed = exchange->seed, hash = seed + XXH64_PRIME5;
    uint64_t lanes[4] = {seed + XXH64_PRIME1 + XXH64_PRIME2, seed + XXH64_PRIME2, seed,
                         seed - XXH64_PRIME1};
    for (; at + 32 <= len && at < HASH_NAME_MAX; at += 32) {
        for (unsigned i = 0; i < 4; i++)
            lanes[i] = xxh64_round(lanes[i], word_at(exchange, at + 8 * i));
    }
    if (len >= 32)
        hash = xxh64_lanes(lanes);
    hash += len;
    OPAQUE(at);
    if (at > HASH_NAME_MAX)
        return XDP_PASS;
    for (unsigned i = 0; i < 3 && at + 8 <= len && at < HASH_NAME_MAX; i++, at += 8)
        hash = xxh64_eight(hash, word_at(exchange, at));
    if (at + 4 <= len && at < HASH_NAME_MAX) {
        hash = xxh64_four(hash, (uint32_t)word_at(exchange, at));
        at += 4;
    }
    for (unsigned i = 0; i < 3 && at < len && at < HASH_NAME_MAX; i++, at++)
        hash = xxh64_one(hash, exchange->name[at]);
    exchange->hash = xxh64_end(hash);
    return XDP_PASS;
}
