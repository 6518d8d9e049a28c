// SPDX-License-Identifier: MIT
#include "core/forward/failure.h"

#include "core/wire/message.h"

#include <string.h>

// A hash belongs to one bucket of four entries. An entry that has ended still counts towards the
// doubling for as long again as it lasted, and for the time that a question may take to fail: who
// asks again as soon as it may learns of the next failure only then.

enum { WAYS = FAILURE_WAYS, DOUBLINGS_MAX = 6, TAKES_US = 5000000 };

size_t failure_size(uint32_t size)
{
    return size * sizeof(struct failure);
}

void failure_init(struct failure_table *table, void *memory, uint32_t size)
{
    *table = (struct failure_table){.entries = memory, .bucket_count = size / WAYS};
    memset(memory, 0, failure_size(size));
}

static struct failure *bucket_of(const struct failure_table *table, uint64_t hash)
{
    return table->entries + WAYS * (((hash & UINT32_MAX) * table->bucket_count) >> 32);
}

static struct failure *entry_of(const struct failure_table *table, uint64_t hash)
{
    struct failure *bucket = bucket_of(table, hash);
    for (unsigned i = 0; i < WAYS; i++) {
        if (bucket[i].hash == hash)
            return &bucket[i];
    }
    return NULL;
}

const struct failure *failure_find(const struct failure_table *table, uint64_t hash,
                                   uint32_t recoveries, uint64_t now_us)
{
    const struct failure *entry = entry_of(table, hash);
    if (!entry || now_us >= entry->until_us || (entry->network && entry->recoveries != recoveries))
        return NULL;
    return entry;
}

static uint64_t lasts_us(unsigned count)
{
    uint64_t us = (uint64_t)FAILURE_MIN_US << (count < DOUBLINGS_MAX ? count : DOUBLINGS_MAX);
    return us < FAILURE_MAX_US ? us : FAILURE_MAX_US;
}

// The one that ends first makes room.
static struct failure *room_of(const struct failure_table *table, uint64_t hash)
{
    struct failure *bucket = bucket_of(table, hash), *room = bucket;
    for (unsigned i = 1; i < WAYS; i++) {
        if (bucket[i].until_us < room->until_us)
            room = &bucket[i];
    }
    return room;
}

void failure_add_gone(struct failure_table *table, uint64_t hash, uint32_t recoveries,
                      uint64_t now_us)
{
    struct failure *entry = entry_of(table, hash);
    if (!entry)
        entry = room_of(table, hash);
    *entry = (struct failure){
        .hash = hash,
        .until_us = now_us + FAILURE_GONE_US,
        .recoveries = recoveries,
        .rcode = RCODE_SERVFAIL,
        .network = true,
    };
}

void failure_add(struct failure_table *table, uint64_t hash, uint16_t rcode, bool network,
                 uint32_t recoveries, uint64_t least_us, uint64_t now_us)
{
    struct failure *entry = entry_of(table, hash);
    unsigned count = 0;
    if (entry && now_us < entry->until_us + lasts_us(entry->count) + TAKES_US)
        count = entry->count + 1u;
    if (!entry)
        entry = room_of(table, hash);
    uint64_t lasts = lasts_us(count);
    *entry = (struct failure){
        .hash = hash,
        .until_us = now_us + (lasts > least_us ? lasts : least_us),
        .recoveries = recoveries,
        .rcode = rcode,
        .count = (uint8_t)(count < DOUBLINGS_MAX ? count : DOUBLINGS_MAX),
        .network = network,
    };
}

void failure_forget(struct failure_table *table, uint64_t hash)
{
    struct failure *entry = entry_of(table, hash);
    if (entry)
        *entry = (struct failure){0};
}
