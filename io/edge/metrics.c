// SPDX-License-Identifier: MIT
#include "io/edge/metrics.h"

#include "core/forward/upstream.h"
#include "io/edge/json.h"
#include "io/edge/process_stats.h"
#include "io/edge/prometheus.h"
#include "io/edge/report.h"
#include "io/engine/engine_figures.h"
#include "io/engine/engine_plane.h"
#include "io/net/net_engine.h"

#include <stdlib.h>

// One walk with two pens, of which one writes. Prometheus wants all values of a metric together,
// and has no name for what belongs to one upstream; so the two differ in what comes last.

struct pens {
    struct prometheus prometheus;
    struct json json;
};

// What is counted or measured elsewhere than by a worker.
enum extra {
    EXTRA_ENTRIES,
    EXTRA_USED,
    EXTRA_CAPACITY,
    EXTRA_KERNEL_DROPS,
    EXTRA_LOG_LOST,
    EXTRA_WORKERS,
    EXTRA_STARTED,
    EXTRA_XDP_DRIVER,
    EXTRA_XDP_GENERIC,
    EXTRA_XDP_FAILED,
    EXTRA_COUNT
};

// All of these may have a former name.
enum { SAMPLES_MAX = 2 * (COUNTER_COUNT + EXTRA_COUNT) };

// A counter or a gauge, as it is written.
struct sample {
    const char *metric, *labels, *help;
    const char *successor; // for the former name of a metric: its present one; else NULL
    bool gauge;
    uint64_t value;
};

struct samples {
    size_t count;
    struct sample rows[SAMPLES_MAX];
};

static const struct counter_description extra_descriptions[EXTRA_COUNT] = {
    [EXTRA_ENTRIES] = {.metric = "ouzel_cache_entries",
                       .labels = "",
                       .help = "Answers in the cache now.",
                       .gauge = true},
    [EXTRA_USED] = {.metric = "ouzel_cache_used_bytes",
                    .labels = "",
                    .help = "Octets of the cache's logs that hold answers.",
                    .gauge = true},
    [EXTRA_CAPACITY] = {.metric = "ouzel_cache_capacity_bytes",
                        .labels = "",
                        .help = "Octets that the cache's logs can hold.",
                        .gauge = true},
    [EXTRA_KERNEL_DROPS] = {.metric = "ouzel_kernel_drops_total",
                            .labels = "",
                            .help = "Datagrams from clients that the kernel dropped, as a socket "
                                    "had no room."},
    [EXTRA_LOG_LOST] = {.metric = "ouzel_log_lost_total",
                        .labels = "",
                        .help = "Log lines dropped, as the reader of the log was too slow."},
    [EXTRA_WORKERS] = {.metric = "ouzel_workers",
                       .labels = "",
                       .help = "Workers, each with a separate thread and sockets.",
                       .gauge = true},
    [EXTRA_STARTED] = {.metric = "ouzel_start_time_seconds",
                       .labels = "",
                       .help = "When this process started, in Unix time.",
                       .gauge = true},
    [EXTRA_XDP_DRIVER] = {.metric = "ouzel_xdp_interfaces",
                          .labels = "state=\"driver\"",
                          .help = "Interfaces of server.xdp, by where its program is attached.",
                          .gauge = true},
    [EXTRA_XDP_GENERIC] = {.metric = "ouzel_xdp_interfaces",
                           .labels = "state=\"generic\"",
                           .help = "",
                           .gauge = true},
    [EXTRA_XDP_FAILED] = {.metric = "ouzel_xdp_interfaces",
                          .labels = "state=\"failed\"",
                          .help = "",
                          .gauge = true},
};

static void sample_add(struct samples *samples, const struct counter_description *row,
                       uint64_t value)
{
    samples->rows[samples->count++] = (struct sample){.metric = row->metric,
                                                      .labels = row->labels,
                                                      .help = row->help,
                                                      .gauge = row->gauge,
                                                      .value = value};
}

// Adds the former names of the rows so far, so that a reader who knows only these goes on.
static void formers_add(struct samples *samples, const struct counters *counters)
{
    for (unsigned i = 0; i < COUNTER_COUNT; i++) {
        const struct counter_description *row = &counter_descriptions[i];
        if (row->former)
            samples->rows[samples->count++] = (struct sample){.metric = row->former,
                                                              .labels = counter_former_labels(row),
                                                              .successor = row->metric,
                                                              .gauge = row->gauge,
                                                              .value = counters->values[i]};
    }
}

static void samples_collect(const struct engine *engine, const struct log *log, int64_t started,
                            struct samples *samples)
{
    struct counters counters;
    struct cache_use use;
    uint64_t planes[ENGINE_PLANE_STATES];
    engine_plane_states(engine, planes);
    engine_counters(engine, &counters);
    engine_cache_use(engine, &use);
    const uint64_t extra[EXTRA_COUNT] = {
        [EXTRA_ENTRIES] = use.entries,
        [EXTRA_USED] = use.used,
        [EXTRA_CAPACITY] = use.capacity,
        [EXTRA_KERNEL_DROPS] = engine_kernel_drops(engine),
        [EXTRA_LOG_LOST] = log_lost(log),
        [EXTRA_WORKERS] = engine_worker_count(engine),
        [EXTRA_STARTED] = (uint64_t)started,
        [EXTRA_XDP_DRIVER] = planes[ENGINE_PLANE_DRIVER],
        [EXTRA_XDP_GENERIC] = planes[ENGINE_PLANE_GENERIC],
        [EXTRA_XDP_FAILED] = planes[ENGINE_PLANE_FAILED],
    };
    samples->count = 0;
    for (unsigned i = 0; i < COUNTER_COUNT; i++)
        sample_add(samples, &counter_descriptions[i], counters.values[i]);
    for (unsigned i = 0; i < EXTRA_COUNT; i++)
        sample_add(samples, &extra_descriptions[i], extra[i]);
    formers_add(samples, &counters);
}

static bool same_metric(const struct sample *a, const struct sample *b)
{
    return strcmp(a->metric, b->metric) == 0;
}

static void build_tell(struct pens *pens)
{
    prometheus_metric(&pens->prometheus, "ouzel_build_info", METRIC_GAUGE,
                      "What this process was built from.");
    prometheus_number(&pens->prometheus, "ouzel_build_info", "version=\"" OUZEL_VERSION "\"", 1);
    json_object(&pens->json, "ouzel_build_info", &json_line);
    json_number(&pens->json, OUZEL_VERSION, 1);
    json_close(&pens->json);
}

static void engine_tell(struct pens *pens, const struct engine *engine)
{
    const char *name = engine_net(engine)->name;
    char labels[32];
    snprintf(labels, sizeof labels, "engine=\"%s\"", name);
    prometheus_metric(&pens->prometheus, "ouzel_engine_info", METRIC_GAUGE,
                      "The network engine of the workers: io_uring or epoll.");
    prometheus_number(&pens->prometheus, "ouzel_engine_info", labels, 1);
    json_object(&pens->json, "ouzel_engine_info", &json_line);
    json_number(&pens->json, name, 1);
    json_close(&pens->json);
}

static void infos_tell(struct pens *pens, const struct engine *engine)
{
    build_tell(pens);
    engine_tell(pens, engine);
}

// The value of a row's one label.
#define LABEL_SIZE 64
static void label_value(const char *labels, char value[static LABEL_SIZE])
{
    const char *begin = strchr(labels, '"') + 1;
    snprintf(value, LABEL_SIZE, "%.*s", (int)strcspn(begin, "\""), begin);
}

static void sample_begin(const struct pens *pens, const struct sample *sample)
{
    char help[128];
    if (sample->successor)
        snprintf(help, sizeof help, "Former name of %s; will go with the next major version.",
                 sample->successor);
    prometheus_metric(&pens->prometheus, sample->metric,
                      sample->gauge ? METRIC_GAUGE : METRIC_COUNTER,
                      sample->successor ? help : sample->help);
}

// In JSON a metric with a label becomes an object with a member for each of the label's values.
static void samples_tell(struct pens *pens, const struct samples *samples)
{
    for (size_t i = 0; i < samples->count; i++) {
        const struct sample *row = &samples->rows[i];
        bool first = i == 0 || !same_metric(row, row - 1);
        bool last = i + 1 == samples->count || !same_metric(row, row + 1);
        char value[LABEL_SIZE];
        if (first)
            sample_begin(pens, row);
        prometheus_number(&pens->prometheus, row->metric, row->labels, row->value);
        if (*row->labels == '\0') {
            json_number(&pens->json, row->metric, row->value);
            continue;
        }
        label_value(row->labels, value);
        if (first)
            json_object(&pens->json, row->metric, &json_line);
        json_number(&pens->json, value, row->value);
        if (last)
            json_close(&pens->json);
    }
}

// --- times ---------------------------------------------------------------------------------------

static const struct {
    const char *metric, *labels, *word, *help;
} timings[TIMING_COUNT] = {
    [TIMING_AT_ONCE] = {"ouzel_answer_seconds", "source=\"memory\"", "memory",
                        "Time from a query to its answer: from memory, from an upstream, and "
                        "stale."},
    [TIMING_UPSTREAM] = {"ouzel_answer_seconds", "source=\"upstream\"", "upstream", ""},
    [TIMING_STALE] = {"ouzel_answer_seconds", "source=\"stale\"", "stale", ""},
    [TIMING_REPLY] = {"ouzel_upstream_reply_seconds", "", "all",
                      "Time from a datagram to an upstream to its reply."},
};

static void histogram_json(struct json *json, const char *word, const struct histogram *h)
{
    json_object(json, word, &json_line);
    json_number(json, "count", histogram_count(h));
    json_real(json, "sum", (double)h->sum_us / 1e6, 6);
    json_real(json, "p50", (double)histogram_share_us(h, 0.5) / 1e6, 6);
    json_real(json, "p90", (double)histogram_share_us(h, 0.9) / 1e6, 6);
    json_real(json, "p99", (double)histogram_share_us(h, 0.99) / 1e6, 6);
    json_real(json, "p999", (double)histogram_share_us(h, 0.999) / 1e6, 6);
    json_close(json);
}

static void timings_tell(struct pens *pens, const struct engine *engine)
{
    struct histogram sums[TIMING_COUNT];
    engine_timings(engine, sums);
    for (unsigned i = 0; i < TIMING_COUNT; i++) {
        const char *metric = timings[i].metric;
        bool first = i == 0 || strcmp(metric, timings[i - 1].metric) != 0;
        bool last = i + 1 == TIMING_COUNT || strcmp(metric, timings[i + 1].metric) != 0;
        if (first) {
            prometheus_metric(&pens->prometheus, metric, METRIC_HISTOGRAM, timings[i].help);
            json_object(&pens->json, metric, &json_line);
        }
        prometheus_histogram(&pens->prometheus, metric, timings[i].labels, &sums[i]);
        histogram_json(&pens->json, timings[i].word, &sums[i]);
        if (last)
            json_close(&pens->json);
    }
}

// --- upstreams -----------------------------------------------------------------------------------

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
    {"ouzel_upstream_up", "", "0 where the upstream is dead, else 1.", is_up},
    {"ouzel_upstream_failing", "",
     "1 where it fails questions that other upstreams answer, else 0.", is_failing},
    {"ouzel_upstream_latency_seconds", "mode=\"fast\",",
     "Median response time of its cached answers, and the time within which nearly all of its "
     "replies come.",
     fast_s},
    {"ouzel_upstream_latency_seconds", "mode=\"slow\",", "", slow_s},
    {"ouzel_upstream_loss_ratio", "", "The share of datagrams to it that get no reply, smoothed.",
     loss_ratio},
    {"ouzel_upstream_in_flight", "", "Sends whose reply may still come.", in_flight},
};

static void upstreams_prometheus(const struct prometheus *prometheus, struct engine *engine)
{
    size_t count;
    struct upstream_state *states = report_states(engine, &count);
    for (size_t r = 0; states && r < sizeof upstream_rows / sizeof *upstream_rows; r++) {
        const struct upstream_row *row = &upstream_rows[r];
        if (*row->help)
            prometheus_metric(prometheus, row->metric, METRIC_GAUGE, row->help);
        for (size_t i = 0; i < count; i++) {
            char address[ADDRESS_TEXT_MAX], labels[ADDRESS_TEXT_MAX + 64];
            address_format(&states[i].all.address, address);
            snprintf(labels, sizeof labels, "%supstream=\"%s\"", row->part, address);
            prometheus_real(prometheus, row->metric, labels, row->value(&states[i]));
        }
    }
    free(states);
}

// What `ouzel ctl upstreams --json` tells.
static void upstreams_json(struct json *json, struct engine *engine)
{
    size_t count;
    struct upstream_state *states = report_states(engine, &count);
    report_states_json(states, count, "upstreams", json);
    free(states);
}

// --- all -----------------------------------------------------------------------------------------

void metrics_print(struct engine *engine, const struct log *log, int64_t started, bool json,
                   FILE *to)
{
    struct samples samples;
    struct pens pens = {.prometheus = {json ? NULL : to}};
    json_init(&pens.json, json ? to : NULL);
    samples_collect(engine, log, started, &samples);
    json_object(&pens.json, NULL, &json_lines);
    if (json)
        infos_tell(&pens, engine);
    samples_tell(&pens, &samples);
    if (!json)
        infos_tell(&pens, engine);
    timings_tell(&pens, engine);
    if (!json)
        upstreams_prometheus(&pens.prometheus, engine);
    process_stats_tell(engine, &pens.prometheus, &pens.json);
    if (json)
        upstreams_json(&pens.json, engine);
    json_close(&pens.json);
}
