// SPDX-License-Identifier: MIT
#include "core/forward/budget.h"

#include "tests/unit/packet.h"

static unsigned takes(struct budget *budget)
{
    unsigned count = 0;
    while (budget_spend(budget))
        count++;
    return count;
}

static void test_budget_holds_what_it_starts_with(void **state)
{
    (void)state;
    static const struct {
        uint32_t max, start;
    } rows[] = {{64, 48}, {64, 0}, {1, 1}, {4096, 256}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct budget budget;
        budget_init(&budget, rows[i].max, rows[i].start);
        assert_int_equal(takes(&budget), rows[i].start);
        assert_false(budget_spend(&budget));
        budget_give(&budget, BUDGET_SEND);
        assert_int_equal(takes(&budget), 1);
    }
}

// Twenty questions make up for one send, and not a question less.
static void test_questions_fill_it_by_a_twentieth(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 64, 0);
    for (unsigned i = 1; i <= 200; i++) {
        budget_give(&budget, 1);
        assert_int_equal(budget_spend(&budget), i % 20 == 0);
    }
}

static void test_budget_never_holds_more_than_its_most(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 3, 2);
    for (unsigned i = 0; i < 1000; i++)
        budget_give(&budget, 7);
    assert_int_equal(budget.units, 3 * BUDGET_SEND);
    assert_int_equal(takes(&budget), 3);
    // What is left of a send counts on.
    budget_give(&budget, 19);
    assert_false(budget_spend(&budget));
    budget_give(&budget, 2);
    assert_true(budget_spend(&budget));
    assert_int_equal(budget.units, 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budget_holds_what_it_starts_with),
        cmocka_unit_test(test_questions_fill_it_by_a_twentieth),
        cmocka_unit_test(test_budget_never_holds_more_than_its_most),
    };
    return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
