// SPDX-License-Identifier: MIT
#include "tests/netsim/house.h"

#include "io/edge/local_files.h"
#include "io/edge/settings_file.h"
#include "tests/netsim/resolvers.h"
#include "tests/netsim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct settings variants[2][2][RESOLVERS_MAX + 1]; // wildcard, more, resolvers
static struct local_files files;

[[gnu::noreturn]] static void fail(const char *what)
{
    fprintf(stderr, "netsim: %s\n", what);
    exit(2);
}

static void line_bad(void *context, const char *path, uint32_t line, const char *why)
{
    (void)context;
    (void)path;
    (void)line;
    fail(why);
}

static void file_done(void *context, const char *path, const struct local_file_counts *counts)
{
    (void)context;
    (void)path;
    (void)counts;
}

// A file in memory, as a path.
static void file_write(char path[static 32], const char *text)
{
    int fd = memfd_create("netsim", 0);
    size_t len = strlen(text);
    if (fd < 0 || write(fd, text, len) != (ssize_t)len)
        fail("no file in memory");
    snprintf(path, 32, "/proc/self/fd/%d", fd);
}

static void variant_make(struct settings *settings, bool wildcard, bool more, unsigned resolvers,
                         const char *hosts, const char *block)
{
    static const char *const upstreams[] = {"", "10.9.0.1", "10.9.0.1, 10.9.0.2",
                                            "10.9.0.1, 10.9.0.2, 10.9.0.3"};
    char text[1024];
    struct settings_report report = {0};
    int len = snprintf(text, sizeof text,
                       "server:\n"
                       "  listen: [%s, \"[fd00::53]:53\"%s]\n"
                       "cache: {rotate: false, size: 1M}\n"
                       "access: {refuse: [10.2.0.0/16]}\n"
                       "local: {hosts: [%s], block: [%s]}\n"
                       "stats: {listen: off}\n"
                       "forward: [{zone: ., to: [%s]}]\n",
                       wildcard ? "0.0.0.0:53" : "10.0.0.1:53", more ? ", 10.0.0.9:54" : "", hosts,
                       block, upstreams[resolvers]);
    if (settings_defaults(settings) < 0 ||
        settings_file_parse(settings, "netsim", text, (size_t)len, &report) < 0)
        fail("the settings cannot be read");
}

void house_make(void)
{
    char hosts[32], block[32], why[LOCAL_WHY_SIZE];
    file_write(hosts, "192.0.2.7 here.mixed.example\n");
    file_write(block, "blocked.mixed.example\n");
    for (unsigned wildcard = 0; wildcard < 2; wildcard++)
        for (unsigned more = 0; more < 2; more++)
            for (unsigned resolvers = 1; resolvers <= RESOLVERS_MAX; resolvers++)
                variant_make(&variants[wildcard][more][resolvers], wildcard, more, resolvers, hosts,
                             block);
    struct local_listener listener = {.bad_line = line_bad, .file_read = file_done};
    if (local_files_read(&files, &variants[0][0][1], &listener, why) < 0)
        fail(why);
}

void house_settings(struct settings *settings, bool more, unsigned cache_mib)
{
    const struct params *p = &world.params;
    *settings = variants[p->wildcard][more][more ? 1 : p->resolvers];
    settings->cache_size = (uint64_t)cache_mib << 20;
    settings->server_workers = p->workers;
    settings->server_tcp_connections_max = p->connections_max;
    settings->server_tcp_connections_per_client = p->per_client;
    settings->server_tcp_idle_timeout = p->idle_ms;
    settings->limits_clients = 1024;
}

const struct local *house_local(void)
{
    return files.local;
}
