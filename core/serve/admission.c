// SPDX-License-Identifier: MIT
#include "core/serve/admission.h"

#include "core/serve/identity.h"
#include "core/serve/reply.h"

// Looks at the options that a query asks for; false: that is an error already.
[[gnu::noinline]] static bool options_admit(struct serve *s, const struct serve_item *item,
                                            struct lookup *lookup)
{
    struct query *query = &lookup->query;
    struct reply_options *options = &lookup->options;
    bool good = !(query->asks & ASKS_COOKIE) ||
                guard_cookie(&s->guard, &item->client.from, query, options, item->handed_over);
    if (query->asks & ~ASKS_COOKIE)
        serve_options(s, query, options);
    return good;
}

[[gnu::noinline]] static void answered_error(struct serve *s, struct serve_item *item,
                                             const struct query *query, uint8_t **out)
{
    size_t len = serve_chaos(s, query, *out);
    if (len > 0)
        serve_limited_answered(s, item, query, 0, out, len, COUNTER_answers_local);
    else
        serve_answered_empty(s, item, out, query, query->rcode, true, EDE_NONE);
}

// What is not read at all: it comes from where nobody may ask (RFC 768 calls port 0 "none": nothing
// can be sent there), or it is cut.
[[gnu::noinline]] static bool unheard(struct serve *s, struct serve_item *item,
                                      enum access_verdict access)
{
    item->noise = access == ACCESS_DROP;
    if (access == ACCESS_DROP)
        serve_drop(s, item, COUNTER_drops_access);
    else
        serve_drop(s, item, item->cut ? COUNTER_drops_too_large : COUNTER_drops_source);
    return false;
}

static bool quota_admit(struct serve *s, struct serve_item *item, struct lookup *lookup,
                        uint8_t **out)
{
    enum quota_verdict quota = guard_query(&s->guard, &item->client.from, &lookup->query);
    lookup->hits_only = quota == QUOTA_HITS_ONLY;
    if (quota == QUOTA_FLOOD)
        serve_denied(s, item, &lookup->query, out, true);
    return quota != QUOTA_FLOOD;
}

// Decides about what is no plain query of somebody who may ask.
[[gnu::noinline]] static bool unusual_admit(struct serve *s, struct serve_item *item,
                                            struct lookup *lookup, enum access_verdict access,
                                            enum query_verdict verdict, uint8_t **out)
{
    struct query *query = &lookup->query;
    // Its worker has answered it, perhaps by other settings than are in force here by now.
    if (item->note) {
        item->verdict = SERVE_NOTED;
        return verdict == QUERY_GOOD;
    }
    if (verdict == QUERY_SHORT || verdict == QUERY_RESPONSE) {
        item->noise = true;
        serve_drop(s, item, verdict == QUERY_SHORT ? COUNTER_drops_short : COUNTER_drops_response);
        return false;
    }
    if (query->asks && !options_admit(s, item, lookup))
        verdict = QUERY_ERROR;
    if (s->guard.limits_queries && !item->handed_over && !quota_admit(s, item, lookup, out))
        return false;
    bool unreadable =
        verdict == QUERY_ERROR && (query->rcode == RCODE_FORMERR || query->name_len == 0);
    if (unreadable && !query->proven &&
        !error_loop_may(&s->error_loop, s->guard.now_us, &item->client.from)) {
        serve_drop(s, item, COUNTER_drops_error_loop);
        return false;
    }
    if (access == ACCESS_REFUSE) {
        serve_answered_empty(s, item, out, query, RCODE_REFUSED, false, EDE_PROHIBITED);
        return false;
    }
    if (verdict == QUERY_ERROR)
        answered_error(s, item, query, out);
    return verdict == QUERY_GOOD;
}

bool serve_admit(struct serve *s, struct serve_item *item, struct lookup *lookup, uint8_t **out)
{
    struct query *query = &lookup->query;
    enum access_verdict access = ACCESS_ALLOW;
    if (!item->handed_over) {
        serve_count(s, item->client.tcp ? COUNTER_queries_tcp : COUNTER_queries);
        access = access_check(s->config.access, &item->client.from);
    }
    if (access == ACCESS_DROP || item->client.from.port == 0 || item->cut)
        return unheard(s, item, access);
    enum query_verdict verdict = query_read(query, item->in, item->in_len);
    query->tcp = item->client.tcp;
    query->proven = item->client.tcp;
    lookup->hits_only = false;
    if (verdict != QUERY_GOOD || access != ACCESS_ALLOW || query->asks)
        return unusual_admit(s, item, lookup, access, verdict, out);
    return !s->guard.limits_queries || item->handed_over || quota_admit(s, item, lookup, out);
}
