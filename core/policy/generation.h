// SPDX-License-Identifier: MIT
#pragma once
#include "core/answer.h"
#include "core/forward/zone_table.h"
#include "core/policy/local.h"

// The generation of the rules: under which rules a cached answer was made, and whether the present
// ones would make the same.
//
// A generation is a fingerprint of all zones (core/settings/fingerprint.h) and of all local names
// and block lists. If an answer's generation is the one in force, nothing has changed. If it is
// not, the change may be elsewhere: then the fingerprint of the answer's own zone decides, and for
// an answer that a list has replaced that of the lists as well. Both are in the answer's trailer.
//
// They are fingerprints and no counters, so that answers of another process or a snapshot are valid
// under the same rules only.

// What an answer bears in place of its zone's fingerprint that was put together of answers from
// several zones, or from local names: it holds as long as no rule changes.
#define GENERATION_OF_ALL 0

[[nodiscard]] uint32_t generation_of(const struct zone_table *zone_table,
                                     const struct local *local);

// The fingerprint for an answer of this zone. `withheld`: the answer replaces an upstream's.
[[nodiscard]] uint32_t generation_zone(const struct zone *zone, const struct local *local,
                                       bool withheld);

// True if the rules in force would have made this answer of another generation. `value` is the
// complete value cached under the key.
[[nodiscard]] bool generation_holds(const struct zone_table *zone_table, const struct local *local,
                                    const struct key *key, const uint8_t *value, size_t value_len);
