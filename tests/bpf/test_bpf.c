// SPDX-License-Identifier: MIT
#include "core/wire/key.h"
#include "tests/bpf/region.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

// Another program can read the region. It lies in a BPF map that is mapped here, each shard in an
// element of its own; this process writes it with the cache's functions, and find.bpf.c looks up in
// the kernel. Both have to find the same.
//
//   test_bpf OBJECT   the object file that find.bpf.c became; TAP, skipped where BPF is not allowed

enum {
    NAMES = REGION_SIZE / 100,
    VALUE_LENS = 200,
    SEED = 0x5eed5eed,
    NOW_S = 1000,
    STRESS_NAMES = 3000,
    STRESS_MS = 300,
};

struct test {
    struct cache cache;
    struct exchange *exchange;
    uint64_t hash_given; // for the key, where it is not to be computed
    int program;
    unsigned number;
    unsigned failed;
};

struct stored {
    struct cache_key key;
    uint8_t bytes[CACHE_KEY_MAX];
};

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void name_make(struct stored *name, uint32_t number)
{
    memset(name->bytes, (int)mix(number), sizeof name->bytes);
    memcpy(name->bytes, &number, sizeof number);
    // Mostly short ones, but each length is there.
    uint32_t len = KEY_HEAD_LEN + (number % 8 ? 20 + number % 20 : number % 268);
    name->key = (struct cache_key){
        .hash = key_hash(name->bytes, len, SEED), .bytes = name->bytes, .len = len};
}

static void insert(struct test *test, const struct stored *name, uint64_t fill)
{
    uint8_t bytes[VALUE_LENS];
    memset(bytes, (int)fill, sizeof bytes);
    struct cache_value value = {
        .bytes = bytes,
        .len = 1 + (uint32_t)(fill % VALUE_LENS),
        .birth_s = NOW_S,
        .expiry_s = NOW_S + 1 + (uint32_t)(fill % 100),
    };
    struct cache_inserted inserted;
    if (cache_insert(&test->cache, &name->key, &value, NOW_S, &inserted) != 0)
        abort();
}

static enum exchange_verdict find(struct test *test, const struct stored *name, bool disturb)
{
    struct exchange *exchange = test->exchange;
    uint8_t packet[64] = {0};
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof packet,
                .repeat = 1);
    exchange->hash_given = test->hash_given;
    exchange->key_len = name->key.len;
    exchange->disturb = disturb;
    exchange->verdict = EXCHANGE_NONE;
    memcpy(exchange->key, name->bytes, name->key.len);
    if (bpf_prog_test_run_opts(test->program, &options) != 0)
        return EXCHANGE_NONE;
    return exchange->verdict;
}

__attribute__((format(printf, 3, 4))) static void report(struct test *test, bool good,
                                                         const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("%s %u - ", good ? "ok" : "not ok", ++test->number);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    test->failed += !good;
}

// Whether the program finds what cache_lookup finds.
static bool same(struct test *test, const struct stored *name, bool *hit)
{
    uint8_t value[VALUE_LENS];
    struct cache_hit found;
    const struct exchange *exchange = test->exchange;
    enum exchange_verdict verdict = find(test, name, false);
    if (exchange->hash != name->key.hash)
        return false;
    *hit = cache_lookup(&test->cache, &name->key, value, sizeof value, &found) == CACHE_HIT;
    if (!*hit)
        return verdict == EXCHANGE_MISS;
    size_t len = found.value_len < EXCHANGE_VALUE_MAX ? found.value_len : EXCHANGE_VALUE_MAX;
    return verdict == EXCHANGE_HIT && layout_value_len(exchange->word) == found.value_len &&
           exchange->times == (found.birth_s | (uint64_t)found.expiry_s << 32) &&
           exchange->shard == cache_shard_of(&test->cache, name->key.hash) &&
           exchange->offset == found.offset && memcmp(exchange->value, value, len) == 0;
}

// The fewest entries that one of the shards holds.
static uint64_t in_shards_min(const struct test *test)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < SHARDS; i++) {
        const struct layout_shard *shard =
            (const void *)(test->cache.region + i * test->cache.shard_stride);
        least = shard->entries < least ? shard->entries : least;
    }
    return least;
}

// A program that takes an element for a shard that it is not would find what is not there.
static void test_strangers(struct test *test)
{
    struct stored name;
    name_make(&name, NAMES - 1);
    uint64_t start = cache_shard_of(&test->cache, name.key.hash) * test->cache.shard_stride;
    struct layout_header *header = (struct layout_header *)(test->cache.region + start);
    unsigned refused = 0;
    header->version++;
    refused += find(test, &name, false) == EXCHANGE_NONE;
    header->version--;
    header->shard_index++;
    refused += find(test, &name, false) == EXCHANGE_NONE;
    header->shard_index--;
    report(test, refused == 2 && find(test, &name, false) == EXCHANGE_HIT,
           "an element that is not the shard or of another version is left alone");
}

// More names than there is room for, so that many of them are not there.
static void test_same(struct test *test)
{
    struct stored name;
    unsigned hits = 0, second = 0, wrong = 0;
    for (uint32_t i = 0; i < NAMES; i++) {
        name_make(&name, i);
        insert(test, &name, name.key.hash);
    }
    for (uint32_t i = 0; i < NAMES; i++) {
        bool hit;
        name_make(&name, i);
        wrong += !same(test, &name, &hit);
        hits += hit;
        second += hit && test->exchange->second;
    }
    report(test, wrong == 0, "both compute the same hash and find the same: %u of %u differ", wrong,
           NAMES);
    report(test, hits > 0 && hits < NAMES, "there are hits (%u) and misses", hits);
    report(test, in_shards_min(test) > 0, "each of %u elements holds entries", SHARDS);
    report(test, second > 0, "%u were in their second bucket", second);
}

// The program's hits count as the cache's own, in both counts and up to three.
static void test_marks(struct test *test)
{
    struct stored name;
    unsigned wrong = 0;
    name_make(&name, NAMES);
    insert(test, &name, 1);
    for (unsigned before = 0; before < 6; before++) {
        unsigned wanted = before < CACHE_HITS_MAX ? before : CACHE_HITS_MAX;
        wrong += find(test, &name, false) != EXCHANGE_HIT ||
                 layout_hits(test->exchange->word) != wanted ||
                 layout_asked(test->exchange->word) != wanted;
    }
    struct cache_hit hit;
    wrong += cache_lookup(&test->cache, &name.key, NULL, 0, &hit) != CACHE_HIT ||
             hit.asked != CACHE_HITS_MAX;
    // The value that replaces it keeps its hits, but was not asked for yet.
    insert(test, &name, 2);
    wrong += find(test, &name, false) != EXCHANGE_HIT ||
             layout_hits(test->exchange->word) != CACHE_HITS_MAX ||
             layout_asked(test->exchange->word) != 0;
    wrong += cache_lookup(&test->cache, &name.key, NULL, 0, &hit) != CACHE_HIT || hit.asked != 1;
    report(test, wrong == 0, "hits are counted as cache_lookup counts them");
}

// Keys that differ only in their octets, more than a bucket has slots.
static void test_equal_hashes(struct test *test)
{
    enum { ALIKE = 10 };
    struct stored names[ALIKE];
    unsigned wrong = 0, hits = 0, second = 0;
    for (uint32_t i = 0; i < ALIKE; i++) {
        name_make(&names[i], 2 * NAMES + i);
        names[i].key.hash = test->hash_given = 0x1234567890abcdef;
        names[i].key.bytes = names[i].bytes;
        insert(test, &names[i], i);
    }
    for (uint32_t i = 0; i < ALIKE; i++) {
        bool hit;
        wrong += !same(test, &names[i], &hit);
        hits += hit;
        second += hit && test->exchange->second;
    }
    report(test, wrong == 0 && hits > 1 && second > 0,
           "equal hashes: %u found, %u of them in the second bucket, %u wrong", hits, second,
           wrong);
    test->hash_given = 0;
}

static void test_disturbed(struct test *test)
{
    struct stored name;
    name_make(&name, NAMES - 1);
    report(test, find(test, &name, true) == EXCHANGE_CHANGED,
           "a copy counts for nothing when the sequence word changes under it");
    report(test, find(test, &name, false) == EXCHANGE_HIT, "and is found again afterwards");
}

// Values whose octets are all alike, stored again and again by another thread, in a cache so small
// that what is read is overwritten all the time.
struct storer {
    struct test *test;
    bool stop;
    uint64_t count;
};

// Reader and writer each on a processor of its own, if there are two: else they hardly ever meet.
static void pin(bool last)
{
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &allowed))
            continue;
        CPU_ZERO(&one);
        CPU_SET(i, &one);
        if (!last)
            break;
    }
    (void)sched_setaffinity(0, sizeof one, &one);
}

static void *write_on(void *context)
{
    struct storer *writer = context;
    struct stored name;
    pin(true);
    while (!__atomic_load_n(&writer->stop, __ATOMIC_RELAXED)) {
        name_make(&name, (uint32_t)(mix(++writer->count) % STRESS_NAMES));
        insert(writer->test, &name, writer->count);
    }
    return NULL;
}

static bool whole(const struct exchange *exchange)
{
    uint64_t len = layout_value_len(exchange->word);
    for (uint64_t i = 1; i < len && i < EXCHANGE_VALUE_MAX; i++) {
        if (exchange->value[i] != exchange->value[0])
            return false;
    }
    return true;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void test_stress(struct test *test)
{
    struct storer writer = {.test = test};
    pthread_t thread;
    uint8_t *region = test->cache.region;
    memset(region, 0, REGION_SIZE);
    if (cache_format(&test->cache, region, cache_size_min(1), 1, SEED) != 0 ||
        pthread_create(&thread, NULL, write_on, &writer) != 0)
        abort();
    pin(false);
    test->exchange->dawdle = EXCHANGE_DAWDLE;
    uint64_t counts[EXCHANGE_CHANGED + 1] = {0}, torn = 0, random = 1, end = now_ms() + STRESS_MS;
    while (counts[EXCHANGE_NONE] == 0 && (now_ms() < end || counts[EXCHANGE_HIT] == 0)) {
        struct stored name;
        name_make(&name, (uint32_t)(mix(++random << 32) % STRESS_NAMES));
        enum exchange_verdict verdict = find(test, &name, false);
        counts[verdict]++;
        torn += verdict == EXCHANGE_HIT && !whole(test->exchange);
    }
    __atomic_store_n(&writer.stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    report(test, torn == 0 && counts[EXCHANGE_NONE] == 0,
           "while %lu values were stored: %lu hits, %lu misses, %lu given up, %lu torn",
           (unsigned long)writer.count, (unsigned long)counts[EXCHANGE_HIT],
           (unsigned long)counts[EXCHANGE_MISS], (unsigned long)counts[EXCHANGE_CHANGED],
           (unsigned long)torn);
}

static int skip(const char *why)
{
    printf("1..0 # SKIP %s\n", why);
    return 0;
}

static void *map_open(struct bpf_object *object, const char *name, size_t size)
{
    int fd = bpf_object__find_map_fd_by_name(object, name);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    if (libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_XDP, NULL) != 1 ||
        libbpf_probe_bpf_map_type(BPF_MAP_TYPE_ARRAY, NULL) != 1)
        return skip("this machine does not allow BPF");
    struct bpf_object *object = bpf_object__open_file(argv[1], NULL);
    if (!object || bpf_object__load(object) != 0) {
        printf("1..1\nnot ok 1 - the kernel takes the program: %s\n", strerror(errno));
        return 1;
    }
    struct test test = {
        .exchange = map_open(object, "exchange_map", sizeof *test.exchange),
        .program = bpf_program__fd(bpf_object__find_program_by_name(object, "find")),
    };
    void *region = map_open(object, "region_map", REGION_SIZE);
    if (!region || !test.exchange ||
        cache_format(&test.cache, region, REGION_SIZE, SHARDS, SEED) != 0 ||
        test.cache.shard_stride != SHARD_SIZE) {
        printf("1..1\nnot ok 1 - the region lies in a map\n");
        return 1;
    }
    test_same(&test);
    test_marks(&test);
    test_strangers(&test);
    test_equal_hashes(&test);
    test_disturbed(&test);
    test_stress(&test);
    printf("1..%u\n", test.number);
    bpf_object__close(object);
    return test.failed != 0;
}
