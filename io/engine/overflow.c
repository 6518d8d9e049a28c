// SPDX-License-Identifier: MIT
#include "io/engine/overflow.h"

#include "io/net/entropy.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS_MAX = 256 };

struct overflow_item {
    struct overflow_item *next;
    struct client client;
    uint32_t share;
    uint16_t len;
    uint8_t kind; // enum queued_kind
    uint8_t bytes[];
};

int overflow_open(struct overflow *o)
{
    uint64_t seed[2];
    *o = (struct overflow){.end = &o->first};
    if (entropy_draw(seed, sizeof seed) < 0)
        return -EIO;
    o->shares_memory = malloc(share_size(OVERFLOW_COUNT_MAX));
    if (!o->shares_memory)
        return -ENOMEM;
    share_init(&o->shares, o->shares_memory, OVERFLOW_COUNT_MAX, seed);
    return 0;
}

void overflow_close(struct overflow *o)
{
    while (o->first) {
        struct overflow_item *item = o->first;
        o->first = item->next;
        free(item);
    }
    free(o->shares_memory);
}

static bool may_add(const struct overflow *o, const struct client *client, size_t len)
{
    uint32_t share = share_find(&o->shares, &client->from);
    uint64_t of_network = share == SHARE_NONE ? 0 : o->shares.shares[share].octets;
    uint32_t held = share == SHARE_NONE ? 0 : o->shares.shares[share].held;
    return o->count < OVERFLOW_COUNT_MAX &&
           !share_is_exceeded(o->count, held, OVERFLOW_COUNT_MAX) &&
           o->octets + len <= OVERFLOW_OCTETS_MAX && of_network + len <= OVERFLOW_OCTETS_MOST;
}

bool overflow_add(struct overflow *o, enum queued_kind kind, const struct client *client,
                  const uint8_t *bytes, size_t len)
{
    assert(len > 0 && len <= UINT16_MAX);
    if (!may_add(o, client, len))
        return false;
    struct overflow_item *item = malloc(sizeof *item + len);
    if (!item)
        return false;
    *item = (struct overflow_item){.client = *client, .len = (uint16_t)len, .kind = (uint8_t)kind};
    memcpy(item->bytes, bytes, len);
    item->share = share_reserve(&o->shares, &client->from);
    o->shares.shares[item->share].octets += len;
    o->octets += len;
    o->count++;
    *o->end = item;
    o->end = &item->next;
    return true;
}

static void item_free(struct overflow *o, struct overflow_item *item)
{
    assert(o->count > 0 && o->octets >= item->len &&
           o->shares.shares[item->share].octets >= item->len);
    o->shares.shares[item->share].octets -= item->len;
    share_release(&o->shares, item->share);
    o->octets -= item->len;
    o->count--;
    free(item);
}

void overflow_flush(struct overflow *o,
                    bool (*put)(void *context, enum queued_kind kind, const struct client *client,
                                const uint8_t *bytes, size_t len),
                    void *context)
{
    bool full[WORKERS_MAX] = {false};
    struct overflow_item **link = &o->first;
    while (*link) {
        struct overflow_item *item = *link;
        uint16_t worker = item->client.worker % WORKERS_MAX;
        full[worker] = full[worker] || !put(context, (enum queued_kind)item->kind, &item->client,
                                            item->bytes, item->len);
        if (full[worker]) {
            link = &item->next;
            continue;
        }
        *link = item->next;
        item_free(o, item);
    }
    o->end = link;
}
