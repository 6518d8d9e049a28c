// SPDX-License-Identifier: MIT
#include "cache/cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Dividing the memory evenly among the shards starves none of them, however uneven the load is. Few
// names make most of the queries, so a shard may get half as many again as another; but each name
// takes room once, names are spread by a seeded hash, and so all shards have to keep equally much.
// A cache of four shards then answers as many queries as one of the same size in one piece.
//
//   prop_shards   TAP; what each shard got stands in the comments

enum {
    SHARDS = 4,
    SEEDS = 3,
    OCTAVES = 19, // of ranks: half a million names
    QUERIES = 2000000,
    SIZE = 12 << 20, // room for about a sixth of them
    KEY_LEN = 24,
    VALUE_LEN = 100,
};

struct shares {
    uint64_t queries[SHARDS];
    uint64_t inserted[SHARDS];
    uint64_t entries[SHARDS];
    uint64_t hits;
};

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

// A rank by Zipf's law with exponent 1, near enough: each octave of ranks is as likely as another.
static uint64_t rank_of(uint64_t random)
{
    uint64_t octave = (random >> 32) % OCTAVES;
    return (1u << octave) + (random & ((1u << octave) - 1));
}

static struct shares run(uint32_t shard_count, uint64_t seed)
{
    static struct cache_copy copy;
    struct shares shares = {0};
    struct cache cache;
    uint8_t *region = aligned_alloc(4096, SIZE);
    if (!region)
        abort();
    memset(region, 0, SIZE);
    if (cache_format(&cache, region, SIZE, shard_count, seed) != 0)
        abort();
    uint8_t bytes[KEY_LEN] = {0}, value[VALUE_LEN] = {0};
    for (uint64_t i = 0; i < QUERIES; i++) {
        uint64_t name = rank_of(mix((i + 1) * 0x9e3779b97f4a7c15u));
        memcpy(bytes, &name, sizeof name);
        struct cache_key key = {mix(mix(name) + cache.seed), bytes, KEY_LEN};
        uint32_t shard = cache_shard_of(&cache, key.hash);
        struct cache_hit hit;
        shares.queries[shard]++;
        if (cache_lookup(&cache, &key, value, sizeof value, &hit) == CACHE_HIT) {
            shares.hits++;
            continue;
        }
        struct cache_value stored = {value, VALUE_LEN, 1, UINT32_MAX};
        struct cache_inserted inserted;
        if (cache_insert(&cache, &key, &stored, 1, &inserted) != 0)
            abort();
        shares.inserted[shard]++;
    }
    struct cache_cursor cursor = {0};
    while (cache_walk(&cache, &cursor, &copy))
        shares.entries[cursor.shard]++;
    free(region);
    return shares;
}

// How much more the largest is than the smallest, in percent of it.
static double spread(const uint64_t counts[SHARDS])
{
    uint64_t least = counts[0], most = counts[0];
    for (unsigned i = 1; i < SHARDS; i++) {
        least = counts[i] < least ? counts[i] : least;
        most = counts[i] > most ? counts[i] : most;
    }
    return 100.0 * (double)(most - least) / (double)least;
}

static void comment(const char *what, const uint64_t counts[SHARDS])
{
    printf("# %-9s", what);
    for (unsigned i = 0; i < SHARDS; i++)
        printf("%9lu", (unsigned long)counts[i]);
    printf("   spread %.1f %%\n", spread(counts));
}

int main(void)
{
    unsigned number = 0, failed = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct shares one = run(1, seed), four = run(SHARDS, seed);
        comment("queries", four.queries);
        comment("inserted", four.inserted);
        comment("entries", four.entries);
        double whole = 100.0 * (double)one.hits / QUERIES;
        double divided = 100.0 * (double)four.hits / QUERIES;
        bool even = spread(four.entries) < 3;
        printf("%s %u - seed %lu: entries per shard differ by %.1f %%\n", even ? "ok" : "not ok",
               ++number, (unsigned long)seed, spread(four.entries));
        bool good = divided > whole - 0.3;
        printf("%s %u - seed %lu: %.2f %% hits in %d shards, %.2f %% in one\n",
               good ? "ok" : "not ok", ++number, (unsigned long)seed, divided, SHARDS, whole);
        failed += !even + !good;
    }
    printf("1..%u\n", number);
    return failed != 0;
}
