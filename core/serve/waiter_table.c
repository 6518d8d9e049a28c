// SPDX-License-Identifier: MIT
#include "core/serve/waiter_table.h"

#include <assert.h>

size_t waiter_table_size(uint32_t size)
{
    return size * (sizeof(struct waiting) + QUESTION_ASKERS * sizeof(struct waiter));
}

void waiter_table_init(struct waiter_table *table, void *memory, uint32_t size)
{
    memset(memory, 0, waiter_table_size(size));
    *table = (struct waiter_table){.waiting = memory};
    struct waiter *waiters = (struct waiter *)(table->waiting + size);
    for (uint32_t i = size * QUESTION_ASKERS; i-- > 0;) {
        waiters[i].asker.next = (struct asker *)table->free;
        table->free = &waiters[i];
    }
}

// Waiters of one network at one question, of which there are WAITERS_PER_QUESTION_MAX at most.
static uint32_t held_at(const struct question *question, uint32_t share)
{
    uint32_t held = 0;
    for (const struct asker *asker = question->askers; asker; asker = asker->next)
        held += asker->share == share;
    return held;
}

static bool share_may(const struct question_table *questions, const struct question *question,
                      uint32_t share)
{
    if (share == SHARE_NONE)
        return true;
    uint32_t held = questions->shares.shares[share].held;
    if (share_is_exceeded(questions->asker_count, held, questions->size * QUESTION_ASKERS))
        return false;
    if (!question)
        return !share_is_exceeded(questions->count, held, questions->size);
    // Few questions have so many that it has to be counted.
    return question->asker_count < WAITERS_PER_QUESTION_MAX / 2 ||
           held_at(question, share) <= WAITERS_PER_QUESTION_MAX / SHARE_PART;
}

bool waiter_may_be_added(const struct question_table *questions, const struct question *question,
                         const struct address *client)
{
    return share_may(questions, question, share_find(&questions->shares, client));
}

bool waiter_parent_may_be_added(const struct question_table *questions,
                                const struct question *question, const struct question *parent)
{
    if (question && question->asker_count >= WAITERS_PER_QUESTION_MAX)
        return false;
    if (!parent->askers)
        return questions->count < questions->size / 2;
    for (const struct asker *asker = parent->askers; asker; asker = asker->next) {
        if (asker->share != SHARE_NONE && share_may(questions, question, asker->share))
            return true;
    }
    return parent->network.family == ADDRESS_NONE && questions->count < questions->size / 2;
}

struct waiter *waiter_add(struct waiter_table *table, struct question_table *questions,
                          struct question *question, const struct address *client)
{
    struct waiter *waiter = table->free;
    if (!waiter || question->asker_count >= WAITERS_PER_QUESTION_MAX)
        return NULL;
    table->free = (struct waiter *)waiter->asker.next;
    asker_add(questions, question, &waiter->asker, client);
    return waiter;
}

struct waiter *waiter_give(struct waiter_table *table, struct asker *asker)
{
    struct waiter *waiter = (struct waiter *)asker;
    assert(!asker->parent);
    waiter->asker.next = (struct asker *)table->free;
    table->free = waiter;
    return waiter;
}

void waiter_fill(struct waiter *waiter, const struct client *client, const struct query *query,
                 uint64_t now_us)
{
    waiter->since_us = now_us;
    waiter->client = *client;
    waiter->id = query->id;
    waiter->udp_size = query->udp_size;
    waiter->flags = query->flags;
    waiter->edns = query->edns;
    waiter->proven = query->proven;
    waiter->asks = query->asks;
    if (query->asks & ASKS_COOKIE)
        memcpy(waiter->cookie, query->cookie, sizeof waiter->cookie);
    name_case_read(&waiter->spelling, query_name(query), query->name_len);
}

struct query waiter_query(const struct waiter *waiter, const struct key *key,
                          uint8_t message[static UPSTREAM_QUERY_MAX])
{
    uint8_t name_len = key_name_len(key);
    uint8_t *name = message + MESSAGE_HEADER_LEN;
    memcpy(name, key_name(key), name_len);
    name_case_apply(&waiter->spelling, name, name_len);
    store_be16(name + name_len, key_type(key));
    store_be16(name + name_len + 2, key_class(key));
    return (struct query){
        .message = message,
        .id = waiter->id,
        .type = key_type(key),
        .class = key_class(key),
        .name_len = name_len,
        .flags = waiter->flags,
        .edns = waiter->edns,
        .dnssec_ok = key_flags(key) & KEY_DO,
        .checking_disabled = key_flags(key) & KEY_CD,
        .udp_size = waiter->udp_size,
        .asks = waiter->asks,
        .proven = waiter->proven,
        .transport = waiter->client.transport,
    };
}
