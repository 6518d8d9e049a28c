// SPDX-License-Identifier: MIT
#include "bench/micro/steps.h"

#include "core/answer.h"

#include <stdio.h>
#include <stdlib.h>

// What a step reads the compiler must not know, and what it makes must be made: it comes from
// memory and goes there, past a barrier. The loops around the steps are counted with them.
//
// In the daemon the steps are functions that are called; here, with few callers, some would be
// inlined into their loops, which takes less. So they are called through pointers that might
// change.

enum { BATCH = 20, VALUE_ROOM = 128, OUT_SIZE = 1500, AGE_S = 1 };

#define BARRIER() __asm__ volatile("" : : : "memory")

static enum query_verdict (*const volatile parse)(struct query *, const uint8_t *,
                                                  size_t) = query_read;
static void (*const volatile make)(struct key *, const struct query *, uint64_t) = key_make;
static void (*const volatile seek_entry)(const struct cache *, uint64_t,
                                         struct cache_seek *) = cache_seek_entry;
static bool (*const volatile seek_end)(const struct cache *, const struct cache_seek *,
                                       const struct cache_key *, void *, size_t,
                                       struct cache_hit *) = cache_seek_end;
static size_t (*const volatile give)(uint8_t *, size_t, size_t, const struct query *,
                                     const struct answer_giving *,
                                     const struct answer_limits *) = answer_give;

struct value {
    uint8_t bytes[VALUE_ROOM];
    uint32_t len;
};

struct steps {
    struct warm *warm;
    struct query *queries;
    struct key *keys;
    struct value *values; // as they are cached
    struct answer_limits limits;
    struct query query; // what is made
    struct key key;
    struct cache_hit hit;
    struct cache_seek seeks[BATCH];
    size_t len;
};

static _Noreturn void fail(const char *why)
{
    fprintf(stderr, "%s\n", why);
    exit(1);
}

static void *take(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory)
        fail("no memory");
    return memory;
}

struct steps *steps_make(struct warm *w)
{
    struct steps *s = take(1, sizeof *s);
    s->warm = w;
    s->queries = take(w->name_count, sizeof *s->queries);
    s->keys = take(w->name_count, sizeof *s->keys);
    s->values = take(w->name_count, sizeof *s->values);
    s->limits = (struct answer_limits){
        .udp_payload_max = (uint16_t)w->settings.server_udp_payload_max,
        .rotate = w->settings.cache_rotate,
    };
    for (size_t i = 0; i < w->name_count; i++) {
        if (query_read(&s->queries[i], w->queries[i].bytes, w->queries[i].len) != QUERY_GOOD)
            fail("a question cannot be read");
        key_make(&s->keys[i], &s->queries[i], w->cache.seed);
        struct cache_key key = key_for_cache(&s->keys[i]);
        if (cache_lookup(&w->cache, &key, s->values[i].bytes, VALUE_ROOM, &s->hit) != CACHE_HIT ||
            s->hit.value_len > VALUE_ROOM)
            fail("an answer is not there");
        s->values[i].len = s->hit.value_len;
    }
    return s;
}

void steps_free(struct steps *s)
{
    free(s->values);
    free(s->keys);
    free(s->queries);
    free(s);
}

void step_parse(struct steps *s)
{
    const struct warm *w = s->warm;
    for (size_t i = 0; i < w->name_count; i++) {
        if (parse(&s->query, w->queries[i].bytes, w->queries[i].len) != QUERY_GOOD)
            fail("a question cannot be read");
        BARRIER();
    }
}

void step_key(struct steps *s)
{
    for (size_t i = 0; i < s->warm->name_count; i++) {
        make(&s->key, &s->queries[i], s->warm->cache.seed);
        BARRIER();
    }
}

static void lookup_batch(struct steps *s, const struct key *keys, size_t count)
{
    const struct cache *cache = &s->warm->cache;
    for (size_t i = 0; i < count; i++)
        cache_seek_bucket(cache, keys[i].hash, &s->seeks[i]);
    BARRIER();
    for (size_t i = 0; i < count; i++)
        seek_entry(cache, keys[i].hash, &s->seeks[i]);
    BARRIER();
    for (size_t i = 0; i < count; i++) {
        struct cache_key key = key_for_cache(&keys[i]);
        if (!seek_end(cache, &s->seeks[i], &key, s->warm->out, OUT_SIZE, &s->hit))
            fail("an answer is not there");
        BARRIER();
    }
}

void step_lookup(struct steps *s)
{
    size_t count = s->warm->name_count;
    for (size_t from = 0; from < count; from += BATCH)
        lookup_batch(s, s->keys + from, count - from < BATCH ? count - from : BATCH);
}

void step_patch(struct steps *s)
{
    uint8_t *out = s->warm->out;
    for (size_t i = 0; i < s->warm->name_count; i++) {
        struct answer_giving giving = {.age_s = AGE_S, .turn = (uint32_t)i};
        memcpy(out, s->values[i].bytes, VALUE_ROOM);
        BARRIER();
        s->len = give(out, OUT_SIZE, s->values[i].len, &s->queries[i], &giving, &s->limits);
        BARRIER();
    }
}

const struct step steps_all[4] = {
    {"parse", step_parse},
    {"key", step_key},
    {"lookup", step_lookup},
    {"patch", step_patch},
};
