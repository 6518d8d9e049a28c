// SPDX-License-Identifier: MIT
#pragma once
#include <pthread.h>

// Threads and conditions for several files.

// Starts a detached thread. 0 or a negative errno.
[[nodiscard]] static inline int thread_start_detached(void *(*run)(void *argument), void *argument)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int error = pthread_create(&thread, &attributes, run, argument);
    pthread_attr_destroy(&attributes);
    return -error;
}

// A condition whose waits use the monotonic clock (io/net/clock.h).
static inline void thread_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}
