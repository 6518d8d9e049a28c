// SPDX-License-Identifier: MIT
#pragma once
#include "io/edge/control.h"
#include "io/edge/daemon.h"
#include "io/edge/local_files.h"
#include "io/edge/log.h"
#include "io/edge/query_log.h"
#include "io/edge/stats.h"
#include "io/edge/upgrade.h"

#include <limits.h>
#include <pthread.h>
#include <time.h>

// What the files of the daemon have in common: daemon.c (its life and the orders),
// daemon_reload.c (its settings) and daemon_upgrade.c (one process after another).

#define DAEMON_WHY_SIZE 1024 // for the sentence of any of the daemon's parts

// Settings, with what was read from the files that they name. Those that others have taken the
// place of live on for a while (serve_reload).
struct generation {
    struct generation *before;
    time_t since; // when it took the place of that
    struct settings settings;
    struct local_files files;
};

struct daemon {
    int argc;
    char **argv;
    pthread_mutex_t turn; // of those who would change something
    struct generation *generation;
    struct engine *engine;
    struct stats *stats;
    struct control *control;
    struct query_log *query_log;
    struct log log;
    int signal_fd;
    bool sandboxed; // the filter of system calls is in force
    time_t started; // Unix time
    char program[PATH_MAX];
    struct upgrade *heir; // the process that has taken over from this one
    bool draining;        // it is to end when nobody asks any more
    int wake_fd;          // an eventfd, written when one of these two has changed
    int before_fd;        // to the process that this one takes over from; -1: none
    struct inheritance *inheritance;
};

static inline const struct settings *settings_of(const struct daemon *d)
{
    return &d->generation->settings;
}

// Another process may have taken over, and this one only ends.
static inline bool is_in_charge(const struct daemon *d, FILE *report)
{
    if (d->heir)
        fprintf(report, "another process has taken over\n");
    return !d->heir;
}

// --- daemon_reload.c

// Reads the files that the settings name. 0, or a negative errno with a sentence in `why`.
[[nodiscard]] int generation_files(const struct log *log, struct generation *generation,
                                   char why[static LOCAL_WHY_SIZE]);

// Of it and of all before it.
void generation_free(struct generation *generation);

// What the settings say of the log.
void log_take(struct daemon *daemon, const struct settings *settings);

// --- daemon_upgrade.c

// Where the program's file is.
void program_find(struct daemon *daemon);

// Takes what another process hands over, where one does. False: that failed.
[[nodiscard]] bool before_take(struct daemon *daemon);

// Nothing more of it is of use.
void before_drop(struct daemon *daemon);

// Waits until the process before gives way.
[[nodiscard]] bool before_gives_way(struct daemon *daemon);

// Tells it that this one has taken over.
void before_replaced(struct daemon *daemon);

// It tells what it has counted meanwhile.
void before_heard(struct daemon *daemon);

// Tells the main thread that there is an heir, or that this is to drain.
void main_wake(struct daemon *daemon);

// Answers what was asked of this process, while the heir hears what is asked from now on.
void finish(struct daemon *daemon);
