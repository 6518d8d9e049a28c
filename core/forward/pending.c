// SPDX-License-Identifier: MIT
#include "core/forward/pending.h"

#include <assert.h>

// The table's chains hold the questions that can be joined. The counts of waiters and attempts are
// fixed multiples of the questions', large enough that they rarely run out first.

enum { WAITERS_PER_QUESTION = 4, ATTEMPTS_PER_QUESTION = 4 };

size_t pending_size(uint32_t size)
{
    return size * (sizeof(struct pending *) + sizeof(struct pending) +
                   WAITERS_PER_QUESTION * sizeof(struct waiter) +
                   ATTEMPTS_PER_QUESTION * sizeof(struct attempt));
}

void pending_init(struct pending_table *table, void *memory, uint32_t size)
{
    assert(size > 0 && (size & (size - 1)) == 0);
    memset(memory, 0, pending_size(size));
    struct pending *all = memory;
    struct waiter *waiters = (struct waiter *)(all + size);
    struct attempt *attempts = (struct attempt *)(waiters + size * WAITERS_PER_QUESTION);

    *table = (struct pending_table){.size = size, .chain_mask = size - 1};
    table->chains = (struct pending **)(attempts + size * ATTEMPTS_PER_QUESTION);
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

static bool key_equal(const struct key *a, const struct key *b)
{
    return a->hash == b->hash && a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

struct pending *pending_find(const struct pending_table *table, const struct key *key)
{
    struct pending *pending = table->chains[key->hash & table->chain_mask];
    while (pending && !key_equal(&pending->key, key))
        pending = pending->next;
    return pending;
}

struct pending *pending_add(struct pending_table *table, const struct key *key)
{
    struct pending *pending = table->free;
    if (!pending)
        return NULL;
    table->free = pending->next;
    table->count++;
    *pending = (struct pending){.waiters_end = &pending->waiters};
    pending->key.hash = key->hash;
    pending->key.len = key->len;
    memcpy(pending->key.bytes, key->bytes, key->len);

    struct pending **chain = &table->chains[key->hash & table->chain_mask];
    pending->next = *chain;
    *chain = pending;
    return pending;
}

void pending_unlink(struct pending_table *table, struct pending *pending)
{
    struct pending **link = &table->chains[pending->key.hash & table->chain_mask];
    while (*link != pending)
        link = &(*link)->next;
    *link = pending->next;
    pending->next = NULL;
}

void pending_free(struct pending_table *table, struct pending *pending)
{
    assert(!pending->waiters && !pending->attempts && !timer_running(&pending->timer));
    pending->next = table->free;
    table->free = pending;
    table->count--;
}

struct waiter *waiter_add(struct pending_table *table, struct pending *pending)
{
    struct waiter *waiter = table->free_waiters;
    if (!waiter || pending->waiter_count == PENDING_PER_QUESTION_MAX)
        return NULL;
    table->free_waiters = waiter->next;
    table->waiter_count++;
    waiter->next = NULL;
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
    pending->waiter_count--;
    waiter->next = table->free_waiters;
    table->free_waiters = waiter;
    table->waiter_count--;
    return waiter;
}

struct attempt *attempt_add(struct pending_table *table, struct pending *pending)
{
    struct attempt *attempt = table->free_attempts;
    if (!attempt)
        return NULL;
    table->free_attempts = attempt->next;
    *attempt = (struct attempt){.pending = pending, .next = pending->attempts, .port = UINT16_MAX};
    pending->attempts = attempt;
    return attempt;
}

void attempt_free(struct pending_table *table, struct attempt *attempt)
{
    struct attempt **link = &attempt->pending->attempts;
    while (*link != attempt)
        link = &(*link)->next;
    *link = attempt->next;
    attempt->next = table->free_attempts;
    table->free_attempts = attempt;
}
