// SPDX-License-Identifier: MIT
#include "core/policy/dns64.h"
#include "core/policy/nat64.h"
#include "core/policy/rebind.h"
#include "core/settings/parse.h"

#include "tests/unit/answer_table.h"

// Which addresses are inside, and addresses made of others.

static const struct {
    const char *text;
    bool inside;
} addresses[] = {
    {"0.0.0.0", true},
    {"0.255.255.255", true},
    {"1.0.0.0", false},
    {"9.255.255.255", false},
    {"10.0.0.0", true},
    {"10.255.255.255", true},
    {"11.0.0.0", false},
    {"100.63.255.255", false},
    {"100.64.0.0", true},
    {"100.127.255.255", true},
    {"100.128.0.0", false},
    {"127.0.0.1", true},
    {"128.0.0.0", false},
    {"169.253.255.255", false},
    {"169.254.0.0", true},
    {"169.255.0.0", false},
    {"172.15.255.255", false},
    {"172.16.0.0", true},
    {"172.31.255.255", true},
    {"172.32.0.0", false},
    {"192.167.255.255", false},
    {"192.168.0.0", true},
    {"192.169.0.0", false},
    {"192.0.2.1", false},
    {"255.255.255.255", false},
    {"::", true},
    {"::1", true},
    {"::2", true},
    {"::10.1.2.3", true},
    {"::192.0.2.1", false},
    {"::ffff:0:192.168.1.1", true},
    {"::ffff:0:192.0.2.1", false},
    {"2002:a00:1::1", true},
    {"2002:c0a8:101::", true},
    {"2002:c000:201::1", false},
    {"::ffff:10.0.0.1", true},
    {"::ffff:192.0.2.1", false},
    {"64:ff9b::192.168.1.1", true},
    {"64:ff9b::192.0.2.1", false},
    {"64:ff9b:1::192.0.2.1", true}, // RFC 8215
    {"64:ff9b:2::10.0.0.1", false},
    {"2001:db8:64::10.0.0.1", false},
    {"fbff::1", false},
    {"fc00::1", true},
    {"fdff:ffff::1", true},
    {"fe00::1", false},
    {"fe7f::1", false},
    {"fe80::1", true},
    {"febf::1", true},
    {"fec0::1", true},
    {"ff02::1", false},
    {"2001:db8::1", false},
};

static struct prefix prefix_of(const char *text)
{
    struct prefix prefix;
    assert_true(prefix_parse(&prefix, text, strlen(text)));
    return prefix;
}

static void test_addresses_of_the_inside(void **state)
{
    (void)state;
    struct prefix nat64 = prefix_of("64:ff9b::/96");
    for (size_t i = 0; i < COUNT_OF(addresses); i++) {
        struct prefix ip = prefix_of(addresses[i].text);
        size_t len = ip.family == ADDRESS_IPV4 ? 4 : 16;
        if (rebind_is_inside(&nat64, ip.ip, len) != addresses[i].inside)
            fail_msg("%s", addresses[i].text);
    }
}

// The network's own prefix, wherever the IPv4 address stands behind it.
static void test_addresses_of_the_inside_behind_a_translator(void **state)
{
    (void)state;
    static const struct {
        const char *prefix, *address;
        bool inside;
    } rows[] = {
        {"2001:db8:64::/96", "2001:db8:64::10.0.0.1", true},
        {"2001:db8:64::/96", "2001:db8:64::192.0.2.1", false},
        {"2001:db8:64::/96", "2001:db8:65::10.0.0.1", false},
        {"2001:db8::/32", "2001:db8:a00:1::", true},
        {"2001:db8:122:300::/56", "2001:db8:122:3c0:a8:100::", true},
        {"2001:db8:122:344::/64", "2001:db8:122:344:a:0:100::", true},
        {"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::", false},
        {"64:ff9b:1::/96", "64:ff9b:1::192.0.2.1", false},
        {"64:ff9b:1::/96", "64:ff9b:1::10.0.0.1", true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct prefix prefix = prefix_of(rows[i].prefix), ip = prefix_of(rows[i].address);
        if (rebind_is_inside(&prefix, ip.ip, 16) != rows[i].inside)
            fail_msg("%s in %s", rows[i].address, rows[i].prefix);
    }
}

static void take(struct answer *answer, const char *text, const char *question)
{
    struct packet reply = packet_of(text);
    struct key key;
    answer->value = calloc(1, ANSWER_SIZE_MAX);
    assert_non_null(answer->value);
    key_of(&key, question);
    assert_int_equal(answer_parse(answer, reply.bytes, reply.len, &key, &usual), REPLY_GOOD);
}

#define ASK_HTTPS        NAME "0041 0001 "
#define HTTPS(len, data) "c00c 0041 0001 0000012c " len data
#define PRIVATE          "c00c 0001 0001 0000012c 0004 c0a80101 "
#define PRIVATE6         "c00c 001c 0001 0000012c 0010 fd000000000000000000000000000001 "

// A server of the zone behind one A, and its address.
#define SERVER         "c010 0002 0001 0000012c 0005 'ns' c010 "
#define SERVER_PRIVATE "c039 0001 0001 0000012c 0004 c0a80102 "
#define SERVER_PUBLIC  "c039 0001 0001 0000012c 0004 c0000202 "

static const struct row {
    const char *name;
    const char *reply;
    const char *question;
    enum rebind_place found;
} rows[] = {
    {"public", REPLY C(1, 0, 0) ASK A(TTL_300), ASK, REBIND_NOWHERE},
    {"private", REPLY C(1, 0, 0) ASK PRIVATE, ASK, REBIND_ANSWER},
    {"private behind public", REPLY C(2, 0, 0) ASK A(TTL_300) PRIVATE, ASK, REBIND_ANSWER},
    {"private in IPv6", REPLY C(1, 0, 0) ASK_AAAA PRIVATE6, ASK_AAAA, REBIND_ANSWER},
    {"private of a name that was not asked for", REPLY C(1, 1, 1) ASK A(TTL_300) PRIVATE PRIVATE6,
     ASK, REBIND_NOWHERE},
    {"private outside the answer", REPLY C(1, 1, 1) ASK A(TTL_300) SERVER SERVER_PRIVATE, ASK,
     REBIND_ADDITIONAL},
    {"private in both", REPLY C(1, 1, 1) ASK PRIVATE SERVER SERVER_PRIVATE, ASK, REBIND_ANSWER},
    {"public outside the answer", REPLY C(1, 1, 1) ASK A(TTL_300) SERVER SERVER_PUBLIC, ASK,
     REBIND_NOWHERE},
    {"another type with these octets",
     REPLY C(1, 0, 0) ASK_TXT "c00c 0010 0001 0000012c 0005 04 c0a80101", ASK_TXT, REBIND_NOWHERE},
    {"nothing", REPLY C(0, 1, 0) ASK SOA(TTL_300, TTL_60), ASK, REBIND_NOWHERE},
    {"a hint", REPLY C(1, 0, 0) ASK_HTTPS HTTPS("000b ", "0001 00 0004 0004 c0a80101"), ASK_HTTPS,
     REBIND_ANSWER},
    {"a second hint",
     REPLY C(1, 0, 0) ASK_HTTPS HTTPS("000f ", "0001 00 0004 0008 c0000201 0a000001"), ASK_HTTPS,
     REBIND_ANSWER},
    {"a hint in IPv6",
     REPLY C(1, 0, 0) ASK_HTTPS HTTPS(
         "001c ", "0001 00 0003 0001 00 0006 0010 fe800000000000000000000000000001"),
     ASK_HTTPS, REBIND_ANSWER},
    {"public hints", REPLY C(1, 0, 0) ASK_HTTPS HTTPS("000b ", "0001 00 0004 0004 c0000201"),
     ASK_HTTPS, REBIND_NOWHERE},
    {"a hint that is cut", REPLY C(1, 0, 0) ASK_HTTPS HTTPS("000a ", "0001 00 0004 0004 c0a801"),
     ASK_HTTPS, REBIND_NOWHERE},
    {"another parameter", REPLY C(1, 0, 0) ASK_HTTPS HTTPS("000b ", "0001 00 0009 0004 c0a80101"),
     ASK_HTTPS, REBIND_NOWHERE},
};

static void test_finds_row(void **state)
{
    const struct row *row = *state;
    struct answer answer = {0};
    struct settings settings;
    settings_init(&settings);
    take(&answer, row->reply, row->question);
    assert_int_equal(rebind_finds(&settings, &answer), row->found);
    free(answer.value);
}

static void test_what_is_additional_is_left_out(void **state)
{
    (void)state;
    struct answer answer = {0};
    take(&answer, REPLY C(1, 1, 1) ASK A(TTL_300) SERVER SERVER_PRIVATE, ASK);
    answer_leave_out_additional(&answer);
    assert_true(answer_check(answer.value, answer.len));
    assert_packet(answer.value, answer_reader(&answer).len, KEPT C(1, 1, 0) ASK A(TTL_300) SERVER);
    free(answer.value);
}

static void test_emptied_answer_is_one_and_says_why(void **state)
{
    (void)state;
    struct answer answer = {0};
    struct packet packet = packet_of("abcd 0100 " ONE_OPT ASK OWN_OPT);
    struct query query;
    struct answer_giving giving = {.age_s = 10};
    take(&answer, REPLY C(2, 1, 0) ASK A(TTL_300) PRIVATE SOA(TTL_300, TTL_60), ASK);
    uint32_t lifetime_s = answer.lifetime_s;
    answer_empty(&answer);
    assert_true(answer_check(answer.value, answer.len));
    assert_int_equal(answer.lifetime_s, lifetime_s);
    assert_int_equal(query_read(&query, packet.bytes, packet.len), QUERY_GOOD);
    size_t len = answer_give(answer.value, 1400, answer.len, &query, &giving, &usual);
    assert_packet(answer.value, len,
                  "abcd 8180 " ONE_OPT ASK "00 0029 04d0 00 00 0000 0006 000f 0002 000f");
    free(answer.value);
}

static void test_names_are_allowed(void **state)
{
    (void)state;
    char *texts[] = {(char *)"Plex.Direct", (char *)"a.example."};
    struct text_item items[] = {{texts[0], 1}, {texts[1], 2}};
    struct settings settings;
    static const struct {
        const char *name;
        bool allowed;
    } names[] = {{"plex.direct", true},    {"x.y.plex.direct", true},
                 {"explex.direct", false}, {"direct", false},
                 {"a.example", true},      {"b.a.example", true},
                 {"example", false},       {".", false}};
    settings_init(&settings);
    settings.filter_rebind_allow = (struct text_list){items, 2};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct name name;
        assert_true(name_parse(&name, names[i].name, strlen(names[i].name)));
        if (rebind_allowed(&settings, name.bytes, name.len) != names[i].allowed)
            fail_msg("%s", names[i].name);
    }
}

// --- DNS64 -------------------------------------------------------------------------------------

// The table of RFC 6052 2.4.
static void test_addresses_are_embedded(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"2001:db8::/32", "2001:db8:c000:221::"},
        {"2001:db8:100::/40", "2001:db8:1c0:2:21::"},
        {"2001:db8:122::/48", "2001:db8:122:c000:2:2100::"},
        {"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"},
        {"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"},
        {"2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"},
        {"64:ff9b::/96", "64:ff9b::192.0.2.33"},
    };
    static const uint8_t ipv4[] = {192, 0, 2, 33};
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct prefix prefix = prefix_of(table[i][0]), wanted = prefix_of(table[i][1]);
        uint8_t ip[16];
        nat64_embed(&prefix, ipv4, ip);
        assert_memory_equal(ip, wanted.ip, 16);
    }
}

#define MAPPED "c00c 001c 0001 0000012c 0010 00000000000000000000ffffc0000201 "

static const struct wanted_row {
    const char *name;
    const char *reply;
    bool wanted;
} wanted_rows[] = {
    {"no data", REPLY C(0, 1, 0) ASK_AAAA SOA(TTL_300, TTL_60), true},
    {"an alias alone", REPLY C(1, 0, 0) ASK_AAAA "c00c 0005 0001 0000012c 0003 01 61 00", true},
    {"an address", REPLY C(1, 0, 0) ASK_AAAA AAAA(TTL_300), false},
    {"an address that counts for nothing", REPLY C(1, 0, 0) ASK_AAAA MAPPED, true},
    {"both", REPLY C(2, 0, 0) ASK_AAAA MAPPED AAAA(TTL_300), false},
    {"no such name", "1234 8183 " C(0, 1, 0) ASK_AAAA SOA(TTL_300, TTL_60), false},
    {"an error", "1234 8182 " C(0, 0, 0) ASK_AAAA, false},
    {"cut", "1234 8380 " C(0, 0, 0) ASK_AAAA, false},
};

static void test_wanted_row(void **state)
{
    const struct wanted_row *row = *state;
    struct answer answer = {0};
    struct settings settings;
    struct prefix mapped = prefix_of("::ffff:0:0/96");
    settings_init(&settings);
    settings.dns64_exclude = (struct prefix_list){&mapped, 1};
    take(&answer, row->reply, ASK_AAAA);
    assert_int_equal(dns64_is_wanted(&settings, &answer), row->wanted);
    free(answer.value);
}

#define MADE(ttl, ip) "c00c 001c 0001 " ttl "0010 0064ff9b0000000000000000 " ip " "

static const struct make_row {
    const char *name;
    const char *reply; // to the A question
    uint32_t age_s;
    uint32_t lifetime_s;
    const char *made;
} make_rows[] = {
    {"addresses", REPLY C(2, 0, 0) ASK A(TTL_300) A2(TTL_300), 0, 300,
     KEPT C(2, 0, 0) ASK_AAAA MADE(TTL_300, "c0000201") MADE(TTL_300, "c0000202")},
    {"of some age", REPLY C(1, 0, 0) ASK A(TTL_300), 200, 100,
     KEPT C(1, 0, 0) ASK_AAAA MADE(TTL_100, "c0000201")},
    {"that live long", REPLY C(1, 0, 0) ASK "c00c 0001 0001 00015180 0004 c0000201", 0, 600,
     KEPT C(1, 0, 0) ASK_AAAA MADE("00000258 ", "c0000201")},
    {"behind an alias",
     REPLY C(2, 0, 0) ASK "c00c 0005 0001 0000003c 0003 01 61 00 01 61 00 0001 0001 0000012c 0004 "
                          "c0000201",
     0, 60,
     KEPT C(2, 0, 0) ASK_AAAA "c00c 0005 0001 0000003c 0003 01 61 00 c029 001c 0001 0000012c 0010 "
                              "0064ff9b0000000000000000 c0000201"},
    {"signed", REPLY C(2, 0, 0) ASK A(TTL_300) RRSIG("0001", TTL_300), 0, 300,
     KEPT C(1, 0, 0) ASK_AAAA MADE(TTL_300, "c0000201")},
    {"private next to public", REPLY C(2, 0, 0) ASK PRIVATE A(TTL_300), 0, 300,
     KEPT C(1, 0, 0) ASK_AAAA MADE(TTL_300, "c0000201")},
    {"private alone", REPLY C(1, 0, 0) ASK PRIVATE, 0, 0, KEPT C(0, 0, 0) ASK_AAAA},
    {"none", REPLY C(0, 1, 0) ASK SOA(TTL_300, TTL_60), 0, 60,
     KEPT C(0, 1, 0) ASK_AAAA SOA(TTL_60, TTL_60)},
    {"no such name", "1234 8183 " C(0, 1, 0) ASK SOA(TTL_300, TTL_60), 0, 60,
     "0000 8083 " C(0, 1, 0) ASK_AAAA SOA(TTL_60, TTL_60)},
};

static void test_make_row(void **state)
{
    const struct make_row *row = *state;
    struct answer answer = {0};
    struct settings settings;
    struct key key;
    settings_init(&settings);
    take(&answer, row->reply, ASK);
    key_of(&key, ASK_AAAA);
    bool some = load_be16(packet_of(row->made).bytes + 6) > 0;
    assert_int_equal(dns64_make(&settings, &answer, &key, row->age_s, &usual),
                     some ? DNS64_MADE : DNS64_NOTHING);
    assert_true(answer_check(answer.value, answer.len));
    assert_packet(answer.value, answer_reader(&answer).len, row->made);
    assert_int_equal(answer.lifetime_s, row->lifetime_s);
    free(answer.value);
}

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(rows) + COUNT_OF(wanted_rows) + COUNT_OF(make_rows) + 6] = {
        cmocka_unit_test(test_addresses_of_the_inside),
        cmocka_unit_test(test_addresses_of_the_inside_behind_a_translator),
        cmocka_unit_test(test_what_is_additional_is_left_out),
        cmocka_unit_test(test_emptied_answer_is_one_and_says_why),
        cmocka_unit_test(test_names_are_allowed),
        cmocka_unit_test(test_addresses_are_embedded),
    };
    size_t count = 6;
    count += tests_of_rows(tests + count, test_finds_row, rows, sizeof *rows, COUNT_OF(rows));
    count += tests_of_rows(tests + count, test_wanted_row, wanted_rows, sizeof *wanted_rows,
                           COUNT_OF(wanted_rows));
    count += tests_of_rows(tests + count, test_make_row, make_rows, sizeof *make_rows,
                           COUNT_OF(make_rows));
    return _cmocka_run_group_tests("filter", tests, count, NULL, NULL);
}
