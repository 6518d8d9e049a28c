// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/histogram.h"

#include <stdbool.h>
#include <stdio.h>

// Writes metrics in the text format of Prometheus (version 0.0.4). Labels are text such as
// `source="cache"`, or "": none.
//
// A writer without a file (`to` is NULL) accepts the same calls.

struct prometheus {
    FILE *to;
};

static inline bool prometheus_is_on(const struct prometheus *prometheus)
{
    return prometheus->to != NULL;
}

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

// Begins a metric. All its values follow.
void prometheus_metric(const struct prometheus *prometheus, const char *name, enum metric_type type,
                       const char *help);

void prometheus_number(const struct prometheus *prometheus, const char *name, const char *labels,
                       uint64_t value);

// With up to six significant digits; and with six decimals, for times.
void prometheus_real(const struct prometheus *prometheus, const char *name, const char *labels,
                     double value);
void prometheus_seconds(const struct prometheus *prometheus, const char *name, const char *labels,
                        double seconds);

// Writes the buckets whose bound is a power of two, in seconds.
void prometheus_histogram(const struct prometheus *prometheus, const char *name, const char *labels,
                          const struct histogram *histogram);
