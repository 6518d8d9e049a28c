// SPDX-License-Identifier: MIT
#include "core/forward/wheel.h"

#include "tests/unit/packet.h"

// The wheel against a list: each timer of the list knows the tick at which it has to fire, and in
// every step exactly those fire whose tick has come.

#define TIMERS   400
#define REACH    ((uint64_t)64 * 64 * 64 * 64)
#define START_US 1700000000123456u
#define SECOND   1000000u

struct listed {
    struct timer timer; // first
    uint64_t due_tick;  // what the list says
    bool running;
};

struct list {
    struct wheel wheel;
    struct listed timers[TIMERS];
    uint64_t now_us;
    uint64_t random;
    uint64_t fired;
    uint64_t at_level[WHEEL_LEVELS]; // starts
};

static uint64_t ticks_of(uint64_t us)
{
    return us / WHEEL_TICK_US + (us % WHEEL_TICK_US != 0);
}

static void start(struct list *list, struct listed *listed, uint64_t due_us)
{
    wheel_start(&list->wheel, &listed->timer, due_us);
    uint64_t tick = list->wheel.tick, due = ticks_of(due_us);
    if (due <= tick)
        due = tick + 1;
    if (due - tick > REACH - 65)
        due = tick + REACH - 65;
    listed->due_tick = due;
    listed->running = true;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++)
        list->at_level[level] += due - tick >= (uint64_t)1 << 6 * level;
}

static void stop(struct list *list, struct listed *listed)
{
    wheel_stop(&list->wheel, &listed->timer);
    listed->running = false;
}

// From now to beyond what the wheel reaches, all magnitudes equally likely.
static uint64_t delay(struct list *list)
{
    uint64_t bits = test_random(&list->random) % 36;
    return test_random(&list->random) & (((uint64_t)1 << bits) - 1);
}

static struct listed *any(struct list *list)
{
    return &list->timers[test_random(&list->random) % TIMERS];
}

// What a fired timer's owner may do: start it or others again, stop others, those due now too.
static void change_some(struct list *list)
{
    for (unsigned i = (unsigned)(test_random(&list->random) % 4); i > 0; i--) {
        if (test_random(&list->random) % 3)
            start(list, any(list), list->now_us + delay(list));
        else
            stop(list, any(list));
    }
    if (test_random(&list->random) % 16 == 0) // due long ago
        start(list, any(list), list->now_us - list->now_us % 70000000);
}

static void check_slots(const struct list *list)
{
    const struct wheel *wheel = &list->wheel;
    size_t linked = 0, running = 0;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++) {
            const struct timer *timer = wheel->slots[level][slot];
            assert_int_equal(wheel->occupied[level] >> slot & 1, timer != NULL);
            for (; timer; timer = timer->next, linked++)
                assert_ptr_equal(*timer->link, timer);
        }
    }
    for (size_t i = 0; i < TIMERS; i++)
        running += list->timers[i].running;
    assert_int_equal(linked, running);
}

static void check_deadline(const struct list *list)
{
    uint64_t first = UINT64_MAX, tick = list->wheel.tick;
    for (size_t i = 0; i < TIMERS; i++) {
        const struct listed *listed = &list->timers[i];
        assert_int_equal(timer_running(&listed->timer), listed->running);
        if (listed->running && listed->due_tick < first)
            first = listed->due_tick;
    }
    uint64_t deadline_us = wheel_deadline(&list->wheel);
    if (first == UINT64_MAX) {
        assert_true(deadline_us == WHEEL_NEVER);
        return;
    }
    // Never late, never now; and exact where the timer is on the lowest level.
    assert_true(deadline_us <= first * WHEEL_TICK_US);
    assert_true(deadline_us > tick * WHEEL_TICK_US);
    if (first / 64 == tick / 64)
        assert_true(deadline_us == first * WHEEL_TICK_US);
}

static void fire_all(struct list *list, bool change)
{
    struct timer *timer;
    uint64_t last = 0, now = list->now_us / WHEEL_TICK_US;
    while ((timer = wheel_next(&list->wheel, list->now_us))) {
        struct listed *listed = (struct listed *)timer;
        assert_false(timer_running(timer));
        assert_true(listed->running);
        assert_true(listed->due_tick <= now);  // never early
        assert_true(listed->due_tick >= last); // one tick after the other
        last = listed->due_tick;
        listed->running = false;
        list->fired++;
        if (change)
            change_some(list);
    }
    for (size_t i = 0; i < TIMERS; i++) {
        if (list->timers[i].running)
            assert_true(list->timers[i].due_tick > now); // nothing was left
    }
    assert_true(list->wheel.tick == now);
}

static void step(struct list *list, bool change)
{
    uint64_t deadline_us = wheel_deadline(&list->wheel);
    switch (test_random(&list->random) % 4) {
    case 0:
        if (deadline_us != WHEEL_NEVER)
            list->now_us = deadline_us;
        break;
    case 1: // just before: nothing may fire
        if (deadline_us != WHEEL_NEVER && deadline_us - 1 > list->now_us) {
            list->now_us = deadline_us - 1;
            assert_null(wheel_next(&list->wheel, list->now_us));
        }
        break;
    default:
        list->now_us += delay(list);
    }
    fire_all(list, change);
    check_deadline(list);
}

static void test_random_timers_fire_as_a_list_would_have_them(void **state)
{
    (void)state;
    struct list *list = malloc(sizeof *list);
    assert_non_null(list);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        memset(list, 0, sizeof *list);
        list->random = seed;
        list->now_us = seed % 3 == 0 ? seed : START_US * seed;
        wheel_init(&list->wheel, list->now_us);
        for (unsigned i = 0; i < 3000; i++) {
            change_some(list);
            if (i % 64 == 0)
                check_slots(list);
            step(list, seed % 2);
        }
        assert_in_range(list->fired, 1000, 100000);
        for (unsigned level = 0; level < WHEEL_LEVELS; level++)
            assert_in_range(list->at_level[level], 100, 100000);
    }
    free(list);
}

// A loop that sleeps until each deadline fires every timer within its tick.
static void test_deadlines_alone_lead_to_every_timer(void **state)
{
    (void)state;
    struct list *list = calloc(1, sizeof *list);
    assert_non_null(list);
    list->random = 5;
    list->now_us = START_US;
    wheel_init(&list->wheel, list->now_us);
    for (size_t i = 0; i < TIMERS; i++)
        start(list, &list->timers[i], list->now_us + delay(list));
    unsigned wakes = 0;
    for (; wheel_deadline(&list->wheel) != WHEEL_NEVER; wakes++) {
        list->now_us = wheel_deadline(&list->wheel);
        struct timer *timer;
        while ((timer = wheel_next(&list->wheel, list->now_us))) {
            struct listed *listed = (struct listed *)timer;
            assert_int_equal(listed->due_tick, list->now_us / WHEEL_TICK_US);
            listed->running = false;
            list->fired++;
        }
    }
    assert_int_equal(list->fired, TIMERS);
    assert_in_range(wakes, 1, TIMERS * WHEEL_LEVELS); // early at most once a level
    free(list);
}

static const struct {
    uint64_t start_us;
    uint64_t delay_us;
    uint64_t fires_us; // first whole microsecond at which it may and must fire
} rows[] = {
    {0, 1, 1000},
    {0, 1000, 1000},
    {0, 1001, 2000},
    {999, 1, 1000},
    {0, 63000, 63000},
    {0, 64000, 64000},
    {0, 65000, 65000},
    {63000, 1000, 64000},
    {0, 64000 * 64, 64000 * 64},
    {0, 64000 * 64 - 1, 64000 * 64},
    {0, (uint64_t)64000 * 64 * 64, (uint64_t)64000 * 64 * 64},
    {(uint64_t)64000 * 64 * 64 - 1000, 1000, (uint64_t)64000 * 64 * 64},
    {(REACH - 1) * 1000, 1000, REACH * 1000},
    {(REACH - 1) * 1000, 64000, (REACH + 63) * 1000},
    {(REACH - 1) * 1000, 3600 * (uint64_t)SECOND, (REACH - 1) * 1000 + 3600 * (uint64_t)SECOND},
    {START_US, 5 * SECOND, 1700000005124000},
};

static void test_timer_fires_at_its_tick_and_not_before(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct wheel wheel;
        struct timer timer = {0};
        wheel_init(&wheel, rows[i].start_us);
        assert_true(wheel_deadline(&wheel) == WHEEL_NEVER);
        wheel_start(&wheel, &timer, rows[i].start_us + rows[i].delay_us);
        assert_true(wheel_deadline(&wheel) <= rows[i].fires_us);
        if (wheel_next(&wheel, rows[i].fires_us - 1))
            fail_msg("row %zu fires too early", i);
        assert_true(timer_running(&timer));
        if (wheel_next(&wheel, rows[i].fires_us) != &timer)
            fail_msg("row %zu fires too late", i);
        assert_false(timer_running(&timer));
        assert_null(wheel_next(&wheel, rows[i].fires_us));
        assert_true(wheel_deadline(&wheel) == WHEEL_NEVER);
    }
}

static void test_timer_beyond_the_reach_fires_after_hours(void **state)
{
    (void)state;
    static const uint64_t dues[] = {START_US + REACH * 1000, START_US + 2 * REACH * 1000,
                                    UINT64_MAX - 998, UINT64_MAX};
    for (size_t i = 0; i < COUNT_OF(dues); i++) {
        struct wheel wheel;
        struct timer timer = {0};
        wheel_init(&wheel, START_US);
        wheel_start(&wheel, &timer, dues[i]);
        uint64_t hours = START_US + 16500 * (uint64_t)SECOND;
        assert_null(wheel_next(&wheel, hours));
        assert_ptr_equal(wheel_next(&wheel, START_US + REACH * 1000), &timer);
    }
}

static void test_restarted_timer_fires_once_at_its_new_time(void **state)
{
    (void)state;
    struct wheel wheel;
    struct timer timer = {0};
    wheel_init(&wheel, START_US);
    wheel_start(&wheel, &timer, START_US + 10000);
    wheel_start(&wheel, &timer, START_US + 5000000);
    wheel_start(&wheel, &timer, START_US + 20000);
    assert_null(wheel_next(&wheel, START_US + 19000));
    assert_ptr_equal(wheel_next(&wheel, START_US + 6000000), &timer);
    assert_null(wheel_next(&wheel, START_US + 7000000));
}

static void test_hastened_timer_is_never_put_off(void **state)
{
    (void)state;
    struct wheel wheel;
    struct timer timer = {0};
    wheel_init(&wheel, START_US);
    wheel_hasten(&wheel, &timer, START_US + 1000);
    assert_false(timer_running(&timer));
    wheel_start(&wheel, &timer, START_US + 20000);
    wheel_hasten(&wheel, &timer, START_US + 30000);
    wheel_hasten(&wheel, &timer, START_US + 10000);
    for (unsigned us = 10000; us < 15000; us += 300)
        wheel_hasten(&wheel, &timer, START_US + us);
    assert_null(wheel_next(&wheel, START_US + 9000));
    assert_ptr_equal(wheel_next(&wheel, START_US + 11000), &timer);
}

static void test_stopped_timer_never_fires(void **state)
{
    (void)state;
    struct wheel wheel;
    struct timer timers[3] = {0};
    wheel_init(&wheel, START_US);
    wheel_stop(&wheel, &timers[0]); // not running: nothing happens
    // All three in one slot: the first, the last and the one between are stopped in turn.
    for (unsigned which = 0; which < 3; which++) {
        uint64_t due_us = START_US + (which + 1) * 10000000u;
        for (unsigned i = 0; i < 3; i++)
            wheel_start(&wheel, &timers[i], due_us);
        wheel_stop(&wheel, &timers[which]);
        assert_false(timer_running(&timers[which]));
        wheel_stop(&wheel, &timers[which]);
        for (unsigned i = 0; i < 2; i++) {
            struct timer *timer = wheel_next(&wheel, due_us + 1000);
            assert_non_null(timer);
            assert_ptr_not_equal(timer, &timers[which]);
        }
        assert_null(wheel_next(&wheel, due_us + 1000));
    }
    assert_true(wheel_deadline(&wheel) == WHEEL_NEVER);
}

static void test_clock_that_stands_or_goes_back_does_no_harm(void **state)
{
    (void)state;
    struct wheel wheel;
    struct timer timer = {0};
    wheel_init(&wheel, START_US);
    wheel_start(&wheel, &timer, START_US + 5000);
    assert_null(wheel_next(&wheel, START_US));
    assert_null(wheel_next(&wheel, START_US - 5000000));
    assert_null(wheel_next(&wheel, 0));
    assert_ptr_equal(wheel_next(&wheel, START_US + 6000), &timer);
    wheel_start(&wheel, &timer, START_US); // due already: with the next tick
    assert_null(wheel_next(&wheel, START_US + 6000));
    assert_ptr_equal(wheel_next(&wheel, START_US + 7000), &timer);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_timers_fire_as_a_list_would_have_them),
        cmocka_unit_test(test_deadlines_alone_lead_to_every_timer),
        cmocka_unit_test(test_timer_fires_at_its_tick_and_not_before),
        cmocka_unit_test(test_timer_beyond_the_reach_fires_after_hours),
        cmocka_unit_test(test_restarted_timer_fires_once_at_its_new_time),
        cmocka_unit_test(test_hastened_timer_is_never_put_off),
        cmocka_unit_test(test_stopped_timer_never_fires),
        cmocka_unit_test(test_clock_that_stands_or_goes_back_does_no_harm),
    };
    return cmocka_run_group_tests_name("wheel", tests, NULL, NULL);
}
