// SPDX-License-Identifier: MIT
// A writer that is killed between any two of its stores: the region as it is then is put right by
// cache_repair, keeps all that slots led to, and can be written again. The writer's code is part
// of this program, so that each of its stores can be followed by a look at the region.

static void step(void);

#define __atomic_store_n(word, value, order)       \
    __extension__({                                \
        __typeof__(*(word)) stored_ = (value);     \
        __atomic_store((word), &stored_, (order)); \
        step();                                    \
    })
#include "cache/write.c"
#undef __atomic_store_n

#include "tests/unit/region.h"

#include <stdlib.h>

enum {
    SIZE = 256 * 1024,
    KEYS = 6000,
    WARM = 12000, // values stored before the first look
    TIED = 64,    // every so many-th name gets a value as long as a large answer
};

static struct looking {
    bool on;
    bool crowded; // all hashes lead to few buckets, so that entries change theirs
    const struct region *region;
    uint8_t *copy; // of the region
    uint64_t steps, repaired;
    uint64_t random;
} looking;

static uint64_t next_random(void)
{
    looking.random = looking.random * 6364136223846793005u + 1442695040888963407u;
    return looking.random >> 33;
}

struct item {
    uint8_t key[24], value[2000];
    struct cache_key cache_key;
    struct cache_value cache_value;
};

static uint64_t item_hash(uint64_t number)
{
    uint64_t hash = hash_of(number), few = hash % 40 * (UINT32_MAX / 40);
    return looking.crowded ? (hash & ~(uint64_t)UINT32_MAX) | few : hash;
}

// Every octet of a value says whose it is.
static void item_make(struct item *item, uint64_t number)
{
    memset(item->key, 'k', sizeof item->key);
    memcpy(item->key, &number, sizeof number);
    memset(item->value, (int)(number % 251 + 1), sizeof item->value);
    item->cache_key = (struct cache_key){
        .hash = item_hash(number), .bytes = item->key, .len = 9 + (uint32_t)(number % 16)};
    item->cache_value =
        (struct cache_value){.bytes = item->value,
                             .len = number % TIED == 0 ? 2000 : 20 + (uint32_t)(number % 200),
                             .birth_s = 1,
                             .expiry_s = 1000 + (uint32_t)(number % 100)};
}

static void store_one(struct cache *cache, uint64_t number, uint32_t now_s)
{
    struct item item;
    struct cache_inserted inserted;
    item_make(&item, number);
    assert_int_equal(cache_insert(cache, &item.cache_key, &item.cache_value, now_s, &inserted), 0);
}

// How many entries slots lead to, each counted once.
static uint64_t led_to(const struct cache *cache)
{
    const struct layout_shard *shard = shard_at(cache, 0);
    uint64_t count = 0;
    for (uint32_t b = 0; b < cache->bucket_count; b++) {
        const struct layout_bucket *bucket = &buckets_of(shard)[b];
        for (unsigned i = 0; i < LAYOUT_SLOTS; i++) {
            if (bucket->slots[i] == 0)
                continue;
            uint64_t offset = slot_offset(bucket->slots[i]);
            uint32_t low = hash_low(*entry_at(shard, offset));
            const struct layout_bucket *first = first_bucket(cache, shard, low);
            bool twice = false;
            for (unsigned j = 0; bucket != first && j < LAYOUT_SLOTS; j++)
                twice |= first->slots[j] != 0 && slot_offset(first->slots[j]) == offset;
            count += !twice;
        }
    }
    return count;
}

static void all_are_whole(const struct cache *cache)
{
    static struct cache_copy copy;
    struct cache_cursor cursor = {0};
    while (cache_walk(cache, &cursor, &copy)) {
        uint64_t number;
        memcpy(&number, copy.bytes + copy.value_len, sizeof number);
        for (uint32_t i = 0; i < copy.value_len; i++)
            assert_int_equal(copy.bytes[i], number % 251 + 1);
    }
}

// The writer is killed here.
static void step(void)
{
    struct cache copy;
    if (!looking.on)
        return;
    looking.on = false;
    looking.steps++;
    memcpy(looking.copy, looking.region->bytes, SIZE);
    assert_int_equal(cache_open(&copy, looking.copy, SIZE), 0);
    uint64_t before = led_to(&copy);
    looking.repaired += cache_repair(&copy, 0);
    const char *why = cache_verify(&copy, 0);
    if (why)
        fail_msg("after %llu stores: %s", (unsigned long long)looking.steps, why);
    struct cache_use use;
    cache_use(&copy, &use);
    assert_int_equal(use.entries, before);
    if (looking.steps % 16 == 0)
        all_are_whole(&copy);
    if (looking.steps % 64 == 0) {
        for (unsigned i = 0; i < 500; i++)
            store_one(&copy, next_random() % KEYS, 10);
        assert_null(cache_verify(&copy, 0));
        all_are_whole(&copy);
    }
    looking.on = true;
}

static bool matches_some(const void *context, const struct cache_entry *entry)
{
    (void)context;
    return entry->key[0] % 16 == 3;
}

static void read_some(struct cache *cache)
{
    struct item item;
    struct cache_hit hit;
    item_make(&item, next_random() % (KEYS / 8));
    (void)cache_lookup(cache, &item.cache_key, item.value, sizeof item.value, &hit);
}

static void write_some(struct cache *cache, struct cache_sweep *sweep, uint32_t now_s)
{
    struct item item;
    switch (next_random() % 8) {
    case 0:
        item_make(&item, next_random() % KEYS);
        (void)cache_remove(cache, &item.cache_key);
        break;
    case 1:
        if (!cache_sweep(cache, sweep, 20, matches_some, NULL))
            *sweep = (struct cache_sweep){0};
        break;
    default:
        store_one(cache, next_random() % KEYS, now_s);
    }
}

static void test_killed_at_any_store(void **state)
{
    struct region region = formatted(SIZE, 1);
    looking = (struct looking){
        .crowded = *state != NULL,
        .region = &region,
        .copy = aligned_alloc(4096, SIZE),
        .random = 20261129,
    };
    for (unsigned i = 0; i < WARM; i++) {
        read_some(&region.cache);
        store_one(&region.cache, next_random() % KEYS, 10);
    }
    struct cache_sweep sweep = {0};
    for (unsigned i = 0; i < 600; i++) {
        for (unsigned j = 0; j < 8; j++)
            read_some(&region.cache);
        looking.on = true;
        write_some(&region.cache, &sweep, i < 300 ? 10 : 1050);
        looking.on = false;
    }
    assert_true(looking.steps > 5000);
    assert_true(looking.repaired > looking.steps / 2);
    assert_null(cache_verify(&region.cache, 0));
    free(looking.copy);
    region_free(&region);
}

// A shard whose writer ended between two calls stays as it is, except that its sweep ends.
static void test_nothing_to_repair(void **state)
{
    (void)state;
    struct region region = formatted(SIZE, 1);
    struct cache_sweep sweep = {0};
    for (unsigned i = 0; i < KEYS; i++)
        store_one(&region.cache, i, 10);
    assert_true(cache_sweep(&region.cache, &sweep, 3, matches_some, NULL));
    assert_int_equal(shard_at(&region.cache, 0)->sweeps, 1);
    assert_false(cache_repair(&region.cache, 0));
    assert_int_equal(shard_at(&region.cache, 0)->sweeps, 0);
    assert_null(cache_verify(&region.cache, 0));
    region_free(&region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_at_any_store),
        {.name = "test_killed_at_any_store_of_a_crowded_index",
         .test_func = test_killed_at_any_store,
         .initial_state = &looking},
        cmocka_unit_test(test_nothing_to_repair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
