// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/serve.h"
#include "io/engine/gate.h"

// A task for a worker: a function that another thread has the worker's thread call between two
// batches. One task at a time. What takes long is done in pieces, and the worker answers queries in
// between. Tasks of the daemon, which have a thread of their own, are in io/daemon/tasks.h.

struct worker_task {
    bool (*run)(struct serve *serve, uint64_t now_us, uint32_t worker, void *context);
    void *context;
    int fd;       // wakes the worker
    bool pending; // begun and not yet done; atomic
    bool ended;   // the worker does no more tasks; atomic
    struct gate done;
};

// 0 or a negative errno.
[[nodiscard]] int worker_task_open(struct worker_task *task);
void worker_task_close(struct worker_task *task);

// For the other thread. Begin: the worker calls `run` until it returns false. Wait: until then;
// false: the worker ended first.
void worker_task_begin(struct worker_task *task,
                       bool (*run)(struct serve *serve, uint64_t now_us, uint32_t worker,
                                   void *context),
                       void *context);
[[nodiscard]] bool worker_task_wait(struct worker_task *task);

// For the worker. Woken: reads the wake event. Do: calls `run` once; true: the task is done. End:
// no more tasks are done.
void worker_task_woken(struct worker_task *task);
[[nodiscard]] bool worker_task_do(struct worker_task *task, struct serve *serve, uint64_t now_us,
                                  uint32_t worker);
void worker_task_end(struct worker_task *task);

static inline bool worker_task_is_pending(const struct worker_task *task)
{
    return __atomic_load_n(&task->pending, __ATOMIC_ACQUIRE);
}
