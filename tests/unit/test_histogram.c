// SPDX-License-Identifier: MIT
#include "core/settings/histogram.h"

#include "tests/unit/packet.h"

static void test_every_time_is_in_the_bucket_that_holds_it(void **state)
{
    (void)state;
    for (uint64_t us = 0; us < 40000000; us += 1 + us / 1000) {
        unsigned bucket = histogram_bucket(us);
        assert_true(us <= histogram_edge_us(bucket));
        assert_true(bucket == 0 || us > histogram_edge_us(bucket - 1));
    }
    assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void test_edges_rise_and_are_within_a_fifth(void **state)
{
    (void)state;
    for (unsigned i = 1; i < HISTOGRAM_BUCKETS - 1; i++) {
        uint64_t low = histogram_edge_us(i - 1), high = histogram_edge_us(i);
        assert_true(high > low);
        assert_true(low < 8 || (high - low) * 4 <= low + 1);
    }
    assert_in_range(histogram_edge_us(HISTOGRAM_BUCKETS - 2), 16000000, 70000000);
    assert_true(histogram_edge_us(HISTOGRAM_BUCKETS - 1) == UINT64_MAX);
}

static void test_shares(void **state)
{
    (void)state;
    struct histogram one = {0}, other = {0}, sum = {0};
    assert_int_equal(histogram_share_us(&sum, 0.5), 0);
    histogram_add(&one, 5, 90);
    histogram_add(&other, 1000, 9);
    histogram_add(&other, 1000000, 1);
    histogram_sum(&sum, &one);
    histogram_sum(&sum, &other);
    assert_int_equal(histogram_count(&sum), 100);
    assert_int_equal(sum.sum_us, 450 + 9000 + 1000000);
    assert_int_equal(histogram_share_us(&sum, 0.5), 5);
    assert_int_equal(histogram_share_us(&sum, 0.9), 5);
    assert_in_range(histogram_share_us(&sum, 0.99), 1000, 1250);
    assert_in_range(histogram_share_us(&sum, 0.999), 1000000, 1250000);
    assert_in_range(histogram_share_us(&sum, 1), 1000000, 1250000);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_time_is_in_the_bucket_that_holds_it),
        cmocka_unit_test(test_edges_rise_and_are_within_a_fifth),
        cmocka_unit_test(test_shares),
    };
    return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
