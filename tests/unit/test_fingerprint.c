// SPDX-License-Identifier: MIT
#include "core/settings/fingerprint.h"

#include "core/settings/parse.h"

#include "tests/unit/packet.h"

// A row changes one thing of the settings below; `same` where that changes no answer.

struct world {
    struct settings settings;
    struct forward_zone zone;
    struct endpoint to[2];
    struct prefix exclude[2];
    struct text_item allow[2];
};

static struct endpoint upstream(uint8_t host)
{
    return (struct endpoint){
        .address = {.ip = {198, 51, 100, host}, .port = 53, .family = ADDRESS_IPV4}};
}

static void world_make(struct world *w, const char *zone)
{
    static char first[] = "corp.example", second[] = "lab.example";
    settings_init(&w->settings);
    forward_zone_init(&w->zone);
    assert_true(name_parse(&w->zone.zone, zone, strlen(zone)));
    w->to[0] = upstream(1);
    w->to[1] = upstream(2);
    w->zone.to = (struct endpoint_list){w->to, 2};
    w->settings.filter_rebind = true;
    w->allow[0] = (struct text_item){first, 1};
    w->allow[1] = (struct text_item){second, 2};
    w->settings.filter_rebind_allow = (struct text_list){w->allow, 2};
    w->settings.dns64_enable = true;
    assert_true(prefix_parse(&w->exclude[0], "2001:db8::/32", 13));
    assert_true(prefix_parse(&w->exclude[1], "::ffff:0:0/96", 13));
    w->settings.dns64_exclude = (struct prefix_list){w->exclude, 2};
}

static void nothing(struct world *w)
{
    (void)w;
}
static void zone_in_upper_case(struct world *w)
{
    w->zone.zone.bytes[w->zone.zone.len > 1] ^= w->zone.zone.len > 1 ? 0x20 : 0;
}
static void upstreams_in_another_order(struct world *w)
{
    w->to[0] = upstream(2);
    w->to[1] = upstream(1);
}
static void another_strategy(struct world *w)
{
    w->zone.strategy = FORWARD_RANDOM;
}
static void other_stale_times(struct world *w)
{
    w->settings.cache_stale_max_age++;
    w->settings.cache_stale_ttl++;
}
static void other_lines(struct world *w)
{
    w->allow[0].line = 7;
}
static void another_upstream(struct world *w)
{
    w->to[0] = upstream(3);
}
static void another_port(struct world *w)
{
    w->to[0].address.port = 5353;
}
static void another_transport(struct world *w)
{
    w->to[0].transport = TRANSPORT_TCP;
}

static void an_upstream_less(struct world *w)
{
    w->zone.to.count = 1;
}
static void no_rebind(struct world *w)
{
    w->settings.filter_rebind = false;
}
static void a_name_less(struct world *w)
{
    w->settings.filter_rebind_allow.count = 1;
}
static void no_dns64(struct world *w)
{
    w->settings.dns64_enable = false;
}
static void another_prefix(struct world *w)
{
    w->settings.dns64_prefix.ip[1] ^= 1;
}
static void an_exclusion_less(struct world *w)
{
    w->settings.dns64_exclude.count = 1;
}
static void another_ttl_min(struct world *w)
{
    w->settings.cache_ttl_min = 5000;
}
static void another_ttl_max(struct world *w)
{
    w->settings.cache_ttl_max = 5000;
}
static void another_negative_ttl(struct world *w)
{
    w->settings.cache_ttl_negative_max = 5000;
}

static const struct row {
    const char *name;
    void (*change)(struct world *w);
    bool same, same_below_root;
} rows[] = {
    {"nothing", nothing, true, true},
    {"the zone in upper case", zone_in_upper_case, true, true},
    {"upstreams in another order", upstreams_in_another_order, true, true},
    {"another strategy", another_strategy, true, true},
    {"other times of stale answers", other_stale_times, true, true},
    {"other lines of the file", other_lines, true, true},
    {"another upstream", another_upstream, false, false},
    {"another port", another_port, false, false},
    {"another transport", another_transport, false, false},
    {"an upstream less", an_upstream_less, false, false},
    {"no rebind protection", no_rebind, false, true},
    {"a name less that may have inner addresses", a_name_less, false, true},
    {"no DNS64", no_dns64, false, false},
    {"another prefix", another_prefix, false, false},
    {"an exclusion less", an_exclusion_less, false, false},
    {"another ttl-min", another_ttl_min, false, false},
    {"another ttl-max", another_ttl_max, false, false},
    {"another ttl-negative-max", another_negative_ttl, false, false},
};

static void test_row(void **state)
{
    const struct row *row = *state;
    for (unsigned below = 0; below < 2; below++) {
        struct world before, after;
        const char *zone = below ? "corp.example" : ".";
        world_make(&before, zone);
        world_make(&after, zone);
        row->change(&after);
        bool same = settings_fingerprint(&before.settings, &before.zone) ==
                    settings_fingerprint(&after.settings, &after.zone);
        assert_int_equal(same, below ? row->same_below_root : row->same);
    }
}

static void test_zones_differ(void **state)
{
    (void)state;
    struct world one, other;
    world_make(&one, "corp.example");
    world_make(&other, "lab.example");
    assert_int_not_equal(settings_fingerprint(&one.settings, &one.zone),
                         settings_fingerprint(&other.settings, &other.zone));
}

int main(void)
{
    static struct CMUnitTest tests[COUNT_OF(rows) + 1];
    size_t count = 0;
    for (; count < COUNT_OF(rows); count++)
        tests[count] = (struct CMUnitTest){
            .name = rows[count].name,
            .test_func = test_row,
            .initial_state = (void *)(uintptr_t)&rows[count],
        };
    tests[count] = (struct CMUnitTest)cmocka_unit_test(test_zones_differ);
    return cmocka_run_group_tests_name("fingerprint", tests, NULL, NULL);
}
