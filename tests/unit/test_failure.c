// SPDX-License-Identifier: MIT
#include "core/forward/failure.h"

#include "tests/unit/packet.h"

#define NOW_US    1000000000u
#define SECOND_US 1000000u

struct bench {
    struct failure_table table;
    void *memory;
};

static struct bench begin(uint32_t size)
{
    struct bench bench = {.memory = malloc(failure_size(size))};
    assert_non_null(bench.memory);
    memset(bench.memory, 0xa5, failure_size(size));
    failure_init(&bench.table, bench.memory, size);
    return bench;
}

static void end(struct bench *bench)
{
    free(bench->memory);
}

// Hashes of one bucket where there is but one.
#define HASH(n) (0x123400000001u + (uint64_t)(n)*0x10001)

// An answer that was no, remembered at `now_us`.
static void add(struct bench *b, uint64_t hash, uint64_t now_us)
{
    failure_add(&b->table, hash, 5, false, 0, 0, now_us);
}

static bool remembered(const struct bench *b, uint64_t hash, uint64_t now_us)
{
    return failure_find(&b->table, hash, 0, now_us) != NULL;
}

static void test_failure_is_remembered_for_five_seconds(void **state)
{
    (void)state;
    struct bench b = begin(4);
    assert_false(remembered(&b, HASH(1), NOW_US));
    add(&b, HASH(1), NOW_US);
    const struct failure *failure = failure_find(&b.table, HASH(1), 0, NOW_US);
    assert_non_null(failure);
    assert_int_equal(failure->rcode, 5);
    assert_false(failure->network);
    assert_true(remembered(&b, HASH(1), NOW_US + 5 * SECOND_US - 1));
    assert_false(remembered(&b, HASH(1), NOW_US + 5 * SECOND_US));
    assert_false(remembered(&b, HASH(2), NOW_US));
    end(&b);
}

// RFC 9520 3.2: from 5 s on and no longer than 5 min.
static void test_failures_that_follow_are_remembered_twice_as_long(void **state)
{
    (void)state;
    static const uint64_t lasts_s[] = {5, 10, 20, 40, 80, 160, 300, 300, 300};
    struct bench b = begin(8);
    uint64_t now_us = NOW_US;
    for (size_t i = 0; i < COUNT_OF(lasts_s); i++) {
        add(&b, HASH(1), now_us);
        uint64_t end_us = now_us + lasts_s[i] * SECOND_US;
        assert_true(remembered(&b, HASH(1), end_us - 1));
        assert_false(remembered(&b, HASH(1), end_us));
        now_us = end_us;
    }
    end(&b);
}

// As long again as it lasted it still counts, and the 5 s that a question may take to fail; then
// the next failure is the first.
static void test_failure_that_expired_long_ago_does_not_count(void **state)
{
    (void)state;
    static const struct {
        uint64_t pause_us; // from one failure to the next
        uint64_t lasts_s;  // of the next
    } rows[] = {
        {1, 10},
        {5 * SECOND_US, 10},
        {15 * SECOND_US - 1, 10},
        {15 * SECOND_US, 5},
        {100 * SECOND_US, 5},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct bench b = begin(4);
        add(&b, HASH(1), NOW_US);
        uint64_t next_us = NOW_US + rows[i].pause_us;
        add(&b, HASH(1), next_us);
        assert_true(remembered(&b, HASH(1), next_us + rows[i].lasts_s * SECOND_US - 1));
        assert_false(remembered(&b, HASH(1), next_us + rows[i].lasts_s * SECOND_US));
        end(&b);
    }
}

static void test_answer_makes_a_failure_forgotten(void **state)
{
    (void)state;
    struct bench b = begin(4);
    add(&b, HASH(1), NOW_US);
    add(&b, HASH(2), NOW_US);
    failure_forget(&b.table, HASH(1));
    failure_forget(&b.table, HASH(3)); // was never there
    assert_false(remembered(&b, HASH(1), NOW_US));
    assert_true(remembered(&b, HASH(2), NOW_US));
    add(&b, HASH(1), NOW_US + 1);
    assert_false(remembered(&b, HASH(1), NOW_US + 1 + 5 * SECOND_US)); // counts as the first
    end(&b);
}

// An upstream that is back may answer what failed for want of one, but not what one refused.
static void test_failure_of_the_network_ends_with_its_era(void **state)
{
    (void)state;
    for (unsigned network = 0; network < 2; network++) {
        struct bench b = begin(4);
        failure_add(&b.table, HASH(1), 2, network, 7, 0, NOW_US);
        const struct failure *failure = failure_find(&b.table, HASH(1), 7, NOW_US);
        assert_non_null(failure);
        assert_int_equal(failure->network, network);
        failure = failure_find(&b.table, HASH(1), 8, NOW_US);
        assert_int_equal(failure == NULL, network);
        // A failure after the recovery is the second in a row.
        failure_add(&b.table, HASH(1), 2, network, 8, 0, NOW_US);
        assert_non_null(failure_find(&b.table, HASH(1), 8, NOW_US + 10 * SECOND_US - 1));
        assert_null(failure_find(&b.table, HASH(1), 8, NOW_US + 10 * SECOND_US));
        end(&b);
    }
}

static void test_failure_lasts_as_long_as_is_asked_for(void **state)
{
    (void)state;
    struct bench b = begin(4);
    failure_add(&b.table, HASH(1), 2, true, 0, FAILURE_STALE_US, NOW_US);
    assert_true(remembered(&b, HASH(1), NOW_US + 30 * SECOND_US - 1));
    assert_false(remembered(&b, HASH(1), NOW_US + 30 * SECOND_US));
    // What lasts longer anyway is left so: the third and following.
    uint64_t now_us = NOW_US + 30 * SECOND_US;
    for (unsigned i = 0; i < 3; i++)
        failure_add(&b.table, HASH(1), 2, true, 0, FAILURE_STALE_US, now_us);
    assert_true(remembered(&b, HASH(1), now_us + 40 * SECOND_US - 1));
    assert_false(remembered(&b, HASH(1), now_us + 40 * SECOND_US));
    end(&b);
}

static void test_the_one_that_ends_first_makes_room(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 4; first++) {
        struct bench b = begin(4);
        for (unsigned i = 0; i < 4; i++)
            add(&b, HASH(i), NOW_US + (i == first ? 0 : 1 + i));
        add(&b, HASH(9), NOW_US + 10);
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(remembered(&b, HASH(i), NOW_US + 10), i != first);
        assert_true(remembered(&b, HASH(9), NOW_US + 10));
        // One that has expired or was removed goes before all others.
        unsigned free = (first + 1) % 4;
        failure_forget(&b.table, HASH(free));
        add(&b, HASH(10), NOW_US + 10);
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(remembered(&b, HASH(i), NOW_US + 10), i != first && i != free);
        end(&b);
    }
}

// Each hash has its bucket, and the buckets fill alike.
static void test_hashes_spread_over_the_whole_table(void **state)
{
    (void)state;
    enum { SIZE = 64 * 4 };
    struct bench b = begin(SIZE);
    uint64_t seed = 3, hashes[SIZE];
    unsigned count = 0;
    for (unsigned i = 0; i < SIZE; i++) {
        hashes[i] = test_random(&seed);
        add(&b, hashes[i], NOW_US + i);
    }
    for (unsigned i = 0; i < SIZE; i++)
        count += remembered(&b, hashes[i], NOW_US + SIZE);
    assert_in_range(count, SIZE * 7 / 10, SIZE);
    end(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failure_is_remembered_for_five_seconds),
        cmocka_unit_test(test_failures_that_follow_are_remembered_twice_as_long),
        cmocka_unit_test(test_failure_that_expired_long_ago_does_not_count),
        cmocka_unit_test(test_answer_makes_a_failure_forgotten),
        cmocka_unit_test(test_failure_of_the_network_ends_with_its_era),
        cmocka_unit_test(test_failure_lasts_as_long_as_is_asked_for),
        cmocka_unit_test(test_the_one_that_ends_first_makes_room),
        cmocka_unit_test(test_hashes_spread_over_the_whole_table),
    };
    return cmocka_run_group_tests_name("failure", tests, NULL, NULL);
}
