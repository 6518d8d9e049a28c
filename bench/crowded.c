// SPDX-License-Identifier: MIT
#include "cache/cache.h"
#include "cache/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What it costs that the index has a fixed number of places: how many entries have to go, while
// there is room for them in the logs, because their buckets are full. A cache of 64 MiB is stored
// to for ever; a third of what is stored is asked for again. The shorter the entries, the more of
// them the logs hold and the fuller is the index.
//
//   crowded [VALUE_LEN...]

enum { SIZE = 64 << 20, INSERTS = 5000000, KEY_LEN = 30, VALUE_LEN_MAX = 4096 };

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t fill(struct cache *cache, uint32_t value_len)
{
    static uint8_t bytes[VALUE_LEN_MAX];
    uint8_t key_bytes[KEY_LEN] = {0};
    uint64_t crowded = 0;
    for (uint64_t i = 0; i < INSERTS; i++) {
        memcpy(key_bytes, &i, sizeof i);
        struct cache_key key = {mix((i + 1) * 0x9e3779b97f4a7c15u), key_bytes, KEY_LEN};
        struct cache_value value = {bytes, value_len, 1, UINT32_MAX};
        struct cache_inserted inserted;
        struct cache_hit hit;
        if (cache_insert(cache, &key, &value, 1, &inserted) != 0)
            abort();
        crowded += inserted.crowded;
        if (mix(i) % 3 == 0 && cache_lookup(cache, &key, bytes, value_len, &hit) != CACHE_HIT)
            abort();
    }
    return crowded;
}

int main(int argc, char **argv)
{
    static const char *const usual[] = {"30", "60", "90", "200"};
    const char *const *lens = argc > 1 ? (const char *const *)argv + 1 : usual;
    int count = argc > 1 ? argc - 1 : 4;
    uint8_t *region = aligned_alloc(4096, SIZE);
    if (!region)
        return 1;
    printf("| octets of key and value | entries | places in use | in their second bucket | "
           "had to go, of what was stored |\n|-|-|-|-|-|\n");
    for (int i = 0; i < count; i++) {
        uint32_t value_len = (uint32_t)strtoul(lens[i], NULL, 10);
        struct cache cache;
        memset(region, 0, SIZE);
        if (value_len == 0 || value_len > VALUE_LEN_MAX ||
            cache_format(&cache, region, SIZE, 1, 0) != 0)
            return 2;
        uint64_t crowded = fill(&cache, value_len), second = 0;
        const struct layout_bucket *buckets = (const void *)(region + LAYOUT_HEADER_LEN);
        for (uint32_t b = 0; b < cache.bucket_count; b++)
            second += buckets[b].sequence & LAYOUT_OVERFLOW_MASK;
        struct cache_use use;
        cache_use(&cache, &use);
        double entries = (double)use.entries;
        printf("| %u | %.0f | %.1f %% | %.1f %% | %.4f %% |\n", KEY_LEN + value_len, entries,
               100 * entries / (LAYOUT_SLOTS * (double)cache.bucket_count),
               100 * (double)second / entries, 100.0 * (double)crowded / INSERTS);
    }
    free(region);
    return 0;
}
