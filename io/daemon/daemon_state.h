// SPDX-License-Identifier: MIT
#pragma once
#include "io/daemon/daemon.h"
#include "io/daemon/upgrade.h"
#include "io/daemon/watch.h"
#include "io/edge/control.h"
#include "io/edge/local_files.h"
#include "io/edge/log.h"
#include "io/edge/query_log.h"
#include "io/edge/stats.h"

#include <limits.h>
#include <pthread.h>
#include <time.h>

// What the files of the daemon have in common: daemon.c (its life), orders.c, tasks.c
// (those that take long), reload.c (its settings), daemon_snapshot.c and daemon_upgrade.c
// (one process after another).

#define DAEMON_WHY_SIZE 1024 // for the sentence of any of the daemon's parts

// Settings, with what was read from the files that they name. Those that others have taken the
// place of live on for a while (serve_reload).
struct generation {
    struct generation *before;
    time_t since; // when it took the place of that
    struct settings settings;
    struct local_files files;
    struct cookie_source cookies; // of server.cookie-secrets, at the start
    struct watch_look system;     // the system's file of upstreams, before it was read
};

// Which tasks are under way.
struct tasks {
    pthread_mutex_t lock;
    pthread_cond_t idle; // one has become so
    struct {
        bool busy;
        bool again; // to be done once more afterwards
    } each[TASK_COUNT];
};

struct daemon {
    int argc;
    char **argv;
    pthread_mutex_t turn; // of those who would change something, for moments
    struct tasks tasks;
    unsigned readers;    // threads that read files, those among them that nobody waits for; atomic
    struct watch *watch; // of the system's upstreams
    bool absent;         // something that was waited for may not be there yet; atomic
    bool ending;         // no task begins anything any more; atomic
    int end_signal;      // what asked for the end; 0: no signal
    uint64_t end_ms;     // when it has to be over (now_ms)
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
    struct upgrade *heir;      // the process that has taken over from this one; atomic
    bool flushed;              // something, since the last snapshot was begun
    bool reload_later;         // one was asked for while that was under way
    bool draining;             // it is to end when nobody asks any more
    int wake_fd;               // an eventfd, written when one of these two has changed
    int before_fd;             // to the process that this one takes over from; -1: none
    struct inheritance *inheritance;
};

static inline const struct settings *settings_of(const struct daemon *d)
{
    return &d->generation->settings;
}

static inline bool is_ending(const struct daemon *d)
{
    return __atomic_load_n(&d->ending, __ATOMIC_RELAXED);
}

static inline struct upgrade *heir_of(const struct daemon *d)
{
    return __atomic_load_n(&d->heir, __ATOMIC_ACQUIRE);
}

// Milliseconds of the clock that never goes back.
static inline uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

// Another process may have taken over or be about to, and this one may be at its end: then nothing
// is changed here any more. For who has the turn.
static inline bool is_in_charge(const struct daemon *d, FILE *report)
{
    const char *why = heir_of(d)     ? "another process has taken over"
                      : d->upgrading ? "an upgrade is under way"
                      : is_ending(d) ? "this process is ending"
                                     : NULL;
    if (why)
        fprintf(report, "%s\n", why);
    return !why;
}

// --- daemon.c and, of each task, its own file

[[nodiscard]] bool daemon_reload(struct daemon *daemon, FILE *report);
[[nodiscard]] bool daemon_snapshot(struct daemon *daemon, FILE *report);
[[nodiscard]] bool daemon_upgrade(struct daemon *daemon, FILE *report);

// Why it does not start: to the log, and to the process before. Returns STATUS_FAILED.
int start_fails(const struct daemon *daemon, const char *why);

// --- absence.c: what the settings name and the machine does not have yet

// Other settings are in force: looks what of it is missing, tells in the log and at /readyz, and
// has the system's upstreams watched where they are used.
void absence_begin(struct daemon *daemon);

// Looks again, once a second while anything is missing. For the main thread.
void absence_look(struct daemon *daemon);

// --- daemon_snapshot.c

// Fills the cache from the last snapshot, before any worker runs. A bad file is told and left
// alone: the start is empty, and so it is where the file system does not answer. False: a signal
// asks for the end.
[[nodiscard]] bool snapshot_load(struct daemon *daemon);

// The last snapshot, where one is wanted, as far as that fits into what is left until `end_ms`. One
// that is under way is as good: it is some seconds older at most.
void snapshot_last(struct daemon *daemon, bool wanted);

// Has SIGTERM or SIGINT come, which nobody has read yet?
[[nodiscard]] bool end_is_asked(void);

// --- tasks.c

void tasks_init(struct tasks *tasks);

// Begins a task whose report is the log's; where one of its kind is under way it is done once more
// after that, as what it reads may have changed meanwhile.
void task_want(struct daemon *daemon, enum daemon_task which);
[[nodiscard]] bool task_is_idle(struct daemon *daemon, enum daemon_task which);

// Waits until none of its kind is under way, up to that moment (now_ms). False: one is.
[[nodiscard]] bool task_wait(struct daemon *daemon, enum daemon_task which, uint64_t until_ms);

// --- reload.c

// At the start: reads the settings, has the log go by them, and reads the files that they name.
// Returns the exit status; where that is not STATUS_FINE all has been told.
[[nodiscard]] int generation_first(struct daemon *daemon);

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

// A reload that was asked for while an upgrade was under way: is this one's, or the heir's, who may
// have read its settings before. For who has the turn.
void reload_pass(struct daemon *daemon);

// Tells the main thread that there is an heir, or that this is to drain.
void main_wake(struct daemon *daemon);

// Answers what was asked of this process, while the heir hears what is asked from now on.
void finish(struct daemon *daemon);

// Has an upgrade that is under way come to its end, one or the other. The end that a signal asked
// of this process is then asked of the heir, should there be one.
void upgrade_resolve(struct daemon *daemon);

// Waits, within `end_ms`, for the end of an heir that was asked to end: whoever asked for it may
// start another process as soon as this one is over, and that one wants the addresses.
void heir_wait(struct daemon *daemon);
