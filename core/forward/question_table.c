// SPDX-License-Identifier: MIT
#include "core/forward/question_table.h"

#include <assert.h>

// The table's chains hold the questions that can be joined. The counts of askers and attempts are
// fixed multiples of the questions', large enough that they rarely run out first. An orphan's
// `question` is NULL and it stands in the list of orphans; any other attempt stands in its
// question's.

enum {
    ATTEMPTS_PER_QUESTION = 4,
    SHARES_PER_QUESTION = QUESTION_ASKERS + 1 + ATTEMPTS_PER_QUESTION, // it may be a parent
};

size_t question_table_size(uint32_t size)
{
    return size * (sizeof(struct question *) + sizeof(struct question) +
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
    struct attempt *attempts = (struct attempt *)(all + size);

    *table = (struct question_table){.all = all, .size = size, .chain_mask = size - 1};
    table->chains = (struct question **)(attempts + size * ATTEMPTS_PER_QUESTION);
    share_init(&table->shares, table->chains + size, size * SHARES_PER_QUESTION, seed);
    for (uint32_t i = size; i-- > 0;) {
        all[i].next = table->free;
        table->free = &all[i];
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

static void chain_join(struct question_table *table, struct question *question)
{
    struct question **chain = &table->chains[question->key.hash & table->chain_mask];
    question->next = *chain;
    *chain = question;
}

void question_link(struct question_table *table, struct question *question)
{
    assert(question_is_open(question) && !question->younger && !question->older);
    table->open_count++;
    if (question->asker_count == 0)
        unwaited_add(table, question);
    question->older = table->youngest;
    *(table->youngest ? &table->youngest->younger : &table->oldest) = question;
    table->youngest = question;
    chain_join(table, question);
}

struct question *question_add(struct question_table *table, const struct key *key)
{
    struct question *question = table->free;
    if (!question)
        return NULL;
    table->free = question->next;
    table->count++;
    *question = (struct question){.askers_end = &question->askers, .in_hand = ANSWER_NONE};
    key_copy(&question->key, key);
    question_link(table, question);
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
    assert(question_is_open(question));
    chain_leave(table, question);
    key_copy(&question->key, key);
    chain_join(table, question);
}

void question_unlink(struct question_table *table, struct question *question)
{
    assert(!question_is_open(question));
    chain_leave(table, question);
    if (question->asker_count == 0)
        unwaited_remove(table, question);
    table->open_count--;
    *(question->older ? &question->older->younger : &table->oldest) = question->younger;
    *(question->younger ? &question->younger->older : &table->youngest) = question->older;
    question->older = question->younger = NULL;
}

void question_free(struct question_table *table, struct question *question)
{
    assert(!question->askers && !question->attempts && !timer_running(&question->timer) &&
           !question->hopeless && !question->ending && !question->sub &&
           question->in_hand == ANSWER_NONE);
    question->next = table->free;
    table->free = question;
    table->count--;
}

static void asker_link(struct question_table *table, struct question *question, struct asker *asker,
                       const struct network *network)
{
    table->asker_count++;
    asker->share = SHARE_NONE;
    if (network->family != ADDRESS_NONE)
        asker->share = share_reserve_network(&table->shares, network);
    asker->next = NULL;
    if (question_is_open(question) && question->asker_count == 0)
        unwaited_remove(table, question);
    if (question->network.family == ADDRESS_NONE)
        question->network = *network;
    *question->askers_end = asker;
    question->askers_end = &asker->next;
    question->asker_count++;
}

void asker_add(struct question_table *table, struct question *question, struct asker *asker,
               const struct address *client)
{
    struct network network = share_network_of(client);
    asker->parent = NULL;
    asker_link(table, question, asker, &network);
}

void parent_add(struct question_table *table, struct question *sub, struct question *parent)
{
    assert(!parent->sub && question_is_open(sub) && sub != parent);
    parent->sub = sub;
    parent->as_parent.parent = parent;
    sub->parent_count++;
    table->parent_count++;
    asker_link(table, sub, &parent->as_parent, &parent->network);
}

// An asker has left the list.
static void asker_gone(struct question_table *table, struct question *question, struct asker *asker)
{
    if (--question->asker_count == 0 && question_is_open(question))
        unwaited_add(table, question);
    if (asker->share != SHARE_NONE)
        share_release(&table->shares, asker->share);
    table->asker_count--;
    if (!asker->parent)
        return;
    question->parent_count--;
    table->parent_count--;
    asker->parent->sub = NULL;
}

void parent_remove(struct question_table *table, struct question *parent)
{
    struct question *sub = parent->sub;
    struct asker **link = &sub->askers;
    while (*link != &parent->as_parent)
        link = &(*link)->next;
    *link = parent->as_parent.next;
    if (!*link)
        sub->askers_end = link;
    asker_gone(table, sub, &parent->as_parent);
}

struct asker *asker_pop(struct question_table *table, struct question *question)
{
    struct asker *asker = question->askers;
    if (!asker)
        return NULL;
    question->askers = asker->next;
    if (!question->askers)
        question->askers_end = &question->askers;
    asker_gone(table, question, asker);
    return asker;
}

struct attempt *attempt_add(struct question_table *table, struct question *question)
{
    struct attempt *attempt = table->free_attempts;
    if (!attempt)
        return NULL;
    table->free_attempts = attempt->next;
    *attempt = (struct attempt){
        .question = question, .next = question->attempts, .share = SHARE_NONE, .slot = UINT16_MAX};
    question->attempts = attempt;
    return attempt;
}

void attempt_charge(struct question_table *table, struct attempt *attempt, uint32_t share)
{
    attempt->share = share;
    share_reserve_apart(&table->shares, share);
}

static void attempt_part(struct question_table *table, struct attempt *attempt)
{
    if (attempt->share != SHARE_NONE)
        share_release_apart(&table->shares, attempt->share);
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
