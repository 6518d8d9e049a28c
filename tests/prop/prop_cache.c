// SPDX-License-Identifier: MIT
#include "cache/cache.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Random operations on a cache, held against a model that knows what was stored last under each
// key. The cache may forget, so a miss is always right, but then the model forgets too: what comes
// back later is an error. What is found must be the last value, whole, with its times.
//
//   prop_cache             the runs of the test: many seeds, TAP
//   prop_cache SEED COUNT  one run, as a failed one names it

#define KEYS        3000
#define GUARD       64 // octets before and behind the region, a cache line
#define BATCH_MAX   64
#define GUARD_OCTET 0xa5
#define RUNS        48
#define RUN_COUNT   50000

struct known {
    uint64_t version; // of the value stored last
    uint32_t len;
    uint32_t birth_s;
    uint32_t expiry_s;
    uint32_t asked; // lookups that found it
    bool there;     // as far as is known: it may have been evicted since
};

struct run {
    uint64_t seed;
    uint64_t random;
    uint64_t operation;
    uint64_t hash_mask; // few bits make full buckets and equal tags
    uint32_t value_max;
    uint32_t lives_max_s;
    uint32_t now_s;
    uint64_t entries; // as the answers of the cache add up
    uint64_t version;
    uint64_t hits, misses, evicted;
    struct cache cache;
    uint8_t *memory;
    size_t size;
    struct known known[KEYS];
    uint8_t wanted[CACHE_VALUE_MAX];
    uint8_t found[CACHE_VALUE_MAX];
    char why[200];
};

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t random_of(struct run *run)
{
    return mix(run->random += 0x9e3779b97f4a7c15u);
}

static uint32_t below(struct run *run, uint64_t bound)
{
    return (uint32_t)(random_of(run) % bound);
}

__attribute__((format(printf, 2, 3))) static bool wrong(struct run *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(run->why, sizeof run->why, format, arguments);
    va_end(arguments);
    return false;
}

// The octets of a key: its number and a tail, so that lengths differ and some keys begin alike.
struct key_bytes {
    uint8_t bytes[CACHE_KEY_MAX];
};

static struct cache_key key_make(const struct run *run, uint32_t number, struct key_bytes *room)
{
    uint64_t mixed = mix(number + 1);
    uint32_t len = 2 + (uint32_t)(mixed % (number % 50 == 0 ? CACHE_KEY_MAX - 1 : 40));
    memset(room->bytes, 'k', len);
    room->bytes[len - 2] = (uint8_t)(number >> 8);
    room->bytes[len - 1] = (uint8_t)number;
    return (struct cache_key){
        .hash = mix(mixed) & run->hash_mask, .bytes = room->bytes, .len = len};
}

static void value_make(uint8_t *to, uint32_t number, uint64_t version, size_t len)
{
    uint64_t word = mix(version << 16 ^ number);
    for (size_t i = 0; i < len; i += 8, word = word * 6364136223846793005u + 1442695040888963407u)
        memcpy(to + i, &word, len - i < 8 ? len - i : 8);
}

static bool look_up(struct run *run, uint32_t number, bool must_be_there)
{
    struct known *known = &run->known[number];
    struct key_bytes room;
    struct cache_key key = key_make(run, number, &room);
    struct cache_hit hit;
    size_t size = below(run, 4) ? sizeof run->found : below(run, 200);
    if (cache_lookup(&run->cache, &key, run->found, size, &hit) == CACHE_MISS) {
        run->misses++;
        if (must_be_there)
            return wrong(run, "key %u is gone right after it was stored", number);
        known->there = false;
        return true;
    }
    run->hits++;
    if (!known->there)
        return wrong(run, "key %u is back from the dead", number);
    if (hit.value_len != known->len || hit.birth_s != known->birth_s ||
        hit.expiry_s != known->expiry_s)
        return wrong(run, "key %u: length or times are not those stored last", number);
    uint32_t asked = known->asked < CACHE_HITS_MAX ? known->asked : CACHE_HITS_MAX;
    if (hit.asked != asked)
        return wrong(run, "key %u was asked for %u times and says %u", number, asked, hit.asked);
    known->asked++;
    size_t len = size < known->len ? size : known->len;
    value_make(run->wanted, number, known->version, len);
    if (memcmp(run->found, run->wanted, len) != 0)
        return wrong(run, "key %u: the value is not the one stored last", number);
    return true;
}

static bool insert(struct run *run, uint32_t number)
{
    struct known *known = &run->known[number];
    struct key_bytes room;
    struct cache_key key = key_make(run, number, &room);
    uint32_t len = 1 + below(run, below(run, 50) ? 400 : run->value_max);
    uint32_t lives_s = 1 + below(run, run->lives_max_s);
    value_make(run->wanted, number, ++run->version, len);
    struct cache_value value = {
        .bytes = run->wanted, .len = len, .birth_s = run->now_s, .expiry_s = run->now_s + lives_s};
    struct cache_inserted inserted;
    uint64_t size = 16 + ((uint64_t)len + key.len + 7) / 8 * 8;
    int result = cache_insert(&run->cache, &key, &value, run->now_s, &inserted);
    if ((result == 0) != (size <= run->cache.main_size / 4))
        return wrong(run, "key %u of %u octets: cache_insert says %d", number, len, result);
    if (result != 0)
        return look_up(run, number, false);
    if (inserted.replaced && !known->there)
        return wrong(run, "key %u is said to be replaced but was not there", number);
    run->entries += !inserted.replaced;
    run->entries -= inserted.evicted + inserted.expired;
    run->evicted += inserted.evicted;
    *known = (struct known){
        .version = run->version,
        .len = len,
        .birth_s = value.birth_s,
        .expiry_s = value.expiry_s,
        .there = true,
    };
    return look_up(run, number, true);
}

static bool take_out(struct run *run, uint32_t number)
{
    struct key_bytes room;
    struct cache_key key = key_make(run, number, &room);
    bool removed = cache_remove(&run->cache, &key);
    if (removed && !run->known[number].there)
        return wrong(run, "key %u was removed but not there", number);
    run->entries -= removed;
    run->known[number].there = false;
    return look_up(run, number, false);
}

static bool look_up_many(struct run *run)
{
    uint32_t numbers[BATCH_MAX];
    uint32_t count = 1 + below(run, BATCH_MAX);
    struct key_bytes room;
    for (uint32_t i = 0; i < count; i++) {
        numbers[i] = below(run, KEYS);
        cache_prefetch_bucket(&run->cache, key_make(run, numbers[i], &room).hash);
    }
    for (uint32_t i = 0; i < count; i++)
        cache_prefetch_entry(&run->cache, key_make(run, numbers[i], &room).hash);
    for (uint32_t i = 0; i < count; i++, run->operation++) {
        if (!look_up(run, numbers[i], false))
            return false;
    }
    return true;
}

static bool verify(struct run *run)
{
    for (uint32_t shard = 0; shard < run->cache.shard_count; shard++) {
        const char *why = cache_verify(&run->cache, shard);
        if (why)
            return wrong(run, "shard %u: %s", shard, why);
    }
    struct cache_use use;
    cache_use(&run->cache, &use);
    if (use.entries != run->entries)
        return wrong(run, "there are %llu entries; they add up to %llu",
                     (unsigned long long)use.entries, (unsigned long long)run->entries);
    if (use.used > use.capacity || use.capacity > run->size)
        return wrong(run, "more is used than there is");
    for (size_t i = 0; i < GUARD; i++) {
        if (run->memory[i] != GUARD_OCTET || run->memory[GUARD + run->size + i] != GUARD_OCTET)
            return wrong(run, "an octet outside of the region was written");
    }
    return true;
}

// All keys that can be found are all entries there are.
static bool count_all(struct run *run)
{
    uint64_t hits = run->hits;
    for (uint32_t number = 0; number < KEYS; number++) {
        if (!look_up(run, number, false))
            return false;
    }
    if (run->hits - hits != run->entries)
        return wrong(run, "%llu keys are found among %llu entries",
                     (unsigned long long)(run->hits - hits), (unsigned long long)run->entries);
    return true;
}

static bool operate(struct run *run)
{
    // Some keys are asked for much more often than others, as names are.
    uint32_t number = below(run, below(run, 2) ? KEYS : 50);
    uint32_t what = below(run, 100);
    if (below(run, 20) == 0)
        run->now_s += below(run, 10);
    if (what < 45)
        return insert(run, number);
    if (what < 52)
        return take_out(run, number);
    if (what < 54)
        return look_up_many(run);
    return look_up(run, number, false);
}

static bool begin(struct run *run, uint64_t seed)
{
    static const uint64_t masks[] = {UINT64_MAX, UINT64_MAX, 0xffffffff0000001f, 0xff00000fffffffff,
                                     0x00000000000000ff};
    *run = (struct run){.seed = seed, .random = seed, .now_s = 1000000};
    run->hash_mask = masks[below(run, sizeof masks / sizeof *masks)];
    run->value_max = below(run, 2) ? CACHE_VALUE_MAX : 3000;
    run->lives_max_s = below(run, 2) ? 500 : 50000;
    uint32_t shards = 1 + below(run, 4);
    run->size = cache_size_min(shards) + (below(run, 3) ? below(run, 300000) : below(run, 100));
    run->memory = aligned_alloc(64, (2 * GUARD + run->size + 63) / 64 * 64);
    if (!run->memory)
        return wrong(run, "no memory");
    memset(run->memory, GUARD_OCTET, 2 * GUARD + run->size);
    memset(run->memory + GUARD, 0, run->size);
    if (cache_format(&run->cache, run->memory + GUARD, run->size, shards, seed) != 0)
        return wrong(run, "cache_format refuses %zu octets", run->size);
    return true;
}

static bool run_all(struct run *run, uint64_t seed, uint64_t count)
{
    bool good = begin(run, seed);
    uint64_t verified = 0;
    for (; good && run->operation < count; run->operation++) {
        good = operate(run);
        if (good && run->operation - verified >= 2000) {
            verified = run->operation;
            good = verify(run);
        }
    }
    good = good && verify(run) && count_all(run);
    if (!good)
        printf("# operation %llu: %s; again with: prop_cache %llu %llu\n",
               (unsigned long long)run->operation, run->why, (unsigned long long)seed,
               (unsigned long long)count);
    free(run->memory);
    return good;
}

static void tell(const struct run *run, bool good, unsigned number)
{
    printf("%s %u - seed %llu: %llu operations on %u shards in %zu octets, "
           "%llu hits, %llu misses, %llu evicted\n",
           good ? "ok" : "not ok", number, (unsigned long long)run->seed,
           (unsigned long long)run->operation, run->cache.shard_count, run->size,
           (unsigned long long)run->hits, (unsigned long long)run->misses,
           (unsigned long long)run->evicted);
}

int main(int argument_count, char **arguments)
{
    struct run *run = malloc(sizeof *run);
    bool good = true;
    if (!run || (argument_count != 1 && argument_count != 3)) {
        fprintf(stderr, "usage: prop_cache [SEED COUNT]\n");
        free(run);
        return 2;
    }
    if (argument_count == 3) {
        good = run_all(run, strtoull(arguments[1], NULL, 0), strtoull(arguments[2], NULL, 0));
        tell(run, good, 1);
        printf("1..1\n");
        free(run);
        return good ? 0 : 1;
    }
    for (unsigned i = 1; i <= RUNS; i++) {
        bool fine = run_all(run, i, RUN_COUNT);
        tell(run, fine, i);
        good = good && fine;
    }
    printf("1..%d\n", RUNS);
    free(run);
    return good ? 0 : 1;
}
