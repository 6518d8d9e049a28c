// SPDX-License-Identifier: MIT
#include "io/daemon/tasks.h"

#include "io/daemon/daemon_state.h"
#include "io/edge/thread.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// One thread for each kind of task, for as long as there is one to do. What a task needs of the
// daemon it takes under `turn`, for a moment each time; `tasks.lock` is of who is busy alone.

struct task {
    struct daemon *d;
    enum daemon_task which;
    void (*done)(void *context, bool good, char *text, size_t len);
    void *context;
};

void tasks_init(struct tasks *tasks, const struct task_kind *kinds)
{
    pthread_mutex_init(&tasks->lock, NULL);
    thread_condition_init(&tasks->idle);
    tasks->kinds = kinds;
}

// Does it once. The report needs no descriptor.
static void task_do(struct task *task)
{
    char *text = NULL;
    size_t len = 0;
    FILE *report = open_memstream(&text, &len);
    bool good = report && task->d->tasks.kinds[task->which].run(task->d, report);
    if (!report)
        log_writef(&task->d->log, LOG_ERROR, "not done", "reason", "%s", strerror(errno));
    else if (fclose(report) != 0)
        len = 0;
    if (task->done)
        task->done(task->context, good, text, len);
    else
        free(text); // the log has it
    task->done = NULL;
}

// Is it to be done once more? If not, it is no longer busy.
static bool task_is_wanted(const struct task *task)
{
    struct tasks *tasks = &task->d->tasks;
    pthread_mutex_lock(&tasks->lock);
    assert(tasks->each[task->which].busy);
    bool again = tasks->each[task->which].again && !is_ending(task->d);
    tasks->each[task->which].again = false;
    if (!again) {
        tasks->each[task->which].busy = false;
        pthread_cond_broadcast(&tasks->idle);
    }
    pthread_mutex_unlock(&tasks->lock);
    return again;
}

static void *task_main(void *argument)
{
    struct task *task = argument;
    do
        task_do(task);
    while (task_is_wanted(task));
    free(task);
    return NULL;
}

// Where it is busy already, `again` has it done once more afterwards.
static int begin(struct daemon *d, enum daemon_task which, bool again,
                 void (*done)(void *, bool, char *, size_t), void *context)
{
    struct task *task = malloc(sizeof *task);
    if (!task)
        return -ENOMEM;
    *task = (struct task){d, which, done, context};
    pthread_mutex_lock(&d->tasks.lock);
    bool busy = d->tasks.each[which].busy;
    int error = busy ? -EBUSY : thread_start_detached(task_main, task);
    if (error == 0)
        d->tasks.each[which].busy = true;
    else if (busy && again)
        d->tasks.each[which].again = true;
    pthread_mutex_unlock(&d->tasks.lock);
    if (error < 0)
        free(task);
    return error;
}

static void not_begun(const struct daemon *d, enum daemon_task which, int error)
{
    const char *why = error == -EAGAIN ? "there is no thread for it" : strerror(-error);
    log_write(
        &d->log, LOG_ERROR, "a task cannot be started",
        (struct log_field[]){{"task", d->tasks.kinds[which].noun}, {"reason", why}, {NULL, NULL}});
}

int task_begin(struct daemon *d, enum daemon_task which,
               void (*done)(void *context, bool good, char *text, size_t len), void *context)
{
    int error = begin(d, which, false, done, context);
    if (error < 0 && error != -EBUSY)
        not_begun(d, which, error);
    return error;
}

void task_want(struct daemon *d, enum daemon_task which)
{
    int error = begin(d, which, true, NULL, NULL);
    if (error < 0 && error != -EBUSY)
        not_begun(d, which, error);
}

bool task_is_idle(struct daemon *d, enum daemon_task which)
{
    pthread_mutex_lock(&d->tasks.lock);
    bool idle = !d->tasks.each[which].busy;
    pthread_mutex_unlock(&d->tasks.lock);
    return idle;
}

bool task_wait(struct daemon *d, enum daemon_task which, uint64_t until_ms)
{
    struct timespec until = clock_moment(until_ms);
    pthread_mutex_lock(&d->tasks.lock);
    while (d->tasks.each[which].busy &&
           pthread_cond_timedwait(&d->tasks.idle, &d->tasks.lock, &until) == 0)
        continue;
    bool idle = !d->tasks.each[which].busy;
    pthread_mutex_unlock(&d->tasks.lock);
    return idle;
}
