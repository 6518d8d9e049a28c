// SPDX-License-Identifier: MIT
#include "core/settings/parse.h"
#include "tests/unit/local_table.h"

#define ASK       "1234 0100 0001 0000 0000 0000 "
#define ASK_OPT   "1234 0100 0001 0000 0000 0001 "
#define OPT       "00 0029 04d0 00000000 0000"
#define OPT_DO    "00 0029 04d0 00008000 0000"
#define OPT_BLOCK "00 0029 04d0 00000000 0006 000f 0002 000f"
#define NUMBERS   "00000001 00000e10 000004b0 00093a80 "
// An SOA for an owner and a TTL, each given twice as they stand twice in it.
#define SOA(owner, ttl) owner "0006 0001 " ttl "0026 " owner "'nobody' 'invalid' 00 " NUMBERS ttl
#define ROOT_SOA        "00 0006 0001 00002a30 0025 00 'nobody' 'invalid' 00 " NUMBERS "00002a30"
#define DAY             "00015180 "
#define HOUR            "00000e10 "
#define THREE_H         "00002a30 "
#define MINUTE          "0000003c "

static const struct world everything = {
    .records = "www.lan. 300 A 192.0.2.1\n"
               "www.lan. 400 A 192.0.2.2\n"
               "www.lan. TXT \"hello\"\n"
               "alias.lan. CNAME www.lan.\n"
               "alias2.lan. CNAME ALIAS.lan.\n"
               "out.lan. CNAME www.example.com.\n"
               "odd.lan. TYPE65280 \\# 2 abcd\n"
               "sub.home.arpa. A 192.0.2.3\n"
               "x.blocked.example. A 192.0.2.4\n"
               "_dns.resolver.arpa. SVCB 1 dns.x. alpn=dot\n",
    .hosts = "192.0.2.9 printer.lan printer\n"
             "2001:db8::9 printer.lan\n"
             "192.0.2.9 other.lan\n"
             "192.0.2.8 alias.lan\n"
             "0.0.0.0 nothing.lan",
    .block = "blocked.example\n||deep.a.good.blocked.example^\nwww.lan",
    .allow = "good.blocked.example",
    .zones = ". 10.in-addr.arpa corp.test 5.168.192.in-addr.arpa invalid",
    .special = true,
};

static const struct row {
    const char *name;
    const char *query;
    const char *reply; // NULL: not local
} rows[] = {
    {"address", ASK "'WWW' 'Lan' 00 0001 0001",
     "1234 8580 0001 0002 0000 0000 'WWW' 'Lan' 00 0001 0001"
     "c00c 0001 0001 0000012c 0004 c0000201 c00c 0001 0001 0000012c 0004 c0000202"},
    {"edns", ASK_OPT "'www' 'lan' 00 0010 0001" OPT,
     "1234 8580 0001 0001 0000 0001 'www' 'lan' 00 0010 0001"
     "c00c 0010 0001 " HOUR "0006 'hello'" OPT},
    {"do", ASK_OPT "'www' 'lan' 00 0010 0001" OPT_DO,
     "1234 8580 0001 0001 0000 0001 'www' 'lan' 00 0010 0001"
     "c00c 0010 0001 " HOUR "0006 'hello'" OPT_DO},
    {"cd, no rd", "1234 0010 0001 0000 0000 0000 'www' 'lan' 00 0010 0001",
     "1234 8490 0001 0001 0000 0000 'www' 'lan' 00 0010 0001"
     "c00c 0010 0001 " HOUR "0006 'hello'"},
    {"no data", ASK "'www' 'lan' 00 001c 0001",
     "1234 8580 0001 0000 0001 0000 'www' 'lan' 00 001c 0001" SOA("c00c", "0000012c")},
    {"any", ASK "'www' 'lan' 00 00ff 0001",
     "1234 8580 0001 0002 0000 0000 'www' 'lan' 00 00ff 0001"
     "c00c 0001 0001 0000012c 0004 c0000201 c00c 0001 0001 0000012c 0004 c0000202"},
    {"odd type", ASK "'odd' 'lan' 00 ff00 0001",
     "1234 8580 0001 0001 0000 0000 'odd' 'lan' 00 ff00 0001 c00c ff00 0001 " HOUR "0002 abcd"},
    {"below a record", ASK "'a' 'www' 'odd' 'lan' 00 0001 0001", NULL},
    {"above a record", ASK "'lan' 00 0001 0001", NULL},
    {"root", ASK "00 0001 0001", NULL},
    {"alias", ASK "'alias' 'lan' 00 0001 0001",
     "1234 8580 0001 0003 0000 0000 'alias' 'lan' 00 0001 0001"
     "c00c 0005 0001 " HOUR "0009 'www' 'lan' 00"
     "c027 0001 0001 0000012c 0004 c0000201 c027 0001 0001 0000012c 0004 c0000202"},
    {"alias of an alias", ASK "'alias2' 'lan' 00 0010 0001",
     "1234 8580 0001 0003 0000 0000 'alias2' 'lan' 00 0010 0001"
     "c00c 0005 0001 " HOUR "000b 'ALIAS' 'lan' 00"
     "c028 0005 0001 " HOUR "0009 'www' 'lan' 00"
     "c03f 0010 0001 " HOUR "0006 'hello'"},
    {"alias itself", ASK "'alias' 'lan' 00 0005 0001",
     "1234 8580 0001 0001 0000 0000 'alias' 'lan' 00 0005 0001"
     "c00c 0005 0001 " HOUR "0009 'www' 'lan' 00"},
    {"alias, any", ASK "'alias' 'lan' 00 00ff 0001",
     "1234 8580 0001 0001 0000 0000 'alias' 'lan' 00 00ff 0001"
     "c00c 0005 0001 " HOUR "0009 'www' 'lan' 00"},
    {"alias without the type", ASK "'alias' 'lan' 00 000f 0001",
     "1234 8580 0001 0001 0001 0000 'alias' 'lan' 00 000f 0001"
     "c00c 0005 0001 " HOUR "0009 'www' 'lan' 00" SOA("c027", "0000012c")},
    {"alias to the outside", ASK "'out' 'lan' 00 0001 0001",
     "1234 8580 0001 0001 0000 0000 'out' 'lan' 00 0001 0001"
     "c00c 0005 0001 " HOUR "0011 'www' 'example' 'com' 00"},
    {"hosts", ASK "'printer' 'lan' 00 0001 0001",
     "1234 8580 0001 0001 0000 0000 'printer' 'lan' 00 0001 0001"
     "c00c 0001 0001 " MINUTE "0004 c0000209"},
    {"hosts, ipv6", ASK "'printer' 'lan' 00 001c 0001",
     "1234 8580 0001 0001 0000 0000 'printer' 'lan' 00 001c 0001"
     "c00c 001c 0001 " MINUTE "0010 20010db8000000000000000000000009"},
    {"hosts, alias", ASK "'printer' 00 001c 0001",
     "1234 8580 0001 0000 0001 0000 'printer' 00 001c 0001" SOA("c00c", MINUTE)},
    {"hosts, reverse", ASK "'9' '2' '0' '192' 'in-addr' 'arpa' 00 000c 0001",
     "1234 8580 0001 0001 0000 0000 '9' '2' '0' '192' 'in-addr' 'arpa' 00 000c 0001"
     "c00c 000c 0001 " MINUTE "000d 'printer' 'lan' 00"},
    {"hosts, no reverse of nothing", ASK "'0' '0' '0' '0' 'in-addr' 'arpa' 00 000c 0001",
     "1234 8583 0001 0000 0001 0000 '0' '0' '0' '0' 'in-addr' 'arpa' 00 000c 0001" SOA("c012",
                                                                                       THREE_H)},
    {"localhost", ASK "'localhost' 00 0001 0001",
     "1234 8580 0001 0001 0000 0000 'localhost' 00 0001 0001"
     "c00c 0001 0001 " DAY "0004 7f000001"},
    {"localhost, below", ASK "'a' 'b' 'LocalHost' 00 001c 0001",
     "1234 8580 0001 0001 0000 0000 'a' 'b' 'LocalHost' 00 001c 0001"
     "c00c 001c 0001 " DAY "0010 00000000000000000000000000000001"},
    {"localhost, another type", ASK "'a' 'localhost' 00 000f 0001",
     "1234 8580 0001 0000 0001 0000 'a' 'localhost' 00 000f 0001" SOA("c00e", THREE_H)},
    {"onion", ASK "'x' 'onion' 00 0001 0001",
     "1234 8583 0001 0000 0001 0000 'x' 'onion' 00 0001 0001" ROOT_SOA},
    {"onion itself", ASK "'onion' 00 0006 0001",
     "1234 8583 0001 0000 0001 0000 'onion' 00 0006 0001" ROOT_SOA},
    {"test, ds", ASK_OPT "'test' 00 002b 0001" OPT_DO,
     "1234 8583 0001 0000 0001 0001 'test' 00 002b 0001" ROOT_SOA OPT_DO},
    {"forward zone that is special", ASK "'a' 'invalid' 00 0001 0001", NULL},
    {"forward zone in a special one", ASK "'a' 'corp' 'test' 00 0001 0001", NULL},
    {"next to it", ASK "'a' 'test' 00 0001 0001",
     "1234 8583 0001 0000 0001 0000 'a' 'test' 00 0001 0001" ROOT_SOA},
    {"reverse", ASK "'1' '1' '168' '192' 'in-addr' 'arpa' 00 000c 0001",
     "1234 8583 0001 0000 0001 0000 '1' '1' '168' '192' 'in-addr' 'arpa' 00 000c 0001" SOA(
         "c010", THREE_H)},
    {"reverse, a forward zone", ASK "'1' '5' '168' '192' 'in-addr' 'arpa' 00 000c 0001", NULL},
    {"reverse, another", ASK "'1' '0' '0' '10' 'in-addr' 'arpa' 00 000c 0001", NULL},
    {"reverse, public", ASK "'1' '1' '1' '1' 'in-addr' 'arpa' 00 000c 0001", NULL},
    {"reverse of loopback", ASK "'1' '0' '0' '127' 'in-addr' 'arpa' 00 000c 0001",
     "1234 8580 0001 0001 0000 0000 '1' '0' '0' '127' 'in-addr' 'arpa' 00 000c 0001"
     "c00c 000c 0001 " THREE_H "000b 'localhost' 00"},
    {"home.arpa", ASK "'home' 'arpa' 00 0001 0001",
     "1234 8580 0001 0000 0001 0000 'home' 'arpa' 00 0001 0001" SOA("c00c", THREE_H)},
    {"home.arpa, ns", ASK "'home' 'arpa' 00 0002 0001",
     "1234 8580 0001 0001 0000 0000 'home' 'arpa' 00 0002 0001"
     "c00c 0002 0001 " THREE_H "0002 c00c"},
    {"home.arpa, soa", ASK "'home' 'arpa' 00 0006 0001",
     "1234 8580 0001 0001 0000 0000 'home' 'arpa' 00 0006 0001" SOA("c00c", THREE_H)},
    {"home.arpa, ds without do", ASK "'home' 'arpa' 00 002b 0001",
     "1234 8580 0001 0000 0001 0000 'home' 'arpa' 00 002b 0001" SOA("c00c", THREE_H)},
    {"home.arpa, ds", ASK_OPT "'home' 'arpa' 00 002b 0001" OPT_DO, NULL},
    {"home.arpa, a record", ASK "'sub' 'home' 'arpa' 00 0001 0001",
     "1234 8580 0001 0001 0000 0000 'sub' 'home' 'arpa' 00 0001 0001"
     "c00c 0001 0001 " HOUR "0004 c0000203"},
    {"home.arpa, below", ASK "'a' 'sub' 'home' 'arpa' 00 0001 0001",
     "1234 8583 0001 0000 0001 0000 'a' 'sub' 'home' 'arpa' 00 0001 0001" SOA("c012", THREE_H)},
    {"resolver.arpa", ASK "'x' 'resolver' 'arpa' 00 0001 0001",
     "1234 8580 0001 0000 0001 0000 'x' 'resolver' 'arpa' 00 0001 0001" SOA("c00e", THREE_H)},
    {"resolver.arpa, a record", ASK "'_dns' 'resolver' 'arpa' 00 0040 0001",
     "1234 8580 0001 0001 0000 0000 '_dns' 'resolver' 'arpa' 00 0040 0001"
     "c00c 0040 0001 " HOUR "0011 0001 'dns' 'x' 00 0001 0004 'dot'"},
    {"blocked", ASK "'a' 'b' 'Blocked' 'example' 00 0001 0001",
     "1234 8183 0001 0000 0001 0000 'a' 'b' 'Blocked' 'example' 00 0001 0001" SOA("c010", MINUTE)},
    {"blocked, edns", ASK_OPT "'blocked' 'example' 00 0001 0001" OPT,
     "1234 8183 0001 0000 0001 0001 'blocked' 'example' 00 0001 0001" SOA("c00c", MINUTE)
         OPT_BLOCK},
    {"blocked, but a record", ASK "'x' 'blocked' 'example' 00 0001 0001",
     "1234 8580 0001 0001 0000 0000 'x' 'blocked' 'example' 00 0001 0001"
     "c00c 0001 0001 " HOUR "0004 c0000204"},
    {"excepted", ASK "'a' 'good' 'blocked' 'example' 00 0001 0001", NULL},
    {"blocked below an exception", ASK "'deep' 'a' 'good' 'blocked' 'example' 00 0001 0001",
     "1234 8183 0001 0000 0001 0000 'deep' 'a' 'good' 'blocked' 'example' 00 0001 0001" SOA(
         "c00c", MINUTE)},
    {"not blocked", ASK "'notblocked' 'example' 00 0001 0001", NULL},
    {"not local", ASK "'www' 'example' 00 0001 0001", NULL},
};

static const struct answer_limits limits = {.udp_payload_max = 1232};

// Asks and returns the length of what is in `out`.
static size_t ask(const struct local *local, const char *text, uint32_t turn,
                  const struct answer_limits *how, uint8_t *out, enum local_source *source)
{
    struct packet packet = packet_of(text);
    struct query query;
    struct key key;
    uint8_t *message = exact_copy(packet.bytes, packet.len);
    assert_int_equal(query_read(&query, message, packet.len), QUERY_GOOD);
    key_make(&key, &query, 99);
    size_t len = local_answer(local, &query, &key, turn, how, out, source);
    free(message);
    return len;
}

static void check(const struct world *world, const char *query, const char *reply)
{
    struct made made = world_make(world);
    uint8_t *out = world_memory(limits.udp_payload_max);
    enum local_source source;
    assert_non_null(made.local);
    size_t len = ask(made.local, query, 0, &limits, out, &source);
    assert_int_equal(len == 0, source == LOCAL_NOWHERE);
    if (reply)
        assert_packet(out, len, reply);
    else
        assert_int_equal(len, 0);
    free(out);
    free(made.memory);
}

static void test_row(void **state)
{
    const struct row *row = *state;
    check(&everything, row->query, row->reply);
}

static void test_blocked_is_answered_with_nothing(void **state)
{
    (void)state;
    struct world world = {.block = "b.example", .block_answer = LOCAL_BLOCK_NULL};
    check(&world, ASK_OPT "'a' 'b' 'example' 00 0001 0001" OPT,
          "1234 8180 0001 0001 0000 0001 'a' 'b' 'example' 00 0001 0001"
          "c00c 0001 0001 " MINUTE "0004 00000000" OPT_BLOCK);
    check(&world, ASK "'a' 'b' 'example' 00 001c 0001",
          "1234 8180 0001 0001 0000 0000 'a' 'b' 'example' 00 001c 0001"
          "c00c 001c 0001 " MINUTE "0010 00000000000000000000000000000000");
    check(&world, ASK "'a' 'b' 'example' 00 0041 0001",
          "1234 8180 0001 0000 0001 0000 'a' 'b' 'example' 00 0041 0001" SOA("c00e", MINUTE));
}

static void test_blocked_is_refused(void **state)
{
    (void)state;
    struct world world = {.block = "b.example", .block_answer = LOCAL_BLOCK_REFUSED};
    check(&world, ASK_OPT "'a' 'b' 'example' 00 0001 0001" OPT,
          "1234 8185 0001 0000 0000 0001 'a' 'b' 'example' 00 0001 0001" OPT_BLOCK);
    check(&world, ASK "'b' 'example' 00 0010 0001",
          "1234 8185 0001 0000 0000 0000 'b' 'example' 00 0010 0001");
}

static void test_without_special_names(void **state)
{
    (void)state;
    struct world world = {.records = "localhost. A 192.0.2.1"};
    check(&world, ASK "'home' 'arpa' 00 0001 0001", NULL);
    check(&world, ASK "'a' 'localhost' 00 0001 0001", NULL);
    check(&world, ASK "'localhost' 00 0001 0001",
          "1234 8580 0001 0001 0000 0000 'localhost' 00 0001 0001"
          "c00c 0001 0001 " HOUR "0004 c0000201");
    check(&(struct world){0}, ASK "'localhost' 00 0001 0001", NULL);
}

static void test_addresses_take_turns(void **state)
{
    (void)state;
    struct world world = {.records = "x. A 192.0.2.1\nx. A 192.0.2.2\nx. A 192.0.2.3\n"
                                     "x. TXT a\nx. TXT b"};
    struct answer_limits how = {.udp_payload_max = 1232, .rotate = true};
    struct made made = world_make(&world);
    uint8_t out[1232];
    enum local_source source;
    for (uint32_t turn = 0; turn < 7; turn++) {
        size_t len = ask(made.local, ASK "'x' 00 0001 0001", turn, &how, out, &source);
        assert_int_equal(len, 12 + 7 + 3 * 16);
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(out[12 + 7 + 16 * i + 15], 1 + (turn + i) % 3);
        len = ask(made.local, ASK "'x' 00 0010 0001", turn, &how, out, &source);
        assert_int_equal(out[len - 1], 'b');
    }
    how.rotate = false;
    ask(made.local, ASK "'x' 00 0001 0001", 1, &how, out, &source);
    assert_int_equal(out[12 + 7 + 15], 1);
    free(made.memory);
}

static void test_what_is_too_long_is_cut(void **state)
{
    (void)state;
    static char records[1 << 16];
    for (unsigned i = 0; i < 100; i++)
        sprintf(records + strlen(records), "x. A 192.0.2.%u\n", i);
    struct world world = {.records = records};
    struct made made = world_make(&world);
    uint8_t *out = world_memory(limits.udp_payload_max);
    enum local_source source;
    size_t len = ask(made.local, ASK "'x' 00 0001 0001", 0, &limits, out, &source);
    assert_packet(out, len, "1234 8380 0001 0000 0000 0000 'x' 00 0001 0001");
    len = ask(made.local, ASK_OPT "'x' 00 0001 0001" OPT, 0, &limits, out, &source);
    assert_packet(out, len, "1234 8380 0001 0000 0000 0001 'x' 00 0001 0001" OPT);
    struct answer_limits wide = {.udp_payload_max = 4096};
    uint8_t *more = world_memory(4096);
    len = ask(made.local, ASK_OPT "'x' 00 0001 0001 00 0029 1000 00000000 0000", 0, &wide, more,
              &source);
    assert_int_equal(len, 12 + 7 + 100 * 16 + OPT_LEN);
    free(more);
    free(out);
    free(made.memory);
}

static void test_the_root_may_have_records(void **state)
{
    (void)state;
    struct world world = {.records = ". 300 NS a.root.\n. 300 TXT hello\nalias. CNAME .\n",
                          .block = "b.example"};
    check(&world, ASK "00 0010 0001",
          "1234 8580 0001 0001 0000 0000 00 0010 0001 c00c 0010 0001 0000012c 0006 'hello'");
    check(&world, ASK "00 0001 0001",
          "1234 8580 0001 0000 0001 0000 00 0001 0001" SOA("c00c", "0000012c"));
    check(&world, ASK "'alias' 00 0010 0001",
          "1234 8580 0001 0002 0000 0000 'alias' 00 0010 0001"
          "c00c 0005 0001 " HOUR "0001 00 c023 0010 0001 0000012c 0006 'hello'");
    check(&world, ASK "'x' 00 0010 0001", NULL);
}

static void test_no_record_is_written_twice(void **state)
{
    (void)state;
    struct world world = {.records = "x. 300 NS a.b.\nx. 300 NS A.B.\nx. 300 MX 65 a.\n"
                                     "x. 300 MX 97 a.\nx. 300 MX 65 A.\ny. CNAME x.\ny. CNAME X."};
    check(&world, ASK "'x' 00 0002 0001",
          "1234 8580 0001 0001 0000 0000 'x' 00 0002 0001"
          "c00c 0002 0001 0000012c 0005 'a' 'b' 00");
    check(&world, ASK "'x' 00 000f 0001",
          "1234 8580 0001 0002 0000 0000 'x' 00 000f 0001"
          "c00c 000f 0001 0000012c 0005 0041 'a' 00 c00c 000f 0001 0000012c 0005 0061 'a' 00");
}

static const struct {
    const char *records;
    const char *why;
    uint32_t tag;
} contradictions[] = {
    {"x. A 192.0.2.1\nx. CNAME y.", "a CNAME cannot share its name with other records", 1},
    {"y. A 192.0.2.1\nX. CNAME y.\nx. TXT a", "a CNAME cannot share its name with other records",
     2},
    {"x. CNAME y.\nx. CNAME z.", "a CNAME cannot share its name with other records", 1},
    {"x. CNAME y.\nx. CNAME y.\nx. A 192.0.2.1\nx. A 192.0.2.1",
     "a CNAME cannot share its name with other records", 2},
    {"x. CNAME x.", "its CNAMEs form a loop", 0},
    {"a. CNAME b.\nloop2. CNAME loop.\nb. A 192.0.2.1\nloop. CNAME LOOP2.\nin. CNAME loop.",
     "its CNAMEs form a loop", 3},
    {"c. CNAME a.\nd. CNAME c.\nb. CNAME c.\na. CNAME b.\ne. CNAME d.", "its CNAMEs form a loop",
     3},
};

static void test_contradictions_are_reported(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(contradictions); i++) {
        struct world world = {.records = contradictions[i].records};
        struct made made = world_make(&world);
        assert_null(made.local);
        assert_string_equal(made.making.why, contradictions[i].why);
        assert_int_equal(made.making.tag, contradictions[i].tag);
        free(made.memory);
    }
}

static void test_counts(void **state)
{
    (void)state;
    struct made made = world_make(&everything);
    struct local_counts counts = local_counts(made.local);
    // 9 of the records, 4 of the hosts and 2 addresses.
    assert_int_equal(counts.names, 15);
    assert_int_equal(counts.blocked, 4);
    assert_int_equal(counts.left_out, 1); // an address of an alias
    assert_in_range(counts.octets, 4096, 65536);
    free(made.memory);
}

static void test_many_records_of_a_name(void **state)
{
    (void)state;
    static char text[1 << 17];
    text[0] = '\0';
    for (unsigned i = 0; i < 2100; i++)
        sprintf(text + strlen(text), "10.0.%u.%u many\n", i / 250, i % 250);
    struct world world = {.hosts = text};
    struct made made = world_make(&world);
    assert_non_null(made.local);
    assert_int_equal(local_counts(made.local).left_out, 100);
    free(made.memory);
}

static void test_draft_without_room_is_as_it_was(void **state)
{
    (void)state;
    struct local_draft draft;
    struct name name;
    struct prefix address;
    struct settings settings;
    settings_init(&settings);
    local_draft(&draft, 1);
    draft.bytes = world_memory(4096);
    assert_true(name_parse(&name, "printer.lan", 11));
    assert_true(prefix_parse(&address, "192.0.2.1", 9));
    for (draft.size = 0; !local_add_host(&draft, &name, &address, 60, true); draft.size++) {
        assert_int_equal(draft.used, 0);
        assert_int_equal(draft.item_count, 0);
        assert_int_equal(draft.bound, 0);
    }
    assert_int_equal(draft.item_count, 2);
    struct local_draft before = draft;
    assert_false(local_add_special(&draft, &settings));
    assert_memory_equal(&draft, &before, sizeof draft);
    free(draft.bytes);
}

static void test_special_rows_are_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < special_count; i++) {
        struct name name;
        special_name(&specials[i], &name);
        assert_in_range(name.len, 2, 80);
        for (size_t k = 0; k < i; k++) {
            struct name other;
            special_name(&specials[k], &other);
            assert_false(name_equal(&name, &other));
        }
    }
}

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(rows) + 12] = {
        cmocka_unit_test(test_blocked_is_answered_with_nothing),
        cmocka_unit_test(test_blocked_is_refused),
        cmocka_unit_test(test_without_special_names),
        cmocka_unit_test(test_addresses_take_turns),
        cmocka_unit_test(test_what_is_too_long_is_cut),
        cmocka_unit_test(test_the_root_may_have_records),
        cmocka_unit_test(test_no_record_is_written_twice),
        cmocka_unit_test(test_contradictions_are_reported),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_many_records_of_a_name),
        cmocka_unit_test(test_draft_without_room_is_as_it_was),
        cmocka_unit_test(test_special_rows_are_names),
    };
    size_t count = 12 + tests_of_rows(tests + 12, test_row, rows, sizeof *rows, COUNT_OF(rows));
    return _cmocka_run_group_tests("local", tests, count, NULL, NULL);
}
