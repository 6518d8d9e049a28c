// SPDX-License-Identifier: MIT
#pragma once
#include "core/answer.h"
#include "core/forward/zone_table.h"
#include "core/policy/local.h"

// Following aliases. An upstream speaks for the forward zone that it was asked for. Where the
// CNAMEs of its answer lead into another zone, or to a local name, the target is asked for
// separately and joined to the chain (RFC 1034 3.6.2, 5.3.2 step 4c). Records that the upstream
// itself gave for such names are discarded.

// Finds the first target of an answer's CNAMEs that lies outside of the zone of its question, in
// another zone or among the local names. False: there is none. `target` is in lower case.
[[nodiscard]] bool alias_leaves(const struct zone_table *zone_table, const struct local *local,
                                const struct zone *zone, const uint8_t *value, size_t value_len,
                                struct name *target);

// Two answers and their ages.
struct alias_parts {
    struct answer *chain; // has a CNAME to `target`; what follows that is discarded
    uint32_t chain_age_s;
    const struct answer *end; // the answer for `target`, of the same type
    uint32_t end_age_s;
    const struct name *target;
};

// Joins both into parts->chain, as the answer to its question. False: there is no CNAME to the
// target, there are more than REPLY_CHAIN_MAX of them, or the whole is too long; then the chain is
// no answer any more.
[[nodiscard]] bool alias_join(const struct alias_parts *parts, const struct key *key,
                              const struct answer_limits *limits);
