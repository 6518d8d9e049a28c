// SPDX-License-Identifier: MIT
#include "bench/bench.h"
#include "bench/warm.h"

// The steps of a cached answer, each alone, and all of them together.

enum { NAMES = 1000 };

static void parse(struct bench *bench, void *context)
{
    const struct warm *w = context;
    struct query query;
    for (size_t i = 0; bench_next(bench); i = (i + 1) % NAMES) {
        enum query_verdict verdict = query_read(&query, w->queries[i].bytes, w->queries[i].len);
        __asm__ volatile("" : : "r"(verdict), "m"(query));
    }
    bench_items(bench, 1);
}

static void key(struct bench *bench, void *context)
{
    const struct warm *w = context;
    struct query query;
    struct key made;
    if (query_read(&query, w->queries[0].bytes, w->queries[0].len) != QUERY_GOOD)
        return;
    while (bench_next(bench)) {
        key_make(&made, &query, w->cache.seed);
        __asm__ volatile("" : : "m"(made));
    }
    bench_items(bench, 1);
}

static void lookup(struct bench *bench, void *context)
{
    struct warm *w = context;
    static struct key keys[NAMES];
    for (size_t i = 0; i < NAMES; i++) {
        struct query query;
        if (query_read(&query, w->queries[i].bytes, w->queries[i].len) == QUERY_GOOD)
            key_make(&keys[i], &query, w->cache.seed);
    }
    struct cache_hit hit;
    for (size_t i = 0; bench_next(bench); i = (i + 1) % NAMES) {
        struct cache_key cache_key = key_for_cache(&keys[i]);
        enum cache_verdict verdict = cache_lookup(&w->cache, &cache_key, w->out, 1500, &hit);
        __asm__ volatile("" : : "r"(verdict) : "memory");
    }
    bench_items(bench, 1);
}

static void hit_single(struct bench *bench, void *context)
{
    while (bench_next(bench))
        warm_hits(context, NAMES, 1, 1);
    bench_items(bench, NAMES);
}

static void hit_batch(struct bench *bench, void *context)
{
    while (bench_next(bench))
        warm_hits(context, NAMES, 50, 1);
    bench_items(bench, NAMES);
}

int main(int argc, char **argv)
{
    struct warm *warm = warm_make(NAMES, (size_t)8 << 20);
    bench_add("parse", parse, warm);
    bench_add("key", key, warm);
    bench_add("lookup", lookup, warm);
    bench_add("hit/batch:1", hit_single, warm);
    bench_add("hit/batch:50", hit_batch, warm);
    int status = bench_run(argc, argv);
    warm_free(warm);
    return status;
}
