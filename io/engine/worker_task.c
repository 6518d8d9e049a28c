// SPDX-License-Identifier: MIT
#include "io/engine/worker_task.h"

#include "io/net/wake.h"

#include <assert.h>
#include <errno.h>

int worker_task_open(struct worker_task *task)
{
    *task = (struct worker_task){.fd = wake_open()};
    gate_init(&task->done);
    return task->fd < 0 ? -errno : 0;
}

void worker_task_close(struct worker_task *task)
{
    if (task->fd >= 0)
        wake_close(task->fd);
    gate_free(&task->done);
}

void worker_task_begin(struct worker_task *task,
                       bool (*run)(struct serve *serve, uint64_t now_us, uint32_t worker,
                                   void *context),
                       void *context)
{
    assert(!worker_task_is_pending(task) || __atomic_load_n(&task->ended, __ATOMIC_ACQUIRE));
    task->run = run;
    task->context = context;
    __atomic_store_n(&task->pending, true, __ATOMIC_RELEASE);
    wake_send(task->fd);
}

bool worker_task_wait(struct worker_task *task)
{
    while (worker_task_is_pending(task)) {
        if (__atomic_load_n(&task->ended, __ATOMIC_ACQUIRE))
            return false;
        gate_wait(&task->done);
    }
    return true;
}

void worker_task_woken(struct worker_task *task)
{
    wake_receive(task->fd);
}

bool worker_task_do(struct worker_task *task, struct serve *serve, uint64_t now_us, uint32_t worker)
{
    if (!worker_task_is_pending(task) || task->run(serve, now_us, worker, task->context))
        return false;
    __atomic_store_n(&task->pending, false, __ATOMIC_RELEASE);
    gate_open(&task->done);
    return true;
}

void worker_task_end(struct worker_task *task)
{
    __atomic_store_n(&task->ended, true, __ATOMIC_RELEASE);
    gate_open(&task->done); // wakes a thread that waits for a task that will not be done
}
