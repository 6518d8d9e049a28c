// SPDX-License-Identifier: MIT
#include "core/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

// The text sits in memory of its exact size, so that a sanitizer sees a read past its end.
static char *exact(const char *text, size_t *len)
{
    *len = strlen(text);
    char *copy = malloc(*len ? *len : 1);
    assert_non_null(copy);
    memcpy(copy, text, *len);
    return copy;
}

static bool parse(struct address *address, const char *text)
{
    size_t len;
    char *copy = exact(text, &len);
    bool parsed = address_parse(address, copy, len, 53);
    free(copy);
    return parsed;
}

static bool parse_prefix(struct prefix *prefix, const char *text)
{
    size_t len;
    char *copy = exact(text, &len);
    bool parsed = prefix_parse(prefix, copy, len);
    free(copy);
    return parsed;
}

static const struct {
    const char *text;
    const char *canonical; // with the default port 53
} good_addresses[] = {
    {"192.0.2.1", "192.0.2.1:53"},
    {"192.0.2.1:5353", "192.0.2.1:5353"},
    {"192.0.2.1@5353", "192.0.2.1:5353"},
    {"0.0.0.0", "0.0.0.0:53"},
    {"255.255.255.255:65535", "255.255.255.255:65535"},
    {"::", "[::]:53"},
    {"::1", "[::1]:53"},
    {"[::1]", "[::1]:53"},
    {"[::1]:1", "[::1]:1"},
    {"::1@5353", "[::1]:5353"},
    {"2001:db8::1", "[2001:db8::1]:53"},
    {"2001:DB8::A", "[2001:db8::a]:53"},
    {"2001:0db8:0000:0000:0000:0000:0000:0001", "[2001:db8::1]:53"},
    {"1:2:3:4:5:6:7:8", "[1:2:3:4:5:6:7:8]:53"},
    {"1::", "[1::]:53"},
    {"::8", "[::8]:53"},
    {"1::8", "[1::8]:53"},
    {"1:2:3:4:5:6:7::", "[1:2:3:4:5:6:7:0]:53"},
    {"::2:3:4:5:6:7:8", "[0:2:3:4:5:6:7:8]:53"},
    {"2001:db8:0:1:1:1:1:1", "[2001:db8:0:1:1:1:1:1]:53"}, // RFC 5952 4.2.2
    {"2001:0:0:1:0:0:0:1", "[2001:0:0:1::1]:53"},          // 4.2.3: the longest run
    {"2001:db8:0:0:1:0:0:1", "[2001:db8::1:0:0:1]:53"},    // 4.2.3: the first of two
    {"1:0:0:0:0:0:0:0", "[1::]:53"},
    {"0:0:0:0:0:0:0:8", "[::8]:53"},
    {"::ffff:192.0.2.1", "[::ffff:192.0.2.1]:53"},
    {"::ffff:c000:201", "[::ffff:192.0.2.1]:53"},
    {"64:ff9b::192.0.2.33", "[64:ff9b::c000:221]:53"},
    {"1:2:3:4:5:6:192.0.2.1", "[1:2:3:4:5:6:c000:201]:53"},
    {"::192.0.2.1", "[::c000:201]:53"},
    {"[::ffff:192.0.2.1]:5353", "[::ffff:192.0.2.1]:5353"},
    {"fe80::1%3", "[fe80::1%3]:53"},
    {"[fe80::1%4294967295]:65535", "[fe80::1%4294967295]:65535"},
    {"febf::1%1@5353", "[febf::1%1]:5353"},
    {"::1:53", "[::1:53]:53"}, // no port: an address of two groups
};

static const char *const bad_addresses[] = {
    "",
    " ",
    "localhost",
    "192.0.2",
    "192.0.2.",
    "192.0.2.1.",
    ".192.0.2.1",
    "192.0.2.1.5",
    "192.0.2.256",
    "192.0.02.1",
    "192.0.2.01",
    "192.0.2.-1",
    "192.0..1",
    " 192.0.2.1",
    "192.0.2.1 ",
    "192.0.2.1:",
    "192.0.2.1:0",
    "192.0.2.1:053",
    "192.0.2.1:65536",
    "192.0.2.1:99999999999999999999",
    "192.0.2.1:dns",
    "192.0.2.1:53:53",
    "192.0.2.1@",
    "192.0.2.1@53@53",
    "192.0.2.1:53@53",
    "192.0.2.1%3",
    "[192.0.2.1]:53",
    "0x7f.0.0.1",
    "3221225985",
    ":",
    ":::",
    "::1::",
    "1::2::3",
    ":1",
    ":1::2",
    "1:",
    "1::2:",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "12345::",
    "g::1",
    "::192.0.2",
    "::192.0.2.1:1",
    "192.0.2.1::",
    "1:2:3:4:5:6:7:192.0.2.1",
    "::1:2:3:4:5:6:192.0.2.1",
    "[::1",
    "::1]",
    "[]",
    "[]:53",
    "[::1]53",
    "[::1]:",
    "[::1]:0",
    "[::1]:65536",
    "[::1]@53",
    "[[::1]]:53",
    "::1@0",
    "::1%3",
    "2001:db8::1%3",
    "fe80::1%",
    "fe80::1%0",
    "fe80::1%03",
    "fe80::1%eth0",
    "fe80::1%4294967296",
    "%3",
    "@53",
    "udp://192.0.2.1",
    "1111111111111111111111111111111111111111111111111111111111111111",
};

static void test_address_reads_and_writes_every_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good_addresses); i++) {
        struct address address;
        struct address again;
        char text[ADDRESS_TEXT_MAX];
        if (!parse(&address, good_addresses[i].text))
            fail_msg("%s was refused", good_addresses[i].text);
        size_t len = address_format(&address, text);
        assert_string_equal(text, good_addresses[i].canonical);
        assert_int_equal(len, strlen(text));
        assert_true(parse(&again, text));
        assert_true(address_equal(&address, &again));
    }
}

static void test_address_refuses_what_is_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_addresses); i++) {
        struct address address;
        if (parse(&address, bad_addresses[i]))
            fail_msg("\"%s\" was taken", bad_addresses[i]);
    }
}

static void test_address_is_left_alone_where_the_text_is_bad(void **state)
{
    (void)state;
    struct address address;
    struct address before;
    memset(&address, 0x5a, sizeof address);
    before = address;
    assert_false(parse(&address, "192.0.2.1:0"));
    assert_true(address_equal(&address, &before));
}

static void test_address_keeps_its_octets_in_order(void **state)
{
    (void)state;
    static const struct address ipv4 = {.ip = {192, 0, 2, 1}, .port = 53, .family = ADDRESS_IPV4};
    static const struct address ipv6 = {
        .ip = {0xfe, 0x80, [14] = 1, [15] = 2}, .scope = 7, .port = 8, .family = ADDRESS_IPV6};
    static const struct address mapped = {
        .ip = {[10] = 0xff, 0xff, 192, 0, 2, 1}, .port = 53, .family = ADDRESS_IPV6};
    struct address address;
    assert_true(parse(&address, "192.0.2.1"));
    assert_true(address_equal(&address, &ipv4));
    assert_true(parse(&address, "[fe80::102%7]:8"));
    assert_true(address_equal(&address, &ipv6));
    assert_true(parse(&address, "::ffff:192.0.2.1")); // stays IPv6
    assert_true(address_equal(&address, &mapped));
}

static void test_address_without_port_is_written_without_brackets(void **state)
{
    (void)state;
    struct address address;
    char text[ADDRESS_TEXT_MAX];
    assert_true(address_parse(&address, "fe80::1%3", 9, 0));
    assert_int_equal(address_format(&address, text), 9);
    assert_string_equal(text, "fe80::1%3");
    address = (struct address){.family = ADDRESS_NONE};
    assert_int_equal(address_format(&address, text), 0);
    assert_string_equal(text, "");
}

static void test_address_of_greatest_length_fits(void **state)
{
    (void)state;
    static const char longest[] = "[fe8f:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535";
    struct address address;
    char text[ADDRESS_TEXT_MAX];
    assert_true(parse(&address, longest));
    assert_int_equal(address_format(&address, text), sizeof longest - 1);
    assert_string_equal(text, longest);
}

static const struct {
    const char *text;
    const char *canonical;
} good_prefixes[] = {
    {"10.0.0.0/8", "10.0.0.0/8"},
    {"0.0.0.0/0", "0.0.0.0/0"},
    {"192.0.2.1", "192.0.2.1/32"},
    {"192.0.2.1/32", "192.0.2.1/32"},
    {"192.0.2.128/25", "192.0.2.128/25"},
    {"172.16.0.0/12", "172.16.0.0/12"},
    {"::/0", "::/0"},
    {"::1", "::1/128"},
    {"2001:DB8::/32", "2001:db8::/32"},
    {"fc00::/7", "fc00::/7"},
    {"fe80::/10", "fe80::/10"},
    {"2001:db8:8000::/33", "2001:db8:8000::/33"},
    {"::ffff:0.0.0.0/96", "::ffff:0.0.0.0/96"},
};

static const char *const bad_prefixes[] = {
    "",
    "/",
    "/8",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/08",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "10.0.0.0/ 8",
    "10.0.0.1/8",
    "10.0.0.0/255.0.0.0",
    "10/8",
    "10.0.0.0:53/8",
    "192.0.2.129/25",
    "128.0.0.0/0",
    "::1/0",
    "::1/127",
    "::/129",
    "2001:db8:8000::/32",
    "[::1]/128",
    "fe80::1%3/128",
    "fe00::/6x",
};

static void test_prefix_reads_and_writes_every_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good_prefixes); i++) {
        struct prefix prefix;
        struct prefix again;
        char text[ADDRESS_TEXT_MAX];
        if (!parse_prefix(&prefix, good_prefixes[i].text))
            fail_msg("%s was refused", good_prefixes[i].text);
        assert_int_equal(prefix_format(&prefix, text), strlen(good_prefixes[i].canonical));
        assert_string_equal(text, good_prefixes[i].canonical);
        assert_true(parse_prefix(&again, text));
        assert_memory_equal(&prefix, &again, sizeof prefix);
    }
}

static void test_prefix_refuses_what_is_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_prefixes); i++) {
        struct prefix prefix;
        if (parse_prefix(&prefix, bad_prefixes[i]))
            fail_msg("\"%s\" was taken", bad_prefixes[i]);
    }
}

// Whatever is written must read back as the same: groups of zeros in every pattern.
static void test_address_of_every_pattern_of_zeros_comes_back(void **state)
{
    (void)state;
    for (unsigned pattern = 0; pattern < 256; pattern++) {
        struct address address = {.port = 53, .family = ADDRESS_IPV6};
        struct address again;
        char text[ADDRESS_TEXT_MAX];
        for (size_t group = 0; group < 8; group++)
            if (pattern & 1u << group)
                address.ip[2 * group + group % 2] = (uint8_t)(pattern | 1);
        address_format(&address, text);
        assert_true(parse(&again, text));
        assert_true(address_equal(&address, &again));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address_reads_and_writes_every_form),
        cmocka_unit_test(test_address_refuses_what_is_none),
        cmocka_unit_test(test_address_is_left_alone_where_the_text_is_bad),
        cmocka_unit_test(test_address_keeps_its_octets_in_order),
        cmocka_unit_test(test_address_without_port_is_written_without_brackets),
        cmocka_unit_test(test_address_of_greatest_length_fits),
        cmocka_unit_test(test_address_of_every_pattern_of_zeros_comes_back),
        cmocka_unit_test(test_prefix_reads_and_writes_every_form),
        cmocka_unit_test(test_prefix_refuses_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
