// SPDX-License-Identifier: MIT
#include "core/serve/waiters.h"

#include "core/policy/dns64.h"
#include "core/serve/answer.h"
#include "core/serve/dns64.h"
#include "core/serve/identity.h"
#include "core/serve/stale.h"
#include "core/serve/top.h"

void serve_tell(struct serve *s, struct question *question)
{
    if (question->told)
        return;
    question->told = true;
    *s->told_end = question;
    s->told_end = &question->next_told;
}

// Has a client that waits for long be given something else: what is over, or addresses made by
// DNS64.
void serve_patience_start(struct serve *s, uint64_t now_us, const struct lookup *lookup,
                          struct question *question)
{
    const struct key *key = &lookup->key;
    if (lookup->stale)
        wheel_start(&s->forward.wheel, &question->stale_timer, now_us + s->stale_after_us);
    else if (key_type(key) == TYPE_AAAA && dns64_serves(s->config.settings, key_flags(key)))
        wheel_start(&s->forward.wheel, &question->stale_timer, now_us + SERVE_DNS64_AFTER_US);
}

// Its clients have waited long enough: they get what is over, if that is still there, and the
// question goes on without them.
void serve_stale_due(struct serve *s, uint64_t now_us, struct question *question)
{
    uint8_t value[SERVE_ANSWER_USUAL];
    struct cache_hit hit;
    struct key room;
    const struct key *key = serve_client_key(question, &room);
    if (!serve_recall_stale(s, now_us, key, value, sizeof value, &hit)) {
        if (serve_dns64_is_due(s, now_us, question))
            forward_abandon(&s->forward, now_us, question);
        return;
    }
    question->stale_due = true;
    question->tell_stale = true;
    serve_tell(s, question);
}

// Writes the reply to a waiter; false: it gets none.
static bool reply_drain(struct serve *s, uint64_t now_us, const struct question *question,
                        const struct waiter *waiter, struct outgoing *outgoing)
{
    uint8_t message[UPSTREAM_QUERY_MAX];
    struct reply_options options;
    struct key room_for_key;
    const struct key *key = serve_client_key(question, &room_for_key);
    struct query query = waiter_query(waiter, key, message);
    struct answer_giving giving = {.turn = s->turn++, .stale = question->tell_stale};
    const struct answer *answer = &s->forward.answer;
    struct cache_hit hit = {.value_len = answer->len};
    size_t room = serve_room_for(s, &waiter->client);
    enum counter source = COUNTER_answers_upstream;
    guard_time(&s->policy.guard, now_us);
    if (query.asks & ASKS_COOKIE)
        guard_cookie_give(&s->policy.guard, &waiter->client.from, waiter->cookie, &query, &options);
    if (query.asks & ~ASKS_COOKIE)
        serve_options(s, &query, &options);
    outgoing->kind = OUTGOING_REPLY;
    outgoing->client = waiter->client;
    if (giving.stale)
        source = COUNTER_answers_stale;
    if (question->end == QUESTION_ANSWERED)
        memcpy(outgoing->bytes, answer->value, answer->len < room ? answer->len : room);
    else if (!giving.stale || !serve_recall_stale(s, now_us, key, outgoing->bytes, room, &hit))
        source = COUNTER_answers_failure;
    if (source == COUNTER_answers_failure) {
        // A question that goes on has not ended with anything yet.
        uint16_t rcode = question->end == QUESTION_FAILED ? question->rcode : RCODE_SERVFAIL;
        serve_top_failed(s, now_us, key);
        int ede = question->unreachable ? EDE_NETWORK_ERROR : EDE_NO_REACHABLE;
        outgoing->len =
            reply_empty(outgoing->bytes, &query, rcode, 0, true, s->limits.udp_payload_max,
                        question->heard_rcode ? EDE_NONE : ede);
    } else {
        outgoing->len =
            answer_give(outgoing->bytes, room, hit.value_len, &query, &giving, &s->limits);
        if (outgoing->bytes[2] & HEADER_TC)
            serve_count(s, COUNTER_truncated);
    }
    if (s->policy.guard.limits_answers)
        outgoing->len = guard_answer(&s->policy.guard, &waiter->client.from, &query, key->hash,
                                     outgoing->bytes, outgoing->len, &source);
    serve_count(s, source);
    outgoing->since_us = waiter->since_us;
    outgoing->source = (uint8_t)source;
    if (outgoing->len > 0 && source != COUNTER_answers_failure)
        histogram_add(&s->config.counters->timings[giving.stale ? TIMING_STALE : TIMING_UPSTREAM],
                      now_us - waiter->since_us, 1);
    return outgoing->len > 0;
}

bool serve_waiters_drain(struct serve *s, uint64_t now_us, struct outgoing *outgoing)
{
    struct forward *f = &s->forward;
    while (s->told) {
        struct question *question = s->told;
        struct waiter *waiter = waiter_take(&f->questions, question);
        if (waiter && reply_drain(s, now_us, question, waiter, outgoing))
            return true;
        if (waiter)
            continue;
        s->told = question->next_told;
        if (!s->told)
            s->told_end = &s->told;
        question->next_told = NULL;
        question->told = question->tell_stale = false;
        if (question->end == QUESTION_WAITS)
            continue;
        f->answer_taken &= question->end != QUESTION_ANSWERED;
        question_free(&f->questions, question);
    }
    return false;
}
