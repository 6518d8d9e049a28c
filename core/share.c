// SPDX-License-Identifier: MIT
#include "core/share.h"

#include "core/wire/bytes.h"
#include "core/wire/siphash.h"

#include <assert.h>

// A share stands in the chain of its network's hash, or among the free ones, which hold nothing.

enum { IPV6_NETWORK_OCTETS = 7 };

static uint32_t chains_of(uint32_t count)
{
    uint32_t chains = 1;
    while (chains < count)
        chains *= 2;
    return chains;
}

size_t share_size(uint32_t count)
{
    return count * sizeof(struct share) + chains_of(count) * sizeof(uint32_t);
}

void share_init(struct share_table *table, void *memory, uint32_t count, const uint64_t seed[2])
{
    *table = (struct share_table){
        .shares = memory,
        .chains = (uint32_t *)((struct share *)memory + count),
        .chain_mask = chains_of(count) - 1,
        .free = SHARE_NONE,
        .seed = {seed[0], seed[1]},
    };
    memset(table->chains, 0xff, chains_of(count) * sizeof *table->chains);
    for (uint32_t i = count; i-- > 0;) {
        table->shares[i] = (struct share){.next = table->free};
        table->free = i;
    }
}

struct network share_network_of(const struct address *client)
{
    uint8_t octets[8] = {0};
    memcpy(octets, client->ip, client->family == ADDRESS_IPV4 ? 4 : IPV6_NETWORK_OCTETS);
    return (struct network){load_be64(octets), client->family};
}

static uint32_t *chain_of(const struct share_table *table, uint64_t network, uint8_t family)
{
    struct siphash hash = siphash_begin(table->seed[0], table->seed[1]);
    siphash_word(&hash, network);
    return &table->chains[siphash_end(&hash, family, sizeof network + 1) & table->chain_mask];
}

static uint32_t network_find(const struct share_table *table, const struct network *network)
{
    uint32_t at = *chain_of(table, network->octets, network->family);
    while (at != SHARE_NONE && (table->shares[at].network != network->octets ||
                                table->shares[at].family != network->family))
        at = table->shares[at].next;
    return at;
}

uint32_t share_find(const struct share_table *table, const struct address *client)
{
    struct network network = share_network_of(client);
    return network_find(table, &network);
}

uint32_t share_held(const struct share_table *table, const struct address *client)
{
    uint32_t share = share_find(table, client);
    return share == SHARE_NONE ? 0 : table->shares[share].held;
}

uint32_t share_reserve_network(struct share_table *table, const struct network *network)
{
    uint32_t at = network_find(table, network);
    if (at == SHARE_NONE) {
        at = table->free;
        assert(at != SHARE_NONE);
        struct share *share = &table->shares[at];
        table->free = share->next;
        *share = (struct share){.network = network->octets, .family = network->family};
        uint32_t *chain = chain_of(table, share->network, share->family);
        share->next = *chain;
        *chain = at;
    }
    table->shares[at].held++;
    return at;
}

uint32_t share_reserve(struct share_table *table, const struct address *client)
{
    struct network network = share_network_of(client);
    return share_reserve_network(table, &network);
}

static void free_if_empty(struct share_table *table, uint32_t at)
{
    struct share *share = &table->shares[at];
    if (share->held > 0 || share->apart > 0)
        return;
    uint32_t *link = chain_of(table, share->network, share->family);
    while (*link != at)
        link = &table->shares[*link].next;
    *link = share->next;
    share->next = table->free;
    table->free = at;
}

void share_release(struct share_table *table, uint32_t at)
{
    assert(table->shares[at].held > 0);
    table->shares[at].held--;
    free_if_empty(table, at);
}

void share_reserve_apart(struct share_table *table, uint32_t at)
{
    assert(table->shares[at].held > 0);
    table->shares[at].apart++;
}

void share_release_apart(struct share_table *table, uint32_t at)
{
    assert(table->shares[at].apart > 0);
    table->shares[at].apart--;
    free_if_empty(table, at);
}
