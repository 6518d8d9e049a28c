// SPDX-License-Identifier: MIT
#include "core/forward/refresh.h"

size_t refresh_size(uint32_t size)
{
    return size * (sizeof(struct refresh *) + sizeof(struct refresh));
}

void refresh_init(struct refresh_table *table, void *memory, uint32_t size)
{
    struct refresh *all = memory;
    memset(memory, 0, refresh_size(size));
    *table =
        (struct refresh_table){.chains = (struct refresh **)(all + size), .chain_mask = size - 1};
    for (uint32_t i = size; i-- > 0;) {
        all[i].next = table->free;
        table->free = &all[i];
    }
}

static struct refresh **link_of(const struct refresh_table *table, const struct key *key)
{
    struct refresh **link = &table->chains[key->hash & table->chain_mask];
    while (*link && !key_equal(&(*link)->key, key))
        link = &(*link)->next;
    return link;
}

static uint64_t due_us(uint32_t birth_s, uint32_t expiry_s)
{
    uint64_t lead_us = (uint64_t)(expiry_s - birth_s) * 1000000 / REFRESH_SHARE;
    lead_us = lead_us > REFRESH_LEAD_MIN_US ? lead_us : REFRESH_LEAD_MIN_US;
    lead_us = lead_us < REFRESH_LEAD_MAX_US ? lead_us : REFRESH_LEAD_MAX_US;
    return (uint64_t)expiry_s * 1000000 - lead_us;
}

static bool is_full(const struct refresh_table *table, uint8_t network)
{
    uint32_t size = table->chain_mask + 1;
    return !table->free || share_is_exceeded(table->count, table->held[network], size);
}

struct refresh *refresh_note(struct refresh_table *table, const struct key *key, uint8_t network,
                             uint32_t birth_s, uint32_t expiry_s, bool *full)
{
    struct refresh **link = link_of(table, key), *refresh = *link;
    *full = !refresh && is_full(table, network);
    if (*full || (refresh && refresh->birth_s == birth_s && refresh->expiry_s == expiry_s))
        return NULL;
    if (!refresh) {
        *link = refresh = table->free;
        table->free = refresh->next;
        *refresh = (struct refresh){0};
        key_copy(&refresh->key, key);
        table->count++;
    } else {
        table->held[refresh->network]--;
    }
    table->held[network]++;
    refresh->network = network;
    refresh->due_us = due_us(birth_s, expiry_s);
    refresh->birth_s = birth_s;
    refresh->expiry_s = expiry_s;
    return refresh;
}

void refresh_forget(struct refresh_table *table, struct refresh *refresh)
{
    *link_of(table, &refresh->key) = refresh->next;
    table->held[refresh->network]--;
    table->count--;
    refresh->next = table->free;
    table->free = refresh;
}
