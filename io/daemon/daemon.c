// SPDX-License-Identifier: MIT
#include "io/daemon/daemon.h"

#include "io/daemon/absence.h"
#include "io/daemon/daemon_snapshot.h"
#include "io/daemon/daemon_state.h"
#include "io/daemon/notify.h"
#include "io/daemon/orders.h"
#include "io/daemon/plane_log.h"
#include "io/daemon/predecessor.h"
#include "io/daemon/privileges.h"
#include "io/daemon/reload.h"
#include "io/daemon/sandbox.h"
#include "io/daemon/signals.h"
#include "io/daemon/successor.h"
#include "io/daemon/upgrade_old.h"
#include "io/edge/command.h"
#include "io/edge/resolv_conf.h"
#include "io/engine/cgroup.h"
#include "io/engine/engine_do.h"
#include "io/engine/engine_figures.h"
#include "io/engine/engine_plane.h"
#include "io/net/net.h"
#include "io/net/uring.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

// A signal ends the process within two seconds, whatever hangs: END_MAX_MS for an upgrade that is
// cut (RESOLVE_MAX_MS), the reader of dnstap (CLOSE_MS) and the last snapshot together, and then
// the log.
enum { END_MAX_MS = 1400, LOG_FLUSH_MS = 200 };

// --- life ----------------------------------------------------------------------------------------

// What is done from time to time, and when next, in milliseconds of the clock that never goes back.
struct calendar {
    uint64_t snapshot_ms, snapshot_every_ms; // 0: never
    uint64_t alive_ms, alive_every_ms;
    uint64_t absent_ms; // while something is not there yet
    uint64_t plane_ms;
    uint64_t drain_ms, drain_end_ms; // while it drains
    uint64_t asked, quiet_since_ms;  // queries so far, and since when there were no more
    bool drained;
};

enum {
    DRAIN_EVERY_MS = 500,
    DRAIN_QUIET_MS = 3000,
    DRAIN_MAX_MS = 300000,
    ALIVE_AGAIN_MS = 100,
    ABSENT_EVERY_MS = 1000
};

static struct calendar calendar_make(const struct settings *settings)
{
    struct calendar calendar = {.alive_every_ms = notify_watchdog_us() / 2000};
    if (*settings->cache_snapshot.text)
        calendar.snapshot_every_ms = settings->cache_snapshot_interval;
    calendar.snapshot_ms = now_ms() + calendar.snapshot_every_ms;
    calendar.alive_ms = now_ms();
    return calendar;
}

static uint64_t asked_count(const struct daemon *d)
{
    struct counters sum;
    engine_counters(d->engine, &sum);
    return sum.values[COUNTER_queries] + sum.values[COUNTER_queries_tcp] +
           sum.values[COUNTER_queries_xdp];
}

static void drain_begin(struct daemon *d, struct calendar *calendar)
{
    calendar->drain_ms = calendar->quiet_since_ms = now_ms();
    calendar->drain_end_ms = now_ms() + DRAIN_MAX_MS;
    calendar->asked = asked_count(d);
}

static void drain_look(struct daemon *d, struct calendar *calendar)
{
    uint64_t asked = asked_count(d);
    if (asked != calendar->asked)
        calendar->quiet_since_ms = now_ms();
    calendar->asked = asked;
    bool quiet = now_ms() - calendar->quiet_since_ms >= DRAIN_QUIET_MS && engine_is_done(d->engine);
    calendar->drained = quiet || now_ms() >= calendar->drain_end_ms;
    calendar->drain_ms = now_ms() + DRAIN_EVERY_MS;
}

// Does what is due; returns how long to wait for the next, as poll takes it.
static int calendar_do(struct daemon *d, struct calendar *calendar)
{
    uint64_t next_ms = UINT64_MAX;
    if (calendar->snapshot_every_ms > 0 && now_ms() >= calendar->snapshot_ms) {
        task_want(d, TASK_SNAPSHOT);
        calendar->snapshot_ms = now_ms() + calendar->snapshot_every_ms;
    }
    if (calendar->alive_every_ms > 0 && now_ms() >= calendar->alive_ms) {
        // The daemon is alive if every worker completes its task in time.
        bool asked = false, alive = engine_is_alive(d->engine, &asked);
        if (alive)
            notify_alive();
        calendar->alive_ms = now_ms() + (asked ? calendar->alive_every_ms : ALIVE_AGAIN_MS);
    }
    if (calendar->drain_ms > 0 && now_ms() >= calendar->drain_ms)
        drain_look(d, calendar);
    bool absent = __atomic_load_n(&d->absent, __ATOMIC_RELAXED);
    if (absent && now_ms() >= calendar->absent_ms) {
        absence_look(d);
        calendar->absent_ms = now_ms() + ABSENT_EVERY_MS;
    }
    bool plane = engine_has_plane(d->engine);
    if (plane && now_ms() >= calendar->plane_ms) {
        engine_plane_look(d->engine);
        calendar->plane_ms = now_ms() + ENGINE_PLANE_LOOK_MS;
    }
    if (calendar->snapshot_every_ms > 0)
        next_ms = calendar->snapshot_ms;
    if (plane && calendar->plane_ms < next_ms)
        next_ms = calendar->plane_ms;
    if (calendar->drain_ms > 0 && calendar->drain_ms < next_ms)
        next_ms = calendar->drain_ms;
    if (calendar->alive_every_ms > 0 && calendar->alive_ms < next_ms)
        next_ms = calendar->alive_ms;
    if (absent && calendar->absent_ms < next_ms)
        next_ms = calendar->absent_ms;
    if (next_ms == UINT64_MAX)
        return -1;
    uint64_t now = now_ms();
    return next_ms > now ? (int)(next_ms - now) : 0;
}

// Something has changed: is it that there is a successor?
static bool successor_is_there(struct daemon *d)
{
    wake_receive(d->wake_fd);
    return successor_of(d) != NULL;
}

// Waits until the daemon is to end and does meanwhile what is due; returns the exit status that the
// end means.
static int wait_for_end(struct daemon *d, struct calendar *calendar)
{
    struct pollfd fds[] = {
        {.fd = d->signal_fd, .events = POLLIN},
        {.fd = engine_failure_fd(d->engine), .events = POLLIN},
        {.fd = d->wake_fd, .events = POLLIN},
        {.fd = d->predecessor_fd, .events = POLLIN},
        {.fd = d->watch ? watch_fd(d->watch) : -1, .events = POLLIN},
    };
    for (;;) {
        int ready = poll(fds, 5, calendar_do(d, calendar));
        if (calendar->drained) {
            log_write(&d->log, LOG_INFO, "drained, ending", NULL);
            return STATUS_FINE;
        }
        if (ready < 0)
            (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        if (ready <= 0)
            continue;
        if (fds[1].revents)
            return STATUS_FAILED;
        if (fds[2].revents && successor_is_there(d)) {
            successor_finish(d);
            return STATUS_FINE;
        }
        if (fds[2].revents && d->draining && calendar->drain_ms == 0)
            drain_begin(d, calendar);
        if (fds[4].revents) {
            watch_seen(d->watch);
            log_writef(&d->log, LOG_INFO, "the system's upstreams have changed", "file", "%s",
                       RESOLV_CONF_PATH);
            task_want(d, TASK_RELOAD);
        }
        if (fds[3].revents) {
            predecessor_heard(d);
            fds[3].fd = d->predecessor_fd;
        }
        struct signalfd_siginfo info;
        if (!fds[0].revents || read(d->signal_fd, &info, sizeof info) != sizeof info)
            continue;
        if (info.ssi_signo != SIGHUP) {
            d->end_signal = (int)info.ssi_signo;
            log_writef(&d->log, LOG_INFO, "ending", "signal", "%s", strsignal((int)info.ssi_signo));
            return STATUS_FINE;
        }
        task_want(d, TASK_RELOAD);
    }
}

static void ready_log(const struct log *log, const struct settings *settings, struct engine *engine)
{
    for (size_t i = 0; i < settings->server_listen.count; i++) {
        char text[ADDRESS_TEXT_MAX];
        address_format(&settings->server_listen.items[i], text);
        log_writef(log, LOG_INFO, "listening", "address", "%s", text);
    }
    if (settings->stats_listen.family != ADDRESS_NONE) {
        char text[ADDRESS_TEXT_MAX];
        address_format(&settings->stats_listen, text);
        log_writef(log, LOG_INFO, "stats", "url", "http://%s/", text);
    }
    if (engine_net_refused(engine))
        log_writef(log, LOG_INFO, "epoll takes the place of io_uring", "reason", "%s",
                   engine_net_refused(engine));
    struct cgroup_limits limits = cgroup_limits_read(CGROUP_PROC, CGROUP_MOUNT);
    if (cgroup_is_tight(&limits, settings->cache_size))
        log_writef(log, LOG_WARNING, "the cache may outgrow the memory of the control group",
                   "limit", "%" PRIu64, limits.memory);
    if (engine_connections_max(engine) < settings->server_tcp_connections_max)
        log_writef(log, LOG_WARNING,
                   "too few file descriptors for server.tcp-connections-max: raise the limit "
                   "(ulimit -n, LimitNOFILE)",
                   "connections", "%u", engine_connections_max(engine));
    plane_log(log, engine, NULL);
    char workers[16];
    snprintf(workers, sizeof workers, "%u", engine_worker_count(engine));
    log_write(log, LOG_INFO, "ready",
              (const struct log_field[]){
                  {"workers", workers}, {"engine", engine_net(engine)->name}, {NULL, NULL}});
}

// All sockets are bound by now.
static int rights_drop(const struct daemon *d, char why[static PRIVILEGES_WHY_SIZE])
{
    const char *user = settings_of(d)->server_user.text;
    const char *control = settings_of(d)->control_socket.text;
    struct file_mark made = d->control ? control_mark(d->control) : (struct file_mark){0};
    int error = d->control ? privileges_give(user, control, &made) : 0;
    if (error < 0) {
        snprintf(why, PRIVILEGES_WHY_SIZE, "cannot give the control socket to %s: %s", user,
                 error == -EPERM ? "it is not the socket that was made" : strerror(-error));
        return -1;
    }
    return privileges_drop(user, why);
}

// A kernel that has no filters is no reason not to serve. The filter of the process before, where
// it had one, is ours as well, and each one more would be asked at every call.
static void calls_limit(struct daemon *d)
{
    char why[SANDBOX_WHY_SIZE];
    d->sandboxed = d->inheritance && d->inheritance->sandboxed;
    if (!d->sandboxed && settings_of(d)->server_sandbox) {
        d->sandboxed = sandbox_enter(engine_net(d->engine) == &net_uring,
                                     engine_has_plane(d->engine), why) == 0;
        if (!d->sandboxed) {
            log_writef(&d->log, LOG_WARNING, "no sandbox", "reason", "%s", why);
            return;
        }
    }
    log_writef(&d->log, LOG_INFO, "sandbox", "state", "%s", d->sandboxed ? "on" : "off");
}

// Gives up what running does not need and starts all threads: in this order, as each gets the
// rights of the one that starts it. What is taken over from another process is so at the end.
static bool all_start(struct daemon *d, char why[static DAEMON_WHY_SIZE])
{
    if (rights_drop(d, why) != 0)
        return false;
    calls_limit(d);
    if (log_start(&d->log) < 0) {
        snprintf(why, DAEMON_WHY_SIZE, "no memory or no thread for the log");
        return false;
    }
    // The user who wrote the snapshot reads it: root without CAP_DAC_OVERRIDE may not.
    if (!engine_has_cache(d->engine) && !snapshot_load(d)) {
        snprintf(why, DAEMON_WHY_SIZE, "a signal asks for the end");
        return false;
    }
    if (d->predecessor_fd >= 0 && !predecessor_gives_way(d)) {
        snprintf(why, DAEMON_WHY_SIZE, "the predecessor has not ended its service");
        return false;
    }
    d->query_log = query_log_open(d->engine, &d->log);
    if (!d->query_log) {
        snprintf(why, DAEMON_WHY_SIZE, "no thread for the log of queries");
        return false;
    }
    d->watch = watch_open(RESOLV_CONF_PATH);
    absence_begin(d); // before /readyz can be asked
    if (query_log_set(d->query_log, settings_of(d), why) < 0 || engine_start(d->engine, why) < 0 ||
        (d->stats && !stats_start(d->stats, d->engine, &d->log, why)) ||
        (d->control && !control_start(d->control, orders, d, why)))
        return false;
    if (d->predecessor_fd >= 0) {
        engine_learn(d->engine, d->inheritance->lessons, d->inheritance->lesson_count);
        predecessor_replaced(d);
    }
    return true;
}

static void servers_close(struct daemon *d)
{
    control_close(d->control);
    stats_close(d->stats);
    d->control = NULL;
    d->stats = NULL;
}

// Runs the engine until something ends it.
static int engine_run(struct daemon *d)
{
    char why[DAEMON_WHY_SIZE];
    struct engine_inheritance *inherited = d->predecessor_fd >= 0 ? &d->inheritance->engine : NULL;
    d->engine = engine_open(settings_of(d), d->generation->files.local, &d->generation->cookies,
                            inherited, why);
    predecessor_drop(d);
    if (!d->engine)
        return predecessor_start_fails(d, why);
    int status = STATUS_FAILED;
    // Who gives orders as soon as that is possible waits for his turn.
    pthread_mutex_lock(&d->turn);
    bool served = all_start(d, why); // or there is nothing worth a snapshot
    if (served) {
        ready_log(&d->log, settings_of(d), d->engine);
    } else if (signals_ask_for_end()) {
        log_write(&d->log, LOG_INFO, "ending before everything has started", NULL);
        status = STATUS_FINE;
    } else {
        predecessor_start_fails(d, why);
    }
    struct calendar calendar = calendar_make(settings_of(d));
    pthread_mutex_unlock(&d->turn);
    if (served) {
        notify_ready();
        status = wait_for_end(d, &calendar);
    }
    __atomic_store_n(&d->ending, true, __ATOMIC_RELAXED);
    d->end_ms = now_ms() + END_MAX_MS;
    successor_resolve(d);
    if (served && !successor_of(d))
        notify_stopping();
    servers_close(d); // they use the engine, so they end first
    int error = engine_stop(d->engine);
    query_log_close(d->query_log);
    if (error < 0)
        log_writef(&d->log, LOG_ERROR, "a worker failed", "reason", "%s",
                   net_why(engine_net(d->engine), error));
    snapshot_last(d, served && error == 0);
    if (successor_of(d))
        upgrade_last(d->successor, d->engine);
    successor_wait(d);
    // Tasks that have not ended may use it to the end of the process.
    if (task_is_idle(d, TASK_RELOAD) && task_is_idle(d, TASK_UPGRADE))
        engine_close(d->engine);
    return error < 0 ? STATUS_FAILED : status;
}

// Opens the sockets of the two HTTP servers, or takes them over.
static bool servers_open(struct daemon *d, char why[static DAEMON_WHY_SIZE])
{
    const struct address *stats = &settings_of(d)->stats_listen;
    const char *control = settings_of(d)->control_socket.text;
    struct daemon_inheritance *in = d->inheritance;
    int none = -1;
    int *from_stats = in && address_equal(stats, &in->stats) ? &in->stats_fd : &none;
    int *from_control = in && strcmp(control, in->control) == 0 ? &in->control_fd : &none;
    if (stats->family != ADDRESS_NONE && !(d->stats = stats_open(settings_of(d), from_stats, why)))
        return false;
    return !*control ||
           (d->control = control_open(control, from_control, in ? &in->control_mark : NULL, why));
}

static int serve(struct daemon *d)
{
    char why[DAEMON_WHY_SIZE];
    d->signal_fd = signals_open();
    if (d->signal_fd < 0)
        return predecessor_start_fails(d, "cannot set up signals");
    int status = servers_open(d, why) ? engine_run(d) : predecessor_start_fails(d, why);
    servers_close(d);
    close(d->signal_fd);
    return status;
}

static void daemon_free(struct daemon *d)
{
    generation_free(d->generation);
    predecessor_drop(d);
    free(d->inheritance);
    free(d->successor);
    if (d->wake_fd >= 0)
        wake_close(d->wake_fd);
    free(d);
}

// Is there still an abandoned task or reader of files?
static bool is_used(struct daemon *d)
{
    for (enum daemon_task which = 0; which < TASK_COUNT; which++) {
        if (!task_is_idle(d, which))
            return true;
    }
    return __atomic_load_n(&d->readers, __ATOMIC_ACQUIRE) > 0;
}

static const struct task_kind kinds[TASK_COUNT] = {
    [TASK_RELOAD] = {"a reload", daemon_reload},
    [TASK_SNAPSHOT] = {"a snapshot", daemon_snapshot},
    [TASK_UPGRADE] = {"an upgrade", daemon_upgrade},
};

int daemon_run(int argc, char **argv)
{
    signals_begin();
    struct daemon *d = calloc(1, sizeof *d);
    if (!d)
        return STATUS_FAILED;
    *d = (struct daemon){
        .argc = argc, .argv = argv, .turn = PTHREAD_MUTEX_INITIALIZER, .started = time(NULL)};
    tasks_init(&d->tasks, kinds);
    d->wake_fd = wake_open();
    successor_program(d);
    int status = STATUS_FAILED;
    if (d->wake_fd >= 0 && predecessor_receive(d))
        status = generation_first(d);
    if (status == STATUS_FINE)
        status = serve(d);
    bool written = log_flush(&d->log, LOG_FLUSH_MS);
    if (is_used(d))
        return status;
    if (written)
        log_end(&d->log);
    daemon_free(d);
    return status;
}
