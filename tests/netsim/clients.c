// SPDX-License-Identifier: MIT
#include "tests/netsim/clients.h"

#include "tests/netsim/world.h"

#include <inttypes.h>

struct run clients_run;
struct clients_figures clients_figures;

void clients_begin(uint64_t seed)
{
    clients_run.dice = dice_for(seed, 3);
    clients_run.report.wrong = 0;
    memset(clients_run.tallies, 0, sizeof clients_run.tallies);
    for (size_t i = 0; i < family_count; i++)
        clients_run.truth.issued[i] = TRUTH_POPULAR;
    clients_figures = (struct clients_figures){0};
}

struct address clients_address(unsigned number, bool refused, bool ipv6, uint16_t port)
{
    struct address address = {.port = port};
    uint8_t last = (uint8_t)(number + 1);
    if (ipv6) {
        address.family = ADDRESS_IPV6;
        memcpy(address.ip, (uint8_t[]){0xfd, 0, 0, 0, 0, 0, last}, 7);
        address.ip[15] = last;
    } else {
        address.family = ADDRESS_IPV4;
        memcpy(address.ip, (uint8_t[]){10, refused ? 2 : 1, 0, last}, 4);
    }
    return address;
}

struct address clients_server(unsigned number, bool ipv6)
{
    struct address address = {.port = SERVER_PORT};
    if (ipv6) {
        address.family = ADDRESS_IPV6;
        address.ip[0] = 0xfd;
        address.ip[15] = 0x53;
    } else {
        address.family = ADDRESS_IPV4;
        memcpy(address.ip, (uint8_t[]){10, 0, 0, (uint8_t)(world.params.wildcard ? number : 1)}, 4);
    }
    return address;
}

struct ask clients_ask(uint16_t shape)
{
    struct ask ask = ask_choose(&clients_run, shape);
    while (!world.params.huge &&
           families[clients_run.shapes.items[ask.shape].family].kind == ANSWER_HUGE)
        ask = ask_choose(&clients_run, ASK_ANY);
    if (ask.number < TRUTH_POPULAR)
        ask.number %= world.params.names;
    return ask;
}

void clients_judge(bool refused, bool tcp, struct ask *ask, struct cookie *cookie, uint16_t id,
                   const uint8_t *reply, size_t len)
{
    struct tally *tally = &clients_run.tallies[tcp][ask->shape];
    uint64_t failed = tally->failed;
    reply_judge(&clients_run, refused, tcp, ask, cookie, id, reply, len, "a client");
    if (clients_run.report.wrong > 0)
        world_fail("a client got a wrong reply");
    if (world.params.gentle && tally->failed != failed)
        world_fail("a client got SERVFAIL though nothing went wrong");
    clients_figures.answered++;
}
