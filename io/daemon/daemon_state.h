// SPDX-License-Identifier: MIT
#pragma once
#include "io/daemon/tasks.h"
#include "io/daemon/upgrade.h"
#include "io/daemon/watch.h"
#include "io/edge/control.h"
#include "io/edge/local_files.h"
#include "io/edge/log.h"
#include "io/edge/query_log.h"
#include "io/edge/stats.h"
#include "io/engine/superseded.h"
#include "io/net/clock.h"
#include "io/net/wake.h"

#include <limits.h>
#include <pthread.h>
#include <time.h>

// The state that the files of the daemon share. daemon.c (its life) is above the others, and
// orders.c next to it.

#define DAEMON_WHY_SIZE 1024 // for the sentence of any of the daemon's parts

// Settings, with what was read from the files that they name. Superseded ones live on for a while
// (serve_reload).
struct generation {
    struct superseded superseded; // on the monotonic clock
    struct settings settings;
    struct local_files files;
    struct cookie_source cookies; // of server.cookie-secrets, at the start
    struct watch_look system;     // the system's file of upstreams, before it was read
};

struct daemon {
    int argc;
    char **argv;
    pthread_mutex_t turn; // held by a thread that changes something, for moments
    struct tasks tasks;
    unsigned readers;    // threads that read files, also those no longer waited for; atomic
    unsigned searchers;  // threads that look for a line of a list (list_search.h); atomic
    struct watch *watch; // of the system's upstreams
    bool absent;         // an address or the upstreams may still be missing; atomic
    bool ending;         // no task starts anything more; atomic
    int end_signal;      // the signal that asked this process to end; 0: none
    uint64_t end_ms;     // by when it must have ended (now_ms)
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
    struct upgrade *upgrading; // the process that is to take over, while that is under way
    struct upgrade *successor; // the process that has taken over from this one; atomic
    bool flushed;              // something was flushed since the last snapshot began
    bool reload_later;         // a reload was asked for during an upgrade
    bool draining;             // it ends when no more queries come
    int wake_fd;               // written (io/net/wake.h) when one of these two has changed
    int predecessor_fd;        // to the process that this one takes over from; -1: none
    struct daemon_inheritance *inheritance;
};

static inline const struct settings *settings_of(const struct daemon *d)
{
    return &d->generation->settings;
}

static inline bool is_ending(const struct daemon *d)
{
    return __atomic_load_n(&d->ending, __ATOMIC_RELAXED);
}

static inline struct upgrade *successor_of(const struct daemon *d)
{
    return __atomic_load_n(&d->successor, __ATOMIC_ACQUIRE);
}

// False where another process has taken over or is about to, or this one is ending: then nothing
// may be changed here. The caller holds the turn.
static inline bool is_in_charge(const struct daemon *d, FILE *report)
{
    const char *why = successor_of(d) ? "another process has taken over"
                      : d->upgrading  ? "an upgrade is under way"
                      : is_ending(d)  ? "this process is ending"
                                      : NULL;
    if (why)
        fprintf(report, "%s\n", why);
    return !why;
}

// Tells the main thread that there is a successor, or that this process drains.
static inline void main_wake(const struct daemon *d)
{
    wake_send(d->wake_fd);
}
