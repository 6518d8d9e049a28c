// SPDX-License-Identifier: MIT
#pragma once
#include "core/answer.h"
#include "core/forward/zone_table.h"
#include "core/policy/local.h"

// The generation of the rules: by which of them a cached answer was made, and whether those of now
// would make the same.
//
// A generation is a fingerprint of all zones (core/settings/fingerprint.h) and of all that local
// names and block lists hold. Where an answer's is the one in force, nothing has changed. Where it
// is not, something has, perhaps elsewhere: then what counts is the fingerprint of the answer's own
// zone, and where a list has withheld it that of the lists. Both stand in its trailer.
//
// They are fingerprints and no counters, so that what another process has cached, or a snapshot, is
// good for a start with the same rules and for no other.

// What an answer bears in place of its zone's fingerprint that was put together of answers from
// several zones, or from local names: it holds as long as no rule changes.
#define GENERATION_OF_ALL 0

[[nodiscard]] uint32_t generation_of(const struct zone_table *zone_table,
                                     const struct local *local);

// What an answer of this zone has to bear. `withheld`: it was put in the place of an upstream's.
[[nodiscard]] uint32_t generation_zone(const struct zone *zone, const struct local *local,
                                       bool withheld);

// Would the rules of now have made this answer, which bears another generation than theirs? `value`
// is the whole of what is cached under a key with this name.
[[nodiscard]] bool generation_holds(const struct zone_table *zone_table, const struct local *local,
                                    const struct key *key, const uint8_t *value, size_t value_len);
