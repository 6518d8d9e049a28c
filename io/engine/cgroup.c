// SPDX-License-Identifier: MIT
#include "io/engine/cgroup.h"

#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

// A line of /proc/self/cgroup is "number:controllers:path"; version 2 has one, "0::path". A
// directory inside a container may be mounted so that the path does not exist below it, which is
// why the mount itself is always looked at as well.

enum { LINE_SIZE = PATH_MAX + 256 };

static bool number_read(const char *directory, const char *file, uint64_t *first, uint64_t *second)
{
    char path[2 * PATH_MAX], text[128] = "";
    snprintf(path, sizeof path, "%s/%s", directory, file);
    FILE *in = fopen(path, "re");
    if (!in)
        return false;
    // "max", and -1 in version 1, are no bounds, and no numbers to this.
    bool read =
        fgets(text, sizeof text, in) && sscanf(text, "%" SCNu64 " %" SCNu64, first, second) > 0;
    fclose(in);
    return read && text[0] != '-';
}

static void cpus_bound(struct cgroup_limits *limits, uint64_t quota_us, uint64_t period_us)
{
    if (period_us == 0)
        return;
    uint64_t cpus = quota_us / period_us + (quota_us % period_us > 0);
    cpus = cpus > 0 ? cpus : 1;
    if (cpus > UINT_MAX)
        return;
    if (limits->cpus == 0 || cpus < limits->cpus)
        limits->cpus = (unsigned)cpus;
}

static void memory_bound(struct cgroup_limits *limits, const char *directory, const char *file)
{
    uint64_t memory, none;
    if (number_read(directory, file, &memory, &none) && memory < limits->memory)
        limits->memory = memory;
}

static void unified_look(struct cgroup_limits *limits, const char *directory)
{
    uint64_t quota_us, period_us = 100000;
    if (number_read(directory, "cpu.max", &quota_us, &period_us))
        cpus_bound(limits, quota_us, period_us);
    memory_bound(limits, directory, "memory.max");
}

static void cpu_look(struct cgroup_limits *limits, const char *directory)
{
    uint64_t quota_us, period_us, none;
    if (number_read(directory, "cpu.cfs_quota_us", &quota_us, &none) &&
        number_read(directory, "cpu.cfs_period_us", &period_us, &none))
        cpus_bound(limits, quota_us, period_us);
}

static void memory_look(struct cgroup_limits *limits, const char *directory)
{
    memory_bound(limits, directory, "memory.limit_in_bytes");
}

// Looks at a group and at all above it.
static void groups_look(struct cgroup_limits *limits, const char *mount, const char *path,
                        void (*look)(struct cgroup_limits *limits, const char *directory))
{
    char directory[2 * PATH_MAX];
    int len = snprintf(directory, sizeof directory, "%s%s", mount, path);
    size_t mount_len = strlen(mount);
    if (len < 0 || (size_t)len >= sizeof directory)
        return;
    for (;;) {
        look(limits, directory);
        char *last = strrchr(directory + mount_len, '/');
        if (!last)
            return;
        *last = '\0';
    }
}

static bool names(const char *controllers, const char *controller)
{
    size_t len = strlen(controller);
    for (const char *at = controllers; (at = strstr(at, controller)); at += len) {
        bool begins = at == controllers || at[-1] == ',';
        if (begins && (at[len] == ',' || at[len] == '\0'))
            return true;
    }
    return false;
}

static void line_apply(struct cgroup_limits *limits, char *line, const char *mount)
{
    static const struct {
        const char *controller;
        void (*look)(struct cgroup_limits *limits, const char *directory);
    } controllers[] = {{"cpu", cpu_look}, {"memory", memory_look}};
    char *list = strchr(line, ':');
    char *path = list ? strchr(list + 1, ':') : NULL;
    if (!path)
        return;
    *path++ = '\0';
    list++;
    path[strcspn(path, "\n")] = '\0';
    if (*list == '\0') {
        groups_look(limits, mount, path, unified_look);
        return;
    }
    for (size_t i = 0; i < sizeof controllers / sizeof *controllers; i++) {
        char below[PATH_MAX];
        snprintf(below, sizeof below, "%s/%s", mount, controllers[i].controller);
        if (names(list, controllers[i].controller))
            groups_look(limits, below, path, controllers[i].look);
    }
}

struct cgroup_limits cgroup_limits_read(const char *proc, const char *mount)
{
    struct cgroup_limits limits = {.memory = UINT64_MAX};
    char line[LINE_SIZE];
    FILE *in = fopen(proc, "re");
    if (!in)
        return limits;
    while (fgets(line, sizeof line, in))
        line_apply(&limits, line, mount);
    fclose(in);
    return limits;
}

// What workers, buffers and the program itself take at a usual size (docs/memory.md).
enum { MEMORY_BESIDE = 64 << 20 };

bool cgroup_is_tight(const struct cgroup_limits *limits, uint64_t cache_size)
{
    return limits->memory < cache_size + MEMORY_BESIDE;
}

unsigned cgroup_cpus(void)
{
    cpu_set_t set;
    struct cgroup_limits limits = cgroup_limits_read(CGROUP_PROC, CGROUP_MOUNT);
    unsigned cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
    return limits.cpus > 0 && limits.cpus < cpus ? limits.cpus : cpus;
}
