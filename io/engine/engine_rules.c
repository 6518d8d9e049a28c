// SPDX-License-Identifier: MIT
#include "io/engine/engine_rules.h"

#include "core/serve/control.h"
#include "io/engine/engine_do.h"
#include "io/engine/engine_plane.h"
#include "io/engine/engine_region.h"
#include "io/engine/engine_state.h"
#include "io/engine/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct rules *rules_of(struct superseded *superseded)
{
    return (struct rules *)(void *)superseded;
}

void rules_free(struct rules *rules)
{
    while (rules) {
        struct rules *before = rules_of(rules->superseded.before);
        free(rules->access_memory);
        free(rules->zone_table_memory);
        free(rules);
        rules = before;
    }
}

// NULL: `why` says what does not fit.
static struct rules *rules_make(const struct settings *settings, const struct zone_table *before,
                                char why[static ENGINE_WHY_SIZE])
{
    struct rules *rules = calloc(1, sizeof *rules);
    if (rules) {
        rules->zone_table_memory = malloc(zone_table_size(settings));
        rules->access_memory = malloc(access_size(settings));
    }
    if (!rules || !rules->zone_table_memory || !rules->access_memory) {
        snprintf(why, ENGINE_WHY_SIZE, "no memory for the settings");
        rules_free(rules);
        return NULL;
    }
    const char *zone_table_why =
        zone_table_rebuild(&rules->zone_table, rules->zone_table_memory, settings, before);
    if (zone_table_why) {
        snprintf(why, ENGINE_WHY_SIZE, "forward: %s%s", zone_table_why,
                 before ? " (those of before count until a restart)" : "");
        rules_free(rules);
        return NULL;
    }
    access_build(&rules->access, rules->access_memory, settings);
    return rules;
}

static void octets_note(struct engine *engine)
{
    const struct settings *settings = engine->settings;
    uint64_t rules = zone_table_size(settings) + access_size(settings);
    uint64_t local = engine->local ? local_counts(engine->local).octets : 0;
    __atomic_store_n(&engine->rules_octets, rules, __ATOMIC_RELAXED);
    __atomic_store_n(&engine->local_octets, local, __ATOMIC_RELAXED);
}

int rules_make_first(struct engine *engine, char why[static ENGINE_WHY_SIZE])
{
    engine->rules = rules_make(engine->settings, NULL, why);
    octets_note(engine);
    return engine->rules ? 0 : -EINVAL;
}

// What all workers are told to do.
struct change {
    struct engine *engine;
    struct serve_update update;
    int error; // the first; atomic
};

static bool update_apply(struct serve *serve, uint64_t now_us, uint32_t worker, void *context)
{
    struct change *change = context;
    struct engine *engine = change->engine;
    int none = 0, error = listening_put(&engine->listening, worker,
                                        worker_listeners(engine->workers[worker]));
    if (error < 0)
        __atomic_compare_exchange_n(&change->error, &none, error, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED);
    serve_reload(serve, now_us, &change->update);
    return false;
}

static bool listeners_switch(struct serve *serve, uint64_t now_us, uint32_t worker, void *context)
{
    struct change *change = context;
    (void)serve;
    listening_switch(&change->engine->listening, now_us,
                     worker_listeners(change->engine->workers[worker]));
    return false;
}

// All workers have the new sockets before the first hears of one, as any of them may have to reply.
static int change_do(struct change *change, char why[static ENGINE_WHY_SIZE])
{
    struct engine *engine = change->engine;
    bool done = engine_do(engine, update_apply, change);
    if (change->error < 0)
        listening_regret(&engine->listening);
    if (listening_changes(&engine->listening))
        done &= engine_do(engine, listeners_switch, change);
    listening_done(&engine->listening, engine_now_us(&engine->clock));
    if (!done)
        snprintf(why, ENGINE_WHY_SIZE, "a worker has ended");
    else if (change->error < 0)
        snprintf(why, ENGINE_WHY_SIZE, "a worker cannot listen: %s", strerror(-change->error));
    return done && change->error == 0 ? 0 : ENGINE_RELOAD_PARTLY;
}

int engine_reload(struct engine *engine, const struct settings *settings, const struct local *local,
                  char why[static ENGINE_WHY_SIZE])
{
    uint64_t now_us = engine_now_us(&engine->clock);
    int error = listening_plan(&engine->listening, &settings->server_listen, now_us, NULL, 0, why);
    if (error < 0)
        return error;
    struct rules *rules = rules_make(settings, &engine->rules->zone_table, why);
    if (!rules) {
        listening_undo(&engine->listening);
        return -EINVAL;
    }
    struct change change = {
        .engine = engine,
        .update =
            {
                .settings = settings,
                .zone_table = &rules->zone_table,
                .access = &rules->access,
                .local = local,
                .cookies = settings->server_cookies ? &engine->cookies : NULL,
            },
    };
    engine_plane_stop(engine);
    region_stale_set(engine, settings);
    for (unsigned i = 0; i < engine->worker_count; i++)
        worker_client_idle(engine->workers[i], settings->server_tcp_idle_timeout * 1000);
    engine->settings = settings;
    engine->local = local;
    octets_note(engine);
    rules_free(rules_of(superseded_cut(&engine->rules->superseded, now_us)));
    supersede(&rules->superseded, &engine->rules->superseded, now_us);
    engine->rules = rules;
    error = change_do(&change, why);
    engine_plane_apply(engine);
    return error;
}
