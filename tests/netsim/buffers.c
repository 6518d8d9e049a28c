// SPDX-License-Identifier: MIT
#include "tests/netsim/engine.h"
#include "tests/netsim/simnet.h"
#include "tests/netsim/world.h"

#include <stdlib.h>

// In place of io/net/net.c: groups of as few buffers as the seed wants, each in memory of its own,
// so that a sanitizer sees who goes beyond one. What has been given back is spoiled, and a
// sanitizer sees who reads or writes it then.

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 // as gcc says it
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define FORBID(bytes, len) ASAN_POISON_MEMORY_REGION(bytes, len)
#define ALLOW(bytes, len)  ASAN_UNPOISON_MEMORY_REGION(bytes, len)
#else
#define FORBID(bytes, len) ((void)(bytes), (void)(len))
#define ALLOW(bytes, len)  ((void)(bytes), (void)(len))
#endif

enum { SPOILED = 0xa5 };

static void group_make(struct net_group *group, const struct net_group_config *config,
                       unsigned index)
{
    if (config->count == 0)
        return;
    assert((config->count & (config->count - 1)) == 0 && config->size % 64 == 0);
    group->count = world.params.buffers[index];
    group->size = config->size;
    group->addresses = config->addresses;
    group->lent = calloc(group->count, sizeof *group->lent);
    group->returned = calloc(group->count, sizeof *group->returned);
    group->bytes = malloc(group->count * group->size);
    assert(group->lent && group->returned && group->bytes);
    for (unsigned i = 0; i < group->count; i++)
        group->returned[i] = (uint16_t)i;
    group->returned_count = group->count;
}

int net_open(struct net **out, const struct net_config *config)
{
    struct net *net = calloc(1, config->engine->size);
    assert(net);
    net->engine = config->engine;
    net->places = config->places;
    net->wake_tag = config->wake_tag;
    for (unsigned i = 0; i < NET_GROUPS; i++)
        group_make(&net->groups[i], &config->groups[i], i);
    int error = net->engine->open(net);
    assert(error == 0);
    *out = net;
    return error;
}

void net_close(struct net *net)
{
    net->engine->close(net);
    for (unsigned i = 0; i < NET_GROUPS; i++) {
        struct net_group *group = &net->groups[i];
        ALLOW(group->bytes, group->count * group->size);
        free(group->bytes);
        free(group->lent);
        free(group->returned);
    }
    free(net);
}

const char *net_why(const struct net_engine *engine, int error)
{
    return engine->why(error);
}

void net_flush(struct net *net)
{
    (void)!net_submit(net);
}

void buffers_take(struct simnet *s)
{
    for (unsigned i = 0; i < NET_GROUPS; i++) {
        struct net_group *group = &s->net.groups[i];
        for (unsigned j = 0; j < group->returned_count; j++) {
            uint16_t buffer = group->returned[j];
            if (s->free_count[i] == group->count)
                world_fail("a buffer was given back twice");
            uint8_t *bytes = group->bytes + buffer * group->size;
            memset(bytes, SPOILED, group->size);
            FORBID(bytes, group->size);
            s->free[i][s->free_count[i]++] = buffer;
            s->maybe = true;
        }
        group->returned_count = 0;
    }
}

uint8_t *buffer_lend(struct simnet *s, unsigned index, struct net_event *event)
{
    struct net_group *group = &s->net.groups[index];
    assert(s->free_count[index] > 0);
    unsigned lot = dice_below(&world.dice, s->free_count[index]);
    uint16_t buffer = s->free[index][lot];
    s->free[index][lot] = s->free[index][--s->free_count[index]];
    assert(!group->lent[buffer]);
    group->lent[buffer] = true;
    event->lent = true;
    event->buffer = buffer;
    event->bytes = group->bytes + buffer * group->size;
    ALLOW(event->bytes, group->size);
    return event->bytes;
}
