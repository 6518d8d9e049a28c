// SPDX-License-Identifier: MIT
#include "core/forward/question_table.h"

#include <assert.h>

// The table's chains hold the questions that can be joined. The counts of waiters and attempts are
// fixed multiples of the questions', large enough that they rarely run out first. An orphan's
// `question` is NULL and it stands in the list of orphans; any other attempt stands in its
// question's.

enum {
    WAITERS_PER_QUESTION = 4,
    ATTEMPTS_PER_QUESTION = 4,
    SHARES_PER_QUESTION = WAITERS_PER_QUESTION + ATTEMPTS_PER_QUESTION,
};

size_t question_table_size(uint32_t size)
{
    return size * (sizeof(struct question *) + sizeof(struct question) +
                   WAITERS_PER_QUESTION * sizeof(struct waiter) +
                   ATTEMPTS_PER_QUESTION * sizeof(struct attempt)) +
           share_size(size * SHARES_PER_QUESTION);
}

uint32_t question_table_attempts(uint32_t size)
{
    return size * ATTEMPTS_PER_QUESTION;
}

void question_table_init(struct question_table *table, void *memory, uint32_t size,
                         const uint64_t seed[2])
{
    assert(size > 0 && (size & (size - 1)) == 0);
    memset(memory, 0, question_table_size(size));
    struct question *all = memory;
    struct waiter *waiters = (struct waiter *)(all + size);
    struct attempt *attempts = (struct attempt *)(waiters + size * WAITERS_PER_QUESTION);

    *table = (struct question_table){.size = size, .chain_mask = size - 1};
    table->chains = (struct question **)(attempts + size * ATTEMPTS_PER_QUESTION);
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

struct question *question_find(const struct question_table *table, const struct key *key)
{
    struct question *question = table->chains[key->hash & table->chain_mask];
    while (question && !key_equal(&question->key, key))
        question = question->next;
    return question;
}

static void unwaited_add(struct question_table *table, struct question *question)
{
    question->unwaited_before = table->unwaited_end;
    question->unwaited_next = NULL;
    *(table->unwaited_end ? &table->unwaited_end->unwaited_next : &table->unwaited) = question;
    table->unwaited_end = question;
}

static void unwaited_remove(struct question_table *table, struct question *question)
{
    struct question *before = question->unwaited_before, *next = question->unwaited_next;
    *(before ? &before->unwaited_next : &table->unwaited) = next;
    *(next ? &next->unwaited_before : &table->unwaited_end) = before;
}

// There are few probes: neither loop steps over many.
struct question *question_to_abandon(const struct question_table *table)
{
    struct question *unwaited = table->unwaited, *question = table->oldest;
    while (unwaited && unwaited->probe)
        unwaited = unwaited->unwaited_next;
    if (unwaited)
        return unwaited;
    while (question && question->probe)
        question = question->younger;
    return question ? question : table->oldest;
}

struct question *question_add(struct question_table *table, const struct key *key)
{
    struct question *question = table->free;
    if (!question)
        return NULL;
    table->free = question->next;
    table->count++;
    table->open_count++;
    *question = (struct question){.waiters_end = &question->waiters, .older = table->youngest};
    key_copy(&question->key, key);
    question->open = true;
    unwaited_add(table, question);
    *(table->youngest ? &table->youngest->younger : &table->oldest) = question;
    table->youngest = question;

    struct question **chain = &table->chains[key->hash & table->chain_mask];
    question->next = *chain;
    *chain = question;
    return question;
}

static void chain_leave(struct question_table *table, struct question *question)
{
    struct question **link = &table->chains[question->key.hash & table->chain_mask];
    while (*link != question)
        link = &(*link)->next;
    *link = question->next;
    question->next = NULL;
}

void question_rekey(struct question_table *table, struct question *question, const struct key *key)
{
    assert(question->open);
    chain_leave(table, question);
    key_copy(&question->key, key);
    struct question **chain = &table->chains[key->hash & table->chain_mask];
    question->next = *chain;
    *chain = question;
}

void question_unlink(struct question_table *table, struct question *question)
{
    chain_leave(table, question);
    question->open = false;
    if (question->waiter_count == 0)
        unwaited_remove(table, question);
    table->open_count--;
    *(question->older ? &question->older->younger : &table->oldest) = question->younger;
    *(question->younger ? &question->younger->older : &table->youngest) = question->older;
    question->older = question->younger = NULL;
}

void question_free(struct question_table *table, struct question *question)
{
    assert(!question->waiters && !question->attempts && !timer_running(&question->timer) &&
           !timer_running(&question->stale_timer));
    question->next = table->free;
    table->free = question;
    table->count--;
}

// Is so much of so many too much for one network?
static bool is_hogged(uint32_t used, uint32_t held, uint32_t size)
{
    return used >= size / 2 && held > size / QUESTION_SHARE;
}

// Waiters of one network at one question, of which there are QUESTION_WAITERS_MAX at most.
static uint32_t held_at(const struct question *question, uint32_t share)
{
    uint32_t held = 0;
    for (const struct waiter *waiter = question->waiters; waiter; waiter = waiter->next)
        held += waiter->share == share;
    return held;
}

bool question_share_left(const struct question_table *table, const struct question *question,
                         const struct address *client)
{
    uint32_t share = share_find(&table->shares, client);
    if (share == SHARE_NONE)
        return true;
    uint32_t held = table->shares.shares[share].held;
    if (is_hogged(table->waiter_count, held, table->size * WAITERS_PER_QUESTION))
        return false;
    if (!question)
        return !is_hogged(table->count, held, table->size);
    // Few questions have so many that it has to be counted.
    return question->waiter_count < QUESTION_WAITERS_MAX / 2 ||
           held_at(question, share) <= QUESTION_WAITERS_MAX / QUESTION_SHARE;
}

struct waiter *waiter_add(struct question_table *table, struct question *question,
                          const struct address *client)
{
    struct waiter *waiter = table->free_waiters;
    if (!waiter || question->waiter_count >= QUESTION_WAITERS_MAX)
        return NULL;
    table->free_waiters = waiter->next;
    table->waiter_count++;
    waiter->share = share_take(&table->shares, client);
    waiter->next = NULL;
    if (question->open && question->waiter_count == 0)
        unwaited_remove(table, question);
    if (question->network.family == ADDRESS_NONE)
        question->network = share_network_of(client);
    *question->waiters_end = waiter;
    question->waiters_end = &waiter->next;
    question->waiter_count++;
    return waiter;
}

struct waiter *waiter_take(struct question_table *table, struct question *question)
{
    struct waiter *waiter = question->waiters;
    if (!waiter)
        return NULL;
    question->waiters = waiter->next;
    if (!question->waiters)
        question->waiters_end = &question->waiters;
    if (--question->waiter_count == 0 && question->open)
        unwaited_add(table, question);
    share_give(&table->shares, waiter->share);
    waiter->next = table->free_waiters;
    table->free_waiters = waiter;
    table->waiter_count--;
    return waiter;
}

void waiters_move(struct question_table *table, struct question *to, struct question *from)
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

struct attempt *attempt_add(struct question_table *table, struct question *question)
{
    struct attempt *attempt = table->free_attempts;
    if (!attempt)
        return NULL;
    table->free_attempts = attempt->next;
    *attempt = (struct attempt){
        .question = question, .next = question->attempts, .share = SHARE_NONE, .port = UINT16_MAX};
    question->attempts = attempt;
    return attempt;
}

void attempt_charge(struct question_table *table, struct attempt *attempt, uint32_t share)
{
    attempt->share = share;
    share_take_apart(&table->shares, share);
}

static void attempt_part(struct question_table *table, struct attempt *attempt)
{
    if (attempt->share != SHARE_NONE)
        share_give_apart(&table->shares, attempt->share);
    attempt->share = SHARE_NONE;
    struct attempt **link = &attempt->question->attempts;
    while (*link != attempt)
        link = &(*link)->next;
    *link = attempt->next;
    attempt->next = NULL;
    attempt->question = NULL;
}

static void orphan_part(struct question_table *table, struct attempt *orphan)
{
    *(orphan->before ? &orphan->before->next : &table->oldest_orphan) = orphan->next;
    *(orphan->next ? &orphan->next->before : &table->youngest_orphan) = orphan->before;
}

void attempt_free(struct question_table *table, struct attempt *attempt)
{
    if (attempt->question)
        attempt_part(table, attempt);
    else
        orphan_part(table, attempt);
    attempt->next = table->free_attempts;
    table->free_attempts = attempt;
}

void attempt_orphan(struct question_table *table, struct attempt *attempt)
{
    attempt_part(table, attempt);
    attempt->before = table->youngest_orphan;
    *(table->youngest_orphan ? &table->youngest_orphan->next : &table->oldest_orphan) = attempt;
    table->youngest_orphan = attempt;
}
