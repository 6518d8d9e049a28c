// SPDX-License-Identifier: MIT
#include "core/settings/check.h"

#include "core/settings/format.h"

#include <stdio.h>

// What no single value can show: see settings_check.

struct check {
    const struct settings *settings;
    void (*tell)(void *context, struct settings_origin at, const char *why);
    void *context;
};

// Of two places the one further down in the file.
static struct settings_origin later_of(struct settings_origin a, struct settings_origin b)
{
    return b.line > a.line ? b : a;
}

static void check_ttl(const struct check *check)
{
    const struct settings *s = check->settings;
    char min[SETTINGS_TEXT_SIZE];
    char max[SETTINGS_TEXT_SIZE];
    char why[SETTINGS_WHY_SIZE];
    if (s->cache_ttl_min <= s->cache_ttl_max)
        return;
    settings_format(settings_find("cache", "ttl-min", 7), s, 0, min);
    settings_format(settings_find("cache", "ttl-max", 7), s, 0, max);
    snprintf(why, sizeof why, "cache.ttl-min (%.100s) is longer than cache.ttl-max (%.100s)", min,
             max);
    check->tell(check->context,
                later_of(s->origins[OPTION_cache_ttl_min], s->origins[OPTION_cache_ttl_max]), why);
}

static const char *by_default(struct settings_origin origin)
{
    return origin.source == SOURCE_DEFAULT ? " (by default)" : "";
}

static const struct prefix_list *prefixes_of(const struct settings_option *option,
                                             const struct settings *settings)
{
    return (const struct prefix_list *)(const void *)((const uint8_t *)settings + option->offset);
}

static bool list_holds(const struct prefix_list *list, const struct prefix *prefix)
{
    for (size_t i = 0; i < list->count; i++)
        if (memcmp(&list->items[i], prefix, sizeof *prefix) == 0)
            return true;
    return false;
}

static bool same_text(const char *a, const char *b)
{
    while (*a == *b && *a != '\0') {
        a++;
        b++;
    }
    return *a == *b;
}

static void check_prefixes_of(const struct check *check, const struct settings_option *a,
                              const struct settings_option *b)
{
    const struct prefix_list *list = prefixes_of(a, check->settings);
    struct settings_origin a_at = check->settings->origins[a->slot];
    struct settings_origin b_at = check->settings->origins[b->slot];
    for (size_t i = 0; i < list->count; i++) {
        char text[ADDRESS_TEXT_MAX];
        char why[SETTINGS_WHY_SIZE];
        if (!list_holds(prefixes_of(b, check->settings), &list->items[i]))
            continue;
        prefix_format(&list->items[i], text);
        snprintf(why, sizeof why, "%s.%s%s and %s.%s%s both hold %s: keep it in one of them",
                 a->section, a->key, by_default(a_at), b->section, b->key, by_default(b_at), text);
        check->tell(check->context, later_of(a_at, b_at), why);
    }
}

// A prefix stands in one list of its section: which one would decide?
static void check_prefixes(const struct check *check)
{
    for (size_t i = 0; i < SETTINGS_ROWS; i++) {
        const struct settings_option *a = &settings_options[i];
        if (a->kind != KIND_PREFIX_LIST)
            continue;
        for (size_t j = i + 1; j < SETTINGS_ROWS; j++) {
            const struct settings_option *b = &settings_options[j];
            if (b->kind == KIND_PREFIX_LIST && same_text(a->section, b->section))
                check_prefixes_of(check, a, b);
        }
    }
}

static void check_zones(const struct check *check)
{
    const struct forward_zone_list *list = &check->settings->forward;
    for (size_t i = 0; i < list->count; i++) {
        const struct forward_zone *zone = &list->items[i];
        for (size_t j = 0; j < i; j++) {
            char text[NAME_TEXT_SIZE];
            char quoted[SETTINGS_QUOTE_SIZE];
            char why[SETTINGS_WHY_SIZE];
            if (!name_equal(&zone->zone, &list->items[j].zone))
                continue;
            settings_quote(quoted, text, name_format(&zone->zone, text));
            snprintf(why, sizeof why,
                     "forward.zone: %s is given twice, first on line %u: put all its servers into "
                     "one entry",
                     quoted, list->items[j].origins[ZONE_zone].line);
            check->tell(check->context, zone->origins[ZONE_zone], why);
            break;
        }
    }
}

// True if what is sent to `to` arrives at this server's own socket. The machine's addresses are
// not known here, so of those that a wildcard covers only the loopback ones are seen.
static bool listens_on(const struct address_list *listen, const struct address *to)
{
    static const uint8_t zero[16];
    static const uint8_t loopback6[16] = {[15] = 1};
    for (size_t i = 0; i < listen->count; i++) {
        const struct address *own = &listen->items[i];
        if (address_equal(own, to))
            return true;
        bool loopback =
            to->family == ADDRESS_IPV4 ? to->ip[0] == 127 : memcmp(to->ip, loopback6, 16) == 0;
        if (loopback && own->family == to->family && own->port == to->port &&
            memcmp(own->ip, zero, sizeof zero) == 0)
            return true;
    }
    return false;
}

static void check_loops(const struct check *check)
{
    const struct forward_zone_list *zones = &check->settings->forward;
    for (size_t i = 0; i < zones->count; i++) {
        const struct forward_zone *zone = &zones->items[i];
        for (size_t j = 0; j < zone->to.count; j++) {
            char text[ADDRESS_TEXT_MAX];
            char why[SETTINGS_WHY_SIZE];
            if (!listens_on(&check->settings->server_listen, &zone->to.items[j].address))
                continue;
            address_format(&zone->to.items[j].address, text);
            snprintf(why, sizeof why,
                     "forward.to: %s is this server itself (server.listen): queries would "
                     "loop",
                     text);
            check->tell(check->context, zone->origins[ZONE_to], why);
        }
    }
}

// RFC 6052 2.2: other lengths leave no place for the address, and bits 64 to 71 are zero.
static void check_dns64(const struct check *check)
{
    const struct prefix *prefix = &check->settings->dns64_prefix;
    char text[ADDRESS_TEXT_MAX];
    char why[SETTINGS_WHY_SIZE];
    unsigned length = prefix->length;
    bool good = prefix->family == ADDRESS_IPV6 && prefix->ip[8] == 0 &&
                (length == 96 || (length >= 32 && length <= 64 && length % 8 == 0));
    if (good)
        return;
    prefix_format(prefix, text);
    snprintf(why, sizeof why,
             "dns64.prefix: %s cannot hold an IPv4 address: give an IPv6 prefix of 32, 40, 48, 56, "
             "64 or 96 bits, such as 64:ff9b::/96, with zeros from bit 64 to 71",
             text);
    check->tell(check->context, check->settings->origins[OPTION_dns64_prefix], why);
}

void settings_check(const struct settings *settings,
                    void (*tell)(void *context, struct settings_origin at, const char *why),
                    void *context)
{
    struct check check = {.settings = settings, .tell = tell, .context = context};
    check_ttl(&check);
    check_prefixes(&check);
    check_zones(&check);
    check_loops(&check);
    check_dns64(&check);
}

// --- what is allowed and most likely not meant ---------------------------------------------------

struct warn {
    const struct settings *settings;
    void (*tell)(void *context, const struct settings *settings, struct settings_origin at,
                 const char *why);
    void *context;
};

static void warn_ports(const struct warn *warn)
{
    static const struct {
        uint16_t port;
        const char *transport;
    } encrypted[] = {{853, "DNS over TLS"}, {443, "DNS over HTTPS"}};
    const struct forward_zone_list *zones = &warn->settings->forward;
    for (size_t i = 0; i < zones->count; i++) {
        const struct forward_zone *zone = &zones->items[i];
        for (size_t j = 0; j < 2 * zone->to.count; j++) {
            const struct address *to = &zone->to.items[j / 2].address;
            char text[ADDRESS_TEXT_MAX];
            char why[SETTINGS_WHY_SIZE];
            if (to->port != encrypted[j % 2].port)
                continue;
            address_format(to, text);
            snprintf(why, sizeof why,
                     "forward.to: %s is the port of %s, which this version does not speak: it asks "
                     "there without encryption",
                     text, encrypted[j % 2].transport);
            warn->tell(warn->context, warn->settings, zone->origins[ZONE_to], why);
        }
    }
}

static void warn_root(const struct warn *warn)
{
    const struct forward_zone_list *zones = &warn->settings->forward;
    for (size_t i = 0; i < zones->count; i++) {
        if (zones->items[i].zone.len == 1)
            return;
    }
    if (zones->count > 0)
        warn->tell(warn->context, warn->settings, zones->items[0].origins[ZONE_zone],
                   "forward has no entry for all names (zone: .): names in none of its zones are "
                   "refused");
}

// Who answers the whole world without limits answers floods in others' names.
static void warn_open(const struct warn *warn)
{
    const struct settings *s = warn->settings;
    for (size_t i = 0; i < s->access_allow.count; i++) {
        if (s->access_allow.items[i].length > 0 ||
            (s->limits_client_qps > 0 && s->limits_same_answers > 0))
            continue;
        warn->tell(warn->context, s, s->origins[OPTION_access_allow],
                   "access.allow has all addresses and limits has no limit: forged queries from "
                   "anywhere are answered to their victims; set limits.client-qps and "
                   "limits.same-answers");
        return;
    }
}

void settings_warn(const struct settings *settings,
                   void (*tell)(void *context, const struct settings *settings,
                                struct settings_origin at, const char *why),
                   void *context)
{
    struct warn warn = {.settings = settings, .tell = tell, .context = context};
    warn_ports(&warn);
    warn_root(&warn);
    warn_open(&warn);
}
