// SPDX-License-Identifier: MIT
#include "core/serve/reply.h"

static enum counter source_of(uint16_t rcode)
{
    switch (rcode) {
    case RCODE_REFUSED:
        return COUNTER_answers_refused;
    case RCODE_SERVFAIL:
        return COUNTER_answers_failure;
    case RCODE_NOERROR: // to a query for a cookie alone
    case RCODE_BADCOOKIE:
        return COUNTER_answers_cookie;
    default:
        return COUNTER_answers_error;
    }
}

[[gnu::noinline]] void serve_denied(struct serve *s, struct serve_item *item,
                                    const struct query *query, uint8_t **out, bool flood)
{
    enum counter as;
    size_t len = client_limits_deny(&s->policy.client_limits, *out, query, flood, &as);
    serve_answered(s, item, out, len, as);
}

[[gnu::noinline]] void serve_answered_empty(struct serve *s, struct serve_item *item, uint8_t **out,
                                            const struct query *query, uint16_t rcode, bool ra,
                                            int ede)
{
    size_t len = reply_empty(*out, query, rcode, 0, ra, s->limits.udp_payload_max, ede);
    serve_limited_answered(s, item, query, 0, out, len, source_of(rcode));
}
