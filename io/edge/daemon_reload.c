// SPDX-License-Identifier: MIT
#include "io/edge/arguments.h"
#include "io/edge/command.h"
#include "io/edge/daemon_state.h"
#include "io/edge/notify.h"
#include "io/edge/settings_diff.h"
#include "io/edge/settings_file.h"

#include <stdlib.h>
#include <string.h>

static time_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
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

int generation_files(const struct log *log, struct generation *generation,
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

void generation_free(struct generation *generation)
{
    while (generation) {
        struct generation *before = generation->before;
        local_files_free(&generation->files);
        settings_free(&generation->settings);
        free(generation);
        generation = before;
    }
}

void log_take(struct daemon *d, const struct settings *settings)
{
    log_set(&d->log, settings->log_level, settings->log_format);
}

// Gives up those that others took the place of so long ago that nothing goes by them any more.
static void generations_prune(struct generation *generation)
{
    while (generation && now_s() - generation->since <= (time_t)(SERVE_RELOAD_REST_US / 1000000))
        generation = generation->before;
    if (!generation)
        return;
    generation_free(generation->before);
    generation->before = NULL;
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
    log_writef(&d->log, LOG_ERROR, "settings not reloaded, those before stay in force", "reason",
               "%s", why);
    fprintf(report, "not reloaded: %s\n", why);
    return false;
}

// Reads settings and files; NULL: the report says what is wrong with them.
static struct generation *generation_read(struct daemon *d, FILE *report)
{
    struct generation *next = calloc(1, sizeof *next);
    char *faults = NULL, why[LOCAL_WHY_SIZE];
    size_t len = 0;
    FILE *to = open_memstream(&faults, &len);
    if (!next || !to) {
        reload_fails(d, "no memory", report);
        if (to)
            fclose(to);
        free(faults);
        free(next);
        return NULL;
    }
    int status = settings_load(&next->settings, d->argc, d->argv, to);
    fclose(to);
    if (status != STATUS_FINE) {
        // A line of the log for each line of it.
        for (char *line = strtok(faults, "\n"); line; line = strtok(NULL, "\n"))
            reload_fails(d, line, report);
        free(next);
        next = NULL;
    } else if (generation_files(&d->log, next, why) != 0) {
        reload_fails(d, why, report);
        generation_free(next);
        next = NULL;
    }
    free(faults);
    return next;
}

static void partly_tell(const struct daemon *d, const char *why, FILE *report)
{
    log_writef(&d->log, LOG_ERROR, "reloaded, but not all of it", "reason", "%s", why);
    fprintf(report, "%s\n", why);
}

static bool reload(struct daemon *d, FILE *report)
{
    char why[ENGINE_WHY_SIZE] = "no memory";
    struct telling telling = {d, report, 0};
    struct generation *before = d->generation, *next = generation_read(d, report);
    if (!next)
        return false;
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
    log_take(d, &next->settings);
    generations_prune(before);
    next->since = now_s();
    next->before = before;
    d->generation = next;
    log_writef(&d->log, LOG_INFO, "reloaded", "changed", "%zu", telling.count);
    fprintf(report, "reloaded: %zu settings have changed\n", telling.count);
    return true;
}

bool daemon_reload(struct daemon *d, FILE *report)
{
    pthread_mutex_lock(&d->turn);
    notify_reloading();
    bool done = is_in_charge(d, report) && reload(d, report);
    notify_ready();
    pthread_mutex_unlock(&d->turn);
    return done;
}
