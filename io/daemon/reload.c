// SPDX-License-Identifier: MIT
#include "io/daemon/reload.h"
#include "io/daemon/absence.h"
#include "io/daemon/daemon_state.h"
#include "io/daemon/notify.h"
#include "io/daemon/plane_log.h"
#include "io/daemon/predecessor.h"
#include "io/daemon/successor.h"
#include "io/daemon/upgrade_new.h"
#include "io/edge/arguments.h"
#include "io/edge/bounded.h"
#include "io/edge/command.h"
#include "io/edge/cookie_file.h"
#include "io/edge/resolv_conf.h"
#include "io/edge/settings_diff.h"
#include "io/edge/settings_file.h"
#include "io/engine/engine_rules.h"

#include <stdlib.h>
#include <string.h>

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

static void local_log(const struct log *log, const struct local *local)
{
    struct local_counts counts = local_counts(local);
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
}

// Reads the files that the settings name. 0, or a negative errno with a sentence in `why`.
static int generation_files(const struct log *log, struct generation *generation,
                            char why[static LOCAL_WHY_SIZE])
{
    union {
        const struct log *given;
        void *context; // given back to the two above, which take it as const
    } to = {log};
    struct local_listener listener = {bad_line_log, file_read_log, to.context};
    int error = local_files_read(&generation->files, &generation->settings, &listener, why);
    if (error == 0)
        local_log(log, generation->files.local);
    return error;
}

static struct generation *generation_of(struct superseded *superseded)
{
    return (struct generation *)(void *)superseded;
}

void generation_free(struct generation *generation)
{
    while (generation) {
        struct generation *before = generation_of(generation->superseded.before);
        local_files_free(&generation->files);
        settings_free(&generation->settings);
        free(generation);
        generation = before;
    }
}

static void log_apply(struct daemon *d, const struct settings *settings)
{
    log_set(&d->log, settings->log_level, settings->log_format);
}

struct telling {
    struct daemon *daemon;
    FILE *report;
    size_t count;
};

static void changed_tell(void *context, const char *name, const char *from, const char *to)
{
    struct telling *telling = context;
    log_write(&telling->daemon->log, LOG_INFO, "setting changed",
              (struct log_field[]){{"setting", name}, {"from", from}, {"to", to}, {NULL, NULL}});
    fprintf(telling->report, "%s: %s, was %s\n", name, to, from);
    telling->count++;
}

static void kept_tell(void *context, const char *name, const char *from, const char *to)
{
    struct telling *telling = context;
    log_write(&telling->daemon->log, LOG_WARNING, "setting changes with a restart only",
              (struct log_field[]){{"setting", name}, {"is", from}, {"file", to}, {NULL, NULL}});
    fprintf(telling->report, "%s: stays %s, and is %s only after a restart\n", name, from, to);
}

static bool reload_fails(struct daemon *d, const char *why, FILE *report)
{
    log_writef(&d->log, LOG_ERROR, "settings not reloaded, the old ones stay in force", "reason",
               "%s", why);
    fprintf(report, "not reloaded: %s\n", why);
    return false;
}

// --- reading, in a thread that may be left alone -------------------------------------------------

struct reading {
    struct daemon *daemon;
    struct generation *generation;
    bool first;   // at the start: the log goes by the settings from then on
    int status;   // of the settings
    char *faults; // what is wrong with them, in lines
    int error;    // of the files
    char why[LOCAL_WHY_SIZE];
};

// The secrets are taken once, at the start.
static int cookies_read(struct reading *r)
{
    const char *path = r->generation->settings.server_cookie_secrets.text;
    char why[COOKIE_FILE_WHY_SIZE];
    int error = *path ? cookie_file_read(path, &r->generation->cookies, why) : 0;
    if (error < 0)
        snprintf(r->why, sizeof r->why, "server.cookie-secrets: %s", why);
    return error;
}

static void reading_run(void *context)
{
    struct reading *r = context;
    struct daemon *d = r->daemon;
    size_t len = 0;
    FILE *to = open_memstream(&r->faults, &len);
    r->status = STATUS_FAILED;
    if (!to)
        return;
    watch_look_at(&r->generation->system, RESOLV_CONF_PATH);
    r->status = settings_load(&r->generation->settings, d->argc, d->argv, to);
    fclose(to);
    if (r->status != STATUS_FINE)
        return;
    if (r->first)
        log_apply(d, &r->generation->settings);
    r->error = generation_files(&d->log, r->generation, r->why);
    if (r->error == 0 && r->first)
        r->error = cookies_read(r);
}

static void reading_free(struct reading *r)
{
    if (r->generation)
        generation_free(r->generation);
    free(r->faults);
    free(r);
}

static void reading_drop(void *context)
{
    struct reading *r = context;
    struct daemon *d = r->daemon;
    reading_free(r);
    __atomic_sub_fetch(&d->readers, 1, __ATOMIC_RELEASE);
}

static bool reading_ends(void *context)
{
    return is_ending(context);
}

// Reads settings and files. NULL: `why` says why that is not done.
static struct reading *reading_do(struct daemon *d, bool first, char why[static DAEMON_WHY_SIZE])
{
    struct reading *r = calloc(1, sizeof *r);
    struct bounded *bounded = NULL;
    snprintf(why, DAEMON_WHY_SIZE, "no memory or no thread");
    if (__atomic_load_n(&d->readers, __ATOMIC_ACQUIRE) > 0) {
        snprintf(why, DAEMON_WHY_SIZE,
                 "the files of an earlier reload are still being read: a file system does not "
                 "answer");
    } else if (r && (r->generation = calloc(1, sizeof *r->generation))) {
        r->daemon = d;
        r->first = first;
        __atomic_add_fetch(&d->readers, 1, __ATOMIC_RELAXED);
        bounded = bounded_start(reading_run, reading_drop, r);
        if (!bounded)
            __atomic_sub_fetch(&d->readers, 1, __ATOMIC_RELEASE);
    }
    if (!bounded) {
        if (r)
            reading_free(r);
        return NULL;
    }
    if (bounded_finish(bounded, BOUNDED_READ_MS, reading_ends, d)) {
        __atomic_sub_fetch(&d->readers, 1, __ATOMIC_RELEASE);
        *why = '\0';
        return r;
    }
    if (is_ending(d))
        snprintf(why, DAEMON_WHY_SIZE, "this process is ending");
    else
        snprintf(why, DAEMON_WHY_SIZE,
                 "the settings and the files that they name are not read within %d s: a file "
                 "system does not answer",
                 BOUNDED_READ_MS / 1000);
    return NULL;
}

// What was read; NULL: `why` says what is wrong, or what is wrong with the settings is for the
// caller to tell.
static struct generation *reading_finish(struct reading *r, char why[static DAEMON_WHY_SIZE])
{
    struct generation *generation = r->generation;
    if (r->status == STATUS_FINE && r->error == 0) {
        r->generation = NULL;
        return generation;
    }
    if (r->status == STATUS_FAILED)
        snprintf(why, DAEMON_WHY_SIZE, "no memory");
    else if (r->status == STATUS_FINE)
        snprintf(why, DAEMON_WHY_SIZE, "%s", r->why);
    return NULL;
}

int generation_first(struct daemon *d)
{
    char why[DAEMON_WHY_SIZE] = "";
    struct reading *r = reading_do(d, true, why);
    if (r)
        d->generation = reading_finish(r, why);
    if (*why)
        (void)predecessor_start_fails(d, why);
    else
        log_text(r->faults); // or warnings
    if (!*why && !d->generation && d->predecessor_fd >= 0)
        upgrade_refuse(d->predecessor_fd, r->faults);
    int status = d->generation                     ? STATUS_FINE
                 : r && r->status != STATUS_FAILED ? STATUS_USAGE
                                                   : STATUS_FAILED;
    if (r)
        reading_free(r);
    return status;
}

// What was told of the settings: a line of the log for each line of it.
static void faults_tell(struct daemon *d, char *faults, bool warnings, FILE *report)
{
    char *at = NULL;
    for (char *line = strtok_r(faults, "\n", &at); line; line = strtok_r(NULL, "\n", &at)) {
        if (!warnings) {
            (void)reload_fails(d, line, report);
            continue;
        }
        log_writef(&d->log, LOG_WARNING, "settings", "warning", "%s", line);
        fprintf(report, "%s\n", line);
    }
}

// Reads settings and files; NULL: the report says what is wrong with them.
static struct generation *generation_read(struct daemon *d, FILE *report)
{
    char why[DAEMON_WHY_SIZE] = "";
    struct reading *r = reading_do(d, false, why);
    struct generation *next = r ? reading_finish(r, why) : NULL;
    if (*why)
        (void)reload_fails(d, why, report);
    else
        faults_tell(d, r->faults, next != NULL, report);
    if (r)
        reading_free(r);
    return next;
}

// --- reloading ---------------------------------------------------------------------------------

static void partly_tell(const struct daemon *d, const char *why, FILE *report)
{
    log_writef(&d->log, LOG_ERROR, "reloaded, but not all of it", "reason", "%s", why);
    fprintf(report, "%s\n", why);
}

static bool reload(struct daemon *d, struct generation *next, FILE *report)
{
    char why[ENGINE_WHY_SIZE] = "no memory";
    struct telling telling = {d, report, 0};
    struct generation *before = d->generation;
    // While the system's file is being written it may name none.
    if (next->settings.forward.count == 0 && before->settings.forward.count > 0) {
        generation_free(next);
        return reload_fails(d, "there would be no upstream: " RESOLV_CONF_PATH " names no server",
                            report);
    }
    int error = settings_keep(&next->settings, &before->settings, kept_tell, &telling);
    if (error == 0)
        error = engine_reload(d->engine, &next->settings, next->files.local, why);
    if (error < 0) {
        generation_free(next);
        return reload_fails(d, why, report);
    }
    if (error == ENGINE_RELOAD_PARTLY)
        partly_tell(d, why, report);
    if (query_log_set(d->query_log, &next->settings, why) < 0)
        partly_tell(d, why, report);
    settings_diff(&before->settings, &next->settings, changed_tell, &telling);
    plane_log(&d->log, d->engine, report);
    log_apply(d, &next->settings);
    uint64_t now_us = clock_us(CLOCK_MONOTONIC);
    generation_free(generation_of(superseded_cut(&before->superseded, now_us)));
    supersede(&next->superseded, &before->superseded, now_us);
    d->generation = next;
    absence_begin(d);
    log_writef(&d->log, LOG_INFO, "reloaded", "changed", "%zu", telling.count);
    fprintf(report, "reloaded: %zu settings have changed\n", telling.count);
    return true;
}

// Another process takes over, or has: what was asked for is not to be lost with that.
static void reload_put_off(struct daemon *d, FILE *report)
{
    if (d->upgrading) {
        d->reload_later = true;
        log_write(&d->log, LOG_INFO, "the reload is done after the upgrade", NULL);
        fprintf(report, "the reload is done after it\n");
    } else if (successor_of(d)) {
        successor_reload(d);
    }
}

bool daemon_reload(struct daemon *d, FILE *report)
{
    notify_reloading();
    struct generation *next = generation_read(d, report);
    pthread_mutex_lock(&d->turn);
    bool charged = next && is_in_charge(d, report);
    bool done = charged && reload(d, next, report);
    if (next && !charged)
        reload_put_off(d, report);
    pthread_mutex_unlock(&d->turn);
    if (next && !charged)
        generation_free(next);
    notify_ready();
    return done;
}
