// SPDX-License-Identifier: MIT
#include "bench/micro/bench.h"
#include "io/edge/local_files.h"
#include "io/edge/settings_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

// Block lists of up to a million names: how long they take to load and how much memory, and what it
// costs to find that a name is not on them, where nothing is remembered of it.
//
//   block_lists                          all of it
//   block_lists instructions ROUNDS N    under callgrind, with R and 2R rounds: the difference over
//   R
//                                        thousand is the instructions for a name, with N on the
//                                        list

enum { QUERIES = 1 << 17, SIZES = 4, QUERY_MAX = 96 };

static const size_t sizes[SIZES] = {0, 1000, 100000, 1000000};

struct asked {
    uint8_t message[QUERY_MAX];
    uint16_t len;
};

struct list {
    struct local_files files;
    size_t names;
};

static struct asked *queries;

static double cpu_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

// Numbers that look like none in particular (splitmix64).
static uint64_t mixed(uint64_t z)
{
    z = (z + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    return z ^ z >> 31;
}

// Names of two to four labels, as lists have them; an odd `salt` gives others than an even one.
static int name_make(char *text, size_t size, uint64_t number, uint64_t salt)
{
    static const char *const tops[] = {"com", "net", "de", "info", "co.uk"};
    uint64_t m = mixed(2 * number + (salt & 1));
    const char *top = tops[m % 5];
    switch (m / 5 % 3) {
    case 0:
        return snprintf(text, size, "%llx.%s", (unsigned long long)(m >> 20), top);
    case 1:
        return snprintf(text, size, "ads.%llx.%s", (unsigned long long)(m >> 24), top);
    default:
        return snprintf(text, size, "s%u.track-%llx.%s", (unsigned)(m % 97),
                        (unsigned long long)(m >> 28), top);
    }
}

static void query_make(struct asked *asked, size_t number)
{
    struct name name;
    char text[QUERY_MAX];
    int len = name_make(text, sizeof text, number, 1);
    if (!name_parse(&name, text, (size_t)len))
        abort();
    struct upstream_query query = {
        .name = name.bytes, .name_len = name.len, .type = TYPE_A, .class = CLASS_IN};
    asked->len = (uint16_t)upstream_query_write(asked->message, &query);
}

static size_t lookup(const struct local *local, const struct asked *asked)
{
    static const struct answer_limits limits = {.udp_payload_max = 1232};
    uint8_t out[1232];
    struct query query;
    struct key key;
    enum local_source source;
    if (query_read(&query, asked->message, asked->len) != QUERY_GOOD)
        abort();
    key_make(&key, &query, 42);
    return local ? local_answer(local, &query, &key, 0, &limits, out, &source) : 0;
}

static void lookups(struct bench *bench, void *context)
{
    const struct list *list = context;
    size_t found = 0;
    for (size_t i = 0; bench_next(bench); i = (i + 1) % QUERIES)
        found += lookup(list->files.local, &queries[i]);
    if (found > 0)
        abort(); // the names on the list are others
    bench_items(bench, 1);
}

static void bad_line(void *context, const char *path, uint32_t line, const char *why)
{
    (void)context;
    fprintf(stderr, "%s:%u: %s\n", path, line, why);
    exit(1);
}

static void file_read(void *context, const char *path, const struct local_file_counts *counts)
{
    (void)context;
    (void)path;
    (void)counts;
}

// The value of a line of /proc/self/status, in KiB.
static size_t status_of(const char *key)
{
    char line[256];
    size_t value = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, key, strlen(key)) == 0)
            value = strtoul(line + strlen(key) + 1, NULL, 10);
    }
    if (file)
        fclose(file);
    return value;
}

static void peak_forget(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file)
        return;
    fputs("5", file);
    fclose(file);
}

static void list_write(const char *path, size_t count)
{
    FILE *file = fopen(path, "w");
    char text[QUERY_MAX];
    if (!file)
        exit(1);
    for (size_t i = 0; i < count; i++) {
        name_make(text, sizeof text, i, 0);
        fprintf(file, "%s\n", text);
    }
    fclose(file);
}

static void list_load(struct list *list, size_t count, bool tell)
{
    char path[] = "/tmp/ouzel-list-XXXXXX";
    char why[LOCAL_WHY_SIZE];
    struct settings settings;
    struct local_listener listener = {bad_line, file_read, NULL};
    int file = mkstemp(path);
    if (file < 0 || settings_defaults(&settings) != 0)
        exit(1);
    close(file);
    list_write(path, count);
    if (settings_add(settings_find("local", "block", 5), &settings, path, strlen(path), why))
        exit(1);
    size_t before = status_of("VmRSS:");
    peak_forget();
    double start = cpu_ms();
    if (local_files_read(&list->files, &settings, &listener, why)) {
        fprintf(stderr, "%s\n", why);
        exit(1);
    }
    double took = cpu_ms() - start;
    struct local_counts counts = local_counts(list->files.local);
    if (tell)
        printf("%8zu names: loaded in %6.1f ms of CPU, block %9zu octets, resident %6zu KiB more, "
               "at the "
               "peak %6zu KiB more\n",
               counts.blocked, took, counts.octets, status_of("VmRSS:") - before,
               status_of("VmHWM:") - before);
    unlink(path);
    settings_free(&settings);
}

static int instructions(size_t rounds, size_t count)
{
    struct list list = {0};
    size_t found = 0;
    if (count != SIZE_MAX)
        list_load(&list, count, false);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < 1000; i++)
            found += lookup(list.files.local, &queries[i]);
    }
    local_files_free(&list.files);
    return found > 0;
}

int main(int argc, char **argv)
{
    static struct list lists[SIZES + 1];
    queries = calloc(QUERIES, sizeof *queries);
    if (!queries)
        return 1;
    for (size_t i = 0; i < QUERIES; i++)
        query_make(&queries[i], i);
    if (argc == 4 && strcmp(argv[1], "instructions") == 0)
        return instructions(strtoul(argv[2], NULL, 10),
                            strcmp(argv[3], "none") ? strtoul(argv[3], NULL, 10) : SIZE_MAX);
    bench_add("parse and key alone", lookups, &lists[SIZES]);
    for (size_t i = 0; i < SIZES; i++) {
        char name[32];
        list_load(&lists[i], sizes[i], true);
        snprintf(name, sizeof name, "unlisted/names:%zu", sizes[i]);
        bench_add(name, lookups, &lists[i]);
    }
    return bench_run(argc, argv);
}
