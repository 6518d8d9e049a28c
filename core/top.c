// SPDX-License-Identifier: MIT
#include "core/top.h"

#include <assert.h>
#include <string.h>

#define HALVING_US 60000000ull

void top_age(struct top *top, uint64_t now_us)
{
    // After an hour nothing is left of anything.
    if (now_us - top->halved_us > 60 * HALVING_US) {
        top->used = 0;
        top->total = 0;
        top->halved_us = now_us;
    }
    while (now_us - top->halved_us >= HALVING_US) {
        top->halved_us += HALVING_US;
        top->total /= 2;
        for (uint32_t i = 0; i < top->used; i++) {
            top->counts[i] /= 2;
            top->entries[i].error /= 2;
        }
    }
}

static uint32_t least_of(const struct top *top)
{
    uint32_t least = 0;
    for (uint32_t i = 1; i < top->used; i++) {
        if (top->counts[i] < top->counts[least])
            least = i;
    }
    return least;
}

void top_count(struct top *top, uint64_t now_us, uint64_t hash, const void *key, size_t len,
               uint64_t weight)
{
    assert(len <= TOP_KEY_MAX);
    uint32_t at = 0;
    top_age(top, now_us);
    top->total += weight;
    while (at < top->used && top->hashes[at] != hash)
        at++;
    if (at < top->used) {
        top->counts[at] += weight;
        return;
    }
    bool room = top->used < TOP_SIZE;
    at = room ? top->used++ : least_of(top);
    uint64_t before = room ? 0 : top->counts[at];
    top->hashes[at] = hash;
    top->counts[at] = before + weight;
    top->entries[at].error = before;
    top->entries[at].len = (uint16_t)len;
    memcpy(top->entries[at].key, key, len);
}
