// SPDX-License-Identifier: MIT
#include "io/edge/bounded.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

struct call {
    sem_t may_return, dropped;
    int runs;
};

static void run(void *context)
{
    struct call *call = context;
    while (sem_wait(&call->may_return) != 0)
        continue;
    call->runs++;
}

static void drop(void *context)
{
    sem_post(&((struct call *)context)->dropped);
}

static void call_init(struct call *call)
{
    call->runs = 0;
    sem_init(&call->may_return, 0, 0);
    sem_init(&call->dropped, 0, 0);
}

static void assert_dropped_later(struct call *call)
{
    assert_int_equal(sem_trywait(&call->dropped), -1);
    sem_post(&call->may_return);
    while (sem_wait(&call->dropped) != 0)
        continue;
    assert_int_equal(call->runs, 1);
}

static void test_that_returns(void **state)
{
    (void)state;
    struct call call;
    call_init(&call);
    struct bounded *bounded = bounded_start(run, drop, &call);
    assert_non_null(bounded);
    sem_post(&call.may_return);
    assert_true(bounded_finish(bounded, 60000, NULL, NULL));
    assert_int_equal(call.runs, 1);
    assert_int_equal(sem_trywait(&call.dropped), -1);
}

static void test_that_takes_too_long(void **state)
{
    (void)state;
    struct call call;
    call_init(&call);
    struct bounded *bounded = bounded_start(run, drop, &call);
    assert_false(bounded_finish(bounded, 100, NULL, NULL));
    assert_dropped_later(&call);
}

static bool is_true(void *context)
{
    return *(bool *)context;
}

static void test_that_is_not_waited_for_any_more(void **state)
{
    (void)state;
    struct call call;
    bool stop = true;
    call_init(&call);
    struct bounded *bounded = bounded_start(run, drop, &call);
    assert_false(bounded_finish(bounded, 3600 * 1000, is_true, &stop));
    assert_dropped_later(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_that_returns),
        cmocka_unit_test(test_that_takes_too_long),
        cmocka_unit_test(test_that_is_not_waited_for_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
