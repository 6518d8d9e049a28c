// SPDX-License-Identifier: MIT
#pragma once
#include "core/answer.h"
#include "core/forward/zone_table.h"
#include "core/policy/local.h"

// Following aliases. An upstream speaks for the zone that it is asked for: where its answer's
// CNAMEs lead into another forward zone, or to a name that is answered here, what is there is asked
// for apart, and joined to the chain so far (RFC 1034 3.6.2, 5.3.2 step 4c). What the upstream
// itself says of such names is left out.

// Where do the CNAMEs of an answer to a question of this zone first lead out of it? False: nowhere
// that there is somebody to ask for.
[[nodiscard]] bool alias_leaves(const struct zone_table *zone_table, const struct local *local,
                                const struct zone *zone, const uint8_t *value, size_t value_len,
                                struct name *target);

// Two answers, of which so many seconds have passed.
struct alias_parts {
    struct answer *chain; // ends with what leads to `target`; what it says beyond that goes
    uint32_t chain_age_s;
    const struct answer *end; // the answer to the same question of `target`
    uint32_t end_age_s;
    const struct name *target;
};

// Puts both together in the place of the chain, as the answer to its question. False: that is none,
// as it does not lead there, has more than REPLY_CHAIN_MAX CNAMEs or is too long, and the chain is
// spoilt.
[[nodiscard]] bool alias_join(const struct alias_parts *parts, const struct key *key,
                              const struct answer_limits *limits);
