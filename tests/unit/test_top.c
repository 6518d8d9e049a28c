// SPDX-License-Identifier: MIT
#include "core/top.h"

#include "tests/unit/packet.h"

#define MINUTE_US 60000000ull

static void count(struct top *top, uint64_t now_us, uint32_t number, uint64_t weight)
{
    top_count(top, now_us, number * 0x9e3779b97f4a7c15u, &number, sizeof number, weight);
}

// Where a number stands; -1: nowhere.
static int place_of(const struct top *top, uint32_t number)
{
    for (uint32_t i = 0; i < top->used; i++) {
        if (memcmp(top->entries[i].key, &number, sizeof number) == 0)
            return (int)i;
    }
    return -1;
}

static uint64_t count_of(const struct top *top, uint32_t number)
{
    int at = place_of(top, number);
    assert_true(at >= 0);
    return top->counts[at];
}

static struct top *top_make(void)
{
    struct top *top = calloc(1, sizeof *top);
    assert_non_null(top);
    top->halved_us = MINUTE_US;
    return top;
}

static void test_few_are_counted_exactly(void **state)
{
    (void)state;
    struct top *top = top_make();
    for (uint32_t i = 0; i < TOP_SIZE; i++) {
        for (uint32_t n = 0; n <= i; n++)
            count(top, MINUTE_US, i, 3);
    }
    for (uint32_t i = 0; i < TOP_SIZE; i++) {
        assert_int_equal(count_of(top, i), 3 * (i + 1));
        assert_int_equal(top->entries[place_of(top, i)].error, 0);
        assert_int_equal(top->entries[place_of(top, i)].len, sizeof i);
    }
    assert_int_equal(top->total, 3 * TOP_SIZE * (TOP_SIZE + 1) / 2);
    free(top);
}

// Among ten thousand that come once or so, what has more than a 128th of all is there, its count is
// never too low, and too high by its error at most.
static void test_frequent_ones_stand_out(void **state)
{
    (void)state;
    struct top *top = top_make();
    uint64_t random = 1, truth[8] = {0}, total = 0;
    for (unsigned i = 0; i < 200000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint32_t draw = (uint32_t)(random >> 33);
        uint32_t number = draw % 4 == 0 ? draw / 4 % 8 : 8 + draw % 10000;
        if (number < 8)
            truth[number]++;
        total++;
        count(top, MINUTE_US, number, 1);
    }
    assert_int_equal(top->total, total);
    assert_int_equal(top->used, TOP_SIZE);
    for (uint32_t i = 0; i < 8; i++) {
        assert_true(truth[i] * TOP_SIZE > total);
        assert_true(count_of(top, i) >= truth[i]);
        assert_true(count_of(top, i) - top->entries[place_of(top, i)].error <= truth[i]);
    }
    free(top);
}

static void test_what_was_frequent_is_forgotten(void **state)
{
    (void)state;
    struct top *top = top_make();
    count(top, MINUTE_US, 7, 1000);
    count(top, 2 * MINUTE_US - 1, 8, 1);
    assert_int_equal(count_of(top, 7), 1000);
    top_age(top, 4 * MINUTE_US);
    assert_int_equal(count_of(top, 7), 125);
    assert_int_equal(top->total, 125);
    top_age(top, 90 * MINUTE_US);
    assert_int_equal(top->used, 0);
    assert_int_equal(top->total, 0);
    free(top);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_are_counted_exactly),
        cmocka_unit_test(test_frequent_ones_stand_out),
        cmocka_unit_test(test_what_was_frequent_is_forgotten),
    };
    return cmocka_run_group_tests_name("top", tests, NULL, NULL);
}
