// SPDX-License-Identifier: MIT
#include "io/edge/stats.h"

#include "io/edge/stats_page.h"
#include "io/engine/udp.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, IDLE_TIMEOUT_S = 15 };

struct stats {
    const struct engine *engine;
    struct MHD_Daemon *daemon;
    int fd; // until the daemon has it
    time_t started;
};

// Everything that is shown: a counter's row and its value, or a gauge that is asked for.
struct sample {
    const struct counter_description *description;
    uint64_t value;
};

enum { EXTRA_COUNT = 5, SAMPLE_COUNT = COUNTER_COUNT + EXTRA_COUNT };

static const struct counter_description extra_descriptions[EXTRA_COUNT] = {
    {"ouzel_cache_entries", "", "Answers in the cache now.", true},
    {"ouzel_cache_used_bytes", "", "Octets of the cache's logs that hold answers.", true},
    {"ouzel_cache_capacity_bytes", "", "Octets that the cache's logs can hold.", true},
    {"ouzel_workers", "", "Workers, each with a thread and a ring of its own.", true},
    {"ouzel_start_time_seconds", "", "When this process started, in Unix time.", true},
};

static void samples_take(const struct engine *engine, int64_t started,
                         struct sample samples[SAMPLE_COUNT])
{
    struct counters counters;
    struct cache_use use;
    engine_counters(engine, &counters);
    engine_cache_use(engine, &use);
    const uint64_t extra[EXTRA_COUNT] = {
        use.entries, use.used, use.capacity, engine_worker_count(engine), (uint64_t)started,
    };
    for (unsigned i = 0; i < COUNTER_COUNT; i++)
        samples[i] = (struct sample){&counter_descriptions[i], counters.values[i]};
    for (unsigned i = 0; i < EXTRA_COUNT; i++)
        samples[COUNTER_COUNT + i] = (struct sample){&extra_descriptions[i], extra[i]};
}

static bool same_metric(const struct sample *a, const struct sample *b)
{
    return strcmp(a->description->metric, b->description->metric) == 0;
}

static void metrics_print(const struct sample *samples, FILE *to)
{
    for (unsigned i = 0; i < SAMPLE_COUNT; i++) {
        const struct counter_description *row = samples[i].description;
        if (i == 0 || !same_metric(&samples[i], &samples[i - 1])) {
            fprintf(to, "# HELP %s %s\n", row->metric, row->help);
            fprintf(to, "# TYPE %s %s\n", row->metric, row->gauge ? "gauge" : "counter");
        }
        if (*row->labels)
            fprintf(to, "%s{%s} %llu\n", row->metric, row->labels,
                    (unsigned long long)samples[i].value);
        else
            fprintf(to, "%s %llu\n", row->metric, (unsigned long long)samples[i].value);
    }
    fprintf(to,
            "# HELP ouzel_build_info What this process was built from.\n"
            "# TYPE ouzel_build_info gauge\n"
            "ouzel_build_info{version=\"%s\"} 1\n",
            OUZEL_VERSION);
}

// A metric with a label becomes an object with a member for each of the label's values.
static void json_print(const struct sample *samples, FILE *to)
{
    fprintf(to, "{\n  \"ouzel_build_info\": {\"%s\": 1}", OUZEL_VERSION);
    for (unsigned i = 0; i < SAMPLE_COUNT; i++) {
        const struct counter_description *row = samples[i].description;
        unsigned long long value = samples[i].value;
        bool first = i == 0 || !same_metric(&samples[i], &samples[i - 1]);
        bool last = i + 1 == SAMPLE_COUNT || !same_metric(&samples[i], &samples[i + 1]);
        if (first)
            fprintf(to, ",\n  \"%s\": ", row->metric);
        if (*row->labels == '\0') {
            fprintf(to, "%llu", value);
            continue;
        }
        const char *label_value = strchr(row->labels, '"'); // with its quotes
        fprintf(to, "%s%s: %llu%s", first ? "{" : ", ", label_value, value, last ? "}" : "");
    }
    fputs("\n}\n", to);
}

void stats_print(const struct engine *engine, int64_t started, bool json, FILE *to)
{
    struct sample samples[SAMPLE_COUNT];
    samples_take(engine, started, samples);
    if (json)
        json_print(samples, to);
    else
        metrics_print(samples, to);
}

static void page_print(const struct sample *samples, FILE *to)
{
    (void)samples; // it fetches them itself
    fputs(stats_page, to);
}

static void health_print(const struct sample *samples, FILE *to)
{
    (void)samples; // that this is answered is the news
    fputs("ok\n", to);
}

static const struct resource {
    const char *path;
    const char *type;
    void (*print)(const struct sample *samples, FILE *to);
} resources[] = {
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", metrics_print},
    {"/stats.json", "application/json", json_print},
    {"/healthz", "text/plain; charset=utf-8", health_print},
    {"/", "text/html; charset=utf-8", page_print},
};

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned status, const char *type,
                               char *body, size_t len, enum MHD_ResponseMemoryMode mode)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(len, body, mode);
    if (!response) {
        if (mode == MHD_RESPMEM_MUST_FREE)
            free(body);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result respond_text(struct MHD_Connection *connection, unsigned status,
                                    const char *text)
{
    return respond(connection, status, "text/plain; charset=utf-8", (char *)(uintptr_t)text,
                   strlen(text), MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result resource_send(const struct stats *stats, struct MHD_Connection *connection,
                                     const struct resource *resource)
{
    struct sample samples[SAMPLE_COUNT];
    char *body = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&body, &len);
    if (!to)
        return MHD_NO;
    samples_take(stats->engine, stats->started, samples);
    resource->print(samples, to);
    if (fclose(to) != 0) {
        free(body);
        return MHD_NO;
    }
    return respond(connection, MHD_HTTP_OK, resource->type, body, len, MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result request(void *context, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload,
                               size_t *upload_len, void **state)
{
    (void)version;
    (void)upload;
    // The first call has only the headers; answering in the second keeps the connection alive.
    static const char seen;
    if (!*state) {
        *state = (void *)(uintptr_t)&seen;
        return MHD_YES;
    }
    if (*upload_len > 0) {
        *upload_len = 0; // nothing here takes a body
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return respond_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
        if (strcmp(url, resources[i].path) == 0)
            return resource_send(context, connection, &resources[i]);
    }
    return respond_text(connection, MHD_HTTP_NOT_FOUND,
                        "not here; there are /, /metrics, /stats.json and /healthz\n");
}

static int listen_on(const struct address *address)
{
    struct sockaddr_in6 local;
    socklen_t len = udp_address_give(&local, address);
    int fd = socket(local.sin6_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)&local, len) != 0 || listen(fd, CONNECTIONS_MAX) != 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

struct stats *stats_open(const struct address *address, char why[static STATS_WHY_SIZE])
{
    struct stats *stats = calloc(1, sizeof *stats);
    if (!stats) {
        snprintf(why, STATS_WHY_SIZE, "no memory for the stats server");
        return NULL;
    }
    stats->started = time(NULL);
    stats->fd = listen_on(address);
    if (stats->fd < 0) {
        char text[ADDRESS_TEXT_MAX];
        address_format(address, text);
        snprintf(why, STATS_WHY_SIZE, "cannot serve stats on %s: %s", text, strerror(-stats->fd));
        free(stats);
        return NULL;
    }
    return stats;
}

bool stats_start(struct stats *stats, const struct engine *engine, char why[static STATS_WHY_SIZE])
{
    stats->engine = engine;
    stats->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, request, stats, MHD_OPTION_LISTEN_SOCKET,
        stats->fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_END);
    if (!stats->daemon) {
        snprintf(why, STATS_WHY_SIZE, "cannot start the stats server");
        return false;
    }
    stats->fd = -1; // the daemon closes it
    return true;
}

void stats_close(struct stats *stats)
{
    if (!stats)
        return;
    if (stats->daemon)
        MHD_stop_daemon(stats->daemon);
    if (stats->fd >= 0)
        close(stats->fd);
    free(stats);
}
