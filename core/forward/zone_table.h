// SPDX-License-Identifier: MIT
#pragma once
#include "core/settings/settings.h"
#include "core/wire/suffix.h"

// Where questions go: the forward zones of the settings with their upstreams, as one immutable
// table that all workers read. An endpoint in several zones is one upstream.

#define ZONE_TABLE_UPSTREAMS_MAX 256 // distinct endpoints
#define ZONE_UPSTREAMS_MAX       16  // of one zone

struct zone {
    const struct forward_zone *settings;
    uint16_t upstreams[ZONE_UPSTREAMS_MAX]; // indexes into zone_table.upstreams
    uint16_t upstream_count;
    uint32_t fingerprint; // core/settings/fingerprint.h
};

struct zone_table {
    const struct zone *zones; // as in the settings
    const uint32_t *table;    // index of a zone + 1 at its name's hash, 0: free
    uint32_t table_mask;
    struct suffix_seed seed;
    size_t zone_count;
    uint32_t fingerprint; // of all zones
    struct endpoint upstreams[ZONE_TABLE_UPSTREAMS_MAX];
    size_t upstream_count;
};

// True if the zone is of this table; questions may still have a zone of the one that it replaced.
static inline bool zone_table_has(const struct zone_table *zone_table, const struct zone *zone)
{
    return zone >= zone_table->zones && zone < zone_table->zones + zone_table->zone_count;
}

// An upstream's address hashed to 16 bits, which is cached with its answers; never 0.
[[nodiscard]] uint16_t upstream_tag(const struct address *upstream);

// Octets that zone_table_build needs for its zones.
[[nodiscard]] size_t zone_table_size(const struct settings *settings);

// Builds the zone table in `memory`; the settings must live as long. NULL: done; else a sentence
// that says what does not fit.
[[nodiscard]] const char *zone_table_build(struct zone_table *zone_table, void *memory,
                                           const struct settings *settings);

// The same for a table that replaces another: the upstreams of that one stay with their indexes,
// also those without a zone, as questions to them may be in flight.
[[nodiscard]] const char *zone_table_rebuild(struct zone_table *zone_table, void *memory,
                                             const struct settings *settings,
                                             const struct zone_table *before);

// The closest zone that encloses `name` (lower case, uncompressed); NULL: there is none.
[[nodiscard]] const struct zone *zone_table_find(const struct zone_table *zone_table,
                                                 const uint8_t *name, size_t len);
