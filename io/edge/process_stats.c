// SPDX-License-Identifier: MIT
#include "io/edge/process_stats.h"

#include "io/engine/engine_figures.h"

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

// jemalloc's, where the program is linked with it; the tests of libio are not.
extern int mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len)
    __attribute__((weak));

static uint64_t allocator_octets(const char *name)
{
    uint64_t epoch = 1;
    size_t octets = 0, len = sizeof octets;
    if (!mallctl || mallctl("epoch", NULL, NULL, &epoch, sizeof epoch) != 0 ||
        mallctl(name, &octets, &len, NULL, 0) != 0)
        return 0;
    return octets;
}

static uint64_t resident_octets(void)
{
    unsigned long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%lu %lu", &pages, &resident) != 2)
        resident = 0;
    fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t descriptor_count(void)
{
    DIR *directory = opendir("/proc/self/fd");
    uint64_t count = 0;
    if (!directory)
        return 0;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count < 3 ? 0 : count - 3; // ., .. and the directory itself
}

// What is asked for, by who asks for it. The workers' tables are the kernel's to give as they are
// touched, so the process may have less of it than stands here.
struct consumers {
    struct engine_memory engine;
    uint64_t allocated, resident;
};

static struct consumers consumers_measure(const struct engine *engine)
{
    struct consumers consumers;
    engine_memory(engine, &consumers.engine);
    consumers.allocated = allocator_octets("stats.allocated");
    consumers.resident = allocator_octets("stats.resident");
    return consumers;
}

static const struct {
    const char *word;
    size_t offset; // in struct consumers
} rows[] = {
    {"cache", offsetof(struct consumers, engine.cache)},
    {"worker-tables", offsetof(struct consumers, engine.tables)},
    {"worker-buffers", offsetof(struct consumers, engine.buffers)},
    {"rules", offsetof(struct consumers, engine.rules)},
    {"local-names", offsetof(struct consumers, engine.local)},
    {"allocated", offsetof(struct consumers, allocated)},
    {"allocator-resident", offsetof(struct consumers, resident)},
};

static uint64_t value_of(const struct consumers *consumers, size_t row)
{
    return *(const uint64_t *)(const void *)((const char *)consumers + rows[row].offset);
}

// In the names that Prometheus' own libraries use.
static void process_tell(const struct prometheus *prometheus, uint64_t resident)
{
    struct timespec cpu;
    struct rlimit files = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    getrlimit(RLIMIT_NOFILE, &files);
    prometheus_metric(prometheus, "process_resident_memory_bytes", METRIC_GAUGE,
                      "Resident memory, shared memory among it.");
    prometheus_number(prometheus, "process_resident_memory_bytes", "", resident);
    prometheus_metric(prometheus, "process_cpu_seconds_total", METRIC_COUNTER,
                      "Processor time of all threads, user and system.");
    prometheus_seconds(prometheus, "process_cpu_seconds_total", "",
                       (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
    prometheus_metric(prometheus, "process_open_fds", METRIC_GAUGE, "Open file descriptors.");
    prometheus_number(prometheus, "process_open_fds", "", descriptor_count());
    prometheus_metric(prometheus, "process_max_fds", METRIC_GAUGE, "How many there may be.");
    prometheus_number(prometheus, "process_max_fds", "", files.rlim_cur);
}

void process_stats_tell(const struct engine *engine, const struct prometheus *prometheus,
                        struct json *json)
{
    struct consumers consumers = consumers_measure(engine);
    uint64_t resident = resident_octets();
    prometheus_metric(prometheus, "ouzel_memory_bytes", METRIC_GAUGE,
                      "Memory by consumer: the cache's region, tables and buffers of the workers, "
                      "zones and access lists, local names, all that the allocator has given out "
                      "(the tables among it), and what it keeps resident for that.");
    json_object(json, "ouzel_memory_bytes", &json_line);
    json_number(json, "resident", resident);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char labels[48];
        snprintf(labels, sizeof labels, "consumer=\"%s\"", rows[i].word);
        prometheus_number(prometheus, "ouzel_memory_bytes", labels, value_of(&consumers, i));
        json_number(json, rows[i].word, value_of(&consumers, i));
    }
    json_close(json);
    if (prometheus_is_on(prometheus))
        process_tell(prometheus, resident);
}
