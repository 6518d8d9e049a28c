// SPDX-License-Identifier: MIT
#include "core/serve/miss.h"

#include "core/serve/ended.h"
#include "core/serve/reply.h"
#include "core/serve/room.h"
#include "core/serve/stale.h"
#include "core/serve/subquestion.h"
#include "core/serve/top.h"
#include "core/serve/waiters.h"

enum {
    REFRESH_EARNS = BUDGET_SEND / 4, // by each question: a quarter of a refresh
};

static void probe(struct serve *s, uint64_t now_us, const struct zone *zone)
{
    forward_probe(&s->forward, now_us, zone);
    serve_ended_process(s, now_us);
}

// Answers a question with a cached failure with that, or with a stale answer; false: it has none.
static bool answered_failed(struct serve *s, uint64_t now_us, struct lookup *lookup,
                            const struct zone *zone, uint8_t **out)
{
    const struct failure *failure =
        failure_find(&s->failures, lookup->key.hash, s->forward.recoveries, now_us);
    if (!failure)
        return false;
    serve_count(s, COUNTER_failures_remembered);
    serve_top_failed(s, now_us, &lookup->key);
    probe(s, now_us, zone);
    if (serve_answered_stale(s, now_us, lookup, out))
        return true;
    int ede = failure->network ? EDE_NO_REACHABLE : EDE_CACHED_ERROR;
    size_t len =
        reply_empty(*out, &lookup->query, failure->rcode, 0, true, s->limits.udp_payload_max, ede);
    serve_lookup_answered(s, lookup, out, len, COUNTER_answers_failure);
    return true;
}

// A question that is not in flight yet; NULL: it is not to be asked, and the item is done.
static struct question *question_begin(struct serve *s, uint64_t now_us, struct lookup *lookup,
                                       uint8_t **out, bool *fresh)
{
    struct serve_item *item = lookup->item;
    const struct key *key = &lookup->key;
    struct forward *f = &s->forward;
    const struct zone *zone = serve_zone_of(s, key);
    if (!zone) {
        serve_answered_empty(s, item, out, &lookup->query, RCODE_REFUSED, true, EDE_NONE);
        return NULL;
    }
    if (answered_failed(s, now_us, lookup, zone, out))
        return NULL;
    // Asked before anything is taken or given up, so that a failure leaves all as it was.
    if (!f->questions.free || !s->waiters.free) {
        serve_drop(s, item, COUNTER_drops_pending_full);
        return NULL;
    }
    (void)serve_room_make(s, now_us, NULL);
    serve_ended_process(s, now_us);
    // What that has ended may have had it asked for, as a subquestion.
    struct question *question = question_find(&f->questions, key);
    *fresh = !question;
    if (!question)
        question = question_add(&f->questions, key);
    if (!question)
        serve_drop(s, item, COUNTER_drops_pending_full);
    else if (*fresh)
        question->zone = zone;
    return question;
}

// True if a stale answer is better than waiting: in a known outage, or when the question has waited
// long enough.
static bool stale_is_due(struct serve *s, uint64_t now_us, const struct question *question)
{
    return serve_waiting(s, question)->stale_due ||
           forward_is_down(&s->forward, now_us, question->zone);
}

// Adds the client to its question, which is sent upstream if it is new.
static void question_join(struct serve *s, uint64_t now_us, struct lookup *lookup, uint8_t **out)
{
    struct serve_item *item = lookup->item;
    struct forward *f = &s->forward;
    struct question *question = question_find(&f->questions, &lookup->key);
    bool fresh = !question;
    bool share_left = waiter_may_be_added(&f->questions, question, &item->client.from);
    if (fresh && share_left)
        question = question_begin(s, now_us, lookup, out, &fresh);
    if (!question && !share_left)
        serve_drop(s, item, COUNTER_drops_client_share);
    if (!question)
        return;
    struct waiting *waiting = serve_waiting(s, question);
    waiting->has_stale |= lookup->stale;
    struct waiter *waiter = NULL;
    if (!stale_is_due(s, now_us, question) || !serve_answered_stale(s, now_us, lookup, out)) {
        if (share_left)
            waiter = waiter_add(&s->waiters, &f->questions, question, &item->client.from);
        item->verdict = SERVE_WAITING;
        if (waiter)
            waiter_fill(waiter, &item->client, &lookup->query, now_us);
        else
            serve_drop(s, item,
                       share_left ? COUNTER_drops_waiters_full : COUNTER_drops_client_share);
    } else if (!fresh) {
        probe(s, now_us, question->zone);
    }
    if (waiter && !fresh) {
        question->depth = 0;
        forward_joined(f, now_us, question);
    }
    if (waiter && !timer_running(&waiting->patience))
        serve_patience_start(s, now_us, lookup, waiting);
    if (fresh) {
        budget_give(&s->refresh_budget, REFRESH_EARNS);
        budget_give(&s->refresh_budgets[serve_network_hash(s, &item->client)], REFRESH_EARNS);
        serve_question_start(s, now_us, question);
        serve_ended_process(s, now_us);
    }
}

void serve_miss(struct serve *s, uint64_t now_us, struct lookup *lookup, uint8_t **out)
{
    struct serve_item *item = lookup->item;
    if (!(lookup->query.flags & HEADER_RD)) {
        // Not asked to find it, and it is not at hand.
        serve_answered_empty(s, item, out, &lookup->query, RCODE_REFUSED, true, EDE_NONE);
        return;
    }
    if (lookup->hits_only) {
        if (!serve_answered_stale(s, now_us, lookup, out))
            serve_denied(s, item, &lookup->query, out, false);
        return;
    }
    uint32_t shard = cache_shard_of(s->config.cache, lookup->key.hash);
    item->owner = (uint16_t)(shard % s->config.worker_count);
    if (item->owner != s->config.worker) {
        item->verdict = SERVE_ELSEWHERE;
        serve_count(s, COUNTER_handed_over);
        return;
    }
    question_join(s, now_us, lookup, out);
}
