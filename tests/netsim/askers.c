// SPDX-License-Identifier: MIT
#include "tests/netsim/askers.h"

#include "tests/netsim/clients.h"
#include "tests/netsim/operator.h"
#include "tests/netsim/world.h"

#include "core/wire/bytes.h"

#include <assert.h>
#include <stdlib.h>

enum {
    QUERIES_MAX = 512,
    BURST_MAX = 64,
    PATIENCE_US = 14000000,
    FIRST_PORT = 20000,
    REFUSED_PM = 150,
    IPV6_PM = 300,
};

struct query {
    struct ask ask;
    uint8_t copies; // that reach the engine
    uint8_t replies;
    bool due;
};

struct asker {
    struct host host;
    struct alarm timer;
    struct address server;
    struct cookie cookie;
    bool refused;
    unsigned rounds;
    uint16_t first_id;
    unsigned count;
    unsigned due; // that have no reply yet
    uint64_t since_us;
    struct query queries[QUERIES_MAX];
};

static struct asker *askers;
static unsigned asker_count;

static void query_send(struct asker *asker)
{
    uint8_t bytes[ASK_QUERY_MAX];
    struct query *query = &asker->queries[asker->count];
    uint16_t id = (uint16_t)(asker->first_id + asker->count++);
    *query = (struct query){.ask = clients_ask(ASK_ANY)};
    size_t len = ask_write(&clients_run.truth, &clients_run.shapes.items[query->ask.shape],
                           &query->ask, id, &asker->cookie, bytes);
    query->copies = (uint8_t)network_to_engine(&asker->host.at, &asker->server, bytes, len, false);
    query->due = ask_due(&clients_run, asker->refused, false, &query->ask);
    asker->due += query->due;
    clients_figures.asked++;
    clients_figures.due += query->due;
}

static void burst(struct asker *asker)
{
    static const uint8_t counts[] = {1, 1, 2, 5, 20, BURST_MAX};
    unsigned count = counts[dice_below(&clients_run.dice, sizeof counts)];
    for (unsigned i = 0; i < count && asker->count < QUERIES_MAX; i++)
        query_send(asker);
    asker->rounds--;
    asker->since_us = world.now_us;
}

static void lost_count(struct asker *asker)
{
    clients_figures.lost += asker->due;
    if (asker->due > 0 && world.params.gentle && !operator_excuses())
        world_fail("%u queries over UDP have no reply though nothing was lost", asker->due);
    asker->due = 0;
}

static void asker_run(void *context)
{
    struct asker *asker = context;
    if (asker->rounds > 0) {
        burst(asker);
        uint32_t pause_us = dice_below(&clients_run.dice, (uint32_t)world.params.span_us);
        alarm_set(&asker->timer, world.now_us + (asker->rounds > 0 ? pause_us : PATIENCE_US));
    } else {
        lost_count(asker);
    }
}

static void reply_take(void *context, const struct address *from, const uint8_t *bytes, size_t len)
{
    struct asker *asker = context;
    unsigned place = len >= 2 ? (uint16_t)(load_be16(bytes) - asker->first_id) : QUERIES_MAX;
    if (!address_equal(from, &asker->server))
        world_fail("a client got a reply from another address than it asked");
    if (place >= asker->count)
        world_fail("a client got a reply to what it has not asked");
    struct query *query = &asker->queries[place];
    if (++query->replies > query->copies)
        world_fail("a client got %u replies to a query that arrived %u times", query->replies,
                   query->copies);
    clients_judge(asker->refused, false, &query->ask, &asker->cookie, load_be16(bytes), bytes, len);
    asker->due -= query->due;
    query->due = false;
    if (asker->due == 0 && asker->rounds == 0)
        alarm_hasten(&asker->timer, world.now_us);
}

void askers_begin(unsigned count)
{
    struct dice *dice = &clients_run.dice;
    asker_count = count;
    askers = calloc(count, sizeof *askers);
    assert(askers);
    for (unsigned i = 0; i < count; i++) {
        struct asker *asker = &askers[i];
        bool ipv6 = dice_chance(dice, IPV6_PM);
        asker->refused = !ipv6 && dice_chance(dice, REFUSED_PM);
        asker->host = (struct host){
            .at = clients_address(i, asker->refused, ipv6, (uint16_t)(FIRST_PORT + i)),
            .datagram = reply_take,
            .context = asker};
        asker->server = clients_server(1 + dice_below(dice, 3), ipv6);
        asker->timer = (struct alarm){.run = asker_run, .context = asker};
        asker->rounds = world.params.rounds;
        asker->first_id = (uint16_t)dice_u64(dice);
        cookie_draw(&asker->cookie, dice);
        network_add(&asker->host);
        alarm_set(&asker->timer,
                  world.now_us + 1 + dice_below(dice, (uint32_t)world.params.span_us));
    }
}

bool askers_done(void)
{
    for (unsigned i = 0; i < asker_count; i++) {
        if (askers[i].timer.at_us != 0)
            return false;
    }
    return true;
}

void askers_end(void)
{
    for (unsigned i = 0; i < asker_count; i++)
        network_remove(&askers[i].host);
    free(askers);
    askers = NULL;
    asker_count = 0;
}
