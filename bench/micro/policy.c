// SPDX-License-Identifier: MIT
#include "bench/micro/bench.h"
#include "bench/micro/prefixes.h"
#include "core/policy/access.h"

#include <stdio.h>
#include <stdlib.h>

// Access lists: the cost of a lookup with few prefixes and with many.
//
//   policy [OPTION...]                          times it (the options are Google Benchmark's)
//   policy count FAMILY PREFIXES ROUNDS         looks up 1000 clients so often and ends: under
//                                               callgrind, with N and with 2N rounds, the
//                                               difference is what a look-up takes

enum { CLIENTS = 1000 };

struct lists {
    struct settings settings;
    struct access_list access;
    struct address clients[CLIENTS];
    void *memory;
};

static struct lists *lists_make(uint8_t family, size_t count)
{
    struct lists *lists = calloc(1, sizeof *lists);
    struct prefix *prefixes = calloc(count, sizeof *prefixes);
    if (!lists || !prefixes)
        abort();
    prefixes_make(prefixes, count, family);
    prefixes_clients(lists->clients, CLIENTS, prefixes, count);
    // Nine in ten are let in, some of the holes are silent.
    size_t refuse = count * 9 / 10, drop = count * 19 / 20;
    lists->settings.access_allow = (struct prefix_list){prefixes, refuse};
    lists->settings.access_refuse = (struct prefix_list){prefixes + refuse, drop - refuse};
    lists->settings.access_drop = (struct prefix_list){prefixes + drop, count - drop};
    lists->memory = malloc(access_size(&lists->settings));
    if (!lists->memory)
        abort();
    access_build(&lists->access, lists->memory, &lists->settings);
    return lists;
}

static void lists_free(struct lists *lists)
{
    free(lists->settings.access_allow.items);
    free(lists->memory);
    free(lists);
}

// The only part that callgrind is to see twice.
static unsigned look_up(const struct lists *lists)
{
    unsigned sum = 0;
    for (size_t i = 0; i < CLIENTS; i++)
        sum += access_check(&lists->access, &lists->clients[i]);
    return sum;
}

static void run(struct bench *bench, void *context)
{
    while (bench_next(bench)) {
        unsigned sum = look_up(context);
        __asm__ volatile("" : : "r"(sum));
    }
    bench_items(bench, CLIENTS);
}

static int count_main(char **argv)
{
    size_t prefixes = strtoul(argv[1], NULL, 10), rounds = strtoul(argv[2], NULL, 10);
    if ((strcmp(argv[0], "4") != 0 && strcmp(argv[0], "6") != 0) || prefixes == 0 || rounds == 0)
        return 2;
    struct lists *lists = lists_make((uint8_t)(*argv[0] - '0'), prefixes);
    for (size_t i = 0; i < rounds; i++) {
        unsigned sum = look_up(lists);
        __asm__ volatile("" : : "r"(sum));
    }
    lists_free(lists);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        size_t count;
        uint8_t family;
    } sizes[] = {
        {"access/IPv4/10", 10, ADDRESS_IPV4},       {"access/IPv4/1000", 1000, ADDRESS_IPV4},
        {"access/IPv4/10000", 10000, ADDRESS_IPV4}, {"access/IPv6/10", 10, ADDRESS_IPV6},
        {"access/IPv6/1000", 1000, ADDRESS_IPV6},   {"access/IPv6/10000", 10000, ADDRESS_IPV6},
    };
    if (argc == 5 && strcmp(argv[1], "count") == 0)
        return count_main(argv + 2);
    struct lists *lists[sizeof sizes / sizeof *sizes];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        lists[i] = lists_make(sizes[i].family, sizes[i].count);
        bench_add(sizes[i].name, run, lists[i]);
    }
    int status = bench_run(argc, argv);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        lists_free(lists[i]);
    return status;
}
