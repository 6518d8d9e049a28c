// SPDX-License-Identifier: MIT
#include "core/policy/generation.h"

#include "core/policy/alias.h"
#include "core/wire/checksum.h"

static uint32_t pair_of(uint32_t a, uint32_t b)
{
    uint32_t both[2] = {a, b};
    uint64_t hash = checksum_of(both, sizeof both, 0);
    return (uint32_t)(hash ^ hash >> 32);
}

uint32_t generation_of(const struct zone_table *zone_table, const struct local *local)
{
    return pair_of(zone_table->fingerprint, local_fingerprint(local));
}

uint32_t generation_zone(const struct zone *zone, const struct local *local, bool withheld)
{
    return withheld ? pair_of(zone->fingerprint, local_fingerprint(local)) : zone->fingerprint;
}

// Would an alias in this answer be followed now, of which the upstream itself has said what is
// there?
static bool leads_out(const struct zone_table *zone_table, const struct local *local,
                      const struct zone *zone, const struct key *key, const uint8_t *value,
                      size_t value_len)
{
    struct name target;
    return key_type(key) != TYPE_CNAME && key_type(key) != TYPE_ANY &&
           alias_leaves(zone_table, local, zone, value, value_len, &target);
}

[[gnu::noinline]] bool generation_holds(const struct zone_table *zone_table,
                                        const struct local *local, const struct key *key,
                                        const uint8_t *value, size_t value_len)
{
    const struct zone *zone = zone_table_find(zone_table, key_name(key), key_name_len(key));
    bool withheld = answer_is_withheld(value, value_len);
    struct name target;
    // What an upstream has said of a name that is a local alias by now is not for clients.
    if (answer_origin(value, value_len).zone == GENERATION_OF_ALL ||
        (local && local_alias(local, key, &target)))
        return false;
    return zone && answer_origin(value, value_len).zone == generation_zone(zone, local, withheld) &&
           !leads_out(zone_table, local, zone, key, value, value_len);
}
