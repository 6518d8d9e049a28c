// SPDX-License-Identifier: MIT
#include "core/wire/frame.h"

#include "tests/unit/packet.h"

struct row {
    const char *name;
    const char *bytes;
    size_t taken; // 0: not whole yet
    const char *message;
};

static const struct row rows[] = {
    {"nothing", "", 0, NULL},
    {"half a length", "00", 0, NULL},
    {"a length alone", "0003", 0, NULL},
    {"a message cut by one octet", "0003 0102", 0, NULL},
    {"a message", "0003 010203", 5, "010203"},
    {"a message and the beginning of another", "0003 010203 00", 5, "010203"},
    {"two messages, of which the first is taken", "0001 aa 0002 bbcc", 3, "aa"},
    {"an empty message", "0000", 2, ""},
    {"an empty message before another", "0000 0001 aa", 2, ""},
    {"a length of which the upper octet counts", "0100 01", 0, NULL},
};

static void test_row(void **state)
{
    const struct row *row = *state;
    struct packet packet = packet_of(row->bytes);
    uint8_t *bytes = exact_copy(packet.bytes, packet.len);
    const uint8_t *message = NULL;
    size_t len = 99;
    assert_int_equal(frame_next(bytes, packet.len, &message, &len), row->taken);
    if (row->taken > 0) {
        assert_ptr_equal(message, bytes + FRAME_HEAD_LEN);
        assert_packet(message, len, row->message);
    }
    free(bytes);
}

// Pieces may be cut anywhere (RFC 7766 8): whole it is with its last octet and not before.
static void test_longest_message_arrives_piece_by_piece(void **state)
{
    (void)state;
    uint8_t *bytes = malloc(FRAME_LEN_MAX);
    const uint8_t *message;
    size_t len;
    assert_non_null(bytes);
    memset(bytes, 0xff, FRAME_LEN_MAX);
    for (size_t have = 0; have < FRAME_LEN_MAX; have += 1 + have / 8)
        assert_int_equal(frame_next(bytes, have, &message, &len), 0);
    assert_int_equal(frame_next(bytes, FRAME_LEN_MAX - 1, &message, &len), 0);
    assert_int_equal(frame_next(bytes, FRAME_LEN_MAX, &message, &len), FRAME_LEN_MAX);
    assert_int_equal(len, 65535);
    free(bytes);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_longest_message_arrives_piece_by_piece),
};

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(rows) + COUNT_OF(others)];
    size_t count = tests_of_rows(tests, test_row, rows, sizeof *rows, COUNT_OF(rows));
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
