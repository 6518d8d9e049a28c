// SPDX-License-Identifier: MIT
#include "io/net/net.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

static size_t group_octets(const struct net_group *group)
{
    return group->count * group->size;
}

static int group_allocate(struct net_group *group, const struct net_group_config *config)
{
    assert((config->count & (config->count - 1)) == 0 && config->count <= UINT16_MAX &&
           config->size > 0 && config->size % 64 == 0);
    group->count = config->count;
    group->size = config->size;
    group->addresses = config->addresses;
    group->lent = calloc(group->count, sizeof *group->lent);
    group->returned = calloc(group->count, sizeof *group->returned);
    void *bytes = mmap(NULL, group_octets(group), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    group->bytes = bytes == MAP_FAILED ? NULL : bytes;
    if (!group->lent || !group->returned || !group->bytes)
        return -ENOMEM;
    // All are the engine's from its first submission on, the first one first.
    for (unsigned i = 0; i < group->count; i++)
        group->returned[i] = (uint16_t)i;
    group->returned_count = group->count;
    return 0;
}

static void groups_free(struct net *net)
{
    for (unsigned i = 0; i < NET_GROUPS; i++) {
        struct net_group *group = &net->groups[i];
        if (group->bytes)
            munmap(group->bytes, group_octets(group));
        free(group->lent);
        free(group->returned);
    }
}

int net_open(struct net **out, const struct net_config *config)
{
    struct net *net = calloc(1, config->engine->size);
    if (!net)
        return -ENOMEM;
    net->engine = config->engine;
    net->places = config->places;
    net->wake_tag = config->wake_tag;
    int error = 0;
    for (unsigned i = 0; i < NET_GROUPS && error == 0; i++) {
        if (config->groups[i].count > 0)
            error = group_allocate(&net->groups[i], &config->groups[i]);
    }
    if (error == 0)
        error = net->engine->open(net);
    if (error < 0) {
        groups_free(net);
        free(net);
        return error;
    }
    *out = net;
    return 0;
}

void net_close(struct net *net)
{
    net->engine->close(net);
    groups_free(net);
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
