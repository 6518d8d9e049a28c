// SPDX-License-Identifier: MIT
#include "core/serve/waiters.h"

#include "core/policy/dns64.h"
#include "core/serve/answer.h"
#include "core/serve/identity.h"
#include "core/serve/stale.h"
#include "core/serve/subquestion.h"
#include "core/serve/top.h"

// The key of what the clients of a question have asked, which goes on under another one where it
// was begun by other rules. That is written to `room`.
static const struct key *client_key(const struct question *question, struct key *room)
{
    uint8_t flags = key_flags(&question->key);
    if (!(flags & KEY_RETIRED))
        return &question->key;
    key_copy(room, &question->key);
    key_change(room, key_type(room), flags & (KEY_DO | KEY_CD));
    return room;
}

void serve_tell(struct serve *s, struct question *question)
{
    struct waiting *waiting = serve_waiting(s, question);
    if (waiting->told)
        return;
    waiting->told = true;
    *s->told_end = question;
    s->told_end = &waiting->next_told;
}

void serve_patience_start(struct serve *s, uint64_t now_us, const struct lookup *lookup,
                          struct waiting *waiting)
{
    const struct key *key = &lookup->key;
    waiting->patience.kind = TIMER_PATIENCE;
    if (lookup->stale)
        wheel_start(&s->forward.wheel, &waiting->patience, now_us + s->stale_after_us);
    else if (key_type(key) == TYPE_AAAA && dns64_serves(s->config.settings, key_flags(key)))
        wheel_start(&s->forward.wheel, &waiting->patience, now_us + SERVE_DNS64_AFTER_US);
}

void serve_patience_hasten(struct serve *s, uint64_t now_us, const struct question *question)
{
    struct waiting *waiting = serve_waiting(s, question);
    if (waiting->has_stale)
        wheel_hasten(&s->forward.wheel, &waiting->patience, now_us);
    for (const struct asker *asker = question->askers; asker; asker = asker->next) {
        if (asker->parent)
            serve_patience_hasten(s, now_us, asker->parent);
    }
}

void serve_patience_due(struct serve *s, uint64_t now_us, struct waiting *waiting)
{
    struct question *question = &s->forward.questions.all[waiting - s->waiters.waiting];
    uint8_t value[SERVE_ANSWER_USUAL];
    struct cache_hit hit;
    struct key room;
    const struct key *key = client_key(question, &room);
    if (!serve_recall_stale(s, now_us, key, value, sizeof value, &hit)) {
        if (serve_dns64_is_due(s, now_us, question))
            forward_give_up(&s->forward, now_us, question, QUESTION_SILENT);
        return;
    }
    waiting->stale_due = true;
    waiting->tell_stale = true;
    serve_tell(s, question);
}

// Tells a client that its question has failed. One that goes on has not ended with anything yet.
static size_t failure_give(const struct serve *s, const struct question *question,
                           const struct query *query, uint8_t *out)
{
    bool heard = question->rcode != RCODE_NOERROR;
    uint16_t rcode = heard && !question_is_open(question) ? question->rcode : RCODE_SERVFAIL;
    int ede = question->state == QUESTION_UNREACHABLE ? EDE_NETWORK_ERROR : EDE_NO_REACHABLE;
    return reply_empty(out, query, rcode, 0, true, s->limits.udp_payload_max,
                       heard ? EDE_NONE : ede);
}

// Writes the reply to a waiter; false: it gets none.
static bool reply_drain(struct serve *s, uint64_t now_us, const struct question *question,
                        const struct waiter *waiter, struct outgoing *outgoing)
{
    uint8_t message[UPSTREAM_QUERY_MAX];
    struct reply_options options;
    struct key room_for_key;
    const struct key *key = client_key(question, &room_for_key);
    struct query query = waiter_query(waiter, key, message);
    struct answer_giving giving = {.turn = s->turn++,
                                   .stale = serve_waiting(s, question)->tell_stale};
    const struct answer *answer = &s->forward.answer;
    struct cache_hit hit = {.value_len = answer->len};
    size_t room = serve_room_for(s, &waiter->client);
    enum counter source = COUNTER_answers_upstream;
    client_limits_time(&s->policy.client_limits, now_us);
    if (query.asks & ASKS_COOKIE)
        client_limits_cookie_give(&s->policy.client_limits, &waiter->client.from, waiter->cookie,
                                  &query, &options);
    if (query.asks & ~ASKS_COOKIE)
        serve_options(s, &query, &options);
    outgoing->kind = OUTGOING_REPLY;
    outgoing->client = waiter->client;
    if (giving.stale)
        source = COUNTER_answers_stale;
    if (question->state == QUESTION_ANSWERED)
        memcpy(outgoing->bytes, answer->value, answer->len < room ? answer->len : room);
    else if (!giving.stale || !serve_recall_stale(s, now_us, key, outgoing->bytes, room, &hit))
        source = COUNTER_answers_failure;
    if (source == COUNTER_answers_failure) {
        serve_top_failed(s, now_us, key);
        outgoing->len = failure_give(s, question, &query, outgoing->bytes);
    } else {
        outgoing->len =
            answer_give(outgoing->bytes, room, hit.value_len, &query, &giving, &s->limits);
        if (outgoing->bytes[2] & HEADER_TC)
            serve_count(s, COUNTER_truncated);
    }
    if (s->policy.client_limits.limits_answers)
        outgoing->len = client_limits_answer(&s->policy.client_limits, &waiter->client.from, &query,
                                             key->hash, outgoing->bytes, outgoing->len, &source);
    serve_count(s, source);
    outgoing->since_us = waiter->since_us;
    outgoing->source = (uint8_t)source;
    if (outgoing->len > 0 && source != COUNTER_answers_failure)
        histogram_add(&s->config.counters->timings[giving.stale ? TIMING_STALE : TIMING_UPSTREAM],
                      now_us - waiter->since_us, 1);
    return outgoing->len > 0;
}

// Tells those who ask this question, one after the other, until there is a reply; false: all have
// been told. A parent has no use for what is stale: it waits on.
static bool askers_drain(struct serve *s, uint64_t now_us, struct question *question,
                         struct outgoing *outgoing)
{
    struct question_table *questions = &s->forward.questions;
    bool open = question_is_open(question);
    while (question->asker_count > (open ? question->parent_count : 0)) {
        struct asker *asker = asker_pop(questions, question);
        struct question *parent = asker->parent;
        if (parent && open)
            parent_add(questions, question, parent);
        else if (parent)
            serve_parent_wake(s, now_us, parent, question);
        else if (reply_drain(s, now_us, question, waiter_give(&s->waiters, asker), outgoing))
            return true;
    }
    return false;
}

bool serve_waiters_drain(struct serve *s, uint64_t now_us, struct outgoing *outgoing)
{
    struct forward *f = &s->forward;
    while (s->told) {
        struct question *question = s->told;
        struct waiting *waiting = serve_waiting(s, question);
        // A question that was to give a stale answer may have ended since, with its subquestion;
        // it is told again when its end has been processed.
        if (!question->ending && askers_drain(s, now_us, question, outgoing))
            return true;
        s->told = waiting->next_told;
        if (!s->told)
            s->told_end = &s->told;
        waiting->next_told = NULL;
        waiting->told = waiting->tell_stale = false;
        if (question_is_open(question) || question->ending)
            continue;
        f->answer_in_use &= question->state != QUESTION_ANSWERED;
        *waiting = (struct waiting){0};
        question_free(&f->questions, question);
    }
    return false;
}
