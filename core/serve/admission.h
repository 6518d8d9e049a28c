// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// Whether a message is a query that may be answered: carries out the verdict of policy_before.

// Carries out any verdict but the usual one, to look the answer up. True: it is to be looked up all
// the same.
[[nodiscard]] bool serve_admit_unusual(struct serve *s, struct serve_item *item,
                                       struct lookup *lookup, struct policy_reading reading,
                                       uint8_t **out);

// Parses a message and decides whether to look an answer up; if not, the item is done. Inline, as
// is serve_find in hit.h, so that the code of a hit is in one place.
static inline bool serve_admit(struct serve *s, struct serve_item *item, struct lookup *lookup,
                               uint8_t **out)
{
    struct policy_message message = {
        .client = &item->client,
        .bytes = item->in,
        .len = item->in_len,
        .handed_over = item->handed_over,
        .cut = item->cut,
    };
    if (!message.handed_over)
        serve_count(s,
                    client_has_connection(&item->client) ? COUNTER_queries_tcp : COUNTER_queries);
    struct policy_reading reading = policy_before(&s->policy, &message, &lookup->query);
    lookup->hits_only = reading.verdict == POLICY_HITS_ONLY;
    return reading.verdict <= POLICY_HITS_ONLY ||
           serve_admit_unusual(s, item, lookup, reading, out);
}
