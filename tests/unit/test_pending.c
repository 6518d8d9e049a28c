// SPDX-License-Identifier: MIT
#include "core/forward/pending.h"

#include "tests/unit/packet.h"

struct bench {
    struct pending_table table;
    void *memory;
};

// The memory is of the exact size, so that a sanitizer sees what reaches out of it.
static struct bench begin(uint32_t size)
{
    struct bench bench = {.memory = malloc(pending_size(size))};
    assert_non_null(bench.memory);
    memset(bench.memory, 0xa5, pending_size(size));
    pending_init(&bench.table, bench.memory, size);
    return bench;
}

static void end(struct bench *bench)
{
    free(bench->memory);
}

// Key n; many of them in one chain where `chains` is small.
static struct key key_of(unsigned n, unsigned chains)
{
    struct key key = {.hash = n % chains, .len = KEY_HEAD_LEN + 3};
    key.bytes[5] = (uint8_t)n;
    key.bytes[6] = (uint8_t)(n >> 8);
    return key;
}

static void put_away(struct pending_table *table, struct pending *pending)
{
    pending_unlink(table, pending);
    pending_free(table, pending);
}

static void test_question_is_found_by_its_whole_key(void **state)
{
    (void)state;
    struct bench b = begin(16);
    struct key key = key_of(1, 16), other = key;
    struct pending *pending = pending_add(&b.table, &key);
    assert_non_null(pending);
    assert_ptr_equal(pending_find(&b.table, &key), pending);
    assert_ptr_equal(timer_owner(&pending->timer), pending);
    other.hash += 16; // same chain
    assert_null(pending_find(&b.table, &other));
    other = key;
    other.bytes[7] ^= 1;
    assert_null(pending_find(&b.table, &other));
    other = key;
    other.len++;
    assert_null(pending_find(&b.table, &other));
    other = key;
    other.len--;
    assert_null(pending_find(&b.table, &other));
    // What stands behind the key's end does not count.
    other = key;
    other.bytes[100] = 1;
    assert_ptr_equal(pending_find(&b.table, &other), pending);
    put_away(&b.table, pending);
    assert_null(pending_find(&b.table, &key));
    end(&b);
}

static void test_new_question_is_clean(void **state)
{
    (void)state;
    struct bench b = begin(1);
    struct key key = key_of(1, 1);
    for (unsigned round = 0; round < 3; round++) {
        struct pending *pending = pending_add(&b.table, &key);
        assert_non_null(pending);
        assert_null(pending->waiters);
        assert_null(pending->attempts);
        assert_null(pending->zone);
        assert_false(timer_running(&pending->timer));
        assert_false(pending->answered || pending->sent);
        for (unsigned i = 0; i < PLAN_ZONE_UPSTREAMS_MAX; i++)
            assert_int_equal(pending->sends[i], 0);
        memset(pending->sends, 3, sizeof pending->sends);
        pending->answered = pending->sent = true;
        put_away(&b.table, pending);
    }
    end(&b);
}

static void test_table_is_full_at_its_size(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= 64; size *= 2) {
        struct bench b = begin(size);
        struct pending *pending = NULL;
        for (unsigned i = 0; i < size; i++) {
            struct key key = key_of(i, 3);
            pending = pending_add(&b.table, &key);
            assert_non_null(pending);
        }
        struct key key = key_of(999, 3);
        assert_null(pending_add(&b.table, &key));
        assert_int_equal(b.table.count, size);
        put_away(&b.table, pending);
        assert_int_equal(b.table.count, size - 1);
        assert_non_null(pending_add(&b.table, &key));
        for (unsigned i = 0; i + 1 < size; i++) {
            key = key_of(i, 3);
            assert_non_null(pending_find(&b.table, &key));
        }
        end(&b);
    }
}

// A finished question cannot be joined, but its waiters can still be taken.
static void test_unlinked_question_keeps_its_waiters(void **state)
{
    (void)state;
    struct bench b = begin(4);
    struct key key = key_of(1, 4);
    struct pending *first = pending_add(&b.table, &key);
    assert_non_null(first);
    struct waiter *waiter = waiter_add(&b.table, first);
    assert_non_null(waiter);
    waiter->id = 77;
    pending_unlink(&b.table, first);
    assert_null(pending_find(&b.table, &key));
    struct pending *second = pending_add(&b.table, &key);
    assert_non_null(second);
    assert_ptr_not_equal(second, first);
    waiter = waiter_take(&b.table, first);
    assert_non_null(waiter);
    assert_int_equal(waiter->id, 77);
    assert_null(waiter_take(&b.table, first));
    pending_free(&b.table, first);
    assert_ptr_equal(pending_find(&b.table, &key), second);
    end(&b);
}

static void test_waiters_come_out_in_the_order_they_came_in(void **state)
{
    (void)state;
    struct bench b = begin(128);
    struct key key = key_of(1, 4);
    struct pending *pending = pending_add(&b.table, &key);
    assert_non_null(pending);
    uint16_t in = 0, out = 0;
    uint64_t seed = 1;
    for (unsigned i = 0; i < 20000; i++) {
        if (test_random(&seed) % 2) {
            struct waiter *waiter = waiter_add(&b.table, pending);
            bool full = (uint16_t)(in - out) == PENDING_PER_QUESTION_MAX;
            assert_int_equal(waiter == NULL, full);
            if (waiter)
                waiter->id = in++;
        } else {
            struct waiter *waiter = waiter_take(&b.table, pending);
            assert_int_equal(waiter == NULL, in == out);
            if (waiter)
                assert_int_equal(waiter->id, out++);
        }
        assert_int_equal(pending->waiter_count, (uint16_t)(in - out));
        assert_int_equal(b.table.waiter_count, (uint16_t)(in - out));
    }
    end(&b);
}

static void test_limits_of_waiters_of_a_question_and_of_all(void **state)
{
    (void)state;
    struct bench b = begin(128); // 512 waiters
    for (unsigned i = 0; i < 3; i++) {
        struct key key = key_of(i, 4);
        struct pending *pending = pending_add(&b.table, &key);
        assert_non_null(pending);
        unsigned count = 0;
        while (waiter_add(&b.table, pending))
            count++;
        assert_int_equal(count, i < 2 ? PENDING_PER_QUESTION_MAX : 0);
    }
    assert_int_equal(b.table.waiter_count, 512);
    assert_null(b.table.free_waiters);
    end(&b);
}

static void test_attempts_are_latest_first_and_freed_in_any_order(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 3; which++) {
        struct bench b = begin(1); // 4 attempts
        struct key key = key_of(1, 1);
        struct pending *pending = pending_add(&b.table, &key);
        assert_non_null(pending);
        struct attempt *attempts[4];
        for (unsigned i = 0; i < 4; i++) {
            attempts[i] = attempt_add(&b.table, pending);
            assert_non_null(attempts[i]);
            assert_ptr_equal(attempts[i]->pending, pending);
            assert_int_equal(attempts[i]->port, UINT16_MAX);
            assert_false(attempts[i]->queued || attempts[i]->counted_lost);
            assert_ptr_equal(pending->attempts, attempts[i]);
            attempts[i]->queued = attempts[i]->counted_lost = true;
        }
        assert_null(attempt_add(&b.table, pending));
        attempt_free(&b.table, attempts[which]);
        struct attempt *attempt = pending->attempts;
        for (unsigned i = 4; i-- > 0;) {
            if (i == which)
                continue;
            assert_ptr_equal(attempt, attempts[i]);
            attempt = attempt->next;
        }
        assert_null(attempt);
        assert_ptr_equal(attempt_add(&b.table, pending), attempts[which]);
        while (pending->attempts)
            attempt_free(&b.table, pending->attempts);
        put_away(&b.table, pending);
        end(&b);
    }
}

// The table against a list of what is in it.
static void test_random_questions_match_a_list(void **state)
{
    (void)state;
    enum { KEYS = 100, SIZE = 32 };
    struct bench b = begin(SIZE);
    struct pending *in[KEYS] = {0};
    unsigned count = 0;
    uint64_t seed = 2;
    for (unsigned i = 0; i < 100000; i++) {
        unsigned n = (unsigned)(test_random(&seed) % KEYS);
        struct key key = key_of(n, 7);
        struct pending *found = pending_find(&b.table, &key);
        assert_ptr_equal(found, in[n]);
        if (found) {
            assert_memory_equal(found->key.bytes, key.bytes, key.len);
            put_away(&b.table, found);
            in[n] = NULL;
            count--;
        } else {
            in[n] = pending_add(&b.table, &key);
            assert_int_equal(in[n] == NULL, count == SIZE);
            count += in[n] != NULL;
        }
        assert_int_equal(b.table.count, count);
    }
    end(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_question_is_found_by_its_whole_key),
        cmocka_unit_test(test_new_question_is_clean),
        cmocka_unit_test(test_table_is_full_at_its_size),
        cmocka_unit_test(test_unlinked_question_keeps_its_waiters),
        cmocka_unit_test(test_waiters_come_out_in_the_order_they_came_in),
        cmocka_unit_test(test_limits_of_waiters_of_a_question_and_of_all),
        cmocka_unit_test(test_attempts_are_latest_first_and_freed_in_any_order),
        cmocka_unit_test(test_random_questions_match_a_list),
    };
    return cmocka_run_group_tests_name("pending", tests, NULL, NULL);
}
