// SPDX-License-Identifier: MIT
#include "io/daemon/successor.h"

#include "io/daemon/daemon_state.h"
#include "io/daemon/notify.h"
#include "io/daemon/predecessor.h"
#include "io/daemon/upgrade_old.h"
#include "io/engine/aligned.h"
#include "io/engine/engine_plane.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { FINISH_MAX_MS = 10000, FINISH_STEP_MS = 50, RESOLVE_MAX_MS = 400 };

// Where the program is. As it was called, if that leads there from anywhere: a link may lead to
// another file by the time of an upgrade.
void successor_program(struct daemon *d)
{
    FILE *called = fopen("/proc/self/cmdline", "r");
    char *end = called ? fgets(d->program, sizeof d->program, called) : NULL;
    if (called)
        fclose(called);
    if (end && d->program[0] == '/')
        return;
    ssize_t len = readlink("/proc/self/exe", d->program, sizeof d->program - 1);
    d->program[len > 0 ? len : 0] = '\0';
}

static char **command_line(struct daemon *d)
{
    char **argv = calloc((size_t)d->argc + 2, sizeof *argv);
    if (!argv)
        return NULL;
    argv[0] = d->program;
    memcpy(argv + 1, d->argv, (size_t)d->argc * sizeof *argv);
    return argv;
}

static int inheritance_give(struct daemon *d, struct upgrade *upgrade)
{
    struct daemon_inheritance inheritance = {
        .stats_fd = -1, .control_fd = -1, .sandboxed = d->sandboxed};
    int error = engine_pass_on(d->engine, &inheritance.engine);
    if (d->stats) {
        inheritance.stats = settings_of(d)->stats_listen;
        inheritance.stats_fd = stats_fd(d->stats);
    }
    if (d->control) {
        snprintf(inheritance.control, sizeof inheritance.control, "%.107s",
                 settings_of(d)->control_socket.text);
        inheritance.control_fd = control_fd(d->control);
        inheritance.control_mark = control_mark(d->control);
    }
    if (error == 0)
        error = upgrade_give(upgrade, &inheritance);
    free(inheritance.engine.sockets);
    return error;
}

// From the time the engine rests no query is read until the other process starts, some milliseconds
// later; what arrives waits in the sockets.
static int give_way(struct daemon *d, struct upgrade *upgrade)
{
    int error = inheritance_give(d, upgrade);
    if (error < 0)
        return error;
    error = engine_rest(d->engine) ? upgrade_go(upgrade, d->engine) : -EIO;
    if (error == 0)
        error = upgrade_wait_started(upgrade);
    if (error == 0) {
        engine_plane_leave(d->engine);
        return 0;
    }
    // It must be gone before another process writes the cache again.
    upgrade_end(upgrade);
    (void)engine_resume(d->engine);
    return error;
}

// Others see that an upgrade is under way, and which: successor_resolve may have to cut it short.
static void upgrading_set(struct daemon *d, struct upgrade *upgrade)
{
    pthread_mutex_lock(&d->turn);
    d->upgrading = upgrade;
    if (upgrade && is_ending(d))
        upgrade_cut(upgrade);
    pthread_mutex_unlock(&d->turn);
}

static int upgrade_try(struct daemon *d, struct upgrade *upgrade)
{
    char **argv = command_line(d);
    int error = argv ? upgrade_begin(upgrade, d->program, argv) : -ENOMEM;
    free(argv);
    if (error < 0)
        return error;
    upgrading_set(d, upgrade);
    return give_way(d, upgrade);
}

void successor_reload(struct daemon *d)
{
    if (!successor_of(d)) {
        task_want(d, TASK_RELOAD);
        return;
    }
    log_writef(&d->log, LOG_INFO, "the reload is passed on", "pid", "%d", d->successor->pid);
    (void)kill(d->successor->pid, SIGHUP);
}

static bool upgrade_do(struct daemon *d, struct upgrade *upgrade, FILE *report)
{
    int error = upgrade_try(d, upgrade);
    pthread_mutex_lock(&d->turn);
    d->upgrading = NULL;
    if (error == 0)
        __atomic_store_n(&d->successor, upgrade, __ATOMIC_RELEASE);
    if (d->reload_later)
        successor_reload(d);
    d->reload_later = false;
    pthread_mutex_unlock(&d->turn);
    if (error == 0) {
        log_writef(&d->log, LOG_INFO, "another process has taken over", "pid", "%d", upgrade->pid);
        fprintf(report, "process %d has taken over\n", upgrade->pid);
        notify_successor(upgrade->pid);
        main_wake(d);
        return true;
    }
    const char *why = upgrade->why[0] ? upgrade->why : strerror(-error);
    log_writef(&d->log, LOG_ERROR, "no other process has taken over", "reason", "%s", why);
    fprintf(report, "not upgraded: %s\n", why);
    upgrade_end(upgrade);
    return false;
}

// With process 1 its container ends, and the process in its place with it.
static bool may_leave(FILE *report)
{
    bool may = getpid() != 1;
    if (!may)
        fprintf(report,
                "not upgraded: this is process 1 of its container, which would end with it; "
                "restart the container, or have an init process start ouzel\n");
    return may;
}

bool daemon_upgrade(struct daemon *d, FILE *report)
{
    struct upgrade *upgrade = aligned_malloc(sizeof *upgrade);
    if (!upgrade) {
        fprintf(report, "not upgraded: no memory\n");
        return false;
    }
    pthread_mutex_lock(&d->turn);
    bool charged = is_in_charge(d, report);
    if (charged && d->draining) {
        fprintf(report,
                "not upgraded: this process is draining, and ends when no more queries come\n");
        charged = false;
    }
    pthread_mutex_unlock(&d->turn);
    bool done = charged && may_leave(report) && upgrade_do(d, upgrade, report);
    if (!done)
        free(upgrade);
    return done;
}

void successor_resolve(struct daemon *d)
{
    pthread_mutex_lock(&d->turn);
    if (d->upgrading)
        upgrade_cut(d->upgrading);
    pthread_mutex_unlock(&d->turn);
    uint64_t until_ms = now_ms() + RESOLVE_MAX_MS;
    (void)task_wait(d, TASK_UPGRADE, until_ms < d->end_ms ? until_ms : d->end_ms);
    if (successor_of(d) && d->end_signal)
        (void)kill(d->successor->pid, d->end_signal);
}

void successor_wait(struct daemon *d)
{
    uint64_t now = now_ms();
    if (successor_of(d) && d->end_signal && now < d->end_ms)
        (void)upgrade_wait_ended(d->successor, (unsigned)(d->end_ms - now));
}

// What is asked of this process is asked of the one in its place. True: it is the end.
static bool signal_pass(struct daemon *d)
{
    struct signalfd_siginfo info;
    if (read(d->signal_fd, &info, sizeof info) != sizeof info)
        return false;
    if (info.ssi_signo != SIGHUP) {
        d->end_signal = (int)info.ssi_signo; // successor_resolve passes it on
        return true;
    }
    successor_reload(d);
    return false;
}

void successor_finish(struct daemon *d)
{
    struct pollfd fds[] = {
        {.fd = d->signal_fd, .events = POLLIN},
        {.fd = d->predecessor_fd, .events = POLLIN}, // it may still be at it as well
    };
    if (d->stats)
        stats_yield(d->stats);
    if (d->control)
        control_yield(d->control);
    // At least once around, as what one worker hands to another is nowhere counted meanwhile.
    for (unsigned i = 0; i < FINISH_MAX_MS / FINISH_STEP_MS; i++) {
        int ready = poll(fds, 2, FINISH_STEP_MS);
        if (ready > 0 && fds[1].revents) {
            predecessor_heard(d);
            fds[1].fd = d->predecessor_fd;
        }
        if (ready > 0 && fds[0].revents && signal_pass(d))
            return;
        if (i > 2 && d->predecessor_fd < 0 && engine_is_done(d->engine))
            return;
    }
    log_write(&d->log, LOG_WARNING, "ending with connections open", NULL);
}
