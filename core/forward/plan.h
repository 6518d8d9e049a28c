// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/settings.h"
#include "core/wire/suffix.h"

// Where questions go: the zones of the settings, each with its upstreams, as one immutable table
// that all workers read. An endpoint that several zones name is one upstream.

#define PLAN_UPSTREAMS_MAX      256 // different endpoints
#define PLAN_ZONE_UPSTREAMS_MAX 16  // of one zone

struct plan_zone {
    const struct forward_zone *settings;
    uint16_t upstreams[PLAN_ZONE_UPSTREAMS_MAX]; // indexes into plan.upstreams
    uint16_t upstream_count;
    uint32_t fingerprint; // core/settings/fingerprint.h
};

struct plan {
    const struct plan_zone *zones; // as in the settings
    const uint32_t *table;         // index of a zone + 1 at its name's hash, 0: free
    uint32_t table_mask;
    struct suffix_seed seed;
    size_t zone_count;
    uint32_t fingerprint; // of all zones
    struct endpoint upstreams[PLAN_UPSTREAMS_MAX];
    size_t upstream_count;
};

// Which of two plans a zone is of: one that is being replaced may still have questions.
static inline bool plan_has(const struct plan *plan, const struct plan_zone *zone)
{
    return zone >= plan->zones && zone < plan->zones + plan->zone_count;
}

// An upstream's address in 16 bits, to be kept with its answers; 0 is none's.
[[nodiscard]] uint16_t plan_upstream_tag(const struct address *upstream);

// Octets that plan_build needs for its zones.
[[nodiscard]] size_t plan_size(const struct settings *settings);

// Builds the plan in `memory`; the settings must live as long. NULL, or a sentence that says what
// does not fit.
[[nodiscard]] const char *plan_build(struct plan *plan, void *memory,
                                     const struct settings *settings);

// The same for a plan that takes the place of another: the upstreams of that one keep their indexes
// and stay, also where no zone has them any more, as questions may be on their way to them.
[[nodiscard]] const char *plan_rebuild(struct plan *plan, void *memory,
                                       const struct settings *settings, const struct plan *before);

// The zone with the longest name that `name` (lower case, uncompressed) lies in; NULL: none.
[[nodiscard]] const struct plan_zone *plan_find(const struct plan *plan, const uint8_t *name,
                                                size_t len);
