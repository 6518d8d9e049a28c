// SPDX-License-Identifier: MIT
#include "io/edge/stats.h"

#include "core/forward/upstream.h"
#include "io/edge/http.h"
#include "io/edge/http_host.h"
#include "io/edge/process_stats.h"
#include "io/edge/report.h"
#include "io/edge/stats_page.h"
#include "io/net/udp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, IDLE_TIMEOUT_S = 15, BACKLOG = 1024 };

struct stats {
    struct engine *engine;
    const struct log *log;
    struct http *http;
    int fd;
    bool top;               // who asks most is told
    struct text_list hosts; // names by which it may be asked; its own copy
    unsigned unready;       // bits 1 << enum stats_unready; atomic
    time_t started;
};

// Everything that is shown: a counter's row and its value, or a gauge that is asked for.
struct sample {
    const struct counter_description *description;
    uint64_t value;
};

enum extra {
    EXTRA_ENTRIES,
    EXTRA_USED,
    EXTRA_CAPACITY,
    EXTRA_KERNEL_DROPS,
    EXTRA_LOG_LOST,
    EXTRA_WORKERS,
    EXTRA_STARTED,
    EXTRA_COUNT
};

enum { SAMPLE_COUNT = COUNTER_COUNT + EXTRA_COUNT };

static const struct counter_description extra_descriptions[EXTRA_COUNT] = {
    [EXTRA_ENTRIES] = {"ouzel_cache_entries", "", "Answers in the cache now.", true},
    [EXTRA_USED] = {"ouzel_cache_used_bytes", "", "Octets of the cache's logs that hold answers.",
                    true},
    [EXTRA_CAPACITY] = {"ouzel_cache_capacity_bytes", "", "Octets that the cache's logs can hold.",
                        true},
    [EXTRA_KERNEL_DROPS] = {"ouzel_kernel_drops_total", "",
                            "Datagrams from clients that the kernel dropped, as a socket had no "
                            "room.",
                            false},
    [EXTRA_LOG_LOST] = {"ouzel_log_lost_total", "",
                        "Lines of the log left out because who reads it was too slow.", false},
    [EXTRA_WORKERS] = {"ouzel_workers", "", "Workers, each with a thread and a ring of its own.",
                       true},
    [EXTRA_STARTED] = {"ouzel_start_time_seconds", "", "When this process started, in Unix time.",
                       true},
};

static void samples_take(const struct engine *engine, const struct log *log, int64_t started,
                         struct sample samples[SAMPLE_COUNT])
{
    struct counters counters;
    struct cache_use use;
    engine_counters(engine, &counters);
    engine_cache_use(engine, &use);
    const uint64_t extra[EXTRA_COUNT] = {
        [EXTRA_ENTRIES] = use.entries,       [EXTRA_USED] = use.used,
        [EXTRA_CAPACITY] = use.capacity,     [EXTRA_KERNEL_DROPS] = engine_kernel_drops(engine),
        [EXTRA_LOG_LOST] = log_lost(log),    [EXTRA_WORKERS] = engine_worker_count(engine),
        [EXTRA_STARTED] = (uint64_t)started,
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

// --- times and upstreams -------------------------------------------------------------------------

static const struct {
    const char *metric, *labels, *word, *help;
} timings[TIMING_COUNT] = {
    [TIMING_AT_ONCE] = {"ouzel_answer_seconds", "source=\"memory\",", "memory",
                        "How long queries that were answered have waited, from when a worker saw "
                        "them: of what was answered at once, of what came from upstream, and of "
                        "what is over."},
    [TIMING_UPSTREAM] = {"ouzel_answer_seconds", "source=\"upstream\",", "upstream", ""},
    [TIMING_STALE] = {"ouzel_answer_seconds", "source=\"stale\",", "stale", ""},
    [TIMING_REPLY] = {"ouzel_upstream_reply_seconds", "", "all",
                      "How long upstreams took to reply to datagrams."},
};

// One bucket for each doubling is told; ouzel itself keeps four.
static void histogram_print(const char *metric, const char *labels, const struct histogram *h,
                            FILE *to)
{
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
        uint64_t edge_us = histogram_edge_us(i);
        seen += h->counts[i];
        if ((edge_us & (edge_us + 1)) == 0 && edge_us > 0)
            fprintf(to, "%s_bucket{%sle=\"%.6f\"} %llu\n", metric, labels,
                    (double)(edge_us + 1) / 1e6, (unsigned long long)seen);
    }
    size_t len = strlen(labels);
    seen += h->counts[HISTOGRAM_BUCKETS - 1];
    fprintf(to, "%s_bucket{%sle=\"+Inf\"} %llu\n", metric, labels, (unsigned long long)seen);
    fprintf(to, len ? "%s_sum{%.*s} %.6f\n" : "%s_sum%.*s %.6f\n", metric, (int)(len ? len - 1 : 0),
            labels, (double)h->sum_us / 1e6);
    fprintf(to, len ? "%s_count{%.*s} %llu\n" : "%s_count%.*s %llu\n", metric,
            (int)(len ? len - 1 : 0), labels, (unsigned long long)seen);
}

static void timings_print(const struct engine *engine, FILE *to)
{
    struct histogram sums[TIMING_COUNT];
    engine_timings(engine, sums);
    for (unsigned i = 0; i < TIMING_COUNT; i++) {
        if (*timings[i].help)
            fprintf(to, "# HELP %s %s\n# TYPE %s histogram\n", timings[i].metric, timings[i].help,
                    timings[i].metric);
        histogram_print(timings[i].metric, timings[i].labels, &sums[i], to);
    }
}

static void timings_json(const struct engine *engine, FILE *to)
{
    struct histogram sums[TIMING_COUNT];
    engine_timings(engine, sums);
    for (unsigned i = 0; i < TIMING_COUNT; i++) {
        const struct histogram *h = &sums[i];
        bool first = i == 0 || strcmp(timings[i].metric, timings[i - 1].metric) != 0;
        bool last = i + 1 == TIMING_COUNT || strcmp(timings[i].metric, timings[i + 1].metric) != 0;
        if (first)
            fprintf(to, ",\n  \"%s\": {", timings[i].metric);
        fprintf(to, "%s\"%s\": {\"count\": %llu, \"sum\": %.6f", first ? "" : ", ", timings[i].word,
                (unsigned long long)histogram_count(h), (double)h->sum_us / 1e6);
        fprintf(to, ", \"p50\": %.6f, \"p90\": %.6f, \"p99\": %.6f, \"p999\": %.6f}%s",
                (double)histogram_share_us(h, 0.5) / 1e6, (double)histogram_share_us(h, 0.9) / 1e6,
                (double)histogram_share_us(h, 0.99) / 1e6,
                (double)histogram_share_us(h, 0.999) / 1e6, last ? "}" : "");
    }
}

// A gauge of each upstream. `part` is a second label with its value and a comma, or empty.
struct upstream_row {
    const char *metric, *part, *help;
    double (*value)(const struct upstream_state *state);
};

static double is_up(const struct upstream_state *s)
{
    return s->all.health != UPSTREAM_DEAD;
}

static double is_failing(const struct upstream_state *s)
{
    return s->all.fails;
}

static double fast_s(const struct upstream_state *s)
{
    return s->all.fast_us / 1e6;
}

static double slow_s(const struct upstream_state *s)
{
    return s->all.slow_us / 1e6;
}

static double loss_ratio(const struct upstream_state *s)
{
    return s->all.loss_pm / 1e3;
}

static double in_flight(const struct upstream_state *s)
{
    return s->all.in_flight;
}

static const struct upstream_row upstream_rows[] = {
    {"ouzel_upstream_up", "", "0 where an upstream is taken for dead.", is_up},
    {"ouzel_upstream_failing", "", "1 where it replies with failures where others have answers.",
     is_failing},
    {"ouzel_upstream_latency_seconds", "mode=\"fast\",",
     "How long it takes for what it knows (the middle), and for nearly all.", fast_s},
    {"ouzel_upstream_latency_seconds", "mode=\"slow\",", "", slow_s},
    {"ouzel_upstream_loss_ratio", "", "The share of datagrams to it that get no reply, smoothed.",
     loss_ratio},
    {"ouzel_upstream_in_flight", "", "Sends whose reply may still come.", in_flight},
};

static void upstreams_print(struct engine *engine, FILE *to)
{
    size_t count;
    struct upstream_state *states = report_states(engine, &count);
    for (size_t r = 0; states && r < sizeof upstream_rows / sizeof *upstream_rows; r++) {
        const struct upstream_row *row = &upstream_rows[r];
        if (*row->help)
            fprintf(to, "# HELP %s %s\n# TYPE %s gauge\n", row->metric, row->help, row->metric);
        for (size_t i = 0; i < count; i++) {
            char address[ADDRESS_TEXT_MAX];
            address_format(&states[i].all.address, address);
            fprintf(to, "%s{%supstream=\"%s\"} %g\n", row->metric, row->part, address,
                    row->value(&states[i]));
        }
    }
    free(states);
}

// What `ouzel ctl upstreams --json` tells.
static void upstreams_json(struct engine *engine, FILE *to)
{
    size_t count;
    struct upstream_state *states = report_states(engine, &count);
    fputs(",\n  \"upstreams\": ", to);
    report_states_json(states, count, to);
    free(states);
}

// --- formats -------------------------------------------------------------------------------------

static void metrics_print(struct engine *engine, const struct sample *samples, FILE *to)
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
    timings_print(engine, to);
    upstreams_print(engine, to);
    process_stats_print(engine, to);
}

// A metric with a label becomes an object with a member for each of the label's values.
static void json_print(struct engine *engine, const struct sample *samples, FILE *to)
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
    timings_json(engine, to);
    fputs(",\n  \"ouzel_memory_bytes\": ", to);
    process_stats_json(engine, to);
    upstreams_json(engine, to);
    fputs("}\n", to);
}

void stats_print(struct engine *engine, const struct log *log, int64_t started, bool json, FILE *to)
{
    struct sample samples[SAMPLE_COUNT];
    samples_take(engine, log, started, samples);
    if (json)
        json_print(engine, samples, to);
    else
        metrics_print(engine, samples, to);
}

static void metrics_resource(const struct stats *stats, FILE *to)
{
    stats_print(stats->engine, stats->log, stats->started, false, to);
}

static void json_resource(const struct stats *stats, FILE *to)
{
    stats_print(stats->engine, stats->log, stats->started, true, to);
}

static void top_resource(const struct stats *stats, FILE *to)
{
    (void)report_top(stats->engine, true, to);
}

static unsigned unready_bits(const struct stats *stats)
{
    return __atomic_load_n(&stats->unready, __ATOMIC_RELAXED);
}

static void health_resource(const struct stats *stats, FILE *to)
{
    (void)stats; // that this is answered is the news
    fputs("ok\n", to);
}

static void ready_resource(const struct stats *stats, FILE *to)
{
    static const char *const lines[] = {
        [STATS_DRAINING] = "draining",
        [STATS_NO_UPSTREAM] = "there is no upstream yet",
        [STATS_NO_ADDRESS] = "an address to answer on is not there yet",
    };
    unsigned bits = unready_bits(stats);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (bits >> i & 1)
            fprintf(to, "%s\n", lines[i]);
    }
    if (bits == 0)
        fputs("ok\n", to);
}

static void page_resource(const struct stats *stats, FILE *to)
{
    (void)stats; // it fetches them itself
    fputs(stats_page, to);
}

static const struct resource {
    const char *path;
    const char *type;
    void (*print)(const struct stats *stats, FILE *to);
    bool of_top;   // is there where who asks most is told
    bool of_ready; // fails where nobody should come
} resources[] = {
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", metrics_resource, false, false},
    {"/stats.json", "application/json", json_resource, false, false},
    {"/top.json", "application/json", top_resource, true, false},
    {"/healthz", "text/plain; charset=utf-8", health_resource, false, false},
    {"/readyz", "text/plain; charset=utf-8", ready_resource, false, true},
    {"/", "text/html; charset=utf-8", page_resource, false, false},
};

static enum MHD_Result resource_send(const struct stats *stats, struct MHD_Connection *connection,
                                     const struct resource *resource)
{
    char *body = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&body, &len);
    if (!to)
        return MHD_NO;
    resource->print(stats, to);
    if (fclose(to) != 0) {
        free(body);
        return MHD_NO;
    }
    bool fails = resource->of_ready && unready_bits(stats) != 0;
    return http_respond(connection, fails ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK,
                        resource->type, body, len);
}

// The settings may have given way to others by the time of a request, so the list is copied.
static int hosts_copy(struct text_list *to, const struct text_list *from)
{
    to->items = calloc(from->count + 1, sizeof *to->items);
    while (to->items && to->count < from->count) {
        to->items[to->count].text = strdup(from->items[to->count].text);
        if (!to->items[to->count].text)
            return -ENOMEM;
        to->count++;
    }
    return to->items ? 0 : -ENOMEM;
}

static void stats_free(struct stats *stats)
{
    while (stats->hosts.count > 0)
        free(stats->hosts.items[--stats->hosts.count].text);
    free(stats->hosts.items);
    free(stats);
}

static bool is_for_us(const struct stats *stats, struct MHD_Connection *connection)
{
    return http_host_allowed(
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST),
        &stats->hosts);
}

static enum MHD_Result request(void *context, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload,
                               size_t *upload_len, void **state)
{
    const struct stats *stats = context;
    (void)version;
    (void)upload;
    if (!http_is_whole(upload_len, state))
        return MHD_YES;
    if (!is_for_us(stats, connection))
        return http_respond_text(connection, MHD_HTTP_MISDIRECTED_REQUEST,
                                 "this server is asked by its address, as localhost, or by a name "
                                 "of the setting stats.hosts\n");
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return http_respond_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
        const struct resource *resource = &resources[i];
        if (strcmp(url, resource->path) == 0 && (stats->top || !resource->of_top))
            return resource_send(stats, connection, resource);
    }
    return http_respond_text(
        connection, MHD_HTTP_NOT_FOUND,
        "not here; there are /, /metrics, /stats.json, /top.json (with `stats.top`), "
        "/healthz, /readyz\n");
}

static int listen_on(const struct address *address)
{
    struct sockaddr_in6 local;
    socklen_t len = udp_address_give(&local, address);
    int fd = socket(local.sin6_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    bool ipv6 = local.sin6_family == AF_INET6; // as the engine's: the address may come later
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(fd, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, ipv6 ? IPV6_FREEBIND : IP_FREEBIND, &on,
                   sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)&local, len) != 0 || listen(fd, BACKLOG) != 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

struct stats *stats_open(const struct settings *settings, int *fd, char why[static STATS_WHY_SIZE])
{
    const struct address *address = &settings->stats_listen;
    struct stats *stats = calloc(1, sizeof *stats);
    if (!stats || hosts_copy(&stats->hosts, &settings->stats_hosts) < 0) {
        if (stats)
            stats_free(stats);
        snprintf(why, STATS_WHY_SIZE, "no memory for the stats server");
        return NULL;
    }
    stats->started = time(NULL);
    stats->top = settings->stats_top;
    stats->fd = *fd >= 0 ? *fd : listen_on(address);
    *fd = -1;
    if (stats->fd < 0) {
        char text[ADDRESS_TEXT_MAX];
        address_format(address, text);
        snprintf(why, STATS_WHY_SIZE, "cannot serve stats on %s: %s", text, strerror(-stats->fd));
        stats_free(stats);
        return NULL;
    }
    return stats;
}

bool stats_start(struct stats *stats, struct engine *engine, const struct log *log,
                 char why[static STATS_WHY_SIZE])
{
    stats->engine = engine;
    stats->log = log;
    stats->http = http_start(stats->fd, CONNECTIONS_MAX, IDLE_TIMEOUT_S,
                             &(struct http_handler){.take = request, .context = stats});
    if (!stats->http) {
        snprintf(why, STATS_WHY_SIZE, "cannot start the stats server");
        return false;
    }
    return true;
}

void stats_close(struct stats *stats)
{
    if (!stats)
        return;
    http_stop(stats->http, stats->fd);
    stats_free(stats);
}

int stats_fd(const struct stats *stats)
{
    return stats->fd;
}

void stats_unready(struct stats *stats, enum stats_unready why, bool on)
{
    if (on)
        __atomic_or_fetch(&stats->unready, 1u << why, __ATOMIC_RELAXED);
    else
        __atomic_and_fetch(&stats->unready, ~(1u << why), __ATOMIC_RELAXED);
}

void stats_yield(struct stats *stats)
{
    http_yield(stats->http);
}
