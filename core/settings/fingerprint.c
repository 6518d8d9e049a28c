// SPDX-License-Identifier: MIT
#include "core/settings/fingerprint.h"

#include "core/settings/words.h"
#include "core/wire/checksum.h"

static uint64_t number_add(uint64_t print, uint64_t number)
{
    return checksum_of(&number, sizeof number, print);
}

// What has no order is added up.
static uint64_t endpoints_sum(const struct endpoint_list *list)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < list->count; i++)
        sum += checksum_of(&list->items[i], sizeof list->items[i], 0);
    return sum;
}

static uint64_t prefix_of(const struct prefix *prefix)
{
    return number_add(checksum_of(prefix->ip, sizeof prefix->ip, prefix->family), prefix->length);
}

static uint64_t prefixes_sum(const struct prefix_list *list)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < list->count; i++)
        sum += prefix_of(&list->items[i]);
    return sum;
}

static uint64_t texts_sum(const struct text_list *list)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < list->count; i++)
        sum += checksum_of(list->items[i].text, text_len(list->items[i].text), 0);
    return sum;
}

// Rebinding is looked for in the root zone alone (core/policy/policy.c), and this network's prefix
// of DNS64 tells which addresses are inside.
static uint64_t rebind_of(const struct settings *settings)
{
    uint64_t print = prefix_of(&settings->dns64_prefix);
    return number_add(print, texts_sum(&settings->filter_rebind_allow));
}

static uint64_t dns64_of(const struct settings *settings)
{
    return number_add(prefix_of(&settings->dns64_prefix), prefixes_sum(&settings->dns64_exclude));
}

uint32_t settings_fingerprint(const struct settings *settings, const struct forward_zone *zone)
{
    uint8_t name[NAME_MAX_LEN];
    bool root = zone->zone.len == 1;
    name_lower(name, zone->zone.bytes, zone->zone.len);
    uint64_t print = checksum_of(name, zone->zone.len, 0);
    print = number_add(print, endpoints_sum(&zone->to));
    print = number_add(print, settings->cache_ttl_min);
    print = number_add(print, settings->cache_ttl_max);
    print = number_add(print, settings->cache_ttl_negative_max);
    print = number_add(print, root && settings->filter_rebind ? rebind_of(settings) : 0);
    print = number_add(print, settings->dns64_enable ? dns64_of(settings) : 0);
    return (uint32_t)(print ^ print >> 32);
}
