// SPDX-License-Identifier: MIT
#include "cache/cache.h"
#include "cache/layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

// What a lookup costs in a cache of a thousand to ten million entries, one at a time and 32 at a
// time, and what an entry costs in memory beyond its key and its value.
//
//   lookups [-p huge|small|memfd] [-j FILE] [COUNT...]
//
// Prints a Markdown table; -j also writes JSON for bench/report/plot_lookups.py. The memory is
// anonymous with advice for huge pages unless -p says small (no huge pages) or memfd (shared memory
// with that advice, as the daemon has it; the kernel's shmem_enabled decides whether it is
// followed).
//
// Keys are asked in random order, each as likely as any other, which is the worst case: traffic has
// favourites, and those stay near the processor. Each entry has been hit often enough before that
// hits are no longer marked. What is asked is made ready piece by piece outside the measured time.

enum {
    BATCH = 32,
    PIECE = 1024, // lookups between two looks at the clock
    ROUNDS = 7,   // of which the median counts
    ROUND_LOOKUPS = 1 << 20,
    KEY_LEN_MIN = 22,
    KEY_LENS = 17, // 22 to 38, 30 on average
    VALUE_LEN_MIN = 78,
    VALUE_LENS = 25, // 78 to 102, 90 on average
    KEY_SIZE = 40,
    VALUE_SIZE = 104,
    SIZE_PER_ENTRY = 164, // of the region, so that all fit
    PAGE = 4096,
};

enum pages { PAGES_HUGE, PAGES_SMALL, PAGES_MEMFD, PAGES_COUNT };
static const char *const pages_names[PAGES_COUNT] = {"huge", "small", "memfd"};

enum kind { HIT_SINGLE, HIT_BATCH, MISS_SINGLE, MISS_BATCH, KINDS };

struct piece {
    struct cache_request requests[PIECE];
    uint8_t keys[PIECE][KEY_SIZE];
    uint8_t values[BATCH][VALUE_SIZE];
};

struct row {
    uint64_t count; // wanted
    uint64_t entries;
    uint64_t size;
    double ns[KINDS];
    double overhead;     // octets per entry of headers, index, ghosts and what is used of the logs
    double overhead_all; // the same with what of the region is free
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now); // without the turns of others on this machine
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static _Noreturn void fail(const char *why)
{
    fprintf(stderr, "lookups: %s\n", why);
    exit(1);
}

// --- keys and values -----------------------------------------------------------------------------

static struct cache_key key_make(uint64_t number, uint8_t bytes[KEY_SIZE])
{
    uint64_t hash = mix((number + 1) * 0x9e3779b97f4a7c15u);
    for (unsigned i = 0; i < KEY_SIZE / 8; i++)
        memcpy(bytes + 8L * i, &hash, sizeof hash);
    memcpy(bytes, &number, sizeof number);
    return (struct cache_key){
        .hash = hash,
        .bytes = bytes,
        .len = KEY_LEN_MIN + (uint32_t)(mix(hash) % KEY_LENS),
    };
}

static uint32_t value_len_of(uint64_t hash)
{
    return VALUE_LEN_MIN + (uint32_t)(mix(hash ^ 1) % VALUE_LENS);
}

// The octets of keys and values of what the cache holds.
static uint64_t payload_of(const struct cache *cache)
{
    static struct cache_copy copy;
    struct cache_cursor cursor = {0};
    uint64_t octets = 0;
    while (cache_walk(cache, &cursor, &copy))
        octets += copy.key_len + copy.value_len;
    return octets;
}

// Each entry is asked for once at once, else the small log would drop it when the main log is
// nearly full.
static void fill(struct cache *cache, uint64_t count)
{
    uint8_t bytes[KEY_SIZE], value[VALUE_SIZE];
    for (uint64_t i = 0; i < count; i++) {
        struct cache_key key = key_make(i, bytes);
        memset(value, (int)key.hash, sizeof value);
        struct cache_value stored = {value, value_len_of(key.hash), 1, UINT32_MAX};
        struct cache_inserted inserted;
        struct cache_hit hit;
        if (cache_insert(cache, &key, &stored, 1, &inserted) != 0 ||
            cache_lookup(cache, &key, value, sizeof value, &hit) != CACHE_HIT)
            fail("the cache does not take an entry");
    }
}

// --- lookups -------------------------------------------------------------------------------------

// Makes a piece ready that asks for numbers from `first` on: each a random one of `count`, or one
// after the other where `random` is NULL.
static void piece_make(struct piece *piece, uint64_t first, uint64_t count, uint64_t *random)
{
    for (uint64_t i = 0; i < PIECE; i++) {
        uint64_t number = i % count;
        if (random)
            number = mix(*random += 0x9e3779b97f4a7c15u) % count;
        piece->requests[i] = (struct cache_request){
            .key = key_make(first + number, piece->keys[i]),
            .value = piece->values[i % BATCH],
            .value_size = VALUE_SIZE,
        };
    }
}

static void piece_run(const struct cache *cache, struct piece *piece, bool batch)
{
    if (batch) {
        for (unsigned i = 0; i < PIECE; i += BATCH)
            cache_lookup_batch(cache, piece->requests + i, BATCH);
        return;
    }
    for (unsigned i = 0; i < PIECE; i++) {
        struct cache_request *request = &piece->requests[i];
        request->verdict =
            cache_lookup(cache, &request->key, request->value, request->value_size, &request->hit);
    }
}

static uint64_t piece_hits(const struct piece *piece)
{
    uint64_t hits = 0;
    for (unsigned i = 0; i < PIECE; i++)
        hits += piece->requests[i].verdict == CACHE_HIT;
    return hits;
}

// Hits each entry as often as hits are counted.
static void mark_all(const struct cache *cache, struct piece *piece, uint64_t count)
{
    for (unsigned pass = 0; pass < CACHE_HITS_MAX; pass++) {
        for (uint64_t first = 0; first < count; first += PIECE) {
            piece_make(piece, first, count - first, NULL);
            piece_run(cache, piece, true);
        }
    }
}

// One round of one kind; ns per lookup.
static double round_run(const struct cache *cache, struct piece *piece, uint64_t count,
                        enum kind kind, uint64_t *random)
{
    bool hit = kind == HIT_SINGLE || kind == HIT_BATCH;
    uint64_t spent = 0, hits = 0;
    for (uint64_t done = 0; done < ROUND_LOOKUPS; done += PIECE) {
        piece_make(piece, hit ? 0 : count, count, random);
        uint64_t start = now_ns();
        piece_run(cache, piece, kind == HIT_BATCH || kind == MISS_BATCH);
        spent += now_ns() - start;
        hits += piece_hits(piece);
    }
    // Where both buckets of a new entry were full an older one has had to go.
    if (hit ? hits < ROUND_LOOKUPS / 1000 * 995 : hits != 0)
        fail("hits and misses are not what was meant to be measured");
    return (double)spent / ROUND_LOOKUPS;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void *region_open(size_t size, enum pages pages)
{
    int fd = -1, flags = MAP_PRIVATE | MAP_ANONYMOUS;
    if (pages == PAGES_MEMFD) {
        flags = MAP_SHARED;
        fd = memfd_create("lookups", MFD_CLOEXEC);
        if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
            fail("no memfd");
    }
    // Anonymous memory of that size begins at a huge page's border by itself or nearly so.
    void *region = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (region == MAP_FAILED)
        fail("no memory");
    if (fd >= 0)
        close(fd);
    (void)madvise(region, size, pages == PAGES_SMALL ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
    return region;
}

static struct row measure(uint64_t count, enum pages pages, struct piece *piece)
{
    size_t size = count * SIZE_PER_ENTRY;
    if (size < cache_size_min(1))
        size = cache_size_min(1);
    size = (size + PAGE - 1) & ~(size_t)(PAGE - 1);
    void *region = region_open(size, pages);
    struct cache cache;
    uint32_t shard_count = 1;
    while (size > cache_size_max(shard_count))
        shard_count++;
    if (cache_format(&cache, region, size, shard_count, 0) != 0)
        fail("the region cannot be formatted");
    fill(&cache, count);
    mark_all(&cache, piece, count);

    struct row row = {.count = count, .size = cache.size};
    double times[KINDS][ROUNDS];
    uint64_t random = count;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (enum kind kind = 0; kind < KINDS; kind++)
            times[kind][round] = round_run(&cache, piece, count, kind, &random);
    }
    for (enum kind kind = 0; kind < KINDS; kind++) {
        qsort(times[kind], ROUNDS, sizeof times[kind][0], compare);
        row.ns[kind] = times[kind][ROUNDS / 2];
    }
    struct cache_use use;
    cache_use(&cache, &use);
    double entries = (double)use.entries, payload = (double)payload_of(&cache);
    uint64_t tables = cache.bucket_count * sizeof(struct layout_bucket) +
                      cache.ghost_count * sizeof(uint32_t) + LAYOUT_HEADER_LEN;
    tables *= cache.shard_count;
    row.entries = use.entries;
    row.overhead = ((double)(tables + use.used) - payload) / entries;
    row.overhead_all = ((double)cache.size - payload) / entries;
    munmap(region, size);
    return row;
}

// --- what comes out ------------------------------------------------------------------------------

static void row_print(const struct row *row)
{
    printf("| %" PRIu64 " | %" PRIu64
           " | %.1f | %.1f | %.2f | %.1f | %.1f | %.2f | %.1f | %.1f |\n",
           row->entries, row->size, row->ns[HIT_SINGLE], row->ns[HIT_BATCH],
           row->ns[HIT_SINGLE] / row->ns[HIT_BATCH], row->ns[MISS_SINGLE], row->ns[MISS_BATCH],
           row->ns[MISS_SINGLE] / row->ns[MISS_BATCH], row->overhead, row->overhead_all);
    fflush(stdout);
}

static void json_write(const char *path, const struct row *rows, unsigned count, enum pages pages)
{
    FILE *file = fopen(path, "w");
    if (!file)
        fail("the JSON file cannot be written");
    fprintf(file, "{\"pages\": \"%s\", \"batch\": %d, \"rows\": [", pages_names[pages], BATCH);
    for (unsigned i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        fprintf(file,
                "%s\n  {\"entries\": %" PRIu64 ", \"size\": %" PRIu64 ", \"overhead\": %.2f,"
                " \"overhead_all\": %.2f,\n   \"hit_single\": %.2f, \"hit_batch\": %.2f,"
                " \"miss_single\": %.2f, \"miss_batch\": %.2f}",
                i ? "," : "", row->entries, row->size, row->overhead, row->overhead_all,
                row->ns[HIT_SINGLE], row->ns[HIT_BATCH], row->ns[MISS_SINGLE], row->ns[MISS_BATCH]);
    }
    fprintf(file, "\n]}\n");
    if (fclose(file) != 0)
        fail("the JSON file cannot be written");
}

static enum pages pages_read(const char *name)
{
    for (enum pages pages = 0; pages < PAGES_COUNT; pages++) {
        if (strcmp(name, pages_names[pages]) == 0)
            return pages;
    }
    fail("-p is followed by huge, small or memfd");
}

int main(int argc, char **argv)
{
    static const char *const usual[] = {"1000", "100000", "1000000", "10000000"};
    enum { COUNTS_MAX = 32 };
    enum pages pages = PAGES_HUGE;
    const char *json = NULL;
    for (int option; (option = getopt(argc, argv, "p:j:")) != -1;) {
        if (option == 'p')
            pages = pages_read(optarg);
        else if (option == 'j')
            json = optarg;
        else
            return 2;
    }
    const char *const *counts = optind < argc ? (const char *const *)argv + optind : usual;
    unsigned count = optind < argc ? (unsigned)(argc - optind) : 4;
    static struct row rows[COUNTS_MAX];
    struct piece *piece = aligned_alloc(64, (sizeof *piece + 63) & ~(size_t)63);
    if (!piece || count > COUNTS_MAX)
        fail("too many counts");

    printf("| entries | region | hit | hit, batch | ratio | miss | miss, batch | ratio |"
           " overhead | with what is free |\n|-|-|-|-|-|-|-|-|-|-|\n");
    for (unsigned i = 0; i < count; i++) {
        uint64_t wanted = strtoull(counts[i], NULL, 10);
        if (wanted == 0)
            fail("a count of entries is a number from 1 on");
        rows[i] = measure(wanted, pages, piece);
        row_print(&rows[i]);
    }
    free(piece);
    if (json)
        json_write(json, rows, count, pages);
    return 0;
}
