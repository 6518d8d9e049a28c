// SPDX-License-Identifier: MIT
#include "core/forward/connection_table.h"

#include "tests/unit/packet.h"

#define NOW_US 1000000000u

struct bench {
    struct connection_table table;
    struct rng rng;
    void *memory;
};

static struct bench begin(uint16_t size)
{
    struct bench bench = {.memory = malloc(connection_table_size(size))};
    uint8_t seed[32] = {(uint8_t)size};
    assert_non_null(bench.memory);
    memset(bench.memory, 0xa5, connection_table_size(size));
    connection_table_init(&bench.table, bench.memory, size);
    rng_seed(&bench.rng, seed);
    return bench;
}

static void end(struct bench *bench)
{
    free(bench->memory);
}

static uint16_t attach(struct bench *b, struct attempt *attempt, uint16_t upstream)
{
    *attempt = (struct attempt){.slot = CONNECTION_NONE};
    return connection_attach(&b->table, &b->rng, attempt,
                             &(struct connection_wish){.upstream = upstream,
                                                       .lane = LANE_SHARED,
                                                       .stale_us = CONNECTION_STALE_US,
                                                       .now_us = NOW_US});
}

static void detach_all(struct bench *b, struct attempt *attempts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        connection_detach(&b->table, &attempts[i]);
}

static void test_first_attempt_opens_a_connection_and_the_next_share_it(void **state)
{
    (void)state;
    struct bench b = begin(4);
    struct attempt attempts[CONNECTION_FULL];
    for (unsigned i = 0; i < CONNECTION_FULL; i++) {
        uint16_t slot = attach(&b, &attempts[i], 7);
        assert_int_equal(slot, 0);
        assert_int_equal(attempts[i].slot, 0);
        assert_true(b.table.slots[0].to_open);
        assert_int_equal(b.table.slots[0].upstream, 7);
        assert_int_equal(b.table.slots[0].in_flight, i + 1);
        assert_true(b.table.slots[0].used_us == NOW_US);
    }
    assert_int_equal(b.table.open_count, 1);
    // To another upstream goes another one.
    struct attempt other;
    assert_int_equal(attach(&b, &other, 8), 1);
    assert_int_equal(b.table.open_count, 2);
    end(&b);
}

static void test_attempts_are_found_by_their_ids(void **state)
{
    (void)state;
    enum { COUNT = 60 };
    struct bench b = begin(1);
    struct attempt attempts[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(attach(&b, &attempts[i], 7), 0);
        for (unsigned k = 0; k < i; k++)
            assert_int_not_equal(attempts[i].id, attempts[k].id);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        attempts[i].sent_us = NOW_US;
        assert_ptr_equal(connection_find(&b.table, 0, attempts[i].id), &attempts[i]);
    }
    // What has not been sent cannot have been answered.
    attempts[5].sent_us = 0;
    assert_null(connection_find(&b.table, 0, attempts[5].id));
    // In any order they go.
    for (unsigned i = 0; i < COUNT; i++) {
        struct attempt *gone = &attempts[(i * 7 + 3) % COUNT];
        uint16_t id = gone->id;
        connection_detach(&b.table, gone);
        assert_int_equal(gone->slot, CONNECTION_NONE);
        assert_null(connection_find(&b.table, 0, id));
        assert_int_equal(b.table.slots[0].in_flight, COUNT - 1 - i);
        connection_detach(&b.table, gone); // a second time changes nothing
    }
    assert_null(b.table.slots[0].attempts);
    end(&b);
}

// Drawn from all of them, each as likely.
static void test_ids_come_from_the_whole_range(void **state)
{
    (void)state;
    struct bench b = begin(1);
    unsigned counts[16] = {0};
    for (unsigned i = 0; i < 16000; i++) {
        struct attempt attempt;
        assert_int_equal(attach(&b, &attempt, 1), 0);
        counts[attempt.id >> 12]++;
        connection_detach(&b.table, &attempt);
    }
    for (unsigned i = 0; i < 16; i++)
        assert_in_range(counts[i], 850, 1150);
    end(&b);
}

static void test_busy_connection_gets_one_companion_and_no_more(void **state)
{
    (void)state;
    enum { COUNT = 2 * CONNECTION_IN_FLIGHT };
    struct bench b = begin(8);
    static struct attempt attempts[COUNT + 1];
    for (unsigned i = 0; i < COUNT; i++)
        assert_in_range(attach(&b, &attempts[i], 3), 0, 1);
    assert_int_equal(b.table.open_count, CONNECTION_PER_UPSTREAM);
    // They share the load evenly, each up to its bound.
    assert_int_equal(b.table.slots[0].in_flight, CONNECTION_IN_FLIGHT);
    assert_int_equal(b.table.slots[1].in_flight, CONNECTION_IN_FLIGHT);
    assert_int_equal(attach(&b, &attempts[COUNT], 3), CONNECTION_NONE);
    assert_int_equal(attempts[COUNT].slot, CONNECTION_NONE);
    // The one that has room is taken.
    struct attempt *gone = &attempts[COUNT - 1];
    uint16_t where = gone->slot;
    connection_detach(&b.table, gone);
    assert_int_equal(attach(&b, gone, 3), where);
    end(&b);
}

static void test_full_table_leaves_the_busy_ones_to_go_on(void **state)
{
    (void)state;
    struct bench b = begin(1);
    static struct attempt attempts[CONNECTION_FULL + 10];
    for (size_t i = 0; i < COUNT_OF(attempts); i++)
        assert_int_equal(attach(&b, &attempts[i], 3), 0);
    struct attempt other;
    assert_int_equal(attach(&b, &other, 4), CONNECTION_NONE);
    end(&b);
    struct bench none = begin(0);
    assert_int_equal(attach(&none, &other, 4), CONNECTION_NONE);
    assert_int_equal(connection_next_closing(&none.table), CONNECTION_NONE);
    end(&none);
}

static void test_slot_of_a_connection_that_ended_is_used_again(void **state)
{
    (void)state;
    struct bench b = begin(2);
    struct attempt attempt;
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(attach(&b, &attempt, (uint16_t)(10 + i)), 0);
        struct connection *connection = &b.table.slots[0];
        assert_true(connection->open && connection->to_open && !connection->closing);
        assert_int_equal(connection->upstream, 10 + i);
        assert_int_equal(connection->replies, 0);
        connection->to_open = false;
        connection->replies = 9;
        connection_detach(&b.table, &attempt);
        connection_closed(&b.table, 0);
        assert_int_equal(b.table.open_count, 0);
        assert_int_equal(connection_next_closing(&b.table), CONNECTION_NONE);
    }
    end(&b);
}

static void test_closing_connection_accepts_nothing_and_is_reported_once(void **state)
{
    (void)state;
    struct bench b = begin(3);
    struct attempt attempts[2];
    assert_int_equal(attach(&b, &attempts[0], 1), 0);
    connection_detach(&b.table, &attempts[0]);
    connection_close(&b.table, 0);
    connection_close(&b.table, 0); // a second time changes nothing
    assert_int_equal(attach(&b, &attempts[1], 1), 1);
    assert_int_equal(b.table.open_count, 2);
    assert_int_equal(connection_next_closing(&b.table), 0);
    assert_int_equal(connection_next_closing(&b.table), CONNECTION_NONE);
    assert_int_equal(b.table.open_count, 1);
    // One that ended by itself meanwhile is not reported.
    connection_detach(&b.table, &attempts[1]);
    connection_close(&b.table, 1);
    connection_closed(&b.table, 1);
    assert_int_equal(connection_next_closing(&b.table), CONNECTION_NONE);
    assert_int_equal(b.table.open_count, 0);
    end(&b);
}

static void test_idle_connections_are_closed(void **state)
{
    (void)state;
    struct bench b = begin(4);
    struct attempt attempts[4];
    for (uint16_t i = 0; i < 4; i++) {
        assert_int_equal(attach(&b, &attempts[i], i), i);
        b.table.slots[i].used_us = NOW_US + i;
    }
    // 0 and 2 have nothing in flight any more.
    connection_detach(&b.table, &attempts[0]);
    connection_detach(&b.table, &attempts[2]);
    assert_true(connections_close_idle(&b.table, NOW_US));
    assert_int_equal(connection_next_closing(&b.table), CONNECTION_NONE);
    assert_true(connections_close_idle(&b.table, NOW_US + 1));
    assert_int_equal(connection_next_closing(&b.table), 0);
    // What waits for a reply is not idle, however old.
    assert_true(connections_close_idle(&b.table, NOW_US + 99));
    assert_int_equal(connection_next_closing(&b.table), 2);
    assert_int_equal(connection_next_closing(&b.table), CONNECTION_NONE);
    detach_all(&b, attempts, 4);
    assert_true(connections_close_idle(&b.table, NOW_US + 99));
    while (connection_next_closing(&b.table) != CONNECTION_NONE)
        continue;
    assert_false(connections_close_idle(&b.table, NOW_US + 99));
    assert_int_equal(b.table.open_count + b.table.closing_count, 0);
    end(&b);
}

// Only what comes in is a word, however much goes out.
static void test_silence_is_counted_from_the_last_reply(void **state)
{
    (void)state;
    struct bench b = begin(2);
    struct attempt first, second;
    const struct connection *connection = &b.table.slots[0];
    first = second = (struct attempt){.slot = CONNECTION_NONE};
    assert_int_equal(connection_attach(&b.table, &b.rng, &first,
                                       &(struct connection_wish){.upstream = 7,
                                                                 .lane = LANE_SHARED,
                                                                 .stale_us = CONNECTION_STALE_US,
                                                                 .now_us = NOW_US}),
                     0);
    assert_int_equal(connection_attach(&b.table, &b.rng, &second,
                                       &(struct connection_wish){.upstream = 7,
                                                                 .lane = LANE_SHARED,
                                                                 .stale_us = CONNECTION_STALE_US,
                                                                 .now_us = NOW_US + 50}),
                     0);
    assert_true(connection->silent_since_us == NOW_US && !connection->connected);
    connection_established(&b.table, 0, NOW_US + 5);
    assert_true(connection->silent_since_us == NOW_US + 5 && connection->connected);
    connection_heard(&b.table, 0, NOW_US + 10);
    connection_detach(&b.table, &first);
    assert_true(connection->silent_since_us == NOW_US + 10);
    // With nothing in flight it is not silent, and its time restarts with the next question.
    connection_detach(&b.table, &second);
    assert_int_equal(connection_attach(&b.table, &b.rng, &first,
                                       &(struct connection_wish){.upstream = 7,
                                                                 .lane = LANE_SHARED,
                                                                 .stale_us = CONNECTION_STALE_US,
                                                                 .now_us = NOW_US + 200}),
                     0);
    assert_true(connection->silent_since_us == NOW_US + 200);
    connection_detach(&b.table, &first);
    end(&b);
}

static uint16_t attach_at(struct bench *b, struct attempt *attempt, bool apart, uint64_t now_us)
{
    *attempt = (struct attempt){.slot = CONNECTION_NONE};
    return connection_attach(&b->table, &b->rng, attempt,
                             &(struct connection_wish){.upstream = 7,
                                                       .lane = apart ? LANE_APART : LANE_SHARED,
                                                       .stale_us = CONNECTION_STALE_US,
                                                       .now_us = now_us});
}

// One that has been silent for a moment gets nothing more while another one can be had; four of
// them there are at most.
static void test_stale_connections_are_avoided(void **state)
{
    (void)state;
    struct bench b = begin(16);
    struct attempt attempts[8];
    uint64_t now_us = NOW_US;
    for (uint16_t i = 0; i < 4; i++) {
        assert_int_equal(attach_at(&b, &attempts[i], false, now_us), i);
        now_us += CONNECTION_STALE_US;
    }
    assert_int_equal(attach_at(&b, &attempts[4], false, now_us), 0);
    // One that says something is as good as new.
    connection_heard(&b.table, 2, now_us);
    assert_int_equal(attach_at(&b, &attempts[5], false, now_us), 2);
    assert_int_equal(attach_at(&b, &attempts[6], false, now_us), 2);
    detach_all(&b, attempts, 7);
    end(&b);
}

// What stalls connections has some of its own, as far as a part of the table goes.
static void test_what_stalls_goes_apart(void **state)
{
    (void)state;
    struct bench b = begin(8);
    struct attempt attempts[5];
    assert_int_equal(attach_at(&b, &attempts[0], true, NOW_US), 0);
    assert_int_equal(attach_at(&b, &attempts[1], false, NOW_US), 1);
    assert_int_equal(attach_at(&b, &attempts[2], true, NOW_US), 0);
    assert_int_equal(attach_at(&b, &attempts[3], true, NOW_US + CONNECTION_STALE_US), 0);
    assert_int_equal(attach_at(&b, &attempts[4], false, NOW_US + CONNECTION_STALE_US), 2);
    detach_all(&b, attempts, 5);
    end(&b);
}

static uint16_t attach_suspect(struct bench *b, struct attempt *attempt, uint8_t network,
                               uint32_t batch)
{
    *attempt = (struct attempt){.slot = CONNECTION_NONE, .network = {network, ADDRESS_IPV4}};
    uint16_t slot = connection_attach(&b->table, &b->rng, attempt,
                                      &(struct connection_wish){.upstream = 7,
                                                                .lane = LANE_SUSPECT,
                                                                .batch = batch,
                                                                .stale_us = CONNECTION_STALE_US,
                                                                .now_us = NOW_US});
    attempt->sent_us = attempt->deferred ? 0 : NOW_US;
    return slot;
}

// What is suspect goes in batches. The smaller they are, the more connections there are; a network
// waits on most of them and not on all, and what is beyond is held.
static void test_what_is_suspect_goes_in_batches(void **state)
{
    (void)state;
    enum { NETWORK = 6, OTHERS = LANE_SUSPECT_MAX - NETWORK, BATCH = 2 };
    enum { COUNT = NETWORK * BATCH };
    struct bench b = begin(32);
    struct attempt first[COUNT + 2], second[COUNT + 1], third, other;
    for (uint16_t i = 0; i < COUNT; i++)
        assert_int_equal(attach_suspect(&b, &first[i], 1, BATCH), i / BATCH);
    for (uint16_t i = COUNT; i < COUNT + 2; i++) {
        assert_in_range(attach_suspect(&b, &first[i], 1, BATCH), 0, NETWORK - 1);
        assert_true(first[i].deferred);
    }
    for (uint16_t i = 0; i < OTHERS * BATCH; i++)
        assert_int_equal(attach_suspect(&b, &second[i], 2, BATCH), NETWORK + i / BATCH);
    // There are no more for a third one: it waits where least does.
    (void)attach_suspect(&b, &third, 3, BATCH);
    assert_true(third.deferred);
    // Others have nothing to do with it.
    assert_int_equal(attach_at(&b, &other, false, NOW_US), LANE_SUSPECT_MAX);
    assert_int_equal(connection_sent_count(&b.table.slots[0]), BATCH);
    assert_false(connection_is_spent(&b.table.slots[0]));
    for (unsigned i = 0; i < BATCH; i++)
        connection_detach(&b.table, &first[i]);
    assert_true(connection_is_spent(&b.table.slots[0]));
    end(&b);
}

// Large batches have two connections, one of them for other networks than those on the first.
static void test_large_batches_have_two_connections(void **state)
{
    (void)state;
    struct bench b = begin(32);
    struct attempt attempts[40], other;
    for (unsigned i = 0; i < COUNT_OF(attempts); i++) {
        assert_int_equal(attach_suspect(&b, &attempts[i], 1, 32), 0);
        assert_int_equal(attempts[i].deferred, i >= 32);
    }
    assert_int_equal(attach_suspect(&b, &other, 2, 32), 1);
    assert_false(other.deferred);
    end(&b);
}

// Where all are taken, the one that has had nothing to do for longest is closed.
static void test_a_full_table_closes_what_is_idle(void **state)
{
    (void)state;
    struct bench b = begin(4);
    struct attempt attempts[4], next;
    for (uint16_t i = 0; i < 4; i++) {
        attempts[i] = (struct attempt){.slot = CONNECTION_NONE};
        assert_int_equal(attach(&b, &attempts[i], i), i);
        connection_established(&b.table, i, NOW_US + i);
    }
    next = (struct attempt){.slot = CONNECTION_NONE};
    assert_int_equal(attach(&b, &next, 9), CONNECTION_NONE);
    assert_int_equal(b.table.closing_count, 0);
    for (uint16_t i = 1; i < 3; i++) {
        attempts[i].sent_us = NOW_US;
        connection_heard(&b.table, i, NOW_US + 100 - i);
        connection_detach(&b.table, &attempts[i]);
    }
    assert_int_equal(attach(&b, &next, 9), CONNECTION_NONE);
    assert_int_equal(attach(&b, &next, 9), CONNECTION_NONE); // one is enough
    assert_int_equal(connection_next_closing(&b.table), 2);
    assert_int_equal(attach(&b, &next, 9), 2);
    end(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_attempt_opens_a_connection_and_the_next_share_it),
        cmocka_unit_test(test_attempts_are_found_by_their_ids),
        cmocka_unit_test(test_ids_come_from_the_whole_range),
        cmocka_unit_test(test_busy_connection_gets_one_companion_and_no_more),
        cmocka_unit_test(test_large_batches_have_two_connections),
        cmocka_unit_test(test_a_full_table_closes_what_is_idle),
        cmocka_unit_test(test_full_table_leaves_the_busy_ones_to_go_on),
        cmocka_unit_test(test_slot_of_a_connection_that_ended_is_used_again),
        cmocka_unit_test(test_closing_connection_accepts_nothing_and_is_reported_once),
        cmocka_unit_test(test_idle_connections_are_closed),
        cmocka_unit_test(test_silence_is_counted_from_the_last_reply),
        cmocka_unit_test(test_stale_connections_are_avoided),
        cmocka_unit_test(test_what_stalls_goes_apart),
        cmocka_unit_test(test_what_is_suspect_goes_in_batches),
    };
    return cmocka_run_group_tests_name("connection_table", tests, NULL, NULL);
}
