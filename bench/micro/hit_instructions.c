// SPDX-License-Identifier: MIT
#include "bench/micro/prefixes.h"
#include "tests/support/warm.h"

#include <stdio.h>
#include <stdlib.h>

// Answers so many cached questions and ends. Run under callgrind with N and with 2N, the difference
// over N is the number of instructions that core and cache spend on a cached answer.
//
// The second argument says what stands before the answers: nothing and one client, as without it;
// `clients`, a thousand in turn; `limits`, the same, with 10,000 prefixes that let them in and a
// quota for each; `answers`, with a limit to equal answers besides; a number, special names and so
// many blocked ones.

enum { NAMES = 1000, BATCH = 20, CLIENTS = 999, PREFIXES = 10000 };

static struct prefix prefixes[PREFIXES];
static struct address clients[2 * CLIENTS];

// Of the clients that are made every second one is in a prefix.
static void clients_make(void)
{
    prefixes_make(prefixes, PREFIXES, ADDRESS_IPV4);
    prefixes[0] = (struct prefix){.ip = {127, 0, 0, 1}, .length = 32, .family = ADDRESS_IPV4};
    prefixes_clients(clients, 2 * CLIENTS, prefixes, PREFIXES);
    for (size_t i = 0; i < CLIENTS; i++)
        clients[i] = clients[2 * i + 1];
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    const char *what = argc > 2 ? argv[2] : "client";
    size_t blocked = strtoul(what, NULL, 10);
    struct warm_limits limits = {0};
    if (argc > 3 || rounds == 0) {
        fprintf(stderr,
                "usage: %s ROUNDS [clients|limits|answers|BLOCKED]   (of %d cached answers each)\n",
                argv[0], NAMES);
        return 2;
    }
    bool many = blocked == 0 && strcmp(what, "client") != 0;
    if (many)
        clients_make();
    if (strcmp(what, "limits") == 0 || strcmp(what, "answers") == 0) {
        limits.client_qps = 100000;
        limits.allow = (struct prefix_list){prefixes, PREFIXES};
    }
    if (strcmp(what, "answers") == 0)
        limits.same_answers = 100000;
    struct warm *warm = warm_make_limited(NAMES, (size_t)8 << 20, &limits);
    if (blocked > 0)
        warm_block(warm, blocked);
    if (many) {
        warm->clients = clients;
        warm->client_count = CLIENTS;
    }
    warm_hits(warm, NAMES, BATCH, rounds);
    warm_free(warm);
    printf("%zu cached answers\n", rounds * NAMES);
    return 0;
}
