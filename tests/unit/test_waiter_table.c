// SPDX-License-Identifier: MIT
#include "core/serve/waiter_table.h"

#include "tests/unit/packet.h"

struct bench {
    struct question_table questions;
    struct waiter_table waiters;
    void *memory[2];
};

// The memory is of the exact size, so that a sanitizer sees what reaches out of it.
static struct bench begin(uint32_t size)
{
    struct bench b = {
        .memory = {malloc(question_table_size(size)), malloc(waiter_table_size(size))}};
    assert_non_null(b.memory[0]);
    assert_non_null(b.memory[1]);
    memset(b.memory[1], 0xa5, waiter_table_size(size));
    question_table_init(&b.questions, b.memory[0], size, (uint64_t[2]){1, 2});
    waiter_table_init(&b.waiters, b.memory[1], size);
    return b;
}

static void end(struct bench *b)
{
    free(b->memory[0]);
    free(b->memory[1]);
}

// A client whose network has this number.
static struct address client_of(unsigned number)
{
    return (struct address){
        .ip = {10, 0, (uint8_t)(number >> 8), (uint8_t)number}, .port = 1, .family = ADDRESS_IPV4};
}

static struct waiter *add(struct bench *b, struct question *question, unsigned number)
{
    struct address client = client_of(number);
    return waiter_add(&b->waiters, &b->questions, question, &client);
}

static struct waiter *take(struct bench *b, struct question *question)
{
    struct asker *asker = asker_pop(&b->questions, question);
    return asker ? waiter_give(&b->waiters, asker) : NULL;
}

static bool share_left(const struct bench *b, const struct question *question, unsigned number)
{
    struct address client = client_of(number);
    return waiter_may_be_added(&b->questions, question, &client);
}

// Key n; many of them in one chain where `chains` is small.
static struct key key_of(unsigned n, unsigned chains)
{
    struct key key = {.hash = n % chains, .len = KEY_HEAD_LEN + 3};
    key.bytes[5] = (uint8_t)n;
    key.bytes[6] = (uint8_t)(n >> 8);
    return key;
}

static void test_waiters_come_out_in_the_order_they_came_in(void **state)
{
    (void)state;
    struct bench b = begin(128);
    struct key key = key_of(1, 4);
    struct question *question = question_add(&b.questions, &key);
    assert_non_null(question);
    uint16_t in = 0, out = 0;
    uint64_t seed = 1;
    for (unsigned i = 0; i < 20000; i++) {
        if (test_random(&seed) % 2) {
            struct waiter *waiter = add(&b, question, 7);
            bool full = (uint16_t)(in - out) == WAITERS_PER_QUESTION_MAX;
            assert_int_equal(waiter == NULL, full);
            if (waiter)
                waiter->id = in++;
        } else {
            struct waiter *waiter = take(&b, question);
            assert_int_equal(waiter == NULL, in == out);
            if (waiter)
                assert_int_equal(waiter->id, out++);
        }
        assert_int_equal(question->asker_count, (uint16_t)(in - out));
        assert_int_equal(b.questions.asker_count, (uint16_t)(in - out));
        struct address seven = client_of(7);
        assert_int_equal(share_held(&b.questions.shares, &seven), (uint16_t)(in - out));
    }
    end(&b);
}

static void test_limits_of_waiters_of_a_question_and_of_all(void **state)
{
    (void)state;
    struct bench b = begin(128); // 512 waiters
    for (unsigned i = 0; i < 3; i++) {
        struct key key = key_of(i, 4);
        struct question *question = question_add(&b.questions, &key);
        assert_non_null(question);
        unsigned count = 0;
        while (add(&b, question, 7))
            count++;
        assert_int_equal(count, i < 2 ? WAITERS_PER_QUESTION_MAX : 0);
    }
    assert_int_equal(b.questions.asker_count, 512);
    assert_null(b.waiters.free);
    end(&b);
}

// A table of 16 is half full with 8 questions; from then on 4 waiters are a quarter of it.
static void test_share_is_bounded_where_the_table_is_half_full(void **state)
{
    (void)state;
    struct bench b = begin(16);
    struct question *question = NULL;
    for (unsigned i = 0; i < 8; i++) {
        assert_true(share_left(&b, NULL, 5));
        struct key key = key_of(i, 4);
        question = question_add(&b.questions, &key);
        assert_non_null(question);
        assert_non_null(add(&b, question, i < 5 ? 5 : 6));
    }
    assert_false(share_left(&b, NULL, 5)); // has five
    assert_true(share_left(&b, NULL, 6));  // has three
    assert_true(share_left(&b, NULL, 7));
    assert_true(share_left(&b, question, 5)); // what is asked already takes no room there
    assert_non_null(add(&b, question, 6));
    assert_true(share_left(&b, NULL, 6));
    assert_non_null(add(&b, question, 6));
    assert_false(share_left(&b, NULL, 6));
    assert_non_null(take(&b, question));
    assert_true(share_left(&b, NULL, 6));
    // A question that has ended and is not done with still takes its place.
    question->state = QUESTION_SILENT;
    question_unlink(&b.questions, question);
    assert_false(share_left(&b, NULL, 5));
    while (take(&b, question))
        continue;
    question_free(&b.questions, question);
    assert_true(share_left(&b, NULL, 5));
    end(&b);
}

// Of 64 waiters one network gets half, until others have some and it has no more than a quarter.
static void test_share_of_all_waiters_is_bounded(void **state)
{
    (void)state;
    struct bench b = begin(16);
    struct key keys[2] = {key_of(1, 4), key_of(2, 4)};
    struct question *first = question_add(&b.questions, &keys[0]);
    struct question *second = question_add(&b.questions, &keys[1]);
    assert_non_null(first);
    assert_non_null(second);
    unsigned count = 0;
    for (; share_left(&b, count % 2 ? first : second, 5); count++)
        assert_non_null(add(&b, count % 2 ? first : second, 5));
    assert_int_equal(count, 32);
    assert_false(share_left(&b, NULL, 5));
    for (count = 0; share_left(&b, first, 6); count++)
        assert_non_null(add(&b, first, 6));
    assert_int_equal(count, 17); // a quarter, and the one that it was not above before
    assert_true(share_left(&b, first, 7));
    assert_true(share_left(&b, NULL, 7));
    end(&b);
}

// The same of one question's 256.
static void test_share_of_the_waiters_of_a_question_is_bounded(void **state)
{
    (void)state;
    struct bench b = begin(1024);
    struct key keys[2] = {key_of(1, 4), key_of(2, 4)};
    struct question *first = question_add(&b.questions, &keys[0]);
    struct question *second = question_add(&b.questions, &keys[1]);
    assert_non_null(first);
    assert_non_null(second);
    unsigned count = 0;
    for (; share_left(&b, first, 5); count++)
        assert_non_null(add(&b, first, 5));
    assert_int_equal(count, WAITERS_PER_QUESTION_MAX / 2);
    assert_true(share_left(&b, second, 5));
    for (count = 0; share_left(&b, first, 6); count++)
        assert_non_null(add(&b, first, 6));
    assert_int_equal(count, WAITERS_PER_QUESTION_MAX / 4 + 1);
    for (unsigned i = 0; i < 5; i++) {
        assert_true(share_left(&b, first, 100 + i));
        assert_non_null(add(&b, first, 100 + i));
    }
    end(&b);
}

static void test_places_are_clean_at_the_start(void **state)
{
    (void)state;
    struct bench b = begin(4);
    static const struct waiting nothing;
    for (unsigned i = 0; i < 4; i++)
        assert_memory_equal(&b.waiters.waiting[i], &nothing, sizeof nothing);
    end(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waiters_come_out_in_the_order_they_came_in),
        cmocka_unit_test(test_limits_of_waiters_of_a_question_and_of_all),
        cmocka_unit_test(test_share_is_bounded_where_the_table_is_half_full),
        cmocka_unit_test(test_share_of_all_waiters_is_bounded),
        cmocka_unit_test(test_share_of_the_waiters_of_a_question_is_bounded),
        cmocka_unit_test(test_places_are_clean_at_the_start),
    };
    return cmocka_run_group_tests_name("waiter_table", tests, NULL, NULL);
}
