// SPDX-License-Identifier: MIT
#include "core/forward/upstream.h"

#include "tests/unit/packet.h"

#define NOW_US 1000000000u

static struct rng rng_of(uint8_t first)
{
    struct rng rng;
    uint8_t seed[32] = {first};
    rng_seed(&rng, seed);
    return rng;
}

static void test_timeout_before_anything_is_known(void **state)
{
    (void)state;
    struct upstream upstream = {0};
    assert_int_equal(upstream_timeout_us(&upstream), 400000);
    upstream_lost(&upstream, NOW_US);
    assert_int_equal(upstream_timeout_us(&upstream), 400000);
}

// RFC 6298 2.2 and 2.3: the first measurement R gives R + 4 * R / 2; then 7/8 and 3/4 of the old.
static void test_timeout_follows_rfc_6298(void **state)
{
    (void)state;
    static const uint32_t times_us[] = {80000, 80000, 160000, 40000, 80000, 400000, 8000, 8000};
    struct upstream upstream = {0};
    double smoothed = 0, variation = 0;
    for (size_t i = 0; i < COUNT_OF(times_us); i++) {
        double time = times_us[i];
        upstream_answered(&upstream, times_us[i]);
        if (i == 0) {
            smoothed = time;
            variation = time / 2;
        } else {
            double error = time > smoothed ? time - smoothed : smoothed - time;
            variation = variation * 3 / 4 + error / 4;
            smoothed = smoothed * 7 / 8 + time / 8;
        }
        double wanted = smoothed + (4 * variation > 10000 ? 4 * variation : 10000);
        double is = upstream_timeout_us(&upstream);
        assert_true(is > wanted - 100 && is < wanted + 100);
    }
}

static void test_timeout_has_bounds(void **state)
{
    (void)state;
    static const uint32_t times_us[] = {0, 1, 7, 100, 5000000, UINT32_MAX / 16};
    for (size_t i = 0; i < COUNT_OF(times_us); i++) {
        struct upstream upstream = {0};
        for (unsigned k = 0; k < 200; k++) {
            upstream_answered(&upstream, times_us[i]);
            assert_in_range(upstream_timeout_us(&upstream), UPSTREAM_TIMEOUT_MIN_US,
                            UPSTREAM_TIMEOUT_MAX_US);
            assert_int_not_equal(upstream.smoothed_us, 0); // or it would count as never measured
        }
        if (times_us[i] < 1000)
            assert_int_equal(upstream_timeout_us(&upstream), UPSTREAM_TIMEOUT_MIN_US);
        else
            assert_int_equal(upstream_timeout_us(&upstream), UPSTREAM_TIMEOUT_MAX_US);
    }
}

static void test_steady_times_are_learnt(void **state)
{
    (void)state;
    struct upstream upstream = {0};
    upstream_answered(&upstream, 900000);
    for (unsigned i = 0; i < 200; i++)
        upstream_answered(&upstream, 30000 + i % 2 * 1000);
    assert_in_range(upstream.smoothed_us, 29900, 31100);
    assert_in_range(upstream.variation_us, 1, 1000);
    // However steady it is, there is a margin.
    assert_in_range(upstream_timeout_us(&upstream), 39900, 41100);
}

static void test_dead_upstream_is_tried_ever_more_rarely(void **state)
{
    (void)state;
    static const uint64_t pauses_s[] = {0, 0, 1, 2, 4, 8, 16, 16, 16};
    struct upstream upstream = {0};
    for (size_t i = 0; i < COUNT_OF(pauses_s); i++) {
        upstream_lost(&upstream, NOW_US);
        uint64_t wanted = pauses_s[i] ? NOW_US + pauses_s[i] * 1000000 : 0;
        assert_true(upstream.retry_us == wanted);
    }
    upstream_answered(&upstream, 1000);
    assert_int_equal(upstream.lost, 0);
    assert_int_equal(upstream.retry_us, 0);
    for (unsigned i = 0; i < 1000; i++)
        upstream_lost(&upstream, NOW_US);
    assert_true(upstream.retry_us == NOW_US + 16000000);
}

struct choice_row {
    const char *name;
    enum forward_strategy strategy;
    struct {
        uint32_t smoothed_us, variation_us, lost;
        uint64_t retry_us;
        uint8_t sends;
    } upstreams[4];
    size_t count;
    int wanted;
};

#define DEAD  .lost = 3, .retry_us = NOW_US + 1
#define AGAIN .lost = 3, .retry_us = NOW_US // may be tried again

static const struct choice_row choice_rows[] = {
    {"ordered: the first", FORWARD_ORDERED, {{.smoothed_us = 9000}, {.smoothed_us = 10}}, 2, 0},
    {"ordered: the first with fewer sends", FORWARD_ORDERED, {{.sends = 1}, {0}, {0}}, 3, 1},
    {"ordered: the first that is alive", FORWARD_ORDERED, {{DEAD}, {.lost = 2}, {0}}, 3, 1},
    {"ordered: back when it may be tried again", FORWARD_ORDERED, {{AGAIN}, {0}}, 2, 0},
    {"ordered: all dead, the first", FORWARD_ORDERED, {{DEAD}, {DEAD}}, 2, 0},
    {"ordered: a dead one with fewer sends", FORWARD_ORDERED, {{.sends = 1}, {DEAD}}, 2, 1},
    {"ordered: only one has sends left",
     FORWARD_ORDERED,
     {{.sends = 3}, {DEAD, .sends = 2}, {.sends = 3}},
     3,
     1},
    {"none has sends left", FORWARD_ORDERED, {{.sends = 3}, {.sends = 3}}, 2, -1},
    {"none has sends left, one more than all", FORWARD_ORDERED, {{.sends = 4}}, 1, -1},
    {"no upstream", FORWARD_ORDERED, {{0}}, 0, -1},
    {"random: fewer sends", FORWARD_RANDOM, {{.sends = 1}, {.sends = 2}, {DEAD}}, 3, 2},
    {"random: alive", FORWARD_RANDOM, {{DEAD}, {DEAD}, {.lost = 2}}, 3, 2},
    {"fastest: fewer sends",
     FORWARD_FASTEST,
     {{.smoothed_us = 10, .sends = 1}, {.smoothed_us = 1000000}},
     2,
     1},
    {"fastest: alive",
     FORWARD_FASTEST,
     {{.smoothed_us = 10, DEAD}, {.smoothed_us = 1000000}},
     2,
     1},
};

static int choose(const struct choice_row *row, struct rng *rng)
{
    struct forward_zone settings = {.strategy = row->strategy};
    struct plan_zone zone = {.settings = &settings, .upstream_count = (uint16_t)row->count};
    struct upstream upstreams[20] = {0};
    uint8_t sends[PLAN_ZONE_UPSTREAMS_MAX] = {0};
    for (size_t i = 0; i < row->count; i++) {
        zone.upstreams[i] = (uint16_t)(19 - 3 * i); // the place is not the index
        upstreams[19 - 3 * i] = (struct upstream){.smoothed_us = row->upstreams[i].smoothed_us,
                                                  .variation_us = row->upstreams[i].variation_us,
                                                  .lost = row->upstreams[i].lost,
                                                  .retry_us = row->upstreams[i].retry_us};
        sends[i] = row->upstreams[i].sends;
    }
    return upstream_choose(&zone, upstreams, sends, 3, rng, NOW_US);
}

static void test_choice_row(void **state)
{
    struct rng rng = rng_of(1);
    for (unsigned i = 0; i < 500; i++)
        assert_int_equal(choose(*state, &rng), ((const struct choice_row *)*state)->wanted);
}

static void chosen(const struct choice_row *row, unsigned counts[4])
{
    struct rng rng = rng_of(2);
    memset(counts, 0, 4 * sizeof *counts);
    for (unsigned i = 0; i < 6400; i++) {
        int choice = choose(row, &rng);
        assert_in_range(choice, 0, row->count - 1);
        counts[choice]++;
    }
}

static void test_random_takes_each_equally_often(void **state)
{
    (void)state;
    static const struct choice_row row = {"", FORWARD_RANDOM, {{0}, {0}, {0}, {0}}, 4, 0};
    unsigned counts[4];
    chosen(&row, counts);
    for (unsigned i = 0; i < 4; i++)
        assert_in_range(counts[i], 1450, 1750);
}

// The others get a share of about one in 64 each, so that a change is noticed.
static void test_fastest_takes_the_fastest_but_explores(void **state)
{
    (void)state;
    static const struct choice_row row = {"",
                                          FORWARD_FASTEST,
                                          {{.smoothed_us = 30000},
                                           {.smoothed_us = 10000, .variation_us = 2000},
                                           {.smoothed_us = 10000, .variation_us = 9000},
                                           {.smoothed_us = 5000, .lost = 1}},
                                          4,
                                          0};
    unsigned counts[4];
    chosen(&row, counts);
    assert_in_range(counts[1], 5900, 6300);
    for (unsigned i = 0; i < 4; i++)
        assert_in_range(counts[i], 50, i == 1 ? 6400 : 160);
}

static void test_fastest_measures_the_unknown_first(void **state)
{
    (void)state;
    static const struct choice_row row = {
        "", FORWARD_FASTEST, {{.smoothed_us = 100}, {0}, {.smoothed_us = 50}}, 3, 0};
    unsigned counts[4];
    chosen(&row, counts);
    assert_in_range(counts[1], 6200, 6400);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_timeout_before_anything_is_known),
    cmocka_unit_test(test_timeout_follows_rfc_6298),
    cmocka_unit_test(test_timeout_has_bounds),
    cmocka_unit_test(test_steady_times_are_learnt),
    cmocka_unit_test(test_dead_upstream_is_tried_ever_more_rarely),
    cmocka_unit_test(test_random_takes_each_equally_often),
    cmocka_unit_test(test_fastest_takes_the_fastest_but_explores),
    cmocka_unit_test(test_fastest_measures_the_unknown_first),
};

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(choice_rows) + COUNT_OF(others)];
    size_t count = tests_of_rows(tests, test_choice_row, choice_rows, sizeof *choice_rows,
                                 COUNT_OF(choice_rows));
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("upstream", tests, NULL, NULL);
}
