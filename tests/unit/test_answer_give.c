// SPDX-License-Identifier: MIT
#include "tests/unit/answer_table.h"

// How an answer is given back.

static const struct answer_giving fresh;

struct give_row {
    const char *name;
    const char *reply; // of the upstream
    const char *query;
    uint32_t age_s;
    const char *given;
    bool stale;
};

#define TTL_30               "0000001e "
#define OPT_EDE(flags, code) "00 0029 04d0 00 00 " flags " 0006 000f 0002 " code
#define ONE_A                REPLY C(1, 0, 0) ASK A(TTL_300)
#define NONE                 "1234 8183 " C(0, 1, 0) ASK SOA(TTL_100, TTL_300)

// A server of the zone and its address, behind one A.
#define GLUE "c010 0002 0001 " TTL_300 "0005 'ns' c010 c039 0001 0001 " TTL_300 "0004 c0000235 "

static const struct give_row give_rows[] = {
    {"give at once", ONE_A, "abcd 0100 " ONE ASK, 0, "abcd 8180 " C(1, 0, 0) ASK A(TTL_300), false},
    {"give without RD", ONE_A, "abcd 0000 " ONE ASK, 0, "abcd 8080 " C(1, 0, 0) ASK A(TTL_300),
     false},
    {"give with CD", ONE_A, "abcd 0110 " ONE ASK, 0, "abcd 8190 " C(1, 0, 0) ASK A(TTL_300), false},
    {"give takes no other bit from the query", ONE_A, "abcd 05ef " ONE ASK, 0,
     "abcd 8180 " C(1, 0, 0) ASK A(TTL_300), false},
    {"give in the client's spelling", ONE_A, "abcd 0100 " ONE "'wWW' 'ExamplE' 00 0001 0001", 0,
     "abcd 8180 " C(1, 0, 0) "'wWW' 'ExamplE' 00 0001 0001" A(TTL_300), false},
    {"give with OPT", ONE_A, "abcd 0100 " ONE_OPT ASK "00 0029 1000 00 00 0000 0000", 0,
     "abcd 8180 " C(1, 0, 1) ASK A(TTL_300) OWN_OPT, false},
    {"give with DO", ONE_A, "abcd 0100 " ONE_OPT ASK "00 0029 1000 00 00 8000 0000", 0,
     "abcd 8180 " C(1, 0, 1) ASK A(TTL_300) OPT, false},
    {"give with OPT behind other additional records", REPLY C(1, 1, 1) ASK A(TTL_300) GLUE,
     "abcd 0100 " ONE_OPT ASK OWN_OPT, 0, "abcd 8180 " C(1, 1, 2) ASK A(TTL_300) GLUE OWN_OPT,
     false},
    {"give after 1 s", ONE_A, "abcd 0100 " ONE ASK, 1, "abcd 8180 " C(1, 0, 0) ASK A("0000012b "),
     false},
    {"give after 299 s", ONE_A, "abcd 0100 " ONE ASK, 299,
     "abcd 8180 " C(1, 0, 0) ASK A("00000001 "), false},
    {"give after 300 s", ONE_A, "abcd 0100 " ONE ASK, 300, "abcd 8180 " C(1, 0, 0) ASK A(TTL_0),
     false},
    {"give long after", ONE_A, "abcd 0100 " ONE ASK, UINT32_MAX,
     "abcd 8180 " C(1, 0, 0) ASK A(TTL_0), false},
    {"give ages each TTL by itself", REPLY C(2, 0, 0) ASK A(TTL_300) RRSIG("0001", TTL_100),
     "abcd 0100 " ONE ASK, 95, "abcd 8180 " C(2, 0, 0) ASK A("000000cd ") RRSIG("0001", TTL_5),
     false},
    {"give NXDOMAIN", NONE, "abcd 0100 " ONE ASK, 40,
     "abcd 8183 " C(0, 1, 0) ASK SOA(TTL_60, TTL_300), false},
    {"give NXDOMAIN with OPT", NONE, "abcd 0100 " ONE_OPT ASK OPT, 40,
     "abcd 8183 " C(0, 1, 1) ASK SOA(TTL_60, TTL_300) OPT, false},
    {"give SERVFAIL", "1234 8182 " C(0, 0, 0) ASK, "abcd 0100 " ONE_OPT ASK OWN_OPT, 0,
     "abcd 8182 " C(0, 0, 1) ASK OWN_OPT, false},
    {"give what was truncated upstream", "1234 8380 " C(1, 0, 0) ASK A(TTL_300),
     "abcd 0100 " ONE_OPT ASK OPT, 0, "abcd 8380 " C(0, 0, 1) ASK OPT, false},
    {"give NXDOMAIN that was truncated upstream", "1234 8383 " C(0, 1, 0) ASK,
     "abcd 0100 " ONE "'wwW' 'example' 00 0001 0001", 0,
     "abcd 8383 " C(0, 0, 0) "'wwW' 'example' 00 0001 0001", false},
    // Stale: one TTL for all (RFC 8767 4), and the reason where there is an OPT (RFC 8914).
    {"give stale", ONE_A, "abcd 0100 " ONE ASK, 0, "abcd 8180 " C(1, 0, 0) ASK A(TTL_30), true},
    {"give stale whatever the age", ONE_A, "abcd 0100 " ONE ASK, 9999,
     "abcd 8180 " C(1, 0, 0) ASK A(TTL_30), true},
    {"give stale with TTLs that were less", REPLY C(2, 0, 0) ASK A(TTL_5) RRSIG("0001", TTL_300),
     "abcd 0100 " ONE ASK, 0, "abcd 8180 " C(2, 0, 0) ASK A(TTL_30) RRSIG("0001", TTL_30), true},
    {"give stale with EDE 3", ONE_A, "abcd 0100 " ONE_OPT ASK OWN_OPT, 0,
     "abcd 8180 " C(1, 0, 1) ASK A(TTL_30) OPT_EDE("0000", "0003"), true},
    {"give stale with DO and EDE 3", ONE_A, "abcd 0100 " ONE_OPT ASK OPT, 0,
     "abcd 8180 " C(1, 0, 1) ASK A(TTL_30) OPT_EDE("8000", "0003"), true},
    {"give stale NXDOMAIN", NONE, "abcd 0100 " ONE ASK, 0,
     "abcd 8183 " C(0, 1, 0) ASK SOA(TTL_30, TTL_300), true},
    {"give stale NXDOMAIN with EDE 19", NONE, "abcd 0100 " ONE_OPT ASK OWN_OPT, 0,
     "abcd 8183 " C(0, 1, 1) ASK SOA(TTL_30, TTL_300) OPT_EDE("0000", "0013"), true},
    {"give stale no data with EDE 3", REPLY C(0, 1, 0) ASK SOA(TTL_100, TTL_300),
     "abcd 0100 " ONE_OPT ASK OWN_OPT, 0,
     "abcd 8180 " C(0, 1, 1) ASK SOA(TTL_30, TTL_300) OPT_EDE("0000", "0003"), true},
};

// An answer is cached for one question and must not be seen by another test's limits.
static void test_give_row(void **state)
{
    const struct give_row *row = *state;
    struct packet reply = packet_of(row->reply), asked = packet_of(row->query);
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    struct query query;
    struct key key;
    assert_int_equal(query_read(&query, asked.bytes, asked.len), QUERY_GOOD);
    key_make(&key, &query, 7);
    assert_int_equal(answer_parse(&answer, reply.bytes, reply.len, &key, &usual), REPLY_GOOD);
    uint8_t *out = malloc(1542);
    assert_non_null(out);
    memcpy(out, answer.value, answer.len);
    struct answer_giving giving = {.age_s = row->age_s, .stale = row->stale};
    size_t len = answer_give(out, 1542, answer.len, &query, &giving, &usual);
    assert_packet(out, len, row->given);
    free(out);
    free(answer.value);
}

// Makes a reply of exactly `len` octets with TXT records of up to 255 octets of data.
static size_t txt_reply(uint8_t *reply, size_t len)
{
    struct packet head = packet_of("1234 8180 " ONE ASK_TXT);
    struct writer w = writer_over(reply, len);
    uint16_t count = 0;
    write_bytes(&w, head.bytes, head.len);
    while (w.at < len) {
        size_t data = len - w.at - 12;
        // What is left over must hold a whole record.
        if (data > 255)
            data = data - 255 < 13 ? 200 : 255;
        struct packet record = packet_of("c00c 0010 0001 0000012c ");
        write_bytes(&w, record.bytes, record.len);
        write_u16(&w, (uint16_t)data);
        write_u8(&w, (uint8_t)(data - 1));
        memset(write_room(&w, data - 1), 'x', data - 1);
        count++;
    }
    assert_false(w.failed);
    store_be16(reply + 6, count);
    return w.at;
}

static const struct {
    uint16_t size;        // the client's, 0: no EDNS
    uint16_t payload_max; // our own limit
    size_t fits;          // the longest message without OPT that goes through whole
} truncation_rows[] = {
    {0, 1232, 512},     {512, 1232, 501},   {100, 1232, 501},   {513, 1232, 502},
    {1231, 1232, 1220}, {1232, 1232, 1221}, {4096, 1232, 1221}, {65535, 1232, 1221},
    {0, 512, 512},      {4096, 512, 501},   {4096, 4096, 4085}, {1400, 4096, 1389},
};

static void test_give_truncates_what_the_client_cannot_take(void **state)
{
    (void)state;
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    uint8_t reply[5000];
    for (size_t i = 0; i < COUNT_OF(truncation_rows); i++) {
        struct answer_limits limits = usual;
        limits.udp_payload_max = truncation_rows[i].payload_max;
        size_t room = limits.udp_payload_max + limits.udp_payload_max / 5u + 64;
        struct packet asked = packet_of(truncation_rows[i].size ? "abcd 0100 " ONE_OPT ASK_TXT OPT
                                                                : "abcd 0100 " ONE ASK_TXT);
        if (truncation_rows[i].size)
            store_be16(asked.bytes + 32, truncation_rows[i].size);
        for (size_t more = 0; more < 60; more++) {
            size_t wanted = truncation_rows[i].fits - 20 + more;
            size_t reply_len = txt_reply(reply, wanted);
            assert_int_equal(reply_len, wanted);
            struct query query;
            struct key key;
            assert_int_equal(query_read(&query, asked.bytes, asked.len), QUERY_GOOD);
            key_make(&key, &query, 7);
            assert_int_equal(answer_parse(&answer, reply, reply_len, &key, &limits), REPLY_GOOD);
            uint8_t *out = malloc(room);
            assert_non_null(out);
            memcpy(out, answer.value, answer.len < room ? answer.len : room);
            size_t len = answer_give(out, room, answer.len, &query, &fresh, &limits);
            size_t opt_len = truncation_rows[i].size ? OPT_LEN : 0;
            bool whole = more <= 20;
            if (len != (whole ? wanted : 29) + opt_len)
                fail_msg("row %zu: %zu octets became %zu", i, wanted, len);
            assert_int_equal(out[2] & HEADER_TC, whole ? 0 : HEADER_TC);
            assert_int_equal(load_be16(out + 6) != 0, whole);
            free(out);
        }
    }
    free(answer.value);
}

// The answer was longer than the buffer it was copied to, as 64 KiB from the cache would be.
static void test_give_of_a_value_longer_than_its_room_is_truncated(void **state)
{
    (void)state;
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    struct packet asked = packet_of("abcd 0110 " ONE_OPT ASK_TXT OPT);
    struct query query;
    struct key key;
    uint8_t reply[60000];
    size_t reply_len = txt_reply(reply, sizeof reply);
    reply[3] |= RCODE_NXDOMAIN;
    assert_int_equal(query_read(&query, asked.bytes, asked.len), QUERY_GOOD);
    key_make(&key, &query, 7);
    assert_int_equal(answer_parse(&answer, reply, reply_len, &key, &usual), REPLY_GOOD);
    uint8_t *out = exact_copy(answer.value, 1542);
    size_t len = answer_give(out, 1542, answer.len, &query, &fresh, &usual);
    assert_packet(out, len, "abcd 8393 " C(0, 0, 1) ASK_TXT OPT);
    free(out);
    free(answer.value);
}

// Three addresses, and one of another owner that stays where it is.
static void test_give_rotates_the_addresses_asked_for(void **state)
{
    (void)state;
    static const char *const orders[] = {"01 02 03", "02 03 01", "03 01 02", "01 02 03"};
    struct answer_limits limits = usual;
    limits.rotate = true;
    struct packet query_packet = packet_of("abcd 0100 " C(0, 0, 0) ASK);
    struct packet head = packet_of("1234 8180 0001 0003 0001 0001 " ASK);
    struct packet extra = packet_of("c010 0002 0001 " TTL_300 "0005 'ns' c010"
                                    "c059 0001 0001 " TTL_300 "0004 c0000209");
    struct query query;
    struct key key;
    uint8_t reply[200], *value = malloc(ANSWER_SIZE_MAX);
    struct writer w = writer_over(reply, sizeof reply);
    write_bytes(&w, head.bytes, head.len);
    for (unsigned i = 1; i <= 3; i++) {
        struct packet record = packet_of(A(TTL_300));
        record.bytes[15] = (uint8_t)i;
        write_bytes(&w, record.bytes, record.len);
    }
    write_bytes(&w, extra.bytes, extra.len);
    assert_int_equal(query_read(&query, query_packet.bytes, query_packet.len), QUERY_GOOD);
    key_make(&key, &query, 7);
    struct answer answer = {.value = value};
    assert_int_equal(answer_parse(&answer, reply, w.at, &key, &limits), REPLY_GOOD);
    assert_true(answer_check(answer.value, answer.len));
    for (uint32_t turn = 0; turn < COUNT_OF(orders); turn++) {
        uint8_t *out = exact_copy(answer.value, 1542);
        struct answer_giving giving = {.turn = turn};
        size_t len = answer_give(out, 1542, answer.len, &query, &giving, &limits);
        struct packet order = packet_of(orders[turn]);
        assert_int_equal(len, w.at);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(out[29 + 16 * i + 15], order.bytes[i]);
        assert_int_equal(out[len - 1], 9);
        free(out);
    }
    free(value);
}

// The client's size decides octet by octet: with the reason, without it, and cut.
static void test_give_leaves_the_reason_out_where_it_does_not_fit(void **state)
{
    (void)state;
    static const struct answer_giving stale = {.stale = true};
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    struct packet asked = packet_of("abcd 0100 " ONE_OPT ASK_TXT OPT);
    uint8_t reply[2000];
    struct query query;
    struct key key;
    store_be16(asked.bytes + 32, 600);
    assert_int_equal(query_read(&query, asked.bytes, asked.len), QUERY_GOOD);
    key_make(&key, &query, 7);
    for (size_t message_len = 560; message_len < 620; message_len++) {
        assert_int_equal(txt_reply(reply, message_len), message_len);
        assert_int_equal(answer_parse(&answer, reply, message_len, &key, &usual), REPLY_GOOD);
        uint8_t *out = malloc(1542);
        assert_non_null(out);
        memcpy(out, answer.value, answer.len);
        size_t len = answer_give(out, 1542, answer.len, &query, &stale, &usual);
        size_t ede_len = message_len + OPT_LEN + EDE_LEN <= 600 ? EDE_LEN : 0;
        bool whole = message_len + OPT_LEN <= 600;
        assert_int_equal(len, (whole ? message_len + ede_len : 29) + OPT_LEN);
        assert_int_equal(load_be16(out + len - ede_len - 2), whole ? ede_len : 0);
        assert_int_equal(!(out[2] & HEADER_TC), whole);
        free(out);
    }
    free(answer.value);
}

// The same with an option of 28 octets, which stays as long as there is an answer with it.
static void test_give_with_options_of_the_reply(void **state)
{
    (void)state;
    enum { OPTION_LEN = 28, SIZE = 600 };
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    struct packet asked = packet_of("abcd 0100 " ONE_OPT ASK_TXT OPT);
    struct reply_options options = {0};
    uint8_t reply[2000];
    struct query query;
    struct key key;
    reply_options_add(&options, EDNS_COOKIE, "twenty-four octets, all", OPTION_LEN - 4);
    store_be16(asked.bytes + 32, SIZE);
    assert_int_equal(query_read(&query, asked.bytes, asked.len), QUERY_GOOD);
    query.options = &options;
    key_make(&key, &query, 7);
    for (size_t message_len = 540; message_len < 620; message_len++) {
        struct answer_giving giving = {.stale = message_len % 2};
        assert_int_equal(txt_reply(reply, message_len), message_len);
        assert_int_equal(answer_parse(&answer, reply, message_len, &key, &usual), REPLY_GOOD);
        uint8_t *out = malloc(1542);
        assert_non_null(out);
        memcpy(out, answer.value, answer.len);
        size_t len = answer_give(out, 1542, answer.len, &query, &giving, &usual);
        size_t with_option = message_len + OPT_LEN + OPTION_LEN;
        bool whole = with_option <= SIZE, ede = giving.stale && with_option + EDE_LEN <= SIZE;
        size_t data_len = OPTION_LEN + (ede ? EDE_LEN : 0u);
        assert_int_equal(len, (whole ? message_len : 29) + OPT_LEN + data_len);
        assert_int_equal(!(out[2] & HEADER_TC), whole);
        const uint8_t *data = out + len - data_len;
        assert_int_equal(load_be16(data - 2), data_len);
        assert_memory_equal(data, options.bytes, OPTION_LEN);
        if (ede)
            assert_packet(data + OPTION_LEN, EDE_LEN, "000f 0002 0003");
        free(out);
    }
    free(answer.value);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_give_with_options_of_the_reply),
    cmocka_unit_test(test_give_rotates_the_addresses_asked_for),
    cmocka_unit_test(test_give_truncates_what_the_client_cannot_take),
    cmocka_unit_test(test_give_of_a_value_longer_than_its_room_is_truncated),
    cmocka_unit_test(test_give_leaves_the_reason_out_where_it_does_not_fit),
};

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(give_rows) + COUNT_OF(others)];
    size_t count =
        tests_of_rows(tests, test_give_row, give_rows, sizeof *give_rows, COUNT_OF(give_rows));
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("answer give", tests, NULL, NULL);
}
