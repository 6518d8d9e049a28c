// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/state.h"

// Whether a datagram is a query that may be answered: what policy_before has decided is carried
// out.

// Ends what is not simply to be looked up, as was decided. True: it is to be looked up all the
// same.
[[nodiscard]] bool serve_admit_unusual(struct serve *s, struct serve_item *item,
                                       struct lookup *lookup, struct policy_reading reading,
                                       uint8_t **out);

// Reads a datagram and decides whether an answer is to be looked for; if not, the item is done.
// Here, as the next in hit.h, so that an answer from memory is one run of code.
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
