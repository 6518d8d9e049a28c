// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// How the handling of a query ends: with a reply in the caller's buffer, or without one. Each is
// counted here, once, so that the counters balance. The limit to equal answers is applied here. The
// reply itself is written elsewhere.

// Ends it without a reply, for this reason.
static inline void serve_drop(struct serve *s, struct serve_item *item, enum counter reason)
{
    item->verdict = SERVE_DROPPED;
    serve_count(s, reason);
}

// Ends it with the reply that was written at *out, and moves *out behind that. Without a length
// there is no reply, and `source` is the reason.
static inline void serve_answered(struct serve *s, struct serve_item *item, uint8_t **out,
                                  size_t len, enum counter source)
{
    if (len == 0) {
        serve_drop(s, item, source);
        return;
    }
    item->verdict = SERVE_ANSWERED;
    item->source = (uint8_t)source;
    item->out = *out;
    item->out_len = (uint16_t)len;
    *out += (len + 15) & ~(size_t)15;
    serve_count(s, source);
}

// The same with the limit to equal answers. `question` is the hash of the query's key; 0: it has
// none.
static inline void serve_limited_answered(struct serve *s, struct serve_item *item,
                                          const struct query *query, uint64_t question,
                                          uint8_t **out, size_t len, enum counter source)
{
    if (s->policy.client_limits.limits_answers)
        len = client_limits_answer(&s->policy.client_limits, &item->client.from, query, question,
                                   *out, len, &source);
    serve_answered(s, item, out, len, source);
}

// The same for a query that was looked up.
static inline void serve_lookup_answered(struct serve *s, const struct lookup *lookup,
                                         uint8_t **out, size_t len, enum counter source)
{
    if ((*out)[2] & HEADER_TC)
        serve_count(s, COUNTER_truncated);
    serve_limited_answered(s, lookup->item, &lookup->query, lookup->key.hash, out, len, source);
}

// Replies to a client that is above its quota, or far above it.
void serve_denied(struct serve *s, struct serve_item *item, const struct query *query,
                  uint8_t **out, bool flood);

// Replies without records. `ra`: recursion is available to this client.
void serve_answered_empty(struct serve *s, struct serve_item *item, uint8_t **out,
                          const struct query *query, uint16_t rcode, bool ra, int ede);
