// SPDX-License-Identifier: MIT
#include "core/forward/latency.h"

#include "tests/unit/packet.h"

// The upper edge of the bucket that a sample falls into: what an upstream with that alone has.
static uint32_t edge_of(uint64_t sample_us)
{
    struct latency latency = {0};
    latency_add(&latency, sample_us);
    assert_int_equal(latency.fast_us, latency.fast_tail_us);
    assert_int_equal(latency.fast_us, latency.slow_tail_us);
    return latency.fast_us;
}

static void test_nothing_is_known_without_a_sample(void **state)
{
    (void)state;
    struct latency latency = {0};
    assert_int_equal(latency.total, 0);
    assert_int_equal(latency.fast_us, 0);
    latency_add(&latency, 0);
    assert_int_equal(latency.total, 1);
    assert_int_not_equal(latency.fast_us, 0); // or it would count as never measured
}

static void test_samples_fall_into_four_buckets_to_each_doubling(void **state)
{
    (void)state;
    static const struct {
        uint64_t sample_us;
        uint32_t edge_us;
    } rows[] = {
        {0, 80},
        {63, 80},
        {64, 80},
        {79, 80},
        {80, 96},
        {95, 96},
        {96, 112},
        {111, 112},
        {112, 128},
        {127, 128},
        {128, 160},
        {1000, 1024},
        {1024, 1280},
        {40000, 40960},
        {1000000, 1048576},
        {7340031, 7340032},
        {7340032, 8388608},
        {8388607, 8388608},
        {8388608, 8388608},
        {UINT32_MAX, 8388608},
        {UINT64_MAX, 8388608},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(edge_of(rows[i].sample_us), rows[i].edge_us);
}

static void test_edges_rise_and_hold_their_samples(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        uint32_t edge_us = latency_edge_us(i);
        assert_int_equal(edge_of(edge_us - 1), edge_us);
        if (i + 1 < LATENCY_BUCKETS) {
            assert_true(latency_edge_us(i + 1) > edge_us);
            assert_true(latency_edge_us(i + 1) <= edge_us + edge_us / 4);
            assert_int_equal(edge_of(edge_us), latency_edge_us(i + 1));
        }
    }
}

struct mode_row {
    const char *name;
    struct {
        uint32_t sample_us;
        unsigned count;
    } modes[3];
    uint32_t fast_us, fast_tail_us, slow_tail_us; // of the bucket that this falls into
};

// The counts make up 160, so that the last sample brings the summary up to date.
static const struct mode_row mode_rows[] = {
    {"one mode", {{20000, 160}}, 20000, 20000, 20000},
    {"cache and network, half and half", {{1000, 80}, {100000, 80}}, 1000, 1000, 100000},
    {"cache mostly", {{1000, 150}, {100000, 10}}, 1000, 1000, 100000},
    {"network mostly", {{1000, 10}, {100000, 150}}, 1000, 1000, 100000},
    {"a twentieth is a mode", {{1000, 8}, {100000, 152}}, 1000, 1000, 100000},
    {"less than a twentieth is none", {{1000, 7}, {100000, 153}}, 100000, 100000, 100000},
    {"nor is it above", {{1000, 153}, {100000, 7}}, 1000, 1000, 100000},
    {"a hundredth is no tail", {{1000, 158}, {100000, 2}}, 1000, 1000, 1000},
    {"nearer than a doubling is one", {{10000, 80}, {16000, 80}}, 10000, 16000, 16000},
    {"a doubling apart is two", {{10000, 80}, {20000, 80}}, 10000, 10000, 20000},
    {"three modes part where they differ most",
     {{1000, 90}, {1500, 30}, {200000, 40}},
     1000,
     1500,
     200000},
    {"the fast mode's tail", {{1000, 110}, {1300, 18}, {100000, 32}}, 1000, 1300, 100000},
    {"the fast mode's outliers are no tail",
     {{1000, 124}, {1300, 4}, {90000, 32}},
     1000,
     1000,
     90000},
};

static void test_mode_row(void **state)
{
    const struct mode_row *row = *state;
    // The order in which they come does not matter.
    for (unsigned reversed = 0; reversed < 2; reversed++) {
        struct latency latency = {0};
        for (size_t i = 0; i < COUNT_OF(row->modes); i++) {
            size_t which = reversed ? COUNT_OF(row->modes) - 1 - i : i;
            for (unsigned k = 0; k < row->modes[which].count; k++)
                latency_add(&latency, row->modes[which].sample_us);
        }
        assert_int_equal(latency.total, 160);
        assert_int_equal(latency.fresh, 0);
        assert_int_equal(latency.fast_us, edge_of(row->fast_us));
        assert_int_equal(latency.fast_tail_us, edge_of(row->fast_tail_us));
        assert_int_equal(latency.slow_tail_us, edge_of(row->slow_tail_us));
    }
}

// What is spread evenly has no two modes, however wide it is.
static void test_even_spread_is_one_mode(void **state)
{
    (void)state;
    struct latency latency = {0};
    for (unsigned i = 0; i < 400; i++)
        latency_add(&latency, latency_edge_us(10 + i % 40) - 1);
    assert_int_equal(latency.fast_us, latency_edge_us(29));
    assert_int_equal(latency.fast_tail_us, latency_edge_us(47));
    assert_int_equal(latency.slow_tail_us, latency_edge_us(49));
}

static void test_summary_follows_each_of_the_first_samples_and_then_each_sixteenth(void **state)
{
    (void)state;
    struct latency latency = {0};
    for (unsigned i = 0; i < 16; i++) {
        latency_add(&latency, 1000u << (i % 2 * 3)); // 1 ms and 8 ms
        assert_int_equal(latency.slow_tail_us, edge_of(i > 0 ? 8000 : 1000));
    }
    for (unsigned i = 1; i <= 16; i++) {
        latency_add(&latency, 1000000);
        assert_int_equal(latency.slow_tail_us, edge_of(i < 16 ? 8000 : 1000000));
    }
}

static void test_what_is_old_fades(void **state)
{
    (void)state;
    struct latency latency = {0};
    for (unsigned i = 0; i < 512; i++)
        latency_add(&latency, 100000);
    assert_int_equal(latency.total, 512);
    latency_add(&latency, 1000);
    assert_int_equal(latency.total, 257);
    // The new fast mode is seen after some dozens, the old one lasts a while as the slow one.
    for (unsigned i = 0; i < 48; i++)
        latency_add(&latency, 1000);
    assert_int_equal(latency.fast_us, edge_of(1000));
    assert_int_equal(latency.slow_tail_us, edge_of(100000));
    for (unsigned i = 0; i < 2500; i++) {
        latency_add(&latency, 1000);
        assert_in_range(latency.total, 250, 512);
    }
    assert_int_equal(latency.slow_tail_us, edge_of(1000));
}

static void test_counts_add_up_whatever_comes(void **state)
{
    (void)state;
    struct latency latency = {0};
    uint64_t seed = 5;
    for (unsigned i = 0; i < 20000; i++) {
        latency_add(&latency, test_random(&seed) >> test_random(&seed) % 64);
        unsigned sum = 0;
        for (unsigned k = 0; k < LATENCY_BUCKETS; k++)
            sum += latency.counts[k];
        assert_int_equal(latency.total, sum);
        assert_true(latency.fast_us > 0 && latency.fast_us <= latency.fast_tail_us);
        assert_true(latency.fast_tail_us <= latency.slow_tail_us);
    }
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_nothing_is_known_without_a_sample),
    cmocka_unit_test(test_samples_fall_into_four_buckets_to_each_doubling),
    cmocka_unit_test(test_edges_rise_and_hold_their_samples),
    cmocka_unit_test(test_even_spread_is_one_mode),
    cmocka_unit_test(test_summary_follows_each_of_the_first_samples_and_then_each_sixteenth),
    cmocka_unit_test(test_what_is_old_fades),
    cmocka_unit_test(test_counts_add_up_whatever_comes),
};

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(mode_rows) + COUNT_OF(others)];
    size_t count =
        tests_of_rows(tests, test_mode_row, mode_rows, sizeof *mode_rows, COUNT_OF(mode_rows));
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("latency", tests, NULL, NULL);
}
