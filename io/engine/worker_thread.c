// SPDX-License-Identifier: MIT
#include "io/engine/worker_thread.h"

#include "io/engine/worker_state.h"

#include <signal.h>
#include <stdio.h>

static void *thread_main(void *argument)
{
    struct worker *w = argument;
    char name[16];
    snprintf(name, sizeof name, "worker-%u", w->serve_config.worker % 1000);
    pthread_setname_np(pthread_self(), name);
    steering_pin(w->config.steering, w->serve_config.worker);
    bool going = worker_begin(w);
    while (going)
        going = worker_turn(w);
    worker_end(w);
    return NULL;
}

int worker_start(struct worker *w)
{
    // Signals are the main thread's.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&w->thread, NULL, thread_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    w->running = error == 0;
    return -error;
}

int worker_stop(struct worker *w)
{
    if (!w->running)
        return 0;
    worker_ask_to_end(w);
    pthread_join(w->thread, NULL);
    w->running = false;
    return w->result;
}
