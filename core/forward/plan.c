// SPDX-License-Identifier: MIT
#include "core/forward/plan.h"

#include "core/wire/lower.h"

// The zones stand in a hash table, at most half full, under their names; the longest match is found
// by looking up a name, then its parent, and so on up to the root.

static size_t table_places(size_t zone_count)
{
    size_t places = 2;
    while (places < 2 * zone_count)
        places *= 2;
    return places;
}

size_t plan_size(const struct settings *settings)
{
    size_t count = settings->forward.count;
    return count * sizeof(struct plan_zone) + table_places(count) * sizeof(uint16_t);
}

// Returns the index of an upstream's address, added if it is new; -1 when there are too many.
static int upstream_index(struct plan *plan, const struct address *address)
{
    for (size_t i = 0; i < plan->upstream_count; i++) {
        if (address_equal(&plan->upstreams[i], address))
            return (int)i;
    }
    if (plan->upstream_count == PLAN_UPSTREAMS_MAX)
        return -1;
    plan->upstreams[plan->upstream_count] = *address;
    return (int)plan->upstream_count++;
}

static const char *zone_build(struct plan *plan, struct plan_zone *zone,
                              const struct forward_zone *settings)
{
    *zone = (struct plan_zone){.settings = settings};
    if (settings->to.count > PLAN_ZONE_UPSTREAMS_MAX)
        return "a zone has more than 16 upstreams";
    for (size_t i = 0; i < settings->to.count; i++) {
        int index = upstream_index(plan, &settings->to.items[i]);
        if (index < 0)
            return "there are more than 256 different upstreams";
        zone->upstreams[zone->upstream_count++] = (uint16_t)index;
    }
    return NULL;
}

const char *plan_rebuild(struct plan *plan, void *memory, const struct settings *settings,
                         const struct plan *before)
{
    size_t count = settings->forward.count;
    size_t places = table_places(count);
    struct plan_zone *zones = memory;
    uint16_t *table = (uint16_t *)(zones + count);

    *plan = (struct plan){
        .zones = zones, .table = table, .table_mask = (uint32_t)places - 1, .zone_count = count};
    if (before) {
        plan->upstream_count = before->upstream_count;
        memcpy(plan->upstreams, before->upstreams, sizeof plan->upstreams);
    }
    memset(table, 0, places * sizeof *table);
    for (size_t i = 0; i < count; i++) {
        const char *why = zone_build(plan, &zones[i], &settings->forward.items[i]);
        if (why)
            return why;
        const struct name *name = &settings->forward.items[i].zone;
        uint32_t at = name_hash(name->bytes, name->len) & plan->table_mask;
        while (table[at] != 0)
            at = (at + 1) & plan->table_mask;
        table[at] = (uint16_t)(i + 1);
    }
    return NULL;
}

const char *plan_build(struct plan *plan, void *memory, const struct settings *settings)
{
    return plan_rebuild(plan, memory, settings, NULL);
}

static const struct plan_zone *zone_at(const struct plan *plan, const uint8_t *name, size_t len)
{
    uint32_t at = name_hash(name, len) & plan->table_mask;
    for (; plan->table[at] != 0; at = (at + 1) & plan->table_mask) {
        const struct plan_zone *zone = &plan->zones[plan->table[at] - 1];
        const struct name *own = &zone->settings->zone;
        if (own->len == len && lower_equal(own->bytes, name, len))
            return zone;
    }
    return NULL;
}

const struct plan_zone *plan_find(const struct plan *plan, const uint8_t *name, size_t len)
{
    for (size_t at = 0; at < len; at += 1u + name[at]) {
        const struct plan_zone *zone = zone_at(plan, name + at, len - at);
        if (zone)
            return zone;
    }
    return NULL;
}
