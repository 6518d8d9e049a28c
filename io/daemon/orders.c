// SPDX-License-Identifier: MIT
#include "io/daemon/orders.h"

#include "core/serve/control.h"
#include "core/serve/explain.h"
#include "core/settings/parse.h"
#include "core/wire/text.h"
#include "io/daemon/daemon_state.h"
#include "io/daemon/list_search.h"
#include "io/edge/metrics.h"
#include "io/edge/report.h"
#include "io/engine/engine_do.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// --- what comes with an order --------------------------------------------------------------------

static struct daemon *daemon_of(const struct order_request *r)
{
    return r->context;
}

// Reads the parameter `name` as a domain name, in lower case.
static bool parameter_name(const struct order_request *r, struct name *name)
{
    const char *text = order_parameter(r, "name");
    if (text && name_parse(name, text, strlen(text)))
        return true;
    fprintf(r->report, "\"%s\" is no domain name\n", text ? text : "");
    return false;
}

// --- what only looks -----------------------------------------------------------------------------

static bool order_stats(const struct order_request *r)
{
    const struct daemon *d = daemon_of(r);
    metrics_print(d->engine, &d->log, d->started, r->json, r->report);
    return true;
}

static bool order_upstreams(const struct order_request *r)
{
    return report_upstreams(daemon_of(r)->engine, r->json, r->report);
}

static bool order_top(const struct order_request *r)
{
    return report_top(daemon_of(r)->engine, r->json, r->report);
}

// Where the name of a question is blocked, has the lists searched for it, without the turn; the
// result is to be freed. NULL: nothing was, or the question says why not.
static struct list_search *blocked_search(struct daemon *d, struct report_question *question)
{
    struct list_search *search = NULL;
    pthread_mutex_lock(&d->turn);
    bool blocked = report_outcome(d->engine, question) == OUTCOME_BLOCKED;
    if (blocked)
        search = list_search_begin(d, question->name);
    pthread_mutex_unlock(&d->turn);
    question->unlisted = "the lists cannot be searched now";
    if (search)
        search = list_search_finish(search, &question->unlisted);
    if (search)
        question->listed = list_search_found(search);
    return search;
}

static bool order_explain(const struct order_request *r)
{
    struct daemon *d = daemon_of(r);
    struct name name;
    struct address client;
    const char *type_text = order_parameter(r, "type");
    const char *client_text = order_parameter(r, "client");
    if (!parameter_name(r, &name))
        return false;
    uint16_t type = type_text ? text_type_read(type_text, strlen(type_text)) : TYPE_A;
    if (type == 0) {
        fprintf(r->report, "\"%s\" is no type: give one such as AAAA or TYPE28\n", type_text);
        return false;
    }
    if (client_text && !address_parse(&client, client_text, strlen(client_text), 0)) {
        fprintf(r->report, "\"%s\" is no address\n", client_text);
        return false;
    }
    struct report_question question = {
        .name = &name, .type = type, .client = client_text ? &client : NULL};
    struct list_search *search = blocked_search(d, &question);
    pthread_mutex_lock(&d->turn);
    bool done = report_question(d->engine, &question, r->json, r->report);
    pthread_mutex_unlock(&d->turn);
    if (search)
        list_search_free(search);
    return done;
}

// --- what changes something ----------------------------------------------------------------------

enum { FLUSH_BUCKETS = 2000 }; // at a time; the worker answers in between

struct flush {
    const struct daemon *daemon;
    struct serve_flush *each; // of the workers
};

static bool flush_do(struct serve *serve, uint64_t now_us, uint32_t worker, void *context)
{
    struct flush *flush = context;
    (void)now_us;
    if (is_ending(flush->daemon))
        return false;
    return serve_flush(serve, &flush->each[worker], FLUSH_BUCKETS);
}

static bool flush_all(struct daemon *d, enum flush_what what, const struct name *name, FILE *report)
{
    unsigned count = engine_worker_count(d->engine);
    struct serve_flush *flushes = calloc(count, sizeof *flushes); // one for each worker
    uint64_t removed = 0;
    if (!flushes) {
        fprintf(report, "not flushed: no memory\n");
        return false;
    }
    for (unsigned i = 0; i < count; i++)
        flushes[i] = (struct serve_flush){.what = what, .name = name ? *name : (struct name){0}};
    pthread_mutex_lock(&d->turn);
    bool charged = is_in_charge(d, report);
    bool done = charged && engine_do(d->engine, flush_do, &(struct flush){d, flushes});
    for (unsigned i = 0; i < count; i++)
        removed += flushes[i].sweep.removed;
    d->flushed |= charged;
    if (done)
        fprintf(report, "flushed: %llu answers\n", (unsigned long long)removed);
    else if (charged)
        fprintf(report, "not flushed: a worker has ended\n");
    if (charged)
        log_writef(&d->log, LOG_INFO, "flushed", "answers", "%llu", (unsigned long long)removed);
    pthread_mutex_unlock(&d->turn);
    // One that was begun before holds what was flushed.
    if (charged && !task_is_idle(d, TASK_SNAPSHOT))
        task_want(d, TASK_SNAPSHOT);
    free(flushes);
    return done;
}

static bool order_flush(const struct order_request *r)
{
    struct name name;
    if (order_parameter(r, "all"))
        return flush_all(daemon_of(r), FLUSH_ALL, NULL, r->report);
    return parameter_name(r, &name) &&
           flush_all(daemon_of(r), order_parameter(r, "subtree") ? FLUSH_SUBTREE : FLUSH_NAME,
                     &name, r->report);
}

// Reports not ready at /readyz, goes on answering, and ends when there has been no query for three
// seconds and all are answered, or after five minutes.
static bool order_drain(const struct order_request *r)
{
    struct daemon *d = daemon_of(r);
    pthread_mutex_lock(&d->turn);
    bool done = is_in_charge(d, r->report) && !d->draining;
    if (done) {
        d->draining = true;
        if (d->stats)
            stats_unready(d->stats, STATS_DRAINING, true);
        log_write(&d->log, LOG_INFO, "draining", NULL);
        main_wake(d);
    }
    pthread_mutex_unlock(&d->turn);
    fprintf(r->report, done ? "draining: it ends when no more queries come\n"
                            : "it is draining or ending already\n");
    return done;
}

// Until the next reload.
static bool order_log(const struct order_request *r)
{
    struct daemon *d = daemon_of(r);
    const char *level = order_parameter(r, "level"), *word = level ? level : "";
    const struct settings_option *option = settings_find("log", "level", strlen("level"));
    union settings_value value;
    char why[SETTINGS_WHY_SIZE];
    if (!settings_parse(option, word, strlen(word), &value, why)) {
        fprintf(r->report, "%s\n", why);
        return false;
    }
    pthread_mutex_lock(&d->turn);
    log_set(&d->log, value.word, settings_of(d)->log_format);
    pthread_mutex_unlock(&d->turn);
    fprintf(r->report, "log level: %s\n", word);
    return true;
}

// --- what takes long -----------------------------------------------------------------------------

static bool task_order(const struct order_request *r, enum daemon_task which)
{
    const char *noun = daemon_of(r)->tasks.kinds[which].noun;
    int error = task_begin(daemon_of(r), which, r->done, r->waiting);
    if (error == -EBUSY)
        fprintf(r->report, "%s is already under way\n", noun);
    else if (error < 0)
        fprintf(r->report, "%s cannot be started: %s\n", noun,
                error == -EAGAIN ? "there is no thread for it" : strerror(-error));
    return error == 0;
}

static bool order_reload(const struct order_request *r)
{
    return task_order(r, TASK_RELOAD);
}

static bool order_upgrade(const struct order_request *r)
{
    return task_order(r, TASK_UPGRADE);
}

static bool order_snapshot(const struct order_request *r)
{
    return task_order(r, TASK_SNAPSHOT);
}

const struct order orders[] = {
    {
        .name = "stats",
        .arguments = "",
        .summary = "all counters and gauges",
        .run = order_stats,
    },
    {
        .name = "upstreams",
        .arguments = "",
        .summary = "how fast, how lossy and how healthy each upstream is",
        .run = order_upstreams,
    },
    {
        .name = "top",
        .arguments = "",
        .summary = "the most frequent names and clients, and what fails most",
        .run = order_top,
    },
    {
        .name = "explain",
        .arguments = "NAME [TYPE] [--client ADDR]",
        .summary = "what ouzel knows about a question, and how it would answer it now",
        .words = {"name", "type"},
        .options = {"client="},
        .run = order_explain,
    },
    {
        .name = "flush",
        .arguments = "NAME [--subtree] | --all",
        .summary = "remove a name, all names below it, or everything from the cache",
        .words = {"name"},
        .options = {"subtree", "all"},
        .changes = true,
        .run = order_flush,
    },
    {
        .name = "reload",
        .arguments = "",
        .summary = "read the settings again, and the files that they name",
        .changes = true,
        .takes_long = true,
        .run = order_reload,
    },
    {
        .name = "upgrade",
        .arguments = "",
        .summary = "replace this process with the program that is on disk now, without a pause",
        .changes = true,
        .takes_long = true,
        .run = order_upgrade,
    },
    {
        .name = "drain",
        .arguments = "",
        .summary = "answer 503 at /readyz, and exit once no more queries arrive",
        .changes = true,
        .run = order_drain,
    },
    {
        .name = "snapshot",
        .arguments = "",
        .summary = "save the cache to the file of cache.snapshot",
        .changes = true,
        .takes_long = true,
        .run = order_snapshot,
    },
    {
        .name = "log",
        .arguments = "LEVEL",
        .summary = "log from this level on: error, warning, info, debug",
        .words = {"level"},
        .changes = true,
        .run = order_log,
    },
    {0},
};
