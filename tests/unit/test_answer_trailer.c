// SPDX-License-Identifier: MIT
#include "tests/unit/answer_table.h"

// What stands behind a cached answer: where it comes from, by which rules, and its sum.

#define SINGLE REPLY C(1, 0, 0) ASK A(TTL_300)
#define TWO    REPLY C(2, 0, 0) ASK A(TTL_300) A2(TTL_300)

static struct answer answer_of(const char *text)
{
    struct answer answer = {.value = malloc(ANSWER_SIZE_MAX)};
    struct packet reply = packet_of(text);
    struct key key;
    key_of(&key, ASK);
    assert_int_equal(answer_parse(&answer, reply.bytes, reply.len, &key, &usual), REPLY_GOOD);
    assert_true(answer_check(answer.value, answer.len));
    return answer;
}

static struct answer_trailer trailer_of(const struct answer *answer)
{
    struct answer_trailer trailer;
    memcpy(&trailer, answer->value + answer->len - sizeof trailer, sizeof trailer);
    return trailer;
}

// As RFC 1071 says it in words, from behind the question on.
static uint16_t plain_sum(const struct answer *answer)
{
    struct answer_trailer trailer = trailer_of(answer);
    uint32_t sum = 0;
    size_t begin = answer_reader(answer).at;
    for (size_t i = begin; i < trailer.message_len; i++) {
        sum += (i - begin) % 2 ? answer->value[i] : (uint32_t)answer->value[i] << 8;
        if (sum > 0xffff)
            sum -= 0xffff;
    }
    return (uint16_t)sum;
}

static void assert_origin(const struct answer *answer, const struct answer_origin *wanted)
{
    struct answer_origin origin = answer_origin(answer->value, answer->len);
    assert_int_equal(answer_generation(answer->value, answer->len), wanted->generation);
    assert_int_equal(origin.generation, wanted->generation);
    assert_int_equal(origin.zone, wanted->zone);
    assert_int_equal(origin.upstream, wanted->upstream);
    assert_int_equal(origin.transport, wanted->transport);
    assert_int_equal(origin.validation, wanted->validation);
    assert_true(answer_check(answer->value, answer->len));
}

// Each field holds what it may, and disturbs no other.
static void test_fields(void **state)
{
    (void)state;
    struct answer answer = answer_of(SINGLE);
    struct answer_trailer before = trailer_of(&answer);
    assert_origin(&answer, &(struct answer_origin){0});
    for (uint8_t transport = 0; transport < TRANSPORTS; transport++) {
        for (uint8_t validation = ANSWER_UNCHECKED; validation <= ANSWER_BOGUS; validation++) {
            struct answer_origin origin = {.generation = 0x80000001u + transport,
                                           .zone = 0xfedcba98u - validation,
                                           .upstream = 0xffff,
                                           .transport = transport,
                                           .validation = validation};
            answer_seal(&answer, &origin);
            assert_origin(&answer, &origin);
            assert_false(answer_is_refreshed(answer.value, answer.len));
            assert_false(answer_is_withheld(answer.value, answer.len));
        }
    }
    struct answer_origin last = answer_origin(answer.value, answer.len);
    answer_mark_refreshed(&answer);
    assert_origin(&answer, &last);
    assert_true(answer_is_refreshed(answer.value, answer.len));
    answer_withhold(&answer);
    assert_origin(&answer, &last);
    assert_true(answer_is_withheld(answer.value, answer.len));
    struct answer_trailer after = trailer_of(&answer);
    assert_int_equal(after.sum, before.sum);
    assert_int_equal(after.message_len, before.message_len);
    assert_int_equal(after.ttl_count, before.ttl_count);
    assert_int_equal(after.rotate_at, before.rotate_at);
    assert_int_equal(after.rotate_count, before.rotate_count);
    free(answer.value);
}

static void test_sums(void **state)
{
    (void)state;
    static const char *const replies[] = {
        SINGLE,
        TWO,
        REPLY C(0, 0, 0) ASK,
        REPLY C(1, 0, 0) ASK "c00c 0010 0001 " TTL_300 "0004 03 'abc'",
        REPLY C(1, 0, 1) ASK A(TTL_300) "c010 0001 0001 " TTL_300 "0004 c0000207",
    };
    for (size_t i = 0; i < COUNT_OF(replies); i++) {
        struct answer answer = answer_of(replies[i]);
        assert_int_equal(trailer_of(&answer).sum, plain_sum(&answer));
        answer_leave_out_additional(&answer);
        assert_int_equal(trailer_of(&answer).sum, plain_sum(&answer));
        assert_true(answer_check(answer.value, answer.len));
        answer_empty(&answer);
        assert_int_equal(trailer_of(&answer).sum, 0);
        assert_true(answer_check(answer.value, answer.len));
        free(answer.value);
    }
}

// Any bit of what the sum is over, and of the sum; and what cannot be.
static void test_damage_is_found(void **state)
{
    (void)state;
    struct answer answer = answer_of(TWO);
    size_t begin = answer_reader(&answer).at, end = trailer_of(&answer).message_len;
    for (size_t bit = 8 * begin; bit < 8 * end; bit++) {
        answer.value[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(answer_check(answer.value, answer.len));
        answer.value[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    static const struct {
        size_t at;
        uint8_t flip;
    } rows[] = {
        {offsetof(struct answer_trailer, sum), 1},
        {offsetof(struct answer_trailer, sum) + 1, 0x80},
        {offsetof(struct answer_trailer, message_len), 1},
        {offsetof(struct answer_trailer, ttl_count), 1},
        {offsetof(struct answer_trailer, rotate_at), 1},
        {offsetof(struct answer_trailer, rotate_count), 0x40},
        {offsetof(struct answer_trailer, flags), ANSWER_IPV6},
        {offsetof(struct answer_trailer, flags), ANSWER_TRANSPORT},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t *octet = answer.value + answer.len - sizeof(struct answer_trailer) + rows[i].at;
        *octet ^= rows[i].flip;
        assert_false(answer_check(answer.value, answer.len));
        *octet ^= rows[i].flip;
        assert_true(answer_check(answer.value, answer.len));
    }
    free(answer.value);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_damage_is_found),
    };
    return cmocka_run_group_tests_name("answer_trailer", tests, NULL, NULL);
}
