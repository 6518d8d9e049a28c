// SPDX-License-Identifier: MIT
#include "tests/netsim/params.h"

#include "tests/sim/dice.h"

void params_quiet(struct params *p)
{
    *p = (struct params){
        .workers = 1,
        .gentle = true,
        .holds = true,
        .buffers = {16, 16, 16},
        .events_max = 64,
        .questions = 1024,
        .queue_octets = 1 << 18,
        .held_octets = 8 << 20,
        .names = 150,
        .huge = true,
        .queue_max = 64,
        .pipe_size = 1 << 16,
        .delay_us = 200,
        .resolvers = 1,
        .connections_max = 64,
        .per_client = 64,
        .idle_ms = 10000,
    };
}

// Mostly none, sometimes a little, now and then a lot.
static uint32_t chance_draw(struct dice *d, uint32_t most)
{
    uint32_t lot = dice_below(d, 10);
    return lot < 4 ? 0 : lot < 8 ? dice_below(d, most / 10 + 1) : dice_below(d, most + 1);
}

static void engine_draw(struct params *p, struct dice *d)
{
    p->holds = dice_chance(d, 500);
    p->ends_unbuffered = dice_chance(d, 500);
    for (unsigned i = 0; i < 3; i++)
        p->buffers[i] = 1u << dice_below(d, 9);
    p->events_max = dice_chance(d, 500) ? 256 : 1 + dice_below(d, 64);
    // Two of the longest answer have room.
    p->huge = dice_chance(d, 800);
    p->queue_octets = 1u << (p->huge ? dice_between(d, 16, 18) : dice_between(d, 13, 15));
    p->held_octets = dice_chance(d, 500) ? 8 << 20 : 1u << dice_between(d, 15, 20);
    p->stall_pm = chance_draw(d, 30);
    p->stall_us = 1 + dice_below(d, 100000);
    p->place_fail_pm = chance_draw(d, 200);
    p->questions = 1u << dice_between(d, 4, 9);
    p->stop_pm = chance_draw(d, 700);
    p->late_pm = dice_chance(d, 500) ? dice_below(d, 1000) : 0;
    p->disarm_pm = chance_draw(d, 300);
    p->partial_pm = chance_draw(d, 1000);
    p->wake_fail_pm = chance_draw(d, 200);
}

static void network_draw(struct params *p, struct dice *d)
{
    p->queue_max = dice_chance(d, 300) ? 2 + dice_below(d, 20) : 256;
    p->pipe_size = 1u << (dice_chance(d, 100) ? 6 : dice_between(d, 9, 17));
    p->shortage_pm = chance_draw(d, 200);
    p->send_fail_pm = chance_draw(d, 200);
    p->loss_pm = chance_draw(d, 300);
    p->twice_pm = chance_draw(d, 200);
    p->cut_pm = chance_draw(d, 100);
    p->delay_us = dice_chance(d, 500) ? 1 + dice_below(d, 500) : 1 + dice_below(d, 50000);
    p->silent_pm = chance_draw(d, 500);
    p->refuse_pm = chance_draw(d, 300);
    p->connect_never_pm = chance_draw(d, 300);
    p->end_early_pm = chance_draw(d, 500);
    p->truncate_pm = chance_draw(d, 700);
    p->slow_pm = chance_draw(d, 500);
    p->stall_connection_pm = chance_draw(d, 900);
    p->close_pm = chance_draw(d, 1000);
    p->closes = 1000;
}

// What a patient client cannot be sure of its answer with.
static void gentle_make(struct params *p)
{
    p->queue_max = 1 << 20;
    p->questions = 1024;
    p->pipe_size = p->pipe_size < 4096 ? 4096 : p->pipe_size;
    if (p->upgrades > 0)
        p->queue_octets = 1 << 20;
    p->place_fail_pm = 0;
    p->held_octets = 8 << 20;
    p->stall_us = 1 + p->stall_us % 20000;
    p->shortage_pm = p->send_fail_pm = p->loss_pm = p->cut_pm = p->silent_pm = 0;
    p->refuse_pm = p->connect_never_pm = p->end_early_pm = p->slow_pm = p->stall_connection_pm = 0;
    // One that ends under a question is replaced once.
    p->closes = 1;
    p->connections_max = p->per_client = 4096;
    p->delay_us = 1 + p->delay_us % 5000;
}

void params_draw(struct params *p, uint64_t seed)
{
    struct dice d = dice_for(seed, 1);
    *p = (struct params){.gentle = dice_chance(&d, 400)};
    p->workers = dice_chance(&d, 300) ? 1 : dice_between(&d, 2, 4);
    p->wildcard = dice_chance(&d, 300);
    engine_draw(p, &d);
    network_draw(p, &d);
    p->askers = dice_between(&d, 1, 6);
    p->callers = dice_between(&d, 0, 6);
    p->rounds = dice_between(&d, 1, 3);
    p->names = dice_chance(&d, 500) ? 150 : dice_between(&d, 1, 10);
    p->resolvers = dice_between(&d, 1, 3);
    p->reloads = dice_chance(&d, 300) ? dice_between(&d, 1, 3) : 0;
    p->upgrades = dice_chance(&d, 300) ? 1 : 0;
    p->upgrade_fails = dice_chance(&d, 200);
    p->successor_dies = !p->gentle && dice_chance(&d, 200);
    p->other_cache = dice_chance(&d, 200);
    p->answer_log = dice_chance(&d, 300);
    p->connections_max = dice_chance(&d, 400) ? dice_between(&d, 1, 8) : 64;
    p->per_client = dice_chance(&d, 300) ? dice_between(&d, 1, 4) : 64;
    p->idle_ms = dice_chance(&d, 300) ? 1000 : 10000;
    uint32_t lot = dice_below(&d, 100);
    p->span_us = lot < 45 ? 100000 : lot < 90 ? 3000000 : 40000000;
    if (p->gentle)
        gentle_make(p);
}
