// SPDX-License-Identifier: MIT
#include "io/edge/bounded.h"

#include "io/edge/thread.h"
#include "io/net/clock.h"

#include <pthread.h>
#include <stdlib.h>

enum { LOOK_EVERY_MS = 50 }; // at what may say to stop

struct bounded {
    pthread_mutex_t lock;
    pthread_cond_t done;
    void (*run)(void *context);
    void (*drop)(void *context);
    void *context;
    bool returned, left; // by the call, by who waited
};

static void bounded_free(struct bounded *b)
{
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->done);
    free(b);
}

static void *thread_main(void *argument)
{
    struct bounded *b = argument;
    b->run(b->context);
    pthread_mutex_lock(&b->lock);
    bool left = b->left;
    b->returned = true;
    pthread_cond_signal(&b->done);
    pthread_mutex_unlock(&b->lock);
    if (left) {
        b->drop(b->context);
        bounded_free(b);
    }
    return NULL;
}

struct bounded *bounded_start(void (*run)(void *context), void (*drop)(void *context),
                              void *context)
{
    struct bounded *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    pthread_mutex_init(&b->lock, NULL);
    thread_condition_init(&b->done);
    b->run = run;
    b->drop = drop;
    b->context = context;
    if (thread_start_detached(thread_main, b) == 0)
        return b;
    bounded_free(b);
    return NULL;
}

bool bounded_finish(struct bounded *b, unsigned limit_ms, bool (*stop)(void *context),
                    void *context)
{
    uint64_t begun_ms = now_ms();
    pthread_mutex_lock(&b->lock);
    for (unsigned waited = 0; !b->returned && waited < limit_ms; waited += LOOK_EVERY_MS) {
        if (stop && stop(context))
            break;
        struct timespec until = clock_moment(begun_ms + waited + LOOK_EVERY_MS);
        while (!b->returned && pthread_cond_timedwait(&b->done, &b->lock, &until) == 0)
            continue;
    }
    bool returned = b->returned;
    b->left = !returned;
    pthread_mutex_unlock(&b->lock);
    if (returned)
        bounded_free(b);
    return returned;
}
