// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/serve.h"

#include <semaphore.h>

// What another thread has a worker do in its own, between two batches. One job at a time; what
// takes long is done in pieces, and the worker answers in between.

struct job {
    bool (*run)(struct serve *serve, uint64_t now_us, uint32_t worker, void *context);
    void *context;
    int fd;     // wakes the worker
    bool there; // the worker's; atomic
    bool ended; // the worker does no more; atomic
    sem_t done;
};

// 0 or a negative errno.
[[nodiscard]] int job_open(struct job *job);
void job_close(struct job *job);

// The other thread's: begins one, which is called until it returns false; and waits for that.
// False: the worker has ended before.
void job_begin(struct job *job,
               bool (*run)(struct serve *serve, uint64_t now_us, uint32_t worker, void *context),
               void *context);
[[nodiscard]] bool job_wait(struct job *job);

// The worker's: takes the waking, does a piece (true: one has just ended), and ends.
void job_woken(struct job *job);
[[nodiscard]] bool job_do(struct job *job, struct serve *serve, uint64_t now_us, uint32_t worker);
void job_end(struct job *job);

// Is there something to do?
static inline bool job_is_there(const struct job *job)
{
    return __atomic_load_n(&job->there, __ATOMIC_ACQUIRE);
}
