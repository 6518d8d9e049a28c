// SPDX-License-Identifier: MIT
#include "core/answer.h"
#include "io/edge/snapshot_read.h"
#include "io/edge/snapshot_write.h"
#include "io/engine/engine.h"
#include "io/engine/engine_region.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

// How long it takes to write a cache of so many answers to a file and to read it back, and what
// workers, one for each CPU and never idle, feel of the writing: the longest time between two
// operations of any of them, compared with the same without a snapshot.
//
//   snapshot [ENTRIES [DIRECTORY]]     1,000,000 in the working directory

enum { ROUNDS = 5, WORKERS_MAX = 64, GAP_US = 5000, QUIET_S = 2 };

#define ANY_WORKER UINT32_MAX

static uint64_t clock_of_us(clockid_t which)
{
    struct timespec time;
    clock_gettime(which, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static uint64_t clock_us(void)
{
    return clock_of_us(CLOCK_MONOTONIC);
}

static uint64_t cpu_us(void)
{
    return clock_of_us(CLOCK_THREAD_CPUTIME_ID);
}

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

// As many workers as CPUs that this process may use.
static uint32_t worker_count(void)
{
    static uint32_t found; // by main, before there are threads
    cpu_set_t cpus;
    if (found == 0) {
        int count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
        found = count > WORKERS_MAX ? WORKERS_MAX : (uint32_t)count;
    }
    return found;
}

static void cache_make(struct cache *cache, size_t size, uint64_t seed)
{
    uint32_t shard_count = engine_shard_count(size, worker_count());
    void *region = aligned_alloc(4096, size);
    must(region != NULL, "no memory");
    memset(region, 0, size);
    must(cache_format(cache, region, size, shard_count, seed) == 0, "the cache is too small");
}

// The answer to "n<number>.bench.example A": one to three addresses, or every fifth an alias.
static void answer_make(struct answer *answer, struct key *key, uint64_t number, uint64_t seed)
{
    static const struct answer_limits limits = {
        .ttl_max_s = 86400, .ttl_negative_max_s = 3600, .udp_payload_max = 1232};
    uint8_t bytes[512];
    struct name name;
    char text[64];
    int len = snprintf(text, sizeof text, "n%llu.bench.example", (unsigned long long)number);
    must(name_parse(&name, text, (size_t)len), "no name");
    struct upstream_query asked = {
        .name = name.bytes,
        .name_len = name.len,
        .type = TYPE_A,
        .class = CLASS_IN,
        .udp_size = 1232,
    };
    size_t question_len = upstream_query_write(bytes, &asked);
    struct query query;
    must(query_read(&query, bytes, question_len) == QUERY_GOOD, "no query");
    key_make(key, &query, seed);

    struct writer w = writer_over(bytes, sizeof bytes);
    w.at = question_len - OPT_LEN;
    unsigned count = 1 + (unsigned)number % 3;
    bool alias = number % 5 == 0;
    if (alias) {
        static const uint8_t target[] = "\4edge\3cdn";
        write_bytes(&w, "\xc0\x0c\0\5\0\1\0\0\x0e\x10\0\x0b", 12);
        write_bytes(&w, target, sizeof target - 1);
        write_bytes(&w, "\xc0\x0c", 2);
    }
    for (unsigned i = 0; i < count; i++) {
        write_u16(&w, 0xc00c);
        write_bytes(&w, "\0\1\0\1\0\0\x0e\x10\0\4", 10);
        write_u32(&w, (uint32_t)(number + i));
    }
    bytes[2] |= HEADER_QR;
    store_be16(bytes + 6, (uint16_t)(count + alias));
    store_be16(bytes + 10, 0);
    must(answer_parse(answer, bytes, w.at, key, &limits) == REPLY_GOOD, "no answer");
}

// Stores the number's answer if it belongs to this worker, or to any.
static void store(struct cache *cache, uint32_t worker, struct answer *answer, uint64_t number,
                  uint32_t now_s)
{
    struct key key;
    answer_make(answer, &key, number, cache->seed);
    if (worker != ANY_WORKER && cache_shard_of(cache, key.hash) % worker_count() != worker)
        return;
    struct cache_key cache_key = key_for_cache(&key);
    struct cache_value value = {answer->value, answer->len, now_s, now_s + answer->lifetime_s};
    struct cache_inserted inserted;
    must(cache_insert(cache, &cache_key, &value, now_s, &inserted) == 0, "not stored");
    // A third of all names is asked for again.
    struct cache_hit hit;
    uint8_t out[1];
    if (mix(number) % 3 == 0)
        must(cache_lookup(cache, &cache_key, out, sizeof out, &hit) == CACHE_HIT, "lost");
}

// A thread that does what a worker does to its shards, and times itself.
struct worker {
    struct cache *cache;
    uint32_t index;
    uint64_t names;
    uint32_t now_s;
    atomic_bool stop;
    atomic_bool fresh; // set by the other side: begin to measure again
    uint64_t operations;
    uint64_t longest_us;
    uint64_t gaps; // of GAP_US or more
};

static void *worker_run(void *context)
{
    struct worker *worker = context;
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    must(answer.value != NULL, "no memory");
    uint64_t before_us = clock_us();
    for (uint64_t i = worker->index; !atomic_load(&worker->stop); i++) {
        store(worker->cache, worker->index, &answer, mix(i) % worker->names, worker->now_s);
        uint64_t now_us = clock_us(), gap_us = now_us - before_us;
        before_us = now_us;
        if (atomic_exchange(&worker->fresh, false)) {
            worker->operations = worker->longest_us = worker->gaps = 0;
            continue;
        }
        worker->operations++;
        worker->gaps += gap_us >= GAP_US;
        if (gap_us > worker->longest_us)
            worker->longest_us = gap_us;
    }
    free(answer.value);
    return NULL;
}

struct writing {
    struct cache *cache;
    const char *path;
    uint32_t now_s;
    uint64_t took_us;
    uint64_t cpu_us;
    struct snapshot_result result;
};

static void *writing_run(void *context)
{
    struct writing *writing = context;
    char why[SNAPSHOT_WHY_SIZE];
    uint64_t begin_us = clock_us(), begin_cpu_us = cpu_us();
    must(snapshot_write(writing->cache, writing->path, writing->now_s, &writing->result, why) == 0,
         why);
    writing->took_us = clock_us() - begin_us;
    writing->cpu_us = cpu_us() - begin_cpu_us;
    return NULL;
}

static void write_once(struct writing *writing)
{
    pthread_t thread;
    must(pthread_create(&thread, NULL, writing_run, writing) == 0, "no thread");
    pthread_join(thread, NULL);
}

static void print_workers(struct worker *workers, const char *when, uint64_t took_us)
{
    uint64_t longest_us = 0, gaps = 0, operations = 0;
    for (uint32_t i = 0; i < worker_count(); i++) {
        longest_us = workers[i].longest_us > longest_us ? workers[i].longest_us : longest_us;
        gaps += workers[i].gaps;
        operations += workers[i].operations;
    }
    printf("  %-24s longest pause %7.3f ms, %llu of 5 ms or more, %.2f M operations/s\n", when,
           (double)longest_us / 1e3, (unsigned long long)gaps,
           (double)operations / (double)took_us);
}

static void measure_anew(struct worker *workers)
{
    for (uint32_t i = 0; i < worker_count(); i++)
        atomic_store(&workers[i].fresh, true);
}

static void pauses(struct writing *writing, uint64_t names)
{
    static struct worker workers[WORKERS_MAX];
    pthread_t threads[WORKERS_MAX];
    for (uint32_t i = 0; i < worker_count(); i++) {
        workers[i] = (struct worker){
            .cache = writing->cache, .index = i, .names = names, .now_s = writing->now_s};
        must(pthread_create(&threads[i], NULL, worker_run, &workers[i]) == 0, "no thread");
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        char when[64];
        measure_anew(workers);
        sleep(QUIET_S);
        print_workers(workers, "no snapshot", QUIET_S * 1000000ull);
        measure_anew(workers);
        write_once(writing);
        snprintf(when, sizeof when, "writing for %.0f ms", (double)writing->took_us / 1e3);
        print_workers(workers, when, writing->took_us);
    }
    for (uint32_t i = 0; i < worker_count(); i++) {
        atomic_store(&workers[i].stop, true);
        pthread_join(threads[i], NULL);
    }
}

static void read_once(const char *path, size_t size, uint32_t now_s, uint64_t entries)
{
    struct cache cache;
    struct snapshot_result result;
    char why[SNAPSHOT_WHY_SIZE];
    cache_make(&cache, size, 77);
    uint64_t begin_us = clock_us(), begin_cpu_us = cpu_us();
    must(snapshot_read(&cache, path, now_s + 10, NULL, &result, why) == 0, why);
    uint64_t took_us = clock_us() - begin_us, took_cpu_us = cpu_us() - begin_cpu_us;
    printf("read  %llu of %llu answers, %.1f MB, in %.0f ms (%.0f ms of CPU)\n",
           (unsigned long long)result.entries, (unsigned long long)entries,
           (double)result.octets / 1e6, (double)took_us / 1e3, (double)took_cpu_us / 1e3);
    free(cache.region);
}

int main(int argc, char **argv)
{
    uint64_t entries = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    char path[4096];
    snprintf(path, sizeof path, "%s/snapshot.bench", argc > 2 ? argv[2] : ".");
    must(argc <= 3 && entries > 0, "usage: snapshot [ENTRIES [DIRECTORY]]");
    size_t size = (entries * 240 + ((size_t)4 << 20)) & ~(size_t)4095;
    struct cache cache;
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    must(answer.value != NULL, "no memory");
    setvbuf(stdout, NULL, _IOLBF, 0);
    cache_make(&cache, size, 42);
    for (uint64_t i = 0; i < entries; i++)
        store(&cache, ANY_WORKER, &answer, i, 1000000);
    struct writing writing = {.cache = &cache, .path = path, .now_s = 1000000};
    for (unsigned round = 0; round < ROUNDS; round++) {
        write_once(&writing);
        printf("write %llu answers, %.1f MB, in %.0f ms (%.0f ms of CPU)\n",
               (unsigned long long)writing.result.entries, (double)writing.result.octets / 1e6,
               (double)writing.took_us / 1e3, (double)writing.cpu_us / 1e3);
    }
    for (unsigned round = 0; round < ROUNDS; round++)
        read_once(path, size, 1000000, writing.result.entries);
    printf("%u threads that look up and store meanwhile:\n", worker_count());
    pauses(&writing, entries);
    unlink(path);
    free(cache.region);
    free(answer.value);
    return 0;
}
