// SPDX-License-Identifier: MIT
#include "io/engine/job.h"

#include "io/net/wake.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

int job_open(struct job *job)
{
    *job = (struct job){.fd = wake_open()};
    sem_init(&job->done, 0, 0);
    return job->fd < 0 ? -errno : 0;
}

void job_close(struct job *job)
{
    if (job->fd >= 0)
        close(job->fd);
    sem_destroy(&job->done);
}

void job_begin(struct job *job,
               bool (*run)(struct serve *serve, uint64_t now_us, uint32_t worker, void *context),
               void *context)
{
    assert(!job_is_there(job) || __atomic_load_n(&job->ended, __ATOMIC_ACQUIRE));
    job->run = run;
    job->context = context;
    __atomic_store_n(&job->there, true, __ATOMIC_RELEASE);
    wake_send(job->fd);
}

bool job_wait(struct job *job)
{
    while (job_is_there(job)) {
        if (__atomic_load_n(&job->ended, __ATOMIC_ACQUIRE))
            return false;
        while (sem_wait(&job->done) != 0)
            continue;
    }
    return true;
}

void job_woken(struct job *job)
{
    wake_take(job->fd);
}

bool job_do(struct job *job, struct serve *serve, uint64_t now_us, uint32_t worker)
{
    if (!job_is_there(job) || job->run(serve, now_us, worker, job->context))
        return false;
    __atomic_store_n(&job->there, false, __ATOMIC_RELEASE);
    sem_post(&job->done);
    return true;
}

void job_end(struct job *job)
{
    __atomic_store_n(&job->ended, true, __ATOMIC_RELEASE);
    sem_post(&job->done); // for one that will not be done
}
