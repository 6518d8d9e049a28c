// SPDX-License-Identifier: MIT
#include "io/engine/engine_sizes.h"
#include "io/engine/steering.h"
#include "io/net/clock.h"
#include "io/net/entropy.h"
#include "io/net/net_choice.h"
#include "tests/netsim/engine.h"
#include "tests/netsim/world.h"

// The rest of what io asks of the system: the clock, random octets, and the choice of an engine.

uint64_t clock_us(clockid_t which)
{
    (void)which;
    return world.now_us;
}

int entropy_draw(void *bytes, size_t len)
{
    uint8_t *octets = bytes;
    for (size_t i = 0; i < len; i++)
        octets[i] = (uint8_t)dice_below(&world.dice, 256);
    return 0;
}

int net_try(const struct net_engine *engine)
{
    (void)engine;
    return 0;
}

const struct net_engine *net_choose(enum net_choice choice, const char **refused)
{
    (void)choice;
    *refused = NULL;
    return &net_simulated;
}

uint32_t engine_sizes_questions(void)
{
    return world.params.questions;
}

uint32_t engine_sizes_queue(unsigned worker_count)
{
    (void)worker_count;
    return world.params.queue_octets;
}

struct clients_held engine_sizes_held(void)
{
    uint32_t most = world.params.held_octets;
    return (struct clients_held){2 * most, most, most / 8};
}

int steering_init(struct steering *steering, enum steering_kind kind, unsigned worker_count)
{
    *steering = (struct steering){.kind = kind, .worker_count = worker_count};
    return 0;
}

int steering_attach(const struct steering *steering, int fd)
{
    (void)steering;
    (void)fd;
    return 0;
}

void steering_pin(const struct steering *steering, unsigned worker)
{
    (void)steering;
    (void)worker;
}
