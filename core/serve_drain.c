// SPDX-License-Identifier: MIT
#include "core/serve_state.h"

// What is to be done: sends to upstreams, and replies to clients that have waited.

// A connection that was to be made is there.
void serve_stream_connected(struct serve *s, uint64_t now_us, uint16_t stream)
{
    forward_stream_connected(&s->forward, now_us, stream);
}

// Writes the reply to a waiter; false: it gets none.
static bool reply_drain(struct serve *s, uint64_t now_us, const struct pending *pending,
                        const struct waiter *waiter, struct outgoing *outgoing)
{
    uint8_t message[UPSTREAM_QUERY_MAX];
    struct reply_options options;
    struct key room_for_key;
    const struct key *key = serve_client_key(pending, &room_for_key);
    struct query query = waiter_query(waiter, key, message);
    struct answer_giving giving = {.turn = s->turn++, .stale = pending->tell_stale};
    const struct answer *answer = &s->forward.answer;
    struct cache_hit hit = {.value_len = answer->len};
    size_t room = serve_room_for(s, &waiter->client);
    enum counter source = COUNTER_answers_upstream;
    guard_time(&s->guard, now_us);
    if (query.asks & ASKS_COOKIE)
        guard_cookie_give(&s->guard, &waiter->client.from, waiter->cookie, &query, &options);
    if (query.asks & ~ASKS_COOKIE)
        serve_options(s, &query, &options);
    outgoing->kind = OUTGOING_REPLY;
    outgoing->client = waiter->client;
    if (giving.stale)
        source = COUNTER_answers_stale;
    if (pending->end == PENDING_ANSWERED)
        memcpy(outgoing->bytes, answer->value, answer->len < room ? answer->len : room);
    else if (!giving.stale || !serve_recall_stale(s, now_us, key, outgoing->bytes, room, &hit))
        source = COUNTER_answers_failure;
    if (source == COUNTER_answers_failure) {
        // A question that goes on has not ended with anything yet.
        uint16_t rcode = pending->end == PENDING_FAILED ? pending->rcode : RCODE_SERVFAIL;
        serve_top_failed(s, now_us, key);
        int ede = pending->unreachable ? EDE_NETWORK_ERROR : EDE_NO_REACHABLE;
        outgoing->len =
            reply_empty(outgoing->bytes, &query, rcode, 0, true, s->limits.udp_payload_max,
                        pending->heard_rcode ? EDE_NONE : ede);
    } else {
        outgoing->len =
            answer_give(outgoing->bytes, room, hit.value_len, &query, &giving, &s->limits);
        if (outgoing->bytes[2] & HEADER_TC)
            serve_count(s, COUNTER_truncated);
    }
    if (s->guard.limits_answers)
        outgoing->len = guard_answer(&s->guard, &waiter->client.from, &query, key->hash,
                                     outgoing->bytes, outgoing->len, &source);
    serve_count(s, source);
    outgoing->since_us = waiter->since_us;
    outgoing->source = (uint8_t)source;
    if (outgoing->len > 0 && source != COUNTER_answers_failure)
        histogram_add(&s->config.counters->timings[giving.stale ? TIMING_STALE : TIMING_UPSTREAM],
                      now_us - waiter->since_us, 1);
    return outgoing->len > 0;
}

// Tells the next waiter of those questions that have something to tell; false: all know.
static bool told_drain(struct serve *s, uint64_t now_us, struct outgoing *outgoing)
{
    struct forward *f = &s->forward;
    while (s->told) {
        struct pending *pending = s->told;
        struct waiter *waiter = waiter_take(&f->pending, pending);
        if (waiter && reply_drain(s, now_us, pending, waiter, outgoing))
            return true;
        if (waiter)
            continue;
        s->told = pending->next_told;
        if (!s->told)
            s->told_end = &s->told;
        pending->next_told = NULL;
        pending->told = pending->tell_stale = false;
        if (pending->end == PENDING_WAITS)
            continue;
        f->answer_taken &= pending->end != PENDING_ANSWERED;
        pending_free(&f->pending, pending);
    }
    return false;
}

bool serve_drain(struct serve *s, uint64_t now_us, struct outgoing *outgoing)
{
    const struct forward *f = &s->forward;
    if (forward_drain(&s->forward, now_us, outgoing) || told_drain(s, now_us, outgoing))
        return true;
    counter_set(s->config.counters, COUNTER_pending, f->pending.count);
    counter_set(s->config.counters, COUNTER_waiters, f->pending.waiter_count);
    counter_set(s->config.counters, COUNTER_ports, f->ports.size - f->ports.free_count);
    counter_set(s->config.counters, COUNTER_streams, f->streams.open_count);
    return false;
}
