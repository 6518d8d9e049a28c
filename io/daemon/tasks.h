// SPDX-License-Identifier: MIT
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// Tasks of the daemon: what may wait for a file, a disk or another process. Each has a thread of
// its own, so neither the main thread nor the control socket's waits. One of each kind at a time. A
// task for a worker's thread is io/engine/worker_task.h.

struct daemon;

enum daemon_task {
    TASK_RELOAD,   // reads the settings and all files that they name again, and puts them in force
    TASK_SNAPSHOT, // writes the answers to the file that cache.snapshot names
    TASK_UPGRADE,  // has another process of the program, as its file is now, take over with the
                   // same command line (upgrade.h); this one ends when it has answered everything
    TASK_COUNT
};

// What a task is called in a sentence ("a reload"), and its function: true if it was done, and the
// report says how.
struct task_kind {
    const char *noun;
    bool (*run)(struct daemon *daemon, FILE *report);
};

// Which tasks are under way.
struct tasks {
    const struct task_kind *kinds; // TASK_COUNT of them
    pthread_mutex_t lock;
    pthread_cond_t idle; // one has become idle
    struct {
        bool busy;
        bool again; // to be done once more afterwards
    } each[TASK_COUNT];
};

// The kinds must live as long.
void tasks_init(struct tasks *tasks, const struct task_kind *kinds);

// Starts one. `done` is called in its thread at the end: `good` is false if it failed, and nothing
// has changed; `text`, from malloc and the callee's to free, is the report. 0; -EBUSY: one of its
// kind is under way; or another negative errno, which is logged, as -EAGAIN: there is no thread.
// `done` is called only after 0.
[[nodiscard]] int task_begin(struct daemon *daemon, enum daemon_task which,
                             void (*done)(void *context, bool good, char *text, size_t len),
                             void *context);

// Starts a task that reports to the log alone. Where one of its kind is under way, it is done once
// more after that, as what it reads may have changed meanwhile.
void task_want(struct daemon *daemon, enum daemon_task which);

[[nodiscard]] bool task_is_idle(struct daemon *daemon, enum daemon_task which);

// Waits until none of its kind is under way, at most until `until_ms` (now_ms). False: one is.
[[nodiscard]] bool task_wait(struct daemon *daemon, enum daemon_task which, uint64_t until_ms);
