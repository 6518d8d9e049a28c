// SPDX-License-Identifier: MIT
#include "io/engine/engine_do.h"

#include "io/engine/engine_state.h"
#include "io/engine/worker.h"

// The caller holds `doing`.
static bool all_do(struct engine *engine, bool (*run)(struct serve *, uint64_t, uint32_t, void *),
                   void *context)
{
    bool done = true;
    for (unsigned i = 0; i < engine->worker_count; i++)
        worker_task_begin(worker_task_of(engine->workers[i]), run, context);
    for (unsigned i = 0; i < engine->worker_count; i++)
        done &= worker_task_wait(worker_task_of(engine->workers[i]));
    return done;
}

bool engine_do(struct engine *engine, bool (*run)(struct serve *, uint64_t, uint32_t, void *),
               void *context)
{
    pthread_mutex_lock(&engine->doing);
    bool done = all_do(engine, run, context);
    pthread_mutex_unlock(&engine->doing);
    return done;
}

static bool nothing(struct serve *serve, uint64_t now_us, uint32_t worker, void *context)
{
    (void)serve;
    (void)now_us;
    (void)worker;
    (void)context;
    return false;
}

bool engine_come_round(struct engine *engine)
{
    return engine_do(engine, nothing, NULL);
}

bool engine_is_alive(struct engine *engine, bool *asked)
{
    *asked = pthread_mutex_trylock(&engine->doing) == 0;
    bool alive = *asked && all_do(engine, nothing, NULL);
    if (*asked)
        pthread_mutex_unlock(&engine->doing);
    return alive;
}
