// SPDX-License-Identifier: MIT
#include "core/forward/zone_table.h"
#include "core/settings/format.h"
#include "core/settings/parse.h"

#include "tests/unit/packet.h"

// A zone table made from text: zones with the last octets of their upstreams.
struct bench {
    struct settings settings;
    struct forward_zone *zones;
    struct zone_table zone_table;
    void *memory;
    const char *why;
};

struct zone_text {
    const char *zone;
    const char *to; // "1 2 3": 192.0.2.1, ...
};

static void zone_make(struct forward_zone *zone, const struct zone_text *text)
{
    const char *at = text->to, *word;
    size_t len;
    forward_zone_init(zone);
    assert_true(name_parse(&zone->zone, text->zone, strlen(text->zone)));
    zone->to.items = calloc(32, sizeof *zone->to.items);
    assert_non_null(zone->to.items);
    while ((word = settings_next_word(&at, &len))) {
        unsigned long number = strtoul(word, NULL, 10);
        zone->to.items[zone->to.count++] =
            (struct endpoint){.address = {.ip = {192, 0, (uint8_t)(number >> 8), (uint8_t)number},
                                          .port = 53,
                                          .family = ADDRESS_IPV4}};
    }
}

static void build(struct bench *bench, const struct zone_text *zones, size_t count)
{
    *bench = (struct bench){.zones = calloc(count ? count : 1, sizeof *bench->zones)};
    assert_non_null(bench->zones);
    for (size_t i = 0; i < count; i++)
        zone_make(&bench->zones[i], &zones[i]);
    bench->settings.forward = (struct forward_zone_list){bench->zones, count};
    bench->memory = malloc(zone_table_size(&bench->settings)); // exact, for a sanitizer
    assert_non_null(bench->memory);
    bench->why = zone_table_build(&bench->zone_table, bench->memory, &bench->settings);
}

static void end(struct bench *bench)
{
    for (size_t i = 0; i < bench->settings.forward.count; i++)
        free(bench->zones[i].to.items);
    free(bench->zones);
    free(bench->memory);
}

// The number of the zone that a name falls in, -1: none.
static int find(const struct bench *bench, const char *text)
{
    struct name name;
    assert_true(name_parse(&name, text, strlen(text)));
    uint8_t *bytes = malloc(name.len);
    assert_non_null(bytes);
    name_lower(bytes, name.bytes, name.len);
    const struct zone *zone = zone_table_find(&bench->zone_table, bytes, name.len);
    free(bytes);
    return zone ? (int)(zone - bench->zone_table.zones) : -1;
}

static const struct zone_text some_zones[] = {
    {"corp.example", "1"},       {"a.corp.example", "2"}, {"EXAMPLE", "3"},
    {"10.in-addr.arpa", "4"},    {"x\\.y.test", "5"},     {"b.b.corp.example", "6"},
    {"xn--bcher-kva.test", "7"},
};

struct find_row {
    const char *name;
    int zone; // of some_zones, -1: none
};

static const struct find_row find_rows[] = {
    {"corp.example", 0},
    {"CORP.Example", 0},
    {"www.corp.example", 0},
    {"w.w.w.corp.example", 0},
    {"a.corp.example", 1},
    {"x.A.corp.example", 1},
    {"aa.corp.example", 0},
    {"b.corp.example", 0},
    {"b.b.corp.example", 5},
    {"b.b.b.corp.example", 5},
    {"example", 2},
    {"xcorp.example", 2},
    {"corp.example.example", 2},
    {"corp.example.com", -1},
    {"com", -1},
    {".", -1},
    {"10.in-addr.arpa", 3},
    {"1.0.0.10.in-addr.arpa", 3},
    {"110.in-addr.arpa", -1},
    {"in-addr.arpa", -1},
    {"x\\.y.test", 4},
    {"y.test", -1},
    {"z.x\\.y.test", 4},
    {"x.y.test", -1},
    {"www.xn--bcher-kva.test", 6},
    {"\\000corp.example", 2},
};

static void test_find_row(void **state)
{
    const struct find_row *row = *state;
    struct bench bench;
    build(&bench, some_zones, COUNT_OF(some_zones));
    assert_null(bench.why);
    assert_int_equal(find(&bench, row->name), row->zone);
    end(&bench);
}

static void test_root_catches_what_no_other_zone_does(void **state)
{
    (void)state;
    static const struct zone_text zones[] = {{".", "1"}, {"example", "2"}};
    struct bench bench;
    build(&bench, zones, COUNT_OF(zones));
    assert_null(bench.why);
    assert_int_equal(find(&bench, "."), 0);
    assert_int_equal(find(&bench, "com"), 0);
    assert_int_equal(find(&bench, "www.example.com"), 0);
    assert_int_equal(find(&bench, "example"), 1);
    assert_int_equal(find(&bench, "www.example"), 1);
    end(&bench);
}

static void test_longest_name_is_found_from_its_first_label(void **state)
{
    (void)state;
    char text[520] = "";
    for (unsigned i = 0; i < 127; i++)
        strcat(text, "a.");
    const struct zone_text zones[] = {{"a.a", "1"}, {text, "2"}, {text + 2, "3"}};
    struct bench bench;
    build(&bench, zones, COUNT_OF(zones));
    assert_int_equal(find(&bench, text), 1);
    assert_int_equal(find(&bench, text + 2), 2);
    assert_int_equal(find(&bench, text + 4), 0);
    assert_int_equal(find(&bench, "a"), -1);
    end(&bench);
}

static void test_plan_without_zones_finds_nothing(void **state)
{
    (void)state;
    struct bench bench;
    build(&bench, NULL, 0);
    assert_null(bench.why);
    assert_int_equal(find(&bench, "."), -1);
    assert_int_equal(find(&bench, "example"), -1);
    end(&bench);
}

static void test_upstream_of_several_zones_is_one(void **state)
{
    (void)state;
    static const struct zone_text zones[] = {
        {"a", "1 2 3"}, {"b", "3 1"}, {"c", "4"}, {"d", "2 4 5"}};
    static const uint16_t wanted[4][3] = {{0, 1, 2}, {2, 0}, {3}, {1, 3, 4}};
    struct bench bench;
    build(&bench, zones, COUNT_OF(zones));
    assert_null(bench.why);
    assert_int_equal(bench.zone_table.upstream_count, 5);
    for (size_t i = 0; i < 4; i++) {
        const struct zone *zone = &bench.zone_table.zones[i];
        assert_ptr_equal(zone->settings, &bench.zones[i]);
        assert_int_equal(zone->upstream_count, bench.zones[i].to.count);
        for (size_t k = 0; k < zone->upstream_count; k++) {
            assert_int_equal(zone->upstreams[k], wanted[i][k]);
            assert_true(endpoint_equal(&bench.zone_table.upstreams[zone->upstreams[k]],
                                       &bench.zones[i].to.items[k]));
        }
    }
    end(&bench);
}

static void test_port_and_scope_make_another_upstream(void **state)
{
    (void)state;
    static const struct zone_text zones[] = {{"a", "1 1 1"}};
    struct bench bench;
    build(&bench, zones, 1);
    assert_int_equal(bench.zone_table.upstream_count, 1);
    bench.zones[0].to.items[1].address.port = 5353;
    bench.zones[0].to.items[2].address.scope = 2;
    assert_null(zone_table_build(&bench.zone_table, bench.memory, &bench.settings));
    assert_int_equal(bench.zone_table.upstream_count, 3);
    end(&bench);
}

static void test_limits_are_reported(void **state)
{
    (void)state;
    static const struct zone_text zone16[] = {{"a", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"}};
    static const struct zone_text zone17[] = {{"a", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"}};
    struct bench bench;
    build(&bench, zone16, 1);
    assert_null(bench.why);
    end(&bench);
    build(&bench, zone17, 1);
    assert_string_equal(bench.why, "a zone has more than 16 upstreams");
    end(&bench);

    struct zone_text zones[ZONE_TABLE_UPSTREAMS_MAX + 1];
    char texts[ZONE_TABLE_UPSTREAMS_MAX + 1][2][16];
    for (unsigned i = 0; i < COUNT_OF(zones); i++) {
        snprintf(texts[i][0], sizeof texts[i][0], "zone%u", i);
        snprintf(texts[i][1], sizeof texts[i][1], "%u", i);
        zones[i] = (struct zone_text){texts[i][0], texts[i][1]};
    }
    build(&bench, zones, ZONE_TABLE_UPSTREAMS_MAX);
    assert_null(bench.why);
    assert_int_equal(bench.zone_table.upstream_count, ZONE_TABLE_UPSTREAMS_MAX);
    end(&bench);
    build(&bench, zones, ZONE_TABLE_UPSTREAMS_MAX + 1);
    assert_string_equal(bench.why, "there are more than 256 different upstreams");
    end(&bench);
}

enum { MANY_ZONES = 70000 }; // many more than settings may have

static void test_more_zones_than_sixteen_bits_count(void **state)
{
    (void)state;
    struct zone_text *zones = calloc(MANY_ZONES, sizeof *zones);
    char(*texts)[24] = calloc(MANY_ZONES, sizeof *texts);
    assert_true(zones && texts);
    _Static_assert(MANY_ZONES > FORWARD_ZONES_MAX && MANY_ZONES > UINT16_MAX, "");
    for (unsigned i = 0; i < MANY_ZONES; i++) {
        snprintf(texts[i], sizeof *texts, "z%u.%s", i, i % 3 ? "example" : "test");
        zones[i] = (struct zone_text){texts[i], "1"};
    }
    struct bench bench;
    build(&bench, zones, MANY_ZONES);
    assert_null(bench.why);
    for (unsigned i = 0; i < MANY_ZONES; i++) {
        char text[64];
        snprintf(text, sizeof text, "www.%s", texts[i]);
        assert_int_equal(find(&bench, text), i);
        snprintf(text, sizeof text, "z%u.%s", i, i % 3 ? "test" : "example");
        assert_int_equal(find(&bench, text), -1);
    }
    end(&bench);
    free(texts);
    free(zones);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_root_catches_what_no_other_zone_does),
    cmocka_unit_test(test_longest_name_is_found_from_its_first_label),
    cmocka_unit_test(test_plan_without_zones_finds_nothing),
    cmocka_unit_test(test_upstream_of_several_zones_is_one),
    cmocka_unit_test(test_port_and_scope_make_another_upstream),
    cmocka_unit_test(test_limits_are_reported),
    cmocka_unit_test(test_more_zones_than_sixteen_bits_count),
};

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(find_rows) + COUNT_OF(others)];
    size_t count =
        tests_of_rows(tests, test_find_row, find_rows, sizeof *find_rows, COUNT_OF(find_rows));
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("zone_table", tests, NULL, NULL);
}
