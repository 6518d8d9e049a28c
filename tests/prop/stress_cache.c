// SPDX-License-Identifier: MIT
#include "cache/cache.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// Writers and readers at once: one writer for each shard, readers on all cores, a region so small
// that what is read is overwritten all the time. Each value says whose it is, which version, how
// long, and carries a checksum; each reader remembers the newest version it has seen of a key, and
// an older one must not come back. Nothing torn, nothing of another key, nothing stale.
//
//   stress_cache [SECONDS]   default 2; TAP
//
// Built with -fsanitize=thread it must stay silent as well.

#define SHARDS      2
#define KEYS        4000 // of all shards: far more than there is room for
#define READERS_MAX 64
#define VALUE_WORDS 500

struct value {
    uint64_t key;
    uint64_t version;
    uint64_t words; // of all
    uint64_t checksum;
    uint64_t rest[VALUE_WORDS - 4];
};

struct writer {
    struct cache *cache;
    uint32_t shard;
    uint64_t random;
    uint64_t inserted, removed;
    uint64_t failed;
    struct value value;
};

struct reader {
    const struct cache *cache;
    uint64_t random;
    uint64_t hits, misses, torn, wrong, stale;
    uint64_t newest[KEYS];
    struct value value;
};

static bool stop; // set once by main

static bool stopping(void)
{
    return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t random_of(uint64_t *state)
{
    return mix(*state += 0x9e3779b97f4a7c15u);
}

static struct cache_key key_make(const uint64_t *number)
{
    return (struct cache_key){
        .hash = mix(*number + 1), .bytes = (const uint8_t *)number, .len = sizeof *number};
}

static uint64_t checksum(const struct value *value)
{
    uint64_t sum = mix(value->key + 1) ^ mix(value->version + 2) ^ mix(value->words + 3);
    for (size_t i = 0; i + 4 < value->words; i++)
        sum = (sum ^ value->rest[i]) * 0x100000001b3u + i;
    return sum;
}

static void value_make(struct value *value, uint64_t key, uint64_t version, uint64_t words)
{
    value->key = key;
    value->version = version;
    value->words = words;
    uint64_t word = mix(key << 32 ^ version);
    for (size_t i = 0; i + 4 < words; i++)
        value->rest[i] = word = word * 6364136223846793005u + 1442695040888963407u;
    value->checksum = checksum(value);
}

static void *write_all(void *given)
{
    struct writer *writer = given;
    uint64_t version = 0;
    while (!stopping()) {
        // Half of all goes to a few keys, which are thus replaced while they are read.
        uint64_t drawn = random_of(&writer->random);
        uint64_t number = drawn >> 32 & 1 ? drawn % KEYS : drawn % 16;
        struct cache_key key = key_make(&number);
        if (cache_shard_of(writer->cache, key.hash) != writer->shard)
            continue;
        if ((drawn >> 40) % 16 == 0) {
            writer->removed += cache_remove(writer->cache, &key);
            continue;
        }
        uint64_t words = 4 + (drawn >> 48) % (VALUE_WORDS - 4);
        value_make(&writer->value, number, ++version, words);
        struct cache_value value = {
            .bytes = &writer->value, .len = (uint32_t)(words * 8), .birth_s = 1, .expiry_s = 2};
        struct cache_inserted inserted;
        if (cache_insert(writer->cache, &key, &value, 1, &inserted) == 0)
            writer->inserted++;
        else
            writer->failed++;
    }
    return NULL;
}

static void check(struct reader *reader, uint64_t number, const struct cache_hit *hit)
{
    const struct value *value = &reader->value;
    if (value->words < 4 || value->words > VALUE_WORDS || hit->value_len != value->words * 8 ||
        hit->birth_s != 1 || hit->expiry_s != 2 || hit->asked > CACHE_HITS_MAX ||
        value->checksum != checksum(value))
        reader->torn++;
    else if (value->key != number)
        reader->wrong++;
    else if (value->version < reader->newest[number])
        reader->stale++;
    else
        reader->newest[number] = value->version;
}

static void *read_all(void *given)
{
    struct reader *reader = given;
    while (!stopping()) {
        uint64_t drawn = random_of(&reader->random);
        uint64_t number = drawn >> 32 & 1 ? drawn % KEYS : drawn % 16;
        struct cache_key key = key_make(&number);
        struct cache_hit hit;
        if (drawn >> 33 & 1) {
            cache_prefetch_bucket(reader->cache, key.hash);
            cache_prefetch_entry(reader->cache, key.hash);
        }
        if (cache_lookup(reader->cache, &key, &reader->value, sizeof reader->value, &hit) ==
            CACHE_HIT) {
            reader->hits++;
            check(reader, number, &hit);
        } else {
            reader->misses++;
        }
        if ((drawn >> 34) % 1024 == 0) {
            struct cache_use use;
            cache_use(reader->cache, &use);
            reader->wrong += use.entries > UINT64_MAX / 2;
        }
    }
    return NULL;
}

static unsigned case_number;

static bool tell(bool good, const char *what, uint64_t count)
{
    printf("%s %u - %s: %llu\n", good ? "ok" : "not ok", ++case_number, what,
           (unsigned long long)count);
    return good;
}

static bool report(const struct cache *cache, const struct writer *writers,
                   const struct reader *readers, size_t reader_count)
{
    struct writer w = {0};
    struct reader r = {0};
    const char *why = NULL;
    for (size_t i = 0; i < SHARDS; i++) {
        w.inserted += writers[i].inserted;
        w.removed += writers[i].removed;
        w.failed += writers[i].failed;
        if (!why)
            why = cache_verify(cache, (uint32_t)i);
    }
    for (size_t i = 0; i < reader_count; i++) {
        r.hits += readers[i].hits;
        r.misses += readers[i].misses;
        r.torn += readers[i].torn;
        r.wrong += readers[i].wrong;
        r.stale += readers[i].stale;
    }
    if (why)
        printf("# %s\n", why);
    bool good = tell(w.inserted > 1000, "values inserted", w.inserted);
    good &= tell(w.removed > 0, "values removed", w.removed);
    good &= tell(w.failed == 0, "values that could not be inserted", w.failed);
    good &= tell(r.hits > 1000, "hits", r.hits);
    good &= tell(r.misses > 1000, "misses", r.misses);
    good &= tell(r.torn == 0, "torn values", r.torn);
    good &= tell(r.wrong == 0, "values of another key", r.wrong);
    good &= tell(r.stale == 0, "values older than one seen before", r.stale);
    good &= tell(!why, "invariants broken", why != NULL);
    printf("1..%u\n", case_number);
    return good;
}

static void pause_for(double seconds)
{
    struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&left, &left) != 0)
        ;
}

static void start(pthread_t *thread, void *(*run)(void *), void *given)
{
    if (pthread_create(thread, NULL, run, given) != 0) {
        fprintf(stderr, "stress_cache: no thread\n");
        exit(1);
    }
}

int main(int argument_count, char **arguments)
{
    double seconds = argument_count > 1 ? strtod(arguments[1], NULL) : 2;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t reader_count = cores < 2 ? 2 : cores > READERS_MAX ? READERS_MAX : (size_t)cores;
    size_t size = cache_size_min(SHARDS);
    void *region = aligned_alloc(64, (size + 63) / 64 * 64);
    struct writer *writers = calloc(SHARDS, sizeof *writers);
    struct reader *readers = calloc(reader_count, sizeof *readers);
    pthread_t threads[SHARDS + READERS_MAX];
    struct cache cache;
    if (!region || !writers || !readers || seconds <= 0)
        return 2;
    memset(region, 0, size);
    if (cache_format(&cache, region, size, SHARDS, 1) != 0)
        return 1;
    for (size_t i = 0; i < SHARDS; i++) {
        writers[i].cache = &cache;
        writers[i].shard = (uint32_t)i;
        writers[i].random = i;
        start(&threads[i], write_all, &writers[i]);
    }
    for (size_t i = 0; i < reader_count; i++) {
        readers[i].cache = &cache;
        readers[i].random = 1000 + i;
        start(&threads[SHARDS + i], read_all, &readers[i]);
    }
    pause_for(seconds);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < SHARDS + reader_count; i++)
        pthread_join(threads[i], NULL);
    bool good = report(&cache, writers, readers, reader_count);
    free(readers);
    free(writers);
    free(region);
    return good ? 0 : 1;
}
