// SPDX-License-Identifier: MIT
// Clients and the upstream of a mixed run: every kind of query there is at once, each reply held
// against what the same question gets alone.
//
//   mixed SEED UPSTREAM ALLOWED REFUSED
//
// UPSTREAM is the address at which it is an upstream; its port is printed in the first line.
// ALLOWED and REFUSED are the first of 64 addresses each that its clients have. OUZEL_PATIENCE
// stretches the waits, as it does those of the tests. Then it takes orders on stdin, one a line,
// prints what is wrong in lines that begin with `wrong: `, and ends each order with a line of JSON:
//
//   learn SERVER                  what a quiet server says
//   run SECONDS LIMITS SERVER...  LIMITS: 1 where the server has any, else 0
#include "tests/mixed/connections.h"
#include "tests/mixed/datagrams.h"
#include "tests/mixed/upstream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS = 64, SILENCE_US = 1500000, WORDS_MAX = 16, LINE_MAX_OCTETS = 1024 };

static void drive(struct run *run, double seconds)
{
    struct epoll_event events[EVENTS];
    int epoll = epoll_create1(0);
    struct datagrams *datagrams = datagrams_make(run, epoll);
    struct connections *connections = connections_make(run, epoll);
    uint64_t now_us = report_now_us();
    uint64_t end_us = now_us + (uint64_t)(seconds * 1e6), heard_us = end_us;
    for (bool busy = true; busy; now_us = report_now_us()) {
        bool sending = now_us < end_us;
        if (sending)
            datagrams_send(datagrams, now_us);
        size_t open = connections_turn(connections, now_us, sending);
        int count = epoll_wait(epoll, events, EVENTS, sending ? 0 : 5);
        if (sending || count > 0)
            heard_us = now_us;
        for (int i = 0; i < count; i++)
            if (!datagrams_read(datagrams, events[i].data.u64))
                connections_event(connections, events[i].data.u64, events[i].events, now_us);
        bool due = open > 0 || datagrams_waiting(datagrams) > 0;
        busy = sending || (now_us < heard_us + patient_us(run, SILENCE_US) && due);
    }
    connections_free(connections);
    datagrams_free(datagrams);
    close(epoll);
}

static void tally_tell(const char *name, const struct tally *tally)
{
    printf("\"%s\": {\"asked\": %lu, \"right\": %lu, \"failed\": %lu, \"limited\": %lu, "
           "\"due\": %lu, \"lost\": %lu}",
           name, tally->asked, tally->right, tally->failed, tally->limited, tally->due,
           tally->lost);
}

static void tally_add(struct tally *sum, const struct tally *tally)
{
    sum->asked += tally->asked;
    sum->right += tally->right;
    sum->failed += tally->failed;
    sum->limited += tally->limited;
    sum->due += tally->due;
    sum->lost += tally->lost;
}

static void tell(const struct run *run, const struct upstream *upstream)
{
    const struct upstream_counts *counts = upstream_counts(upstream);
    struct tally sums[TRANSPORT_KINDS] = {0};
    for (size_t tcp = 0; tcp < TRANSPORT_KINDS; tcp++)
        for (size_t i = 0; i < run->shapes.count; i++)
            tally_add(&sums[tcp], &run->tallies[tcp][i]);
    printf("{\"wrong\": %lu, \"first_seconds\": %.3f, ", run->report.wrong,
           (double)run->report.first_us / 1e6);
    tally_tell("udp", &sums[false]);
    printf(", ");
    tally_tell("tcp", &sums[true]);
    printf(", \"connections\": %lu, \"stuck\": %lu, \"upstream\": {\"datagrams\": %lu, "
           "\"messages\": %lu, "
           "\"connections\": %lu}, \"lacking\": {",
           run->connections, run->stuck, counts->datagrams, counts->messages, counts->connections);
    const char *comma = "";
    for (size_t tcp = 0; tcp < TRANSPORT_KINDS; tcp++)
        for (size_t i = 0; i < run->shapes.count; i++) {
            const struct tally *tally = &run->tallies[tcp][i];
            const struct shape *shape = &run->shapes.items[i];
            if (tally->lost + tally->failed == 0)
                continue;
            printf("%s\"%s %s %s\": [%lu, %lu, %lu]", comma, tcp ? "TCP" : "UDP",
                   families[shape->family].word, shape->what, tally->asked, tally->failed,
                   tally->lost);
            comma = ", ";
        }
    printf("}}\n");
    fflush(stdout);
}

static void report_begin(struct run *run)
{
    run->report.wrong = run->report.first_us = 0;
    run->report.began_us = report_now_us();
    memset(run->tallies, 0, sizeof run->tallies);
    run->connections = run->stuck = 0;
}

// Does what a line says. False if it is none of the orders.
static bool order(struct run *run, struct upstream *upstream, char *line)
{
    char *words[WORDS_MAX] = {0}, *rest = line;
    size_t count = 0;
    while (count < WORDS_MAX && (words[count] = strsep(&rest, " \n")) != NULL)
        count += *words[count] != 0;
    if (count < 2)
        return false;
    report_begin(run);
    bool learns = strcmp(words[0], "learn") == 0;
    run->server_count = 0;
    for (size_t i = learns ? 1 : 3; i < count && run->server_count < SERVERS_MAX; i++)
        if (!server_parse(words[i], &run->servers[run->server_count++]))
            return false;
    if (run->server_count == 0)
        return false;
    run->limits = !learns && atoi(words[2]) != 0;
    if (learns)
        learn(run, &run->servers[0]);
    else
        drive(run, atof(words[1]));
    tell(run, upstream);
    return true;
}

int main(int argc, char **argv)
{
    struct run *run = calloc(1, sizeof *run);
    if (argc != 5 || !run || inet_pton(AF_INET, argv[3], &run->allowed) != 1 ||
        inet_pton(AF_INET, argv[4], &run->refused) != 1) {
        fprintf(stderr, "usage: mixed SEED UPSTREAM ALLOWED REFUSED\n");
        return 2;
    }
    uint64_t seed = strtoull(argv[1], NULL, 10);
    uint16_t port;
    run->dice = dice_for(seed, 1);
    const char *patience = getenv("OUZEL_PATIENCE");
    run->patience = patience && atof(patience) > 1 ? atof(patience) : 1;
    run->report.began_us = report_now_us();
    truth_init(&run->truth, dice_u64(&run->dice));
    shapes_make(&run->shapes);
    struct upstream *upstream = upstream_start(&run->truth, &run->report, argv[2], seed, &port);
    if (!upstream) {
        fprintf(stderr, "mixed: %s: %s\n", argv[2], strerror(errno));
        return 1;
    }
    printf("%s:%u\n", argv[2], port);
    fflush(stdout);
    bool good = true;
    for (char line[LINE_MAX_OCTETS]; good && fgets(line, sizeof line, stdin);)
        good = order(run, upstream, line);
    upstream_stop(upstream);
    forget(run);
    free(run);
    return good ? 0 : 2;
}
