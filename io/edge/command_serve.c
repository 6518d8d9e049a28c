// SPDX-License-Identifier: MIT
#include "io/edge/arguments.h"
#include "io/edge/command.h"
#include "io/edge/local_files.h"
#include "io/edge/log.h"
#include "io/edge/settings_file.h"
#include "io/edge/snapshot.h"
#include "io/edge/stats.h"
#include "io/engine/engine.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

// Blocks the signals that end the daemon or mean something to it, here and in every thread started
// later; they are read from the descriptor returned. -1: it could not be had.
static int signals_take(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a snapshot that may not grow is an error, not the end
    if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0)
        return -1;
    return signalfd(-1, &signals, SFD_CLOEXEC);
}

static void snapshot_log(const struct log *log, const char *message, const char *path,
                         const struct snapshot_result *result)
{
    char entries[24], octets[24];
    snprintf(entries, sizeof entries, "%llu", (unsigned long long)result->entries);
    snprintf(octets, sizeof octets, "%llu", (unsigned long long)result->octets);
    log_write(log, LOG_INFO, message,
              (struct log_field[]){
                  {"path", path}, {"entries", entries}, {"octets", octets}, {NULL, NULL}});
}

// Fills the cache from the last snapshot, before anybody uses it. A bad file is told and left
// alone: the start is empty, and the next snapshot takes its place.
static void snapshot_load(const struct log *log, const struct settings *settings,
                          struct engine *engine)
{
    const char *path = settings->cache_snapshot.text;
    struct snapshot_result result;
    char why[SNAPSHOT_WHY_SIZE];
    if (*path == '\0')
        return;
    int error = snapshot_read(engine_cache(engine), path, engine_now_s(engine), &result, why);
    if (error == 0)
        snapshot_log(log, "snapshot read", path, &result);
    else if (error == -ENOENT)
        log_writef(log, LOG_INFO, "no snapshot yet", "path", "%s", path);
    else
        log_writef(log, LOG_WARNING, "starting without the snapshot", "reason", "%s", why);
}

// By this thread, which is no worker: they go on answering.
static void snapshot_save(const struct log *log, const struct settings *settings,
                          struct engine *engine)
{
    const char *path = settings->cache_snapshot.text;
    struct snapshot_result result;
    char why[SNAPSHOT_WHY_SIZE];
    if (*path == '\0')
        return;
    if (snapshot_write(engine_cache(engine), path, engine_now_s(engine), &result, why) == 0)
        snapshot_log(log, "snapshot written", path, &result);
    else
        log_writef(log, LOG_ERROR, "no snapshot was written", "reason", "%s", why);
}

// Waits until the daemon is to end and writes snapshots meanwhile; returns the exit status that the
// end means.
static int wait_for_end(const struct log *log, const struct settings *settings, int signal_fd,
                        struct engine *engine)
{
    struct pollfd fds[] = {
        {.fd = signal_fd, .events = POLLIN},
        {.fd = engine_failure_fd(engine), .events = POLLIN},
    };
    bool snapshots = *settings->cache_snapshot.text != '\0';
    for (;;) {
        int ready = poll(fds, 2, snapshots ? (int)settings->cache_snapshot_interval : -1);
        if (ready == 0)
            snapshot_save(log, settings, engine);
        if (ready <= 0)
            continue;
        if (fds[1].revents)
            return STATUS_FAILED;
        struct signalfd_siginfo info;
        if (read(signal_fd, &info, sizeof info) != sizeof info)
            continue;
        if (info.ssi_signo != SIGHUP) {
            log_writef(log, LOG_INFO, "ending", "signal", "%s", strsignal((int)info.ssi_signo));
            return STATUS_FINE;
        }
        log_write(log, LOG_WARNING, "settings are read at the start only; restart to change them",
                  NULL);
    }
}

static void ready_log(const struct log *log, const struct settings *settings,
                      const struct engine *engine)
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
    log_writef(log, LOG_INFO, "ready", "workers", "%u", engine_worker_count(engine));
}

// Runs until a signal or a failure ends it.
static int engine_run(const struct log *log, const struct settings *settings,
                      const struct local *local, struct stats *stats, int signal_fd)
{
    char why[ENGINE_WHY_SIZE];
    struct engine *engine = engine_open(settings, local, why);
    if (!engine) {
        log_writef(log, LOG_ERROR, "cannot start", "reason", "%s", why);
        stats_close(stats);
        return STATUS_FAILED;
    }
    int status = STATUS_FAILED;
    bool served = false; // or there is nothing worth a snapshot
    snapshot_load(log, settings, engine);
    if (engine_start(engine, why) < 0 || (stats && !stats_start(stats, engine, why))) {
        log_writef(log, LOG_ERROR, "cannot start", "reason", "%s", why);
    } else {
        served = true;
        ready_log(log, settings, engine);
        status = wait_for_end(log, settings, signal_fd, engine);
    }
    // The stats server reads the engine, so it ends first.
    stats_close(stats);
    int error = engine_stop(engine);
    if (error < 0)
        log_writef(log, LOG_ERROR, "a worker failed", "reason", "%s", strerror(-error));
    else if (served)
        snapshot_save(log, settings, engine);
    engine_close(engine);
    return error < 0 ? STATUS_FAILED : status;
}

static void bad_line_log(void *context, const char *path, uint32_t line, const char *why)
{
    char number[16];
    snprintf(number, sizeof number, "%u", line);
    log_write(
        context, LOG_WARNING, "a line is left out",
        (struct log_field[]){{"path", path}, {"line", number}, {"reason", why}, {NULL, NULL}});
}

static void file_read_log(void *context, const char *path, const struct local_file_counts *counts)
{
    char names[24], skipped[24], bad[24];
    snprintf(names, sizeof names, "%zu", counts->names);
    snprintf(skipped, sizeof skipped, "%zu", counts->skipped);
    snprintf(bad, sizeof bad, "%zu", counts->bad);
    log_write(context, LOG_INFO, "names read",
              (struct log_field[]){{"path", path},
                                   {"names", names},
                                   {"lines_skipped", skipped},
                                   {"lines_bad", bad},
                                   {NULL, NULL}});
}

static int local_read(const struct log *log, const struct settings *settings,
                      struct local_files *files)
{
    union {
        const struct log *given;
        void *context; // given back to the two above, which take it as const
    } to = {log};
    struct local_listener listener = {bad_line_log, file_read_log, to.context};
    char why[LOCAL_WHY_SIZE];
    int error = local_files_read(files, settings, &listener, why);
    if (error) {
        log_writef(log, LOG_ERROR, "cannot start", "reason", "%s", why);
        return error;
    }
    struct local_counts counts = local_counts(files->local);
    char names[24], blocked[24], left_out[24], octets[24];
    snprintf(names, sizeof names, "%zu", counts.names);
    snprintf(blocked, sizeof blocked, "%zu", counts.blocked);
    snprintf(left_out, sizeof left_out, "%zu", counts.left_out);
    snprintf(octets, sizeof octets, "%zu", counts.octets);
    log_write(log, LOG_INFO, "local names",
              (struct log_field[]){{"names", names},
                                   {"blocked", blocked},
                                   {"left_out", left_out},
                                   {"octets", octets},
                                   {NULL, NULL}});
    return 0;
}

static int serve(const struct log *log, const struct settings *settings, const struct local *local)
{
    int signal_fd = signals_take();
    if (signal_fd < 0) {
        log_write(log, LOG_ERROR, "cannot take signals", NULL);
        return STATUS_FAILED;
    }
    int status = STATUS_FAILED;
    struct stats *stats = NULL;
    char why[STATS_WHY_SIZE];
    bool wanted = settings->stats_listen.family != ADDRESS_NONE;
    if (wanted)
        stats = stats_open(&settings->stats_listen, why);
    if (wanted && !stats)
        log_writef(log, LOG_ERROR, "cannot start", "reason", "%s", why);
    else
        status = engine_run(log, settings, local, stats, signal_fd);
    close(signal_fd);
    return status;
}

int command_serve(int argc, char **argv)
{
    struct settings settings;
    int status = settings_load(&settings, argc, argv, stderr);
    if (status != STATUS_FINE)
        return status;
    struct log log = {.level = settings.log_level, .format = settings.log_format};
    struct local_files files;
    status =
        local_read(&log, &settings, &files) ? STATUS_USAGE : serve(&log, &settings, files.local);
    local_files_free(&files);
    settings_free(&settings);
    return status;
}
