// SPDX-License-Identifier: MIT
#include "core/forward/pending.h"

#include <assert.h>

// The table's chains hold the questions that can be joined. The counts of waiters and attempts are
// fixed multiples of the questions', large enough that they rarely run out first. An orphan's
// `pending` is NULL and it stands in the list of orphans; any other attempt stands in its
// question's.

enum {
    WAITERS_PER_QUESTION = 4,
    ATTEMPTS_PER_QUESTION = 4,
    SHARES_PER_QUESTION = WAITERS_PER_QUESTION + ATTEMPTS_PER_QUESTION,
};

size_t pending_size(uint32_t size)
{
    return size * (sizeof(struct pending *) + sizeof(struct pending) +
                   WAITERS_PER_QUESTION * sizeof(struct waiter) +
                   ATTEMPTS_PER_QUESTION * sizeof(struct attempt)) +
           share_size(size * SHARES_PER_QUESTION);
}

uint32_t pending_attempts(uint32_t size)
{
    return size * ATTEMPTS_PER_QUESTION;
}

void pending_init(struct pending_table *table, void *memory, uint32_t size, const uint64_t seed[2])
{
    assert(size > 0 && (size & (size - 1)) == 0);
    memset(memory, 0, pending_size(size));
    struct pending *all = memory;
    struct waiter *waiters = (struct waiter *)(all + size);
    struct attempt *attempts = (struct attempt *)(waiters + size * WAITERS_PER_QUESTION);

    *table = (struct pending_table){.size = size, .chain_mask = size - 1};
    table->chains = (struct pending **)(attempts + size * ATTEMPTS_PER_QUESTION);
    share_init(&table->shares, table->chains + size, size * SHARES_PER_QUESTION, seed);
    for (uint32_t i = size; i-- > 0;) {
        all[i].next = table->free;
        table->free = &all[i];
    }
    for (uint32_t i = size * WAITERS_PER_QUESTION; i-- > 0;) {
        waiters[i].next = table->free_waiters;
        table->free_waiters = &waiters[i];
    }
    for (uint32_t i = size * ATTEMPTS_PER_QUESTION; i-- > 0;) {
        attempts[i].next = table->free_attempts;
        table->free_attempts = &attempts[i];
    }
}

struct pending *pending_find(const struct pending_table *table, const struct key *key)
{
    struct pending *pending = table->chains[key->hash & table->chain_mask];
    while (pending && !key_equal(&pending->key, key))
        pending = pending->next;
    return pending;
}

static void unwaited_add(struct pending_table *table, struct pending *pending)
{
    pending->unwaited_before = table->unwaited_end;
    pending->unwaited_next = NULL;
    *(table->unwaited_end ? &table->unwaited_end->unwaited_next : &table->unwaited) = pending;
    table->unwaited_end = pending;
}

static void unwaited_remove(struct pending_table *table, struct pending *pending)
{
    struct pending *before = pending->unwaited_before, *next = pending->unwaited_next;
    *(before ? &before->unwaited_next : &table->unwaited) = next;
    *(next ? &next->unwaited_before : &table->unwaited_end) = before;
}

// There are few probes: neither loop steps over many.
struct pending *pending_to_abandon(const struct pending_table *table)
{
    struct pending *unwaited = table->unwaited, *pending = table->oldest;
    while (unwaited && unwaited->probe)
        unwaited = unwaited->unwaited_next;
    if (unwaited)
        return unwaited;
    while (pending && pending->probe)
        pending = pending->younger;
    return pending ? pending : table->oldest;
}

struct pending *pending_add(struct pending_table *table, const struct key *key)
{
    struct pending *pending = table->free;
    if (!pending)
        return NULL;
    table->free = pending->next;
    table->count++;
    table->open_count++;
    *pending = (struct pending){.waiters_end = &pending->waiters, .older = table->youngest};
    key_copy(&pending->key, key);
    pending->open = true;
    unwaited_add(table, pending);
    *(table->youngest ? &table->youngest->younger : &table->oldest) = pending;
    table->youngest = pending;

    struct pending **chain = &table->chains[key->hash & table->chain_mask];
    pending->next = *chain;
    *chain = pending;
    return pending;
}

static void chain_leave(struct pending_table *table, struct pending *pending)
{
    struct pending **link = &table->chains[pending->key.hash & table->chain_mask];
    while (*link != pending)
        link = &(*link)->next;
    *link = pending->next;
    pending->next = NULL;
}

void pending_rekey(struct pending_table *table, struct pending *pending, const struct key *key)
{
    assert(pending->open);
    chain_leave(table, pending);
    key_copy(&pending->key, key);
    struct pending **chain = &table->chains[key->hash & table->chain_mask];
    pending->next = *chain;
    *chain = pending;
}

void pending_unlink(struct pending_table *table, struct pending *pending)
{
    chain_leave(table, pending);
    pending->open = false;
    if (pending->waiter_count == 0)
        unwaited_remove(table, pending);
    table->open_count--;
    *(pending->older ? &pending->older->younger : &table->oldest) = pending->younger;
    *(pending->younger ? &pending->younger->older : &table->youngest) = pending->older;
    pending->older = pending->younger = NULL;
}

void pending_free(struct pending_table *table, struct pending *pending)
{
    assert(!pending->waiters && !pending->attempts && !timer_running(&pending->timer) &&
           !timer_running(&pending->stale_timer));
    pending->next = table->free;
    table->free = pending;
    table->count--;
}

// Is so much of so many too much for one network?
static bool is_hogged(uint32_t used, uint32_t held, uint32_t size)
{
    return used >= size / 2 && held > size / PENDING_SHARE;
}

// Waiters of one network at one question, of which there are PENDING_PER_QUESTION_MAX at most.
static uint32_t held_at(const struct pending *pending, uint32_t share)
{
    uint32_t held = 0;
    for (const struct waiter *waiter = pending->waiters; waiter; waiter = waiter->next)
        held += waiter->share == share;
    return held;
}

bool pending_share_left(const struct pending_table *table, const struct pending *pending,
                        const struct address *client)
{
    uint32_t share = share_find(&table->shares, client);
    if (share == SHARE_NONE)
        return true;
    uint32_t held = table->shares.shares[share].held;
    if (is_hogged(table->waiter_count, held, table->size * WAITERS_PER_QUESTION))
        return false;
    if (!pending)
        return !is_hogged(table->count, held, table->size);
    // Few questions have so many that it has to be counted.
    return pending->waiter_count < PENDING_PER_QUESTION_MAX / 2 ||
           held_at(pending, share) <= PENDING_PER_QUESTION_MAX / PENDING_SHARE;
}

struct waiter *waiter_add(struct pending_table *table, struct pending *pending,
                          const struct address *client)
{
    struct waiter *waiter = table->free_waiters;
    if (!waiter || pending->waiter_count >= PENDING_PER_QUESTION_MAX)
        return NULL;
    table->free_waiters = waiter->next;
    table->waiter_count++;
    waiter->share = share_take(&table->shares, client);
    waiter->next = NULL;
    if (pending->open && pending->waiter_count == 0)
        unwaited_remove(table, pending);
    if (pending->network.family == ADDRESS_NONE)
        pending->network = share_network_of(client);
    *pending->waiters_end = waiter;
    pending->waiters_end = &waiter->next;
    pending->waiter_count++;
    return waiter;
}

struct waiter *waiter_take(struct pending_table *table, struct pending *pending)
{
    struct waiter *waiter = pending->waiters;
    if (!waiter)
        return NULL;
    pending->waiters = waiter->next;
    if (!pending->waiters)
        pending->waiters_end = &pending->waiters;
    if (--pending->waiter_count == 0 && pending->open)
        unwaited_add(table, pending);
    share_give(&table->shares, waiter->share);
    waiter->next = table->free_waiters;
    table->free_waiters = waiter;
    table->waiter_count--;
    return waiter;
}

void waiters_move(struct pending_table *table, struct pending *to, struct pending *from)
{
    if (to->network.family == ADDRESS_NONE)
        to->network = from->network;
    if (!from->waiters)
        return;
    if (to->open && to->waiter_count == 0)
        unwaited_remove(table, to);
    if (from->open)
        unwaited_add(table, from);
    *to->waiters_end = from->waiters;
    to->waiters_end = from->waiters_end;
    to->waiter_count += from->waiter_count;
    from->waiters = NULL;
    from->waiters_end = &from->waiters;
    from->waiter_count = 0;
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
    name_case_take(&waiter->spelling, query_name(query), query->name_len);
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
        .tcp = waiter->client.tcp,
    };
}

struct attempt *attempt_add(struct pending_table *table, struct pending *pending)
{
    struct attempt *attempt = table->free_attempts;
    if (!attempt)
        return NULL;
    table->free_attempts = attempt->next;
    *attempt = (struct attempt){
        .pending = pending, .next = pending->attempts, .share = SHARE_NONE, .port = UINT16_MAX};
    pending->attempts = attempt;
    return attempt;
}

void attempt_charge(struct pending_table *table, struct attempt *attempt, uint32_t share)
{
    attempt->share = share;
    share_take_apart(&table->shares, share);
}

static void attempt_part(struct pending_table *table, struct attempt *attempt)
{
    if (attempt->share != SHARE_NONE)
        share_give_apart(&table->shares, attempt->share);
    attempt->share = SHARE_NONE;
    struct attempt **link = &attempt->pending->attempts;
    while (*link != attempt)
        link = &(*link)->next;
    *link = attempt->next;
    attempt->next = NULL;
    attempt->pending = NULL;
}

static void orphan_part(struct pending_table *table, struct attempt *orphan)
{
    *(orphan->before ? &orphan->before->next : &table->oldest_orphan) = orphan->next;
    *(orphan->next ? &orphan->next->before : &table->youngest_orphan) = orphan->before;
}

void attempt_free(struct pending_table *table, struct attempt *attempt)
{
    if (attempt->pending)
        attempt_part(table, attempt);
    else
        orphan_part(table, attempt);
    attempt->next = table->free_attempts;
    table->free_attempts = attempt;
}

void attempt_orphan(struct pending_table *table, struct attempt *attempt)
{
    attempt_part(table, attempt);
    attempt->before = table->youngest_orphan;
    *(table->youngest_orphan ? &table->youngest_orphan->next : &table->oldest_orphan) = attempt;
    table->youngest_orphan = attempt;
}
