// SPDX-License-Identifier: MIT
#include "core/policy/client_limits.h"
#include "core/settings/parse.h"

#include "tests/unit/packet.h"

// What the limits makes of cookies, quotas and equal answers. How it stands in the way of queries
// is shown through the program (tests/integration/test_limits.py).

#define HEAD      "1234 0100 0001 0000 0000 "
#define ASK       "'www' 'example' 00 0001 0001 "
#define OPT(len)  "00 0029 04d0 00 00 0000 " len " "
#define CLIENT    "2464c4abcf10c957 "
#define SERVER    "010000005cf79f111f8130c3eee29480 "
#define COOKIE_A1 "000a 0018 " CLIENT SERVER
#define PLAIN     HEAD "0000 " ASK
#define WITH_8    HEAD "0001 " ASK OPT("000c") "000a 0008 " CLIENT
#define WITH_24   HEAD "0001 " ASK OPT("001c") COOKIE_A1
#define WITHOUT   HEAD "0001 " ASK OPT("0000")
#define NO_ANSWER "0001 0000 0000 0001 " ASK
#define MADE_US   (1559731985u * (uint64_t)1000000)

struct bench {
    struct settings settings;
    struct counters counters;
    struct cookie_source cookies;
    struct client_limits limits;
    void *memory;
    struct address from;
    struct packet packet;
    struct query query;
    struct reply_options options;
    uint8_t out[MESSAGE_UDP_MIN];
};

// The client and the time of RFC 9018 A.1.
static struct bench *bench_of(uint64_t qps, uint64_t same_answers, uint64_t slip, bool cookies)
{
    struct bench *b = calloc(1, sizeof *b);
    static const uint8_t seed[32] = {1, 2, 3};
    assert_non_null(b);
    settings_init(&b->settings);
    b->settings.limits_client_qps = qps;
    b->settings.limits_same_answers = same_answers;
    b->settings.limits_slip = slip;
    b->settings.limits_burst = 100;
    b->settings.limits_flood_factor = 2;
    b->settings.limits_clients = 1024;
    b->cookies.count = 1;
    memcpy(b->cookies.keys[0], packet_of("e5e973e5a6b2a43f48e7dc849e37bfcf").bytes,
           SIPHASH_KEY_LEN);
    struct client_limits_config config = {
        .settings = &b->settings,
        .cookies = cookies ? &b->cookies : NULL,
        .counters = &b->counters,
        .workers = 1,
        .seed = seed,
    };
    size_t size = client_limits_size(&config);
    b->memory = aligned_alloc(64, size ? size : 64);
    assert_non_null(b->memory);
    client_limits_init(&b->limits, b->memory, &config);
    client_limits_time(&b->limits, MADE_US);
    assert_true(address_parse(&b->from, "198.51.100.100", 14, 4000));
    return b;
}

static void bench_free(struct bench *b)
{
    free(b->memory);
    free(b);
}

static bool query_take(struct bench *b, const char *text)
{
    b->packet = packet_of(text);
    (void)query_read(&b->query, b->packet.bytes, b->packet.len);
    memset(&b->options, 0xa5, sizeof b->options);
    return !b->query.cookie ||
           client_limits_cookie(&b->limits, &b->from, &b->query, &b->options, false);
}

static void test_cookies(void **state)
{
    static const struct {
        const char *query;
        bool good;
        uint16_t rcode;
        bool proven;
        const char *options; // of the reply
    } rows[] = {
        {PLAIN, true, RCODE_NOERROR, false, NULL},
        {WITHOUT, true, RCODE_NOERROR, false, NULL},
        {WITH_8, true, RCODE_NOERROR, false, COOKIE_A1},
        {WITH_24, true, RCODE_NOERROR, true, COOKIE_A1},
        {HEAD "0001 " ASK OPT("001c") "000a 0018 " CLIENT "010000005cf79f111f8130c3eee29481", true,
         RCODE_NOERROR, false, COOKIE_A1},
        {HEAD "0001 " ASK OPT("000b") "000a 0007 2464c4abcf10c9", false, RCODE_FORMERR, false,
         NULL},
        {HEAD "0001 " ASK OPT("0004") "000a 0000", false, RCODE_FORMERR, false, NULL},
        {HEAD "0001 " ASK OPT("000d") "000a 0009 " CLIENT "01", false, RCODE_FORMERR, false, NULL},
        {HEAD "0001 " ASK OPT("0014") "000a 0010 " CLIENT CLIENT, true, RCODE_NOERROR, false,
         COOKIE_A1},
        {"1234 0100 0000 0000 0000 0001 " OPT("000c") "000a 0008 " CLIENT, false, RCODE_NOERROR,
         false, COOKIE_A1},
        {"1234 0100 0000 0000 0000 0001 " OPT("001c") COOKIE_A1, false, RCODE_NOERROR, true,
         COOKIE_A1},
        {"1234 0100 0000 0000 0000 0001 " OPT("0014") "000a 0010 " CLIENT CLIENT, false,
         RCODE_BADCOOKIE, false, COOKIE_A1},
    };
    (void)state;
    struct bench *b = bench_of(0, 0, 0, true);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (query_take(b, rows[i].query) != rows[i].good || b->query.rcode != rows[i].rcode ||
            b->query.proven != rows[i].proven || !b->query.options != !rows[i].options)
            fail_msg("row %zu: rcode %u, proven %d", i, b->query.rcode, b->query.proven);
        if (rows[i].options)
            assert_packet(b->options.bytes, b->options.len, rows[i].options);
    }
    assert_int_equal(counter_get(&b->counters, COUNTER_cookies_valid), 2);
    assert_int_equal(counter_get(&b->counters, COUNTER_cookies_client_only), 2);
    assert_int_equal(counter_get(&b->counters, COUNTER_cookies_invalid), 3);
    bench_free(b);
}

static void test_a_query_that_was_handed_over_is_not_counted_again(void **state)
{
    (void)state;
    struct bench *b = bench_of(0, 0, 0, true);
    assert_true(query_take(b, WITH_24));
    assert_true(client_limits_cookie(&b->limits, &b->from, &b->query, &b->options, true));
    assert_true(b->query.proven);
    assert_packet(b->options.bytes, b->options.len, COOKIE_A1);
    assert_int_equal(counter_get(&b->counters, COUNTER_cookies_valid), 1);
    bench_free(b);
}

static void test_without_cookies_they_mean_nothing(void **state)
{
    (void)state;
    struct bench *b = bench_of(0, 0, 0, false);
    assert_true(query_take(b, WITH_24));
    assert_false(b->query.proven);
    assert_null(b->query.options);
    assert_true(query_take(b, HEAD "0001 " ASK OPT("000b") "000a 0007 2464c4abcf10c9"));
    bench_free(b);
}

// A client has waited while they were turned off: there is no secret to make one with.
static void test_client_that_waited_while_they_were_evicted_gets_none(void **state)
{
    (void)state;
    struct bench *b = bench_of(0, 0, 0, true);
    assert_true(query_take(b, WITH_24));
    struct client_limits_config config = {
        .settings = &b->settings, .counters = &b->counters, .workers = 1};
    client_limits_reload(&b->limits, &config);
    client_limits_time(&b->limits, MADE_US);
    b->query.options = NULL;
    b->query.asks = ASKS_COOKIE;
    client_limits_cookie_give(&b->limits, &b->from, b->query.cookie, &b->query, &b->options);
    assert_null(b->query.options);
    assert_int_equal(b->query.asks, 0);
    bench_free(b);
}

// What a client gets that is above its quota, in the row of its fourth query in a flood.
static void test_denials(void **state)
{
    static const struct {
        const char *query;
        bool flood;
        bool tcp;
        const char *reply; // NULL: none
        enum counter as;
    } rows[] = {
        {PLAIN, false, false, "1234 8185 0001 0000 0000 0000 " ASK, COUNTER_answers_limited},
        {WITHOUT, false, false, "1234 8185 " NO_ANSWER OPT("0006") "000f 0002 0012",
         COUNTER_answers_limited},
        {WITH_8, false, false, "1234 8187 " NO_ANSWER "00 0029 04d0 01 00 0000 001c " COOKIE_A1,
         COUNTER_answers_cookie},
        {WITH_24, false, false, "1234 8185 " NO_ANSWER OPT("0022") COOKIE_A1 "000f 0002 0012",
         COUNTER_answers_limited},
        {WITHOUT, false, true, "1234 8185 " NO_ANSWER OPT("0006") "000f 0002 0012",
         COUNTER_answers_limited},
        {PLAIN, true, false, "1234 8380 0001 0000 0000 0000 " ASK, COUNTER_answers_limited},
        {WITHOUT, true, false, "1234 8380 " NO_ANSWER OPT("0000"), COUNTER_answers_limited},
        {WITH_8, true, false, "1234 8187 " NO_ANSWER "00 0029 04d0 01 00 0000 001c " COOKIE_A1,
         COUNTER_answers_cookie},
        {WITH_24, true, false, "1234 8185 " NO_ANSWER OPT("0022") COOKIE_A1 "000f 0002 0012",
         COUNTER_answers_limited},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct bench *b = bench_of(1, 0, 3, true);
        for (unsigned n = 1; n <= 6; n++) {
            enum counter as;
            assert_true(query_take(b, rows[i].query));
            b->query.proven |= rows[i].tcp;
            bool dropped = rows[i].flood && !b->query.proven && n % 3 != 0;
            size_t len = client_limits_deny(&b->limits, b->out, &b->query, rows[i].flood, &as);
            if (dropped) {
                assert_int_equal(len, 0);
                assert_int_equal(as, COUNTER_drops_quota);
                continue;
            }
            assert_packet(b->out, len, rows[i].reply);
            assert_int_equal(as, rows[i].as);
        }
        bench_free(b);
    }
}

#define ZEROS                    "00000000000000000000 "
#define SOA(zone)                zone " 0006 0001 0000012c 0014 " ZEROS ZEROS
#define ONE_A                    "1234 8180 0001 0001 0000 0000 "
#define ANSWER                   ONE_A ASK "c00c 0001 0001 0000012c 0004 c0000201 "
#define DENIAL(name, code, zone) "1234 81" code " 0001 0000 0001 0000 " name " 0001 0001 " SOA(zone)
#define ERROR(name, code)        "1234 81" code " 0001 0000 0000 0000 " name " 0001 0001 "
#define CHAIN(name, zone) \
    "1234 8183 0001 0001 0001 0000 " name " 0001 0001 c00c 0005 0001 00000000 0002 c00c " SOA(zone)

// Two replies to different questions: do they count as the same?
static void test_what_makes_answers_equal(void **state)
{
    static const struct {
        const char *one, *other;
        bool same_question, same;
    } rows[] = {
        {ANSWER, ANSWER, true, true},
        {ANSWER, ANSWER, false, false},
        {DENIAL("'a' 'zone' 00", "83", "'zone' 00"), DENIAL("'b' 'zone' 00", "83", "'zone' 00"),
         false, true},
        {DENIAL("'a' 'zone' 00", "83", "c00e"), DENIAL("'bb' 'ZoNe' 00", "83", "c00f"), false,
         true},
        {DENIAL("'a' 'zone' 00", "83", "'zone' 00"), DENIAL("'a' 'zone' 00", "83", "00"), false,
         false},
        {DENIAL("'a' 'zone' 00", "83", "'zone' 00"), DENIAL("'a' 'zone' 00", "80", "'zone' 00"),
         false, false},
        {DENIAL("'a' 'zone' 00", "80", "'zone' 00"), DENIAL("'b' 'zone' 00", "80", "'zone' 00"),
         false, true},
        {CHAIN("'a' 'zone' 00", "'zone' 00"), DENIAL("'b' 'zone' 00", "83", "'zone' 00"), false,
         true},
        {ERROR("'a' 'zone' 00", "85"), ERROR("'b' 'other' 00", "85"), false, true},
        {ERROR("'a' 'zone' 00", "82"), ERROR("'b' 'other' 00", "85"), false, false},
        {ERROR("'a' 'zone' 00", "83"), ERROR("'b' 'other' 00", "83"), false, true},
        {"1234 8380 0001 0000 0000 0000 " ASK, "1234 8380 0001 0000 0000 0000 " ASK, false, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct bench *b = bench_of(0, 1, 0, true);
        enum counter as = COUNTER_answers_cache;
        size_t len;
        for (unsigned n = 0; n < 6; n++) {
            const char *text = n < 5 ? rows[i].one : rows[i].other;
            struct packet reply = packet_of(text);
            b->query =
                (struct query){.name_len = (uint8_t)name_length(reply.bytes + 12, reply.len - 12)};
            uint64_t question = n < 5 || rows[i].same_question ? 0x1234567890 : 0x9876543210;
            uint8_t *exact = exact_copy(reply.bytes, reply.len);
            len = client_limits_answer(&b->limits, &b->from, &b->query, question, exact, reply.len,
                                       &as);
            free(exact);
            if (n < 5)
                assert_int_equal(len, n < 4 ? reply.len : 0);
        }
        if ((len == 0) != rows[i].same)
            fail_msg("row %zu: %s", i, len == 0 ? "the same" : "another");
        bench_free(b);
    }
}

static void test_equal_answers_slip(void **state)
{
    (void)state;
    struct bench *b = bench_of(0, 1, 2, true);
    for (unsigned n = 0; n < 12; n++) {
        enum counter as = COUNTER_answers_cache;
        assert_true(query_take(b, n < 8 ? PLAIN : WITH_8));
        struct packet answer = packet_of(ANSWER);
        memcpy(b->out, answer.bytes, answer.len);
        size_t len =
            client_limits_answer(&b->limits, &b->from, &b->query, 1, b->out, answer.len, &as);
        if (n < 4) {
            assert_int_equal(len, answer.len);
            assert_int_equal(as, COUNTER_answers_cache);
        } else if (n % 2 == 0) {
            assert_int_equal(len, 0);
            assert_int_equal(as, COUNTER_drops_same_answers);
        } else {
            assert_int_equal(as, n < 8 ? COUNTER_answers_limited : COUNTER_answers_cookie);
            assert_int_equal(!(b->out[2] & HEADER_TC), n >= 8);
        }
    }
    // A proven client is exempt.
    enum counter as = COUNTER_answers_cache;
    assert_true(query_take(b, WITH_24));
    assert_int_equal(client_limits_answer(&b->limits, &b->from, &b->query, 1, b->out, 40, &as), 40);
    bench_free(b);
}

static void test_secrets_follow_the_time(void **state)
{
    (void)state;
    struct bench *b = bench_of(0, 0, 0, true);
    uint64_t day_us = 86400 * (uint64_t)1000000, begun_us = MADE_US / day_us * day_us;
    struct cookie_secrets secrets[3];
    b->cookies.period_s = 86400;
    b->limits.secrets_until_us = 0;
    static const uint64_t hours[] = {0, 1, 24};
    for (unsigned i = 0; i < 3; i++) {
        client_limits_time(&b->limits, begun_us + hours[i] * 3600 * 1000000);
        secrets[i] = b->limits.secrets;
        assert_int_equal(secrets[i].count, hours[i] == 1 ? 1 : 2);
    }
    assert_memory_equal(secrets[0].keys[0], secrets[1].keys[0], SIPHASH_KEY_LEN);
    assert_memory_equal(secrets[1].keys[0], secrets[2].keys[1], SIPHASH_KEY_LEN);
    bench_free(b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cookies),
        cmocka_unit_test(test_a_query_that_was_handed_over_is_not_counted_again),
        cmocka_unit_test(test_without_cookies_they_mean_nothing),
        cmocka_unit_test(test_client_that_waited_while_they_were_evicted_gets_none),
        cmocka_unit_test(test_denials),
        cmocka_unit_test(test_what_makes_answers_equal),
        cmocka_unit_test(test_equal_answers_slip),
        cmocka_unit_test(test_secrets_follow_the_time),
    };
    return cmocka_run_group_tests_name("client_limits", tests, NULL, NULL);
}
