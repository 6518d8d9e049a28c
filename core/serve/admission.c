// SPDX-License-Identifier: MIT
#include "core/serve/admission.h"

#include "core/serve/identity.h"
#include "core/serve/reply.h"

static void identity_give(struct serve *s, struct serve_item *item, const struct query *query,
                          uint8_t **out)
{
    size_t len = serve_chaos(s, query, *out);
    if (len > 0)
        serve_limited_answered(s, item, query, 0, out, len, COUNTER_answers_local);
    else
        serve_answered_empty(s, item, out, query, query->rcode, true, EDE_NONE);
}

// Ends a message that gets no reply; false: it is none of these.
static bool dropped(struct serve *s, struct serve_item *item, enum policy_verdict verdict)
{
    static const enum counter reasons[] = {
        [POLICY_DROP_ACCESS] = COUNTER_drops_access,
        [POLICY_DROP_SHORT] = COUNTER_drops_short,
        [POLICY_DROP_RESPONSE] = COUNTER_drops_response,
        [POLICY_DROP_CUT] = COUNTER_drops_too_large,
        [POLICY_DROP_SOURCE] = COUNTER_drops_source,
        [POLICY_DROP_ERROR_LOOP] = COUNTER_drops_error_loop,
    };
    if (verdict < POLICY_DROP_ACCESS || verdict > POLICY_DROP_ERROR_LOOP)
        return false;
    item->not_dns = verdict <= POLICY_DROP_RESPONSE;
    serve_drop(s, item, reasons[verdict]);
    return true;
}

[[gnu::noinline]] bool serve_admit_unusual(struct serve *s, struct serve_item *item,
                                           struct lookup *lookup, struct policy_reading reading,
                                           uint8_t **out)
{
    struct policy_message message = {.client = &item->client, .handed_over = item->handed_over};
    struct query *query = &lookup->query;
    enum policy_verdict verdict = reading.verdict;
    if (verdict == POLICY_UNUSUAL)
        verdict = policy_before_unusual(&s->policy, &message, item->hint, reading, query,
                                        &lookup->options);
    lookup->hits_only = verdict == POLICY_HITS_ONLY;
    if (item->hint)
        item->verdict = SERVE_HINTED;
    if (dropped(s, item, verdict) || item->hint)
        return verdict == POLICY_LOOK_UP;
    if (query->asks & ~ASKS_COOKIE)
        serve_options(s, query, &lookup->options);
    switch (verdict) {
    case POLICY_FLOOD:
        serve_denied(s, item, query, out, true);
        return false;
    case POLICY_REFUSED:
        serve_answered_empty(s, item, out, query, RCODE_REFUSED, false, EDE_PROHIBITED);
        return false;
    case POLICY_ERROR:
        serve_answered_empty(s, item, out, query, query->rcode, true, EDE_NONE);
        return false;
    case POLICY_IDENTITY:
        identity_give(s, item, query, out);
        return false;
    default:
        return true;
    }
}
