// SPDX-License-Identifier: MIT
#include "core/forward/zone_table.h"

#include "core/settings/fingerprint.h"
#include "core/wire/checksum.h"
#include "core/wire/lower.h"

// The zones stand in a hash table, at most half full, under their names. A name's parts are looked
// up from the root to the whole of it, as each takes one step of the hash from its parent; the last
// one that is there is the longest. Who asks chooses the names that are looked up but not those
// that stand in the table, so the hash needs no secret.

static size_t table_places(size_t zone_count)
{
    size_t places = 2;
    while (places < 2 * zone_count)
        places *= 2;
    return places;
}

size_t zone_table_size(const struct settings *settings)
{
    size_t count = settings->forward.count;
    return count * sizeof(struct zone) + table_places(count) * sizeof(uint32_t);
}

// Returns the index of an upstream, added if it is new; -1 when there are too many.
static int upstream_index(struct zone_table *zone_table, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < zone_table->upstream_count; i++) {
        if (endpoint_equal(&zone_table->upstreams[i], endpoint))
            return (int)i;
    }
    if (zone_table->upstream_count == ZONE_TABLE_UPSTREAMS_MAX)
        return -1;
    zone_table->upstreams[zone_table->upstream_count] = *endpoint;
    return (int)zone_table->upstream_count++;
}

static const char *zone_build(struct zone_table *zone_table, struct zone *zone,
                              const struct forward_zone *settings)
{
    *zone = (struct zone){.settings = settings};
    if (settings->to.count > ZONE_UPSTREAMS_MAX)
        return "a zone has more than 16 upstreams";
    for (size_t i = 0; i < settings->to.count; i++) {
        int index = upstream_index(zone_table, &settings->to.items[i]);
        if (index < 0)
            return "there are more than 256 different upstreams";
        zone->upstreams[zone->upstream_count++] = (uint16_t)index;
    }
    return NULL;
}

uint16_t upstream_tag(const struct address *upstream)
{
    uint64_t hash = checksum_of(upstream, sizeof *upstream, 0);
    uint16_t tag = (uint16_t)(hash ^ hash >> 16 ^ hash >> 32 ^ hash >> 48);
    return tag ? tag : 1;
}

static uint64_t zone_hash(const struct zone_table *zone_table, const struct name *name)
{
    uint8_t lower[NAME_MAX_LEN];
    name_lower(lower, name->bytes, name->len);
    return suffix_hash(zone_table->seed, lower);
}

const char *zone_table_rebuild(struct zone_table *zone_table, void *memory,
                               const struct settings *settings, const struct zone_table *before)
{
    size_t count = settings->forward.count;
    size_t places = table_places(count);
    struct zone *zones = memory;
    uint32_t *table = (uint32_t *)(zones + count);

    *zone_table = (struct zone_table){.zones = zones,
                                      .table = table,
                                      .table_mask = (uint32_t)places - 1,
                                      .seed = suffix_seed_of(0),
                                      .zone_count = count};
    if (before) {
        zone_table->upstream_count = before->upstream_count;
        memcpy(zone_table->upstreams, before->upstreams, sizeof zone_table->upstreams);
    }
    memset(table, 0, places * sizeof *table);
    for (size_t i = 0; i < count; i++) {
        const char *why = zone_build(zone_table, &zones[i], &settings->forward.items[i]);
        if (why)
            return why;
        zones[i].fingerprint = settings_fingerprint(settings, zones[i].settings);
        zone_table->fingerprint += zones[i].fingerprint; // zones have no order
        uint64_t at = zone_hash(zone_table, &settings->forward.items[i].zone);
        while (table[at & zone_table->table_mask] != 0)
            at++;
        table[at & zone_table->table_mask] = (uint32_t)(i + 1);
    }
    return NULL;
}

const char *zone_table_build(struct zone_table *zone_table, void *memory,
                             const struct settings *settings)
{
    return zone_table_rebuild(zone_table, memory, settings, NULL);
}

static const struct zone *zone_at(const struct zone_table *zone_table, const uint8_t *name,
                                  size_t len, uint64_t hash)
{
    for (; zone_table->table[hash & zone_table->table_mask] != 0; hash++) {
        const struct zone *zone =
            &zone_table->zones[zone_table->table[hash & zone_table->table_mask] - 1];
        const struct name *own = &zone->settings->zone;
        if (own->len == len && lower_equal(own->bytes, name, len))
            return zone;
    }
    return NULL;
}

const struct zone *zone_table_find(const struct zone_table *zone_table, const uint8_t *name,
                                   size_t len)
{
    uint8_t places[SUFFIX_LABELS_MAX];
    size_t count = 0;
    uint64_t hash = zone_table->seed.start;
    if (zone_table->zone_count == 1 && zone_table->zones->settings->zone.len == 1)
        return zone_table->zones; // all names lie in the root
    for (size_t at = 0; name[at] != 0; at += 1u + name[at])
        places[count++] = (uint8_t)at;
    const struct zone *longest = zone_at(zone_table, name + len - 1, 1, hash);
    while (count > 0) {
        size_t at = places[--count];
        hash = suffix_step(zone_table->seed, hash, name + at, false);
        const struct zone *zone = zone_at(zone_table, name + at, len - at, hash);
        longest = zone ? zone : longest;
    }
    return longest;
}
