// SPDX-License-Identifier: MIT
#include "core/settings/check.h"
#include "core/settings/format.h"
#include "core/settings/parse.h"
#include "core/settings/settings.h"
#include "core/settings/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

// A place for a value of any kind, reached through rows that are made up here: the kinds are
// tested whether options.def has a row of them or not.
struct place {
    union {
        bool boolean;
        uint64_t number;
        uint32_t word;
        struct name name;
        struct address address;
        struct address_list addresses;
        struct endpoint_list endpoints;
        struct prefix_list prefixes;
    } field;
};

#define ROW(kind_, min_, max_, detail_)                                           \
    {                                                                             \
        .section = "some", .key = "key", .kind = kind_, .min = min_, .max = max_, \
        .detail = detail_                                                         \
    }

static const struct settings_option boolean_row = ROW(KIND_BOOLEAN, 0, 0, "");
static const struct settings_option count_row = ROW(KIND_COUNT, 512, 4096, "");
static const struct settings_option huge_row = ROW(KIND_COUNT, 0, UINT64_MAX, "");
static const struct settings_option auto_row = ROW(KIND_COUNT_OR_AUTO, 1, 256, "");
static const struct settings_option size_row =
    ROW(KIND_SIZE, (uint64_t)1 << 20, (uint64_t)1 << 40, "");
static const struct settings_option any_size_row = ROW(KIND_SIZE, 0, UINT64_MAX, "");
static const struct settings_option duration_row = ROW(KIND_DURATION, 0, 7 * 86400000, "");
static const struct settings_option word_row = ROW(KIND_WORD, 0, 0, "error warning info debug");
static const struct settings_option name_row = ROW(KIND_NAME, 0, 0, "");
static const struct settings_option address_row = ROW(KIND_ADDRESS, 0, 0, "9053");
static const struct settings_option addresses_row = ROW(KIND_ADDRESS_LIST, 1, 3, "53");
static const struct settings_option upstreams_row = ROW(KIND_UPSTREAM_LIST, 1, 3, "53");
static const struct settings_option prefixes_row = ROW(KIND_PREFIX_LIST, 0, 3, "");

static bool parse(const struct settings_option *option, const char *text,
                  union settings_value *value, char why[static SETTINGS_WHY_SIZE])
{
    size_t len = strlen(text);
    char *copy = malloc(len ? len : 1); // of the exact size, for the sanitizer
    assert_non_null(copy);
    memcpy(copy, text, len);
    memset(why, 'x', SETTINGS_WHY_SIZE);
    bool parsed = settings_parse(option, copy, len, value, why);
    if (!parsed)
        assert_non_null(memchr(why, '\0', SETTINGS_WHY_SIZE));
    free(copy);
    return parsed;
}

// Puts a value where settings_format finds it; a list holds this one item.
static void put(struct place *place, const struct settings_option *option,
                union settings_value *value)
{
    if (option->kind == KIND_PREFIX_LIST)
        place->field.prefixes = (struct prefix_list){&value->prefix, 1};
    else if (option->kind == KIND_UPSTREAM_LIST)
        place->field.endpoints = (struct endpoint_list){&value->endpoint, 1};
    else if (settings_is_list(option))
        place->field.addresses = (struct address_list){&value->address, 1};
    else
        settings_store(option, place, value);
}

static const struct {
    const struct settings_option *option;
    const char *text;
    const char *formatted;
} good_values[] = {
    {&boolean_row, "true", "true"},
    {&boolean_row, "false", "false"},
    {&count_row, "512", "512"},
    {&count_row, "1232", "1232"},
    {&count_row, "4096", "4096"},
    {&huge_row, "0", "0"},
    {&huge_row, "18446744073709551615", "18446744073709551615"},
    {&auto_row, "auto", "auto"},
    {&auto_row, "1", "1"},
    {&auto_row, "256", "256"},
    {&size_row, "1M", "1M"},
    {&size_row, "1024K", "1M"},
    {&size_row, "1048576", "1M"},
    {&size_row, "1048577", "1048577"},
    {&size_row, "1536K", "1536K"},
    {&size_row, "1536M", "1536M"},
    {&size_row, "1024G", "1024G"},
    {&any_size_row, "0", "0"},
    {&any_size_row, "0M", "0"},
    {&any_size_row, "17179869183G", "17179869183G"},
    {&duration_row, "0", "0s"},
    {&duration_row, "0ms", "0s"},
    {&duration_row, "1ms", "1ms"},
    {&duration_row, "1800ms", "1800ms"},
    {&duration_row, "2000ms", "2s"},
    {&duration_row, "90s", "90s"},
    {&duration_row, "60s", "1m"},
    {&duration_row, "60m", "1h"},
    {&duration_row, "48h", "2d"},
    {&duration_row, "7d", "7d"},
    {&word_row, "error", "error"},
    {&word_row, "debug", "debug"},
    {&name_row, ".", "."},
    {&name_row, "corp.example", "corp.example."},
    {&name_row, "Corp.Example.", "Corp.Example."},
    {&address_row, "off", "off"},
    {&address_row, "127.0.0.1", "127.0.0.1:9053"},
    {&address_row, "[::1]:80", "[::1]:80"},
    {&addresses_row, "192.0.2.1", "192.0.2.1:53"},
    {&addresses_row, "0.0.0.0:5353", "0.0.0.0:5353"},
    {&addresses_row, "::", "[::]:53"},
    {&upstreams_row, "192.0.2.53", "192.0.2.53:53"},
    {&upstreams_row, "udp://192.0.2.53:5353", "192.0.2.53:5353"},
    {&upstreams_row, "udp://[2001:db8::53]", "[2001:db8::53]:53"},
    {&upstreams_row, "fe80::1%2", "[fe80::1%2]:53"},
    {&prefixes_row, "10.0.0.0/8", "10.0.0.0/8"},
    {&prefixes_row, "::1", "::1/128"},
};

static const struct {
    const struct settings_option *option;
    const char *text;
    const char *why; // a piece of it
} bad_values[] = {
    {&boolean_row, "yes", "\"yes\" is not valid: give true or false"},
    {&boolean_row, "True", "give true or false"},
    {&boolean_row, "", "\"\" is not valid"},
    {&count_row, "511", "\"511\" is too small: give a whole number from 512 to 4096"},
    {&count_row, "4097", "is too large"},
    {&count_row, "18446744073709551616", "is too large"},
    {&count_row, "99999999999999999999999999", "is too large"},
    {&count_row, "-1", "is not valid"},
    {&count_row, "+600", "is not valid"},
    {&count_row, "0600", "is not valid"},
    {&count_row, "0x400", "is not valid"},
    {&count_row, "1e3", "is not valid"},
    {&count_row, "600.0", "is not valid"},
    {&count_row, "600 ", "is not valid"},
    {&count_row, "", "is not valid"},
    {&auto_row, "0", "is too small: give auto or a whole number from 1 to 256"},
    {&auto_row, "257", "is too large"},
    {&auto_row, "AUTO", "is not valid"},
    {&size_row, "1023K", "is too small: give a size from 1M to 1024G"},
    {&size_row, "1025G", "is too large"},
    {&size_row, "99999999999999999999G", "is too large"},
    {&size_row, "17179869184G", "is too large"},
    {&size_row, "256m", "is not valid"},
    {&size_row, "256MB", "is not valid"},
    {&size_row, "256 M", "is not valid"},
    {&size_row, "M", "is not valid"},
    {&size_row, "1.5G", "is not valid"},
    {&duration_row, "10", "with its unit (ms, s, m, h or d)"},
    {&duration_row, "8d", "is too large: give a duration from 0s to 7d"},
    {&duration_row, "18446744073709551615d", "is too large"},
    {&duration_row, "1h30m", "is not valid"},
    {&duration_row, "1w", "is not valid"},
    {&duration_row, "s", "is not valid"},
    {&word_row, "verbose", "is not valid: give one of error, warning, info, debug"},
    {&word_row, "debgu", "did you mean debug?"},
    {&word_row, "Info", "did you mean info?"},
    {&word_row, "", "is not valid"},
    {&word_row, "error warning", "is not valid"},
    {&name_row, "", "is not valid: give a domain name such as corp.example"},
    {&name_row, "a..b", "is not valid"},
    {&address_row, "none", "or off"},
    {&address_row, "127.0.0.1:70000", "192.0.2.1:9053"},
    {&addresses_row, "off", "is not valid"},
    {&addresses_row, "localhost", "is not valid: give an address such as"},
    {&upstreams_row, "tcp://192.0.2.1", "asks for TCP: this version asks upstreams over UDP"},
    {&upstreams_row, "tls://192.0.2.1#dns.example", "asks for DNS over TLS: this version asks"},
    {&upstreams_row, "192.0.2.1#dns.example", "names a server for TLS, but does not ask for it"},
    {&upstreams_row, "https://192.0.2.1/dns-query#dns.example", "asks for DNS over HTTPS: this"},
    {&upstreams_row, "quic://[2001:db8::1]", "asks for DNS over QUIC: this version"},
    {&upstreams_row, "tls://192.0.2.1/dns-query", "has a path, which only DNS over HTTPS has"},
    {&upstreams_row, "tls://192.0.2.1#", "has no host name behind #"},
    {&upstreams_row, "192.0.2.1/24", "is not valid"},
    {&upstreams_row, "sdns://192.0.2.1", "is not valid"},
    {&upstreams_row, "udp://", "is not valid"},
    {&upstreams_row, "", "is not valid"},
    {&upstreams_row, "0.0.0.0", "is no server's address"},
    {&upstreams_row, "::", "is no server's address"},
    {&upstreams_row, "224.0.0.251", "is no server's address"},
    {&upstreams_row, "ff02::fb", "is no server's address"},
    {&prefixes_row, "10.1.2.3/8", "has bits set after its first 8: give 10.0.0.0/8"},
    {&prefixes_row, "192.0.2.129/25", "give 192.0.2.128/25"},
    {&prefixes_row, "2001:db8:ffff::/33", "give 2001:db8:8000::/33"},
    {&prefixes_row, "1.2.3.4/0", "give 0.0.0.0/0"},
    {&prefixes_row, "10.0.0.0/33", "is not valid: give a prefix such as"},
    {&prefixes_row, "", "is not valid"},
    {&count_row, "a\nb\x1b[1m", "\"a\\x0ab\\x1b[1m\" is not valid"},
};

static void test_values_of_every_kind_come_back_from_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good_values); i++) {
        const struct settings_option *option = good_values[i].option;
        union settings_value value;
        union settings_value again;
        struct place place;
        char text[SETTINGS_TEXT_SIZE];
        char text_again[SETTINGS_TEXT_SIZE];
        char why[SETTINGS_WHY_SIZE];
        if (!parse(option, good_values[i].text, &value, why))
            fail_msg("%s", why);
        put(&place, option, &value);
        assert_int_equal(settings_count(option, &place), 1);
        assert_int_equal(settings_format(option, &place, 0, text),
                         strlen(good_values[i].formatted));
        assert_string_equal(text, good_values[i].formatted);
        if (!parse(option, text, &again, why))
            fail_msg("%s", why);
        put(&place, option, &again);
        settings_format(option, &place, 0, text_again);
        assert_string_equal(text_again, text);
    }
}

static void test_bad_values_are_refused_with_what_would_be_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_values); i++) {
        union settings_value value;
        char why[SETTINGS_WHY_SIZE];
        if (parse(bad_values[i].option, bad_values[i].text, &value, why))
            fail_msg("\"%s\" was taken", bad_values[i].text);
        if (!strstr(why, bad_values[i].why))
            fail_msg("\"%s\": %s", bad_values[i].text, why);
    }
}

static void test_numbers_are_in_their_base_units(void **state)
{
    (void)state;
    union settings_value value;
    char why[SETTINGS_WHY_SIZE];
    assert_true(parse(&size_row, "2M", &value, why));
    assert_int_equal(value.number, 2 * 1024 * 1024);
    assert_true(parse(&duration_row, "3m", &value, why));
    assert_int_equal(value.number, 180000);
    assert_true(parse(&auto_row, "auto", &value, why));
    assert_int_equal(value.number, 0);
    assert_true(parse(&word_row, "info", &value, why));
    assert_int_equal(value.word, 2);
    assert_true(parse(&address_row, "off", &value, why));
    assert_int_equal(value.address.family, ADDRESS_NONE);
}

static void test_every_row_is_sound(void **state)
{
    (void)state;
    const char *section = "";
    for (size_t i = 0; i < SETTINGS_ROWS; i++) {
        const struct settings_option *option = &settings_options[i];
        const char *at = option->fallback;
        const char *word;
        size_t len;
        size_t count = 0;
        char text[SETTINGS_TEXT_SIZE];
        for (; (word = settings_next_word(&at, &len)); count++) {
            union settings_value value;
            char why[SETTINGS_WHY_SIZE];
            if (!settings_parse(option, word, len, &value, why))
                fail_msg("%s.%s: %s", option->section, option->key, why);
        }
        assert_true(settings_is_list(option) ? count <= option->max : count == 1);
        assert_true(option->min <= option->max);
        assert_true(strlen(option->help) > 10);
        assert_int_equal(option->help[strlen(option->help) - 1], '.');
        assert_in_range(settings_expected(option, text), 1, 399); // what a sentence has room for
        assert_ptr_equal(settings_find(option->section, option->key, strlen(option->key)), option);
        // The rows of a section stand together.
        for (size_t j = 0; strcmp(section, option->section) != 0 && j < i; j++)
            assert_string_not_equal(settings_options[j].section, option->section);
        section = option->section;
    }
}

static void test_defaults_are_those_of_the_design(void **state)
{
    (void)state;
    struct settings s;
    struct forward_zone zone;
    settings_init(&s);
    forward_zone_init(&zone);
    assert_int_equal(s.server_workers, 0);
    assert_int_equal(s.server_udp_payload_max, 1232);
    assert_int_equal(s.cache_size, 256 << 20);
    assert_int_equal(s.cache_ttl_min, 0);
    assert_int_equal(s.cache_ttl_max, 86400000);
    assert_int_equal(s.cache_ttl_negative_max, 3600000);
    assert_int_equal(s.stats_listen.port, 9053);
    assert_int_equal(s.log_level, 2);
    assert_int_equal(s.log_format, 0);
    assert_int_equal(s.forward.count, 0);
    assert_int_equal(s.server_listen.count, 0); // lists are io's to fill
    assert_int_equal(zone.zone.len, 1);
    assert_int_equal(zone.strategy, FORWARD_FASTEST);
}

static void test_strategies_are_named_in_the_order_of_their_enum(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t strategy;
    } words[] = {
        {"fastest", FORWARD_FASTEST}, {"ordered", FORWARD_ORDERED}, {"random", FORWARD_RANDOM}};
    const struct settings_option *option = settings_find("forward", "strategy", 8);
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        union settings_value value;
        char why[SETTINGS_WHY_SIZE];
        assert_true(parse(option, words[i].text, &value, why));
        assert_int_equal(value.word, words[i].strategy);
    }
}

static void test_find_wants_the_whole_key_of_the_right_section(void **state)
{
    (void)state;
    assert_non_null(settings_find("cache", "size", 4));
    assert_null(settings_find("cache", "size", 3));
    assert_null(settings_find("server", "size", 4));
    assert_null(settings_find("cache", "", 0));
    assert_ptr_not_equal(settings_find("server", "listen", 6), settings_find("stats", "listen", 6));
}

static void test_list_takes_an_item_once_and_only_so_many(void **state)
{
    (void)state;
    struct address items[3];
    struct place place = {.field.addresses = {items, 0}};
    union settings_value value;
    char why[SETTINGS_WHY_SIZE];
    static const char *const texts[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        assert_true(parse(&addresses_row, texts[i], &value, why));
        assert_true(settings_accepts(&addresses_row, &place, &value, why));
        items[place.field.addresses.count++] = value.address;
    }
    assert_false(settings_accepts(&addresses_row, &place, &value, why));
    assert_non_null(strstr(why, "give 3 at most"));
    place.field.addresses.count = 2;
    assert_true(settings_accepts(&addresses_row, &place, &value, why));
    value.address = items[0];
    assert_false(settings_accepts(&addresses_row, &place, &value, why));
    assert_string_equal(why, "192.0.2.1:53 is in the list twice: give it once");
}

static const struct {
    const char *word;
    const char *meant; // among the sections and a few keys; NULL: nothing is near
} misspelled[] = {
    {"sever", "server"},
    {"sevrer", "server"},
    {"Server", "server"},
    {"servers", "server"},
    {"cahce", "cache"},
    {"udp_payload_max", "udp-payload-max"},
    {"udp-payload", NULL},
    {"x", NULL},
    {"", NULL},
    {"dns", NULL},
    {"upstreams", NULL},
    {"sssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss", NULL},
};

static void test_nearest_word_is_found(void **state)
{
    (void)state;
    static const char *const words[] = {"server", "forward", "cache", "log", "udp-payload-max"};
    for (size_t i = 0; i < COUNT_OF(misspelled); i++) {
        struct nearest nearest = nearest_to(misspelled[i].word, strlen(misspelled[i].word));
        for (size_t j = 0; j < COUNT_OF(words); j++)
            nearest_offer(&nearest, words[j]);
        if (misspelled[i].meant)
            assert_string_equal(nearest.best ? nearest.best : "", misspelled[i].meant);
        else
            assert_null(nearest.best);
    }
}

static void test_quote_is_harmless_and_short(void **state)
{
    (void)state;
    char quoted[SETTINGS_QUOTE_SIZE];
    char text[300];
    settings_quote(quoted, "", 0);
    assert_string_equal(quoted, "\"\"");
    settings_quote(quoted, "a\tb\x7f", 4);
    assert_string_equal(quoted, "\"a\\x09b\\x7f\"");
    memset(text, 'a', sizeof text);
    settings_quote(quoted, text, sizeof text);
    assert_in_range(strlen(quoted), 80, SETTINGS_QUOTE_SIZE - 1);
    assert_non_null(strstr(quoted, "...\""));
    memset(text, 1, sizeof text);
    settings_quote(quoted, text, sizeof text);
    assert_in_range(strlen(quoted), 80, SETTINGS_QUOTE_SIZE - 1);
    for (size_t shift = 0; shift < 3; shift++) { // no half of a character before the dots
        for (size_t i = 0; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xe2\x82\xac", 3);
        settings_quote(quoted, text + shift, sizeof text - 3 - shift);
        size_t len = strlen(quoted);
        assert_memory_equal(quoted + len - 7, "\xe2\x82\xac...\"", 7);
    }
}

struct told {
    size_t count;
    uint32_t line;
    char why[SETTINGS_WHY_SIZE];
};

static void tell(void *context, struct settings_origin at, const char *why)
{
    struct told *told = context;
    told->count++;
    told->line = at.line;
    snprintf(told->why, sizeof told->why, "%s", why);
}

static void test_check_finds_crossed_ttl_bounds(void **state)
{
    (void)state;
    struct settings s;
    struct told told = {0};
    settings_init(&s);
    settings_check(&s, tell, &told);
    assert_int_equal(told.count, 0);
    s.cache_ttl_min = 3600000;
    s.cache_ttl_max = 60000;
    s.origins[OPTION_cache_ttl_min].line = 9;
    s.origins[OPTION_cache_ttl_max].line = 4;
    settings_check(&s, tell, &told);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.line, 9);
    assert_string_equal(told.why, "cache.ttl-min (1h) is longer than cache.ttl-max (1m)");
    s.cache_ttl_max = s.cache_ttl_min;
    settings_check(&s, tell, &told);
    assert_int_equal(told.count, 1);
}

static const struct {
    const char *listen;
    const char *to;
    bool circle;
} circles[] = {
    {"127.0.0.1:5353", "127.0.0.1:5353", true},
    {"127.0.0.1:5353", "127.0.0.1:53", false},
    {"0.0.0.0:53", "127.0.0.1:53", true},
    {"0.0.0.0:53", "127.0.0.53:53", true},
    {"0.0.0.0:53", "127.0.0.1:5353", false},
    {"0.0.0.0:53", "192.0.2.1:53", false}, // may be another machine
    {"[::]:53", "[::1]:53", true},
    {"[::]:53", "127.0.0.1:53", false},
    {"[2001:db8::1]:53", "[2001:db8::1]:53", true},
};

static void test_check_finds_a_server_that_asks_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(circles); i++) {
        struct settings s;
        struct forward_zone zone;
        struct address listen;
        struct endpoint to = {0};
        struct told told = {0};
        settings_init(&s);
        forward_zone_init(&zone);
        assert_true(address_parse(&listen, circles[i].listen, strlen(circles[i].listen), 53));
        assert_true(address_parse(&to.address, circles[i].to, strlen(circles[i].to), 53));
        s.server_listen = (struct address_list){&listen, 1};
        zone.to = (struct endpoint_list){&to, 1};
        s.forward = (struct forward_zone_list){&zone, 1};
        settings_check(&s, tell, &told);
        assert_int_equal(told.count, circles[i].circle ? 1 : 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_of_every_kind_come_back_from_text),
        cmocka_unit_test(test_bad_values_are_refused_with_what_would_be_right),
        cmocka_unit_test(test_numbers_are_in_their_base_units),
        cmocka_unit_test(test_every_row_is_sound),
        cmocka_unit_test(test_defaults_are_those_of_the_design),
        cmocka_unit_test(test_strategies_are_named_in_the_order_of_their_enum),
        cmocka_unit_test(test_find_wants_the_whole_key_of_the_right_section),
        cmocka_unit_test(test_list_takes_an_item_once_and_only_so_many),
        cmocka_unit_test(test_nearest_word_is_found),
        cmocka_unit_test(test_quote_is_harmless_and_short),
        cmocka_unit_test(test_check_finds_crossed_ttl_bounds),
        cmocka_unit_test(test_check_finds_a_server_that_asks_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
