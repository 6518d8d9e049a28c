// SPDX-License-Identifier: MIT
#include "io/edge/command_check.h"
#include "io/edge/arguments.h"
#include "io/edge/bounded.h"
#include "io/edge/local_files.h"
#include "io/edge/settings_file.h"
#include "io/edge/settings_print.h"
#include "io/edge/snapshot_place.h"
#include "io/engine/cgroup.h"
#include "io/net/net.h"
#include "io/net/net_choice.h"
#include "io/xdp/plane_link.h"
#include "io/xdp/plane_settings.h"

#include <errno.h>
#include <stdlib.h>

static void bad_line_print(void *context, const char *path, uint32_t line, const char *why)
{
    fprintf(context, "%s:%u: warning: the line is left out: %s\n", path, line, why);
}

static void file_read_print(void *context, const char *path, const struct local_file_counts *counts)
{
    if (counts->bad > LOCAL_LINES_TOLD)
        fprintf(context, "%s: warning: and %zu more\n", path, counts->bad - LOCAL_LINES_TOLD);
}

// Reads the files that the settings name, as the start would.
static int local_check(const struct settings *settings)
{
    struct local_listener listener = {bad_line_print, file_read_print, stderr};
    struct local_files files;
    char why[LOCAL_WHY_SIZE];
    int error = local_files_read(&files, settings, &listener, why);
    if (error) // that of a record begins with its file and line
        fprintf(stderr, "%s%s\n", error == -EINVAL ? "" : "ouzel: ", why);
    local_files_free(&files);
    return error ? STATUS_USAGE : STATUS_FINE;
}

// What stands where snapshots go and is not ours. It stops neither a start nor a reload, as others
// may be able to put it there.
static bool snapshot_check(const struct settings *settings)
{
    const char *path = settings->cache_snapshot.text;
    struct settings_origin origin = settings->origins[OPTION_cache_snapshot];
    char why[SNAPSHOT_WHY_SIZE];
    if (*path == '\0' || snapshot_place_check(path, why))
        return true;
    if (origin.source == SOURCE_FILE)
        fprintf(stderr, "%s:%u: cache.snapshot: %s\n", settings->file, origin.line, why);
    else
        fprintf(stderr, "ouzel: cache.snapshot: %s\n", why);
    return false;
}

// What this process can use, the daemon can as well, unless its rights are others: so it is said,
// and no more.
static void engine_check(const struct settings *settings)
{
    const char *refused;
    enum net_choice choice = (enum net_choice)settings->server_engine;
    const struct net_engine *engine = net_choose(choice, &refused);
    if (refused)
        fprintf(stderr, "ouzel: server.engine is auto, which is %s here: %s\n", engine->name,
                refused);
    int error = choice == NET_AUTO ? 0 : net_try(engine);
    if (error < 0)
        fprintf(stderr, "ouzel: server.engine: cannot use %s here: %s\n", engine->name,
                net_why(engine, error));
}

// As of engine_check, and interfaces may come later.
static void xdp_check(const struct settings *settings)
{
    const struct text_list *list = &settings->server_xdp;
    struct plane_options least = {.shard_count = 1, .shard_size = 4096};
    struct plane *plane;
    char why[PLANE_WHY_SIZE];
    if (list->count == 0)
        return;
    if (plane_open(&plane, &least, why) == 0)
        plane_close(plane);
    else
        fprintf(stderr, "ouzel: server.xdp: %s\n", why);
    for (size_t i = 0; i < list->count; i++)
        if (plane_interface_check(list->items[i].text, why) < 0)
            fprintf(stderr, "ouzel: server.xdp: %s\n", why);
    const char *aside = plane_settings_aside(settings);
    if (aside)
        fprintf(stderr, "ouzel: server.xdp: the XDP program answers nothing: %s\n", aside);
}

// Said and no more: what is bounded may be raised before the start.
static void memory_check(const struct settings *settings)
{
    struct cgroup_limits limits = cgroup_limits_read(CGROUP_PROC, CGROUP_MOUNT);
    if (cgroup_is_tight(&limits, settings->cache_size))
        fprintf(stderr,
                "ouzel: cache.size: the control group has %llu MiB of memory for all of ouzel\n",
                (unsigned long long)(limits.memory >> 20));
}

struct checking {
    int argc;
    char **argv;
    int status;
};

static void check(void *context)
{
    struct checking *c = context;
    struct settings settings;
    c->status = settings_load(&settings, c->argc, c->argv, stderr);
    if (c->status)
        return;
    c->status = local_check(&settings);
    if (c->status == STATUS_FINE && !snapshot_check(&settings))
        c->status = STATUS_USAGE;
    if (c->status == STATUS_FINE)
        engine_check(&settings);
    if (c->status == STATUS_FINE)
        xdp_check(&settings);
    if (c->status == STATUS_FINE)
        memory_check(&settings);
    if (c->status == STATUS_FINE)
        settings_print(&settings, stdout);
    settings_free(&settings);
}

int command_check(const struct program *program, int argc, char **argv)
{
    (void)program;
    struct checking *c = malloc(sizeof *c);
    if (c)
        *c = (struct checking){.argc = argc, .argv = argv, .status = STATUS_FAILED};
    struct bounded *bounded = c ? bounded_start(check, free, c) : NULL;
    int status = STATUS_FAILED;
    if (!bounded) {
        fprintf(stderr, "ouzel: no memory or no thread\n");
    } else if (bounded_finish(bounded, BOUNDED_READ_MS, NULL, NULL)) {
        status = c->status;
    } else {
        fprintf(stderr,
                "ouzel: the settings and the files that they name are not read within %d s: a file "
                "system does not answer\n",
                BOUNDED_READ_MS / 1000);
        return STATUS_USAGE; // the other thread ends with the process
    }
    free(c);
    return status;
}
