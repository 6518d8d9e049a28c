// SPDX-License-Identifier: MIT
#include "io/edge/prometheus.h"

#include <inttypes.h>

void prometheus_metric(const struct prometheus *p, const char *name, enum metric_type type,
                       const char *help)
{
    static const char *const words[] = {
        [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};
    if (p->to)
        fprintf(p->to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, words[type]);
}

static void name_write(const struct prometheus *p, const char *name, const char *suffix,
                       const char *labels)
{
    fprintf(p->to, "%s%s", name, suffix);
    if (*labels)
        fprintf(p->to, "{%s}", labels);
}

void prometheus_number(const struct prometheus *p, const char *name, const char *labels,
                       uint64_t value)
{
    if (!p->to)
        return;
    name_write(p, name, "", labels);
    fprintf(p->to, " %" PRIu64 "\n", value);
}

void prometheus_real(const struct prometheus *p, const char *name, const char *labels, double value)
{
    if (!p->to)
        return;
    name_write(p, name, "", labels);
    fprintf(p->to, " %g\n", value);
}

void prometheus_seconds(const struct prometheus *p, const char *name, const char *labels,
                        double seconds)
{
    if (!p->to)
        return;
    name_write(p, name, "", labels);
    fprintf(p->to, " %.6f\n", seconds);
}

static void bucket_write(const struct prometheus *p, const char *name, const char *labels,
                         const char *bound, uint64_t seen)
{
    fprintf(p->to, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", name, labels, *labels ? "," : "",
            bound, seen);
}

// One bucket for each doubling is told; a histogram keeps four.
void prometheus_histogram(const struct prometheus *p, const char *name, const char *labels,
                          const struct histogram *h)
{
    uint64_t seen = 0;
    if (!p->to)
        return;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
        uint64_t edge_us = histogram_edge_us(i);
        char bound[32];
        seen += h->counts[i];
        if ((edge_us & (edge_us + 1)) != 0 || edge_us == 0)
            continue;
        snprintf(bound, sizeof bound, "%.6f", (double)(edge_us + 1) / 1e6);
        bucket_write(p, name, labels, bound, seen);
    }
    seen += h->counts[HISTOGRAM_BUCKETS - 1];
    bucket_write(p, name, labels, "+Inf", seen);
    name_write(p, name, "_sum", labels);
    fprintf(p->to, " %.6f\n", (double)h->sum_us / 1e6);
    name_write(p, name, "_count", labels);
    fprintf(p->to, " %" PRIu64 "\n", seen);
}
