// SPDX-License-Identifier: MIT
#include "core/reply_records.h"
#include "tests/unit/answer_table.h"

// Which data fit their type, and how far a chain of CNAMEs is followed. The rows of test_answer.c
// say what else is passed on of a reply.

// Data by type: whether they fit it, and else the reply is malformed (RFC 1035 3.3, 3.4, RFC
// 3596 2.2).
static const struct {
    uint16_t type;
    const char *data;
    bool fits;
} data_rows[] = {
    {1, "", false},
    {1, "c00002", false},
    {1, "c0000201", true},
    {1, "c000020100", false},
    {1, "20010db8000000000000000000000001", false},
    {2, "'a' 00", true},
    {2, "'a' 00 00", false},
    {3, "00 00", false},
    {4, "00 00", false},
    {5, "'a' 00", true},
    {5, "c00c 00", false},
    {5, "'a'", false},
    {6, "00 00 00000001 00000002 00000003 00000004 00000005", true},
    {6, "00 00 00000001 00000002 00000003 00000004 00000005 00", false},
    {6, "00 00 00000001 00000002 00000003 00000004", false},
    {7, "00 00", false},
    {8, "00 00", false},
    {9, "00 00", false},
    {10, "", true},
    {10, "c0ff", true},
    {11, "c0000201 06", true},
    {11, "c0000201 06 ff", true},
    {11, "c0000201", false},
    {12, "'a' 00", true},
    {12, "'a' 00 01", false},
    {13, "'cpu' 'os'", true},
    {13, "00 00", true},
    {13, "'cpu'", false},
    {13, "'cpu' 'os' 00", false},
    {14, "'a' 00 c00c", true},
    {14, "'a' 00", false},
    {14, "00 00 00", false},
    {15, "000a 'a' 00", true},
    {15, "000a 'a' 00 00", false},
    {15, "000a", false},
    {16, "", false},
    {16, "00", true},
    {16, "'a' 'b'", true},
    {16, "02 61", false},
    {16, "'a' 01", false},
    {28, "", false},
    {28, "c0000201", false},
    {28, "20010db8000000000000000000000001", true},
    {28, "20010db800000000000000000000000100", false},
    {33, "0001 0002 0035 'a' 00 00", false},
    {35, "0001 0002 00 00 00 00 00", false},
    {39, "'a' 00 00", false},
    {24, "0001 0800 00000000 00000002 00000001 0001 00 ff", true},
    {30, "00 6001", true},
    {65280, "", true},
    {65280, "ff", true},
};

static void test_data_that_do_not_fit_are_malformed(void **state)
{
    (void)state;
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    assert_non_null(answer.value);
    for (size_t i = 0; i < COUNT_OF(data_rows); i++) {
        struct packet data = packet_of(data_rows[i].data);
        for (unsigned section = 0; section < 3; section++) {
            struct packet reply =
                packet_of(REPLY C(0, 0, 0) ASK_ANY "c00c ff00 0001 " TTL_300 "0000");
            struct key key;
            key_of(&key, ASK_ANY);
            reply.bytes[7 + 2 * section] = 1;
            store_be16(reply.bytes + 31, data_rows[i].type);
            store_be16(reply.bytes + 39, (uint16_t)data.len);
            memcpy(reply.bytes + 41, data.bytes, data.len);
            uint8_t *exact = exact_copy(reply.bytes, 41 + data.len);
            bool good = answer_parse(&answer, exact, 41 + data.len, &key, &usual) == REPLY_GOOD;
            if (good != data_rows[i].fits)
                fail_msg("type %u, section %u, data %s", data_rows[i].type, section,
                         data_rows[i].data);
            free(exact);
        }
    }
    free(answer.value);
}

// A chain is followed up to a limit; records behind it do not answer the question.
static void test_chain_has_an_end(void **state)
{
    (void)state;
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    assert_non_null(answer.value);
    for (unsigned links = REPLY_CHAIN_MAX - 1; links <= REPLY_CHAIN_MAX + 1; links++) {
        struct packet reply = packet_of(REPLY C(0, 0, 0) ASK);
        struct key key;
        key_of(&key, ASK);
        store_be16(reply.bytes + 6, (uint16_t)(links + 1));
        for (unsigned i = 0; i <= links; i++) {
            char text[100];
            snprintf(text, sizeof text, i == 0 ? "c00c" : "01 %02x 00", 'a' + i);
            struct packet owner = packet_of(text);
            snprintf(text, sizeof text,
                     i < links ? "0005 0001 " TTL_300 "0003 01 %02x 00"
                               : "0001 0001 " TTL_300 "0004 000000%02x",
                     'b' + i);
            struct packet rest = packet_of(text);
            memcpy(reply.bytes + reply.len, owner.bytes, owner.len);
            memcpy(reply.bytes + reply.len + owner.len, rest.bytes, rest.len);
            reply.len += owner.len + rest.len;
        }
        assert_int_equal(answer_parse(&answer, reply.bytes, reply.len, &key, &usual), REPLY_GOOD);
        bool whole = links <= REPLY_CHAIN_MAX;
        assert_int_equal(load_be16(answer.value + 6), whole ? links + 1 : REPLY_CHAIN_MAX);
        assert_int_equal(answer.lifetime_s, whole ? 300 : 0);
    }
    free(answer.value);
}

// A reply of 64 KiB whose owners all lead to names of up to 125 labels: each label is hashed once,
// and not once for each record.
static void test_names_cost_no_more_than_the_octets_of_a_reply(void **state)
{
    (void)state;
    enum { LABELS = 125, RECORDS = 3622 };
    struct reply_records *records = malloc(sizeof *records);
    uint8_t *reply = calloc(1, MESSAGE_LEN_MAX);
    assert_true(records && reply);
    struct writer w = writer_over(reply, MESSAGE_LEN_MAX);
    write_bytes(&w, "\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0", MESSAGE_HEADER_LEN);
    for (unsigned i = 0; i < LABELS; i++)
        write_bytes(&w, "\1a", 2);
    write_bytes(&w, "\0\0\x0c\0\1", 5);
    struct query query;
    struct key key;
    assert_int_equal(query_read(&query, reply, w.at), QUERY_GOOD);
    key_make(&key, &query, 1);
    store_be16(reply + 6, RECORDS);
    store_be16(reply + 10, 1);
    for (unsigned i = 0; i <= RECORDS; i++) {
        write_u16(&w, (uint16_t)(0xc000 | (MESSAGE_HEADER_LEN + 2 * (i % LABELS / 2 * (i % 3)))));
        write_u16(&w, i < RECORDS ? TYPE_PTR : TYPE_TXT);
        write_u16(&w, CLASS_IN);
        write_u32(&w, 300);
        write_u16(&w, 4);
        write_bytes(&w, i < RECORDS ? "\1b" : "\3a", 2);
        write_u16(&w, 0xc000 | (MESSAGE_HEADER_LEN + 2));
    }
    assert_false(w.failed);
    assert_true(reply_records_read(records, reply, w.at, &key, 1));
    reply_records_pick(records, &key);
    assert_in_range(records->seen.labels, LABELS, w.at);
    free(reply);
    free(records);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_that_do_not_fit_are_malformed),
        cmocka_unit_test(test_chain_has_an_end),
        cmocka_unit_test(test_names_cost_no_more_than_the_octets_of_a_reply),
    };
    return cmocka_run_group_tests_name("reply records", tests, NULL, NULL);
}
