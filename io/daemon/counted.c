// SPDX-License-Identifier: MIT
#include "io/daemon/counted.h"

#include "io/engine/aligned.h"
#include "io/engine/engine_figures.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Lines "METRIC|LABELS|COUNT", and "timing|N:BUCKET|COUNT" for the histograms.
struct lines {
    int fd;
    int error;
    size_t len;
    char text[PACKET_ROOM];
};

static void lines_flush(struct lines *lines)
{
    if (lines->len > 0 && lines->error == 0)
        lines->error = packet_send(lines->fd, PACKET_COUNTED, lines->text, lines->len, NULL, 0);
    lines->len = 0;
}

static void line_add(struct lines *lines, const char *name, const char *part, uint64_t count)
{
    if (count == 0)
        return;
    for (unsigned round = 0; round < 2; round++) {
        size_t room = sizeof lines->text - lines->len;
        int len = snprintf(lines->text + lines->len, room, "%s|%s|%llu\n", name, part,
                           (unsigned long long)count);
        if (len >= 0 && (size_t)len < room) {
            lines->len += (size_t)len;
            return;
        }
        lines_flush(lines);
    }
}

// The word of a histogram: its buckets and behind them its sum.
static uint64_t *word_of(struct histogram *histogram, unsigned index)
{
    return index < HISTOGRAM_BUCKETS ? &histogram->counts[index] : &histogram->sum_us;
}

// A plane's counts may not be read for want of memory.
static uint64_t more_than(uint64_t now, uint64_t told)
{
    return now > told ? now - told : 0;
}

int counted_send(int fd, struct counters *told, const struct engine *engine, bool plane)
{
    struct lines *lines = calloc(1, sizeof *lines);
    struct counters *now = aligned_malloc(sizeof *now);
    int error = lines && now ? 0 : -ENOMEM;
    if (error == 0) {
        lines->fd = fd;
        (plane ? engine_counters : engine_counters_own)(engine, now);
        engine_timings(engine, now->timings);
        for (unsigned c = 0; c < COUNTER_COUNT; c++) {
            const struct counter_description *description = &counter_descriptions[c];
            if (!description->gauge)
                line_add(lines, description->metric, description->labels,
                         more_than(now->values[c], told->values[c]));
        }
        for (unsigned i = 0; i < TIMING_COUNT * (HISTOGRAM_BUCKETS + 1); i++) {
            unsigned timing = i / (HISTOGRAM_BUCKETS + 1), index = i % (HISTOGRAM_BUCKETS + 1);
            char part[32];
            snprintf(part, sizeof part, "%u:%u", timing, index);
            line_add(lines, "timing", part,
                     *word_of(&now->timings[timing], index) -
                         *word_of(&told->timings[timing], index));
        }
        lines_flush(lines);
        error = lines->error;
        *told = *now;
    }
    free(now);
    free(lines);
    return error;
}

// A predecessor of an earlier version may send the former name of a metric.
static bool row_is(const struct counter_description *row, const char *metric, const char *labels)
{
    if (strcmp(metric, row->metric) == 0)
        return strcmp(labels, row->labels) == 0;
    return row->former && strcmp(metric, row->former) == 0 &&
           strcmp(labels, counter_former_labels(row)) == 0;
}

static void line_apply(struct counters *counted, const char *name, const char *part, uint64_t count)
{
    unsigned timing, index;
    if (strcmp(name, "timing") == 0) {
        if (sscanf(part, "%u:%u", &timing, &index) == 2 && timing < TIMING_COUNT &&
            index <= HISTOGRAM_BUCKETS)
            *word_of(&counted->timings[timing], index) += count;
        return;
    }
    for (unsigned c = 0; c < COUNTER_COUNT; c++) {
        if (row_is(&counter_descriptions[c], name, part))
            counted->values[c] += count;
    }
}

void counted_apply(struct counters *counted, const struct packet *packet)
{
    char text[PACKET_ROOM + 1], *rest = text;
    memcpy(text, packet->bytes, packet->len);
    text[packet->len] = '\0';
    for (char *line; (line = strsep(&rest, "\n")) && *line;) {
        const char *name = strsep(&line, "|"), *part = line ? strsep(&line, "|") : NULL;
        if (line)
            line_apply(counted, name, part, strtoull(line, NULL, 10));
    }
}
