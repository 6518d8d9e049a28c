// SPDX-License-Identifier: MIT
#include "io/engine/engine_succession.h"

#include "core/serve/control.h"
#include "io/engine/engine_do.h"
#include "io/engine/engine_figures.h"
#include "io/engine/engine_plane.h"
#include "io/engine/engine_state.h"
#include "io/engine/worker.h"

#include <errno.h>
#include <stdlib.h>

enum { REST_IDLE_US = 1000000 }; // of clients' connections, when another engine takes over

int engine_pass_on(const struct engine *engine, struct engine_inheritance *inheritance)
{
    engine_inheritance_init(inheritance, engine->worker_count);
    inheritance->clock_offset_us = engine->clock.offset_us;
    inheritance->cookies = engine->cookies;
    inheritance->region_fd = engine->region_fd;
    if (engine->plane)
        plane_pass(engine->plane, &inheritance->plane);
    inheritance->sockets = calloc(LISTENERS_MAX, sizeof *inheritance->sockets);
    for (unsigned i = 0; inheritance->sockets && i < LISTENERS_MAX; i++) {
        if (engine->listening.slots[i].state == LISTENING_USED)
            inheritance->sockets[inheritance->count++] = engine->listening.slots[i].sockets;
    }
    return inheritance->sockets ? 0 : -ENOMEM;
}

struct resting {
    struct engine *engine;
    bool rests;
};

static bool rest_apply(struct serve *serve, uint64_t now_us, uint32_t worker, void *context)
{
    const struct resting *resting = context;
    struct engine *engine = resting->engine;
    struct listeners *listeners = worker_listeners(engine->workers[worker]);
    (void)now_us;
    // The process that wrote this worker's shards meanwhile may have been killed at any moment.
    for (uint32_t i = worker; !resting->rests && i < engine->cache.shard_count;
         i += engine->worker_count)
        (void)cache_repair(&engine->cache, i);
    serve_keeps(serve, !resting->rests);
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        if (resting->rests)
            listeners_ignore(listeners, i);
        else
            listeners_hear(listeners, i);
    }
    return false;
}

bool engine_rest(struct engine *engine)
{
    struct resting resting = {engine, true};
    engine_plane_rest(engine, true);
    for (unsigned i = 0; i < engine->worker_count; i++)
        worker_client_idle(engine->workers[i], REST_IDLE_US);
    // The first task tells the kernel to receive no more. When the second runs, it does not.
    return engine_do(engine, rest_apply, &resting) && engine_come_round(engine);
}

bool engine_resume(struct engine *engine)
{
    struct resting resting = {engine, false};
    for (unsigned i = 0; i < engine->worker_count; i++)
        worker_client_idle(engine->workers[i], engine->settings->server_tcp_idle_timeout * 1000);
    bool done = engine_do(engine, rest_apply, &resting);
    engine_plane_rest(engine, false);
    return done;
}

bool engine_is_done(const struct engine *engine)
{
    static const enum counter busy[] = {COUNTER_pending, COUNTER_waiters, COUNTER_tcp_open};
    struct counters sum;
    engine_counters(engine, &sum);
    for (size_t i = 0; i < sizeof busy / sizeof *busy; i++) {
        if (sum.values[busy[i]] > 0)
            return false;
    }
    return true;
}

bool engine_has_cache(const struct engine *engine)
{
    return engine->has_cache;
}

// What each worker fills in: room for all upstreams of the zone table.
struct learning {
    size_t room;
    struct learned *learned; // worker by worker
    size_t *counts;
};

static bool learned_collect(struct serve *serve, uint64_t now_us, uint32_t worker, void *context)
{
    const struct learning *l = context;
    (void)now_us;
    l->counts[worker] = serve_learned(serve, l->learned + worker * l->room, l->room);
    return false;
}

// One after the other, each with its worker's number.
static size_t lessons_make(const struct learning *l, unsigned worker_count,
                           struct engine_lesson *lessons)
{
    size_t count = 0;
    for (uint32_t worker = 0; worker < worker_count; worker++) {
        for (size_t i = 0; i < l->counts[worker]; i++)
            lessons[count++] = (struct engine_lesson){.worker = worker,
                                                      .learned = l->learned[worker * l->room + i]};
    }
    return count;
}

size_t engine_lessons(struct engine *engine, struct engine_lesson **lessons)
{
    size_t room = engine->rules->zone_table.upstream_count, all = room * engine->worker_count,
           count = 0;
    struct learning learning = {
        .room = room,
        .learned = calloc(all + 1, sizeof *learning.learned),
        .counts = calloc(engine->worker_count, sizeof *learning.counts),
    };
    *lessons = calloc(all + 1, sizeof **lessons);
    if (*lessons && learning.learned && learning.counts &&
        engine_do(engine, learned_collect, &learning))
        count = lessons_make(&learning, engine->worker_count, *lessons);
    free(learning.learned);
    free(learning.counts);
    return count;
}

struct teaching {
    const struct engine_lesson *lessons;
    size_t count;
};

static bool lessons_apply(struct serve *serve, uint64_t now_us, uint32_t worker, void *context)
{
    const struct teaching *t = context;
    for (size_t i = 0; i < t->count; i++) {
        if (t->lessons[i].worker == worker)
            serve_learn(serve, now_us, &t->lessons[i].learned, 1);
    }
    return false;
}

void engine_learn(struct engine *engine, const struct engine_lesson *lessons, size_t count)
{
    if (count > 0)
        (void)engine_do(engine, lessons_apply, &(struct teaching){lessons, count});
}

void engine_carry(struct engine *engine, const struct counters *counted)
{
    for (unsigned c = 0; c < COUNTER_COUNT; c++) {
        if (!counter_descriptions[c].gauge)
            counter_add(&engine->carried, (enum counter)c, counted->values[c]);
    }
    for (unsigned t = 0; t < TIMING_COUNT; t++)
        histogram_sum(&engine->carried.timings[t], &counted->timings[t]);
}
