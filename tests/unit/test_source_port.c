// SPDX-License-Identifier: MIT
#include "core/forward/source_port.h"

#include "tests/unit/packet.h"

#define NOW_US 1000000000u

struct bench {
    struct source_port_table table;
    struct rng rng;
    void *memory;
};

static struct bench begin(uint16_t size)
{
    struct bench bench = {.memory = malloc(source_port_size(size))};
    uint8_t seed[32] = {(uint8_t)size};
    assert_non_null(bench.memory);
    memset(bench.memory, 0xa5, source_port_size(size));
    source_port_init(&bench.table, bench.memory, size);
    rng_seed(&bench.rng, seed);
    return bench;
}

static void end(struct bench *bench)
{
    free(bench->memory);
}

// Attaches one that leaves with those before it.
static uint16_t join(struct bench *b, struct attempt *attempt, uint16_t upstream, uint64_t now_us)
{
    *attempt = (struct attempt){.slot = SOURCE_PORT_NONE};
    return source_port_attach(&b->table, &b->rng, attempt, upstream, now_us);
}

// Attaches one that leaves alone.
static uint16_t attach(struct bench *b, struct attempt *attempt, uint16_t upstream, uint64_t now_us)
{
    source_port_sent(&b->table);
    return join(b, attempt, upstream, now_us);
}

static void test_while_there_is_room_each_attempt_gets_its_own_port(void **state)
{
    (void)state;
    enum { SIZE = 50, ROOM = SIZE - SIZE / SOURCE_PORT_SPARE_SHARE };
    struct bench b = begin(SIZE);
    struct attempt attempts[SIZE];
    bool seen[SIZE] = {0};
    for (unsigned i = 0; i < ROOM; i++) {
        uint16_t port = attach(&b, &attempts[i], (uint16_t)(i % 3), NOW_US);
        assert_in_range(port, 0, SIZE - 1);
        assert_false(seen[port]);
        seen[port] = true;
        assert_int_equal(attempts[i].slot, port);
        assert_true(b.table.slots[port].to_open);
        assert_int_equal(b.table.slots[port].upstream, i % 3);
        assert_in_range(b.table.slots[port].number, SOURCE_PORT_LOWEST, 65535);
    }
    // The rest is for upstreams that have none.
    assert_int_equal(b.table.free_count, SIZE - ROOM);
    assert_int_equal(source_port_next_closing(&b.table), SOURCE_PORT_NONE);
    end(&b);
}

// Those that leave together for one upstream share a port, as far as it bears; those that come when
// one has left, and those to another upstream, have others.
static void test_attempts_that_leave_together_share_a_port(void **state)
{
    (void)state;
    enum { SIZE = 64, MANY = 3 * SOURCE_PORT_WAITING };
    struct bench b = begin(SIZE);
    struct attempt attempts[MANY], other, later;
    unsigned at[SIZE] = {0}, ports = 0;
    for (unsigned i = 0; i < MANY; i++) {
        uint16_t port = join(&b, &attempts[i], 0, NOW_US);
        assert_in_range(port, 0, SIZE - 1);
        ports += at[port]++ == 0;
        assert_int_equal(port, attempts[i - i % SOURCE_PORT_WAITING].slot);
    }
    assert_int_equal(ports, MANY / SOURCE_PORT_WAITING);
    assert_int_equal(at[join(&b, &other, 1, NOW_US)]++, 0);
    source_port_sent(&b.table);
    assert_int_equal(at[join(&b, &later, 1, NOW_US)]++, 0);
    end(&b);
}

// One that was closed meanwhile, or is not to be used, is joined by nobody.
static void test_what_is_retired_is_not_shared(void **state)
{
    (void)state;
    struct bench b = begin(8);
    struct attempt first, second, third;
    uint16_t port = join(&b, &first, 0, NOW_US);
    source_port_retire(&b.table, port);
    assert_int_not_equal(join(&b, &second, 0, NOW_US), port);
    port = second.slot;
    source_port_detach(&b.table, &second);
    source_port_retire(&b.table, port);
    assert_int_equal(source_port_next_closing(&b.table), port);
    assert_in_range(join(&b, &third, 0, NOW_US), 0, 7);
    assert_true(b.table.slots[third.slot].to_open);
    assert_int_equal(b.table.slots[third.slot].uses, 1);
    end(&b);
}

// Where those that were to leave together have left without being sent, the next one may come when
// the port is too old.
static void test_what_is_old_is_not_shared(void **state)
{
    (void)state;
    struct bench b = begin(8);
    struct attempt first, second, third;
    uint16_t port = join(&b, &first, 0, NOW_US);
    source_port_detach(&b.table, &first);
    assert_int_equal(join(&b, &second, 0, NOW_US + SOURCE_PORT_LIFE_US), port);
    assert_int_not_equal(join(&b, &third, 0, NOW_US + SOURCE_PORT_LIFE_US + 1), port);
    end(&b);
}

// However many ask, so many wait at a port at a time, of the draws as of those that share.
static void test_no_more_wait_at_a_port_than_it_bears(void **state)
{
    (void)state;
    struct bench b = begin(1);
    struct attempt attempts[SOURCE_PORT_WAITING], more;
    for (unsigned i = 0; i < SOURCE_PORT_WAITING; i++)
        assert_int_equal(
            i % 2 ? join(&b, &attempts[i], 0, NOW_US) : attach(&b, &attempts[i], 0, NOW_US), 0);
    assert_int_equal(join(&b, &more, 0, NOW_US), SOURCE_PORT_NONE);
    assert_int_equal(attach(&b, &more, 0, NOW_US), SOURCE_PORT_NONE);
    assert_false(b.table.slots[0].retired);
    source_port_detach(&b.table, &attempts[3]);
    assert_int_equal(attach(&b, &more, 0, NOW_US), 0);
    end(&b);
}

// RFC 5452 9.2: the whole range, none likelier than another.
static void test_numbers_come_from_the_whole_range(void **state)
{
    (void)state;
    struct bench b = begin(1);
    unsigned in_range[64] = {0}, lowest = 65535, highest = 0;
    for (unsigned i = 0; i < 64000; i++) {
        struct attempt attempt;
        uint16_t port = attach(&b, &attempt, 0, NOW_US);
        unsigned number = b.table.slots[port].number;
        assert_in_range(number, SOURCE_PORT_LOWEST, 65535);
        in_range[(number - SOURCE_PORT_LOWEST) / 1008]++;
        lowest = number < lowest ? number : lowest;
        highest = number > highest ? number : highest;
        source_port_retire(&b.table, port);
        source_port_detach(&b.table, &attempt);
        assert_int_equal(source_port_next_closing(&b.table), port);
    }
    for (unsigned i = 0; i < 64; i++)
        assert_in_range(in_range[i], 850, 1150);
    assert_in_range(lowest, SOURCE_PORT_LOWEST, SOURCE_PORT_LOWEST + 10);
    assert_in_range(highest, 65525, 65535);
    end(&b);
}

static void test_port_is_retired_after_its_uses(void **state)
{
    (void)state;
    enum { KEPT = SOURCE_PORT_WAITING - 1, PASSING = SOURCE_PORT_USES - KEPT };
    struct bench b = begin(1);
    struct attempt attempts[KEPT], more;
    for (unsigned i = 0; i < KEPT; i++) {
        assert_int_equal(attach(&b, &attempts[i], 0, NOW_US), 0);
        for (unsigned k = 0; k < i; k++)
            assert_int_not_equal(attempts[k].id, attempts[i].id);
    }
    for (unsigned i = 0; i < PASSING; i++) {
        assert_false(b.table.slots[0].retired);
        assert_int_equal(attach(&b, &more, 0, NOW_US), 0);
        source_port_detach(&b.table, &more);
    }
    assert_true(b.table.slots[0].retired);
    assert_int_equal(attach(&b, &more, 0, NOW_US), SOURCE_PORT_NONE);
    // It closes with its last attempt, in whatever order they end.
    for (unsigned i = 0; i < KEPT; i++) {
        assert_int_equal(source_port_next_closing(&b.table), SOURCE_PORT_NONE);
        source_port_detach(&b.table, &attempts[i * 7 % KEPT]);
    }
    assert_int_equal(source_port_next_closing(&b.table), 0);
    assert_int_equal(source_port_next_closing(&b.table), SOURCE_PORT_NONE);
    assert_int_equal(attach(&b, &more, 0, NOW_US), 0);
    assert_true(b.table.slots[0].to_open);
    assert_int_equal(b.table.slots[0].uses, 1);
    end(&b);
}

static void test_uses_count_even_when_each_attempt_has_ended(void **state)
{
    (void)state;
    struct bench b = begin(1);
    for (unsigned i = 0; i < SOURCE_PORT_USES; i++) {
        struct attempt attempt;
        assert_int_equal(source_port_next_closing(&b.table), SOURCE_PORT_NONE);
        assert_int_equal(attach(&b, &attempt, 0, NOW_US), 0);
        source_port_detach(&b.table, &attempt);
        assert_int_equal(attempt.slot, SOURCE_PORT_NONE);
        source_port_detach(&b.table, &attempt); // a second time does nothing
    }
    assert_int_equal(source_port_next_closing(&b.table), 0);
    end(&b);
}

static void test_find_needs_port_and_id_of_a_sent_attempt(void **state)
{
    (void)state;
    struct bench b = begin(2);
    struct attempt attempts[6];
    for (unsigned i = 0; i < 6; i++)
        assert_in_range(attach(&b, &attempts[i], 0, NOW_US), 0, 1);
    for (unsigned i = 0; i < 6; i++) {
        struct attempt *attempt = &attempts[i];
        assert_ptr_equal(source_port_find(&b.table, attempt->slot, attempt->id), attempt);
        attempt->queued = true; // not sent yet: no one can know its ID
        assert_null(source_port_find(&b.table, attempt->slot, attempt->id));
        attempt->queued = false;
        uint16_t port = attempt->slot;
        source_port_detach(&b.table, attempt);
        assert_null(source_port_find(&b.table, port, attempt->id));
    }
    end(&b);
}

// Not only among those that wait: the ID of one that has ended means that one, and no other.
static void test_ids_are_unique_at_a_port(void **state)
{
    (void)state;
    struct bench b = begin(1);
    unsigned high[16] = {0};
    for (unsigned round = 0; round < 500; round++) {
        struct attempt attempts[SOURCE_PORT_USES];
        uint16_t ids[SOURCE_PORT_USES];
        for (unsigned i = 0; i < SOURCE_PORT_USES; i++) {
            if (i >= SOURCE_PORT_WAITING)
                source_port_detach(&b.table, &attempts[i - SOURCE_PORT_WAITING]);
            assert_int_equal(attach(&b, &attempts[i], 0, NOW_US), 0);
            ids[i] = attempts[i].id;
            high[ids[i] >> 12]++;
            for (unsigned k = 0; k < i; k++)
                assert_int_not_equal(ids[k], ids[i]);
            attempts[i].sent_us = NOW_US;
        }
        for (unsigned i = SOURCE_PORT_USES - SOURCE_PORT_WAITING; i < SOURCE_PORT_USES; i++)
            source_port_detach(&b.table, &attempts[i]);
        for (unsigned i = 0; i < SOURCE_PORT_USES; i++)
            assert_true(source_port_has_ended(&b.table, 0, ids[i]));
        assert_int_equal(source_port_next_closing(&b.table), 0);
    }
    for (unsigned i = 0; i < 16; i++)
        assert_in_range(high[i], 1800, 2200);
    end(&b);
}

static void test_old_port_serves_no_more_and_closes(void **state)
{
    (void)state;
    struct bench b = begin(1);
    struct attempt first, second;
    assert_int_equal(attach(&b, &first, 0, NOW_US), 0);
    assert_int_equal(attach(&b, &second, 0, NOW_US + SOURCE_PORT_LIFE_US), 0);
    source_port_detach(&b.table, &second);
    assert_int_equal(attach(&b, &second, 0, NOW_US + SOURCE_PORT_LIFE_US + 1), SOURCE_PORT_NONE);
    assert_int_equal(source_port_next_closing(&b.table), SOURCE_PORT_NONE);
    source_port_detach(&b.table, &first);
    assert_int_equal(source_port_next_closing(&b.table), 0);
    end(&b);
}

static void test_retire_old_tells_whether_any_is_open(void **state)
{
    (void)state;
    struct bench b = begin(4);
    struct attempt attempts[3];
    assert_false(source_ports_retire_old(&b.table, NOW_US));
    for (unsigned i = 0; i < 3; i++)
        assert_in_range(attach(&b, &attempts[i], 0, NOW_US + i), 0, 3);
    source_port_detach(&b.table, &attempts[0]);
    assert_true(source_ports_retire_old(&b.table, NOW_US + SOURCE_PORT_LIFE_US));
    assert_int_equal(source_port_next_closing(&b.table), SOURCE_PORT_NONE);
    assert_true(source_ports_retire_old(&b.table, NOW_US + SOURCE_PORT_LIFE_US + 2));
    assert_int_not_equal(source_port_next_closing(&b.table), SOURCE_PORT_NONE);
    assert_int_equal(source_port_next_closing(&b.table), SOURCE_PORT_NONE);
    source_port_detach(&b.table, &attempts[1]); // retired while it was used
    source_port_detach(&b.table, &attempts[2]);
    assert_int_not_equal(source_port_next_closing(&b.table), SOURCE_PORT_NONE);
    assert_true(source_ports_retire_old(&b.table, NOW_US + 3 * SOURCE_PORT_LIFE_US));
    assert_int_not_equal(source_port_next_closing(&b.table), SOURCE_PORT_NONE);
    assert_false(source_ports_retire_old(&b.table, NOW_US + 3 * SOURCE_PORT_LIFE_US));
    assert_int_equal(b.table.free_count, 4);
    end(&b);
}

static void test_retiring_twice_closes_once(void **state)
{
    (void)state;
    struct bench b = begin(3);
    struct attempt attempt;
    uint16_t port = attach(&b, &attempt, 0, NOW_US);
    source_port_retire(&b.table, (uint16_t)(port ? 0 : 1)); // one that is not open: nothing
    source_port_detach(&b.table, &attempt);
    source_port_retire(&b.table, port);
    source_port_retire(&b.table, port);
    assert_int_equal(source_port_next_closing(&b.table), port);
    assert_int_equal(source_port_next_closing(&b.table), SOURCE_PORT_NONE);
    assert_int_equal(b.table.free_count, 3);
    end(&b);
}

// An upstream that has no port while others' stand idle gets one in the end.
static void test_idle_port_of_another_upstream_makes_way(void **state)
{
    (void)state;
    struct bench b = begin(1);
    struct attempt first, second;
    assert_int_equal(attach(&b, &first, 1, NOW_US), 0);
    assert_int_equal(attach(&b, &second, 2, NOW_US), SOURCE_PORT_NONE);
    assert_int_equal(second.slot, SOURCE_PORT_NONE);
    assert_int_equal(source_port_next_closing(&b.table), SOURCE_PORT_NONE); // it is in use
    source_port_detach(&b.table, &first);
    assert_int_equal(attach(&b, &second, 2, NOW_US), SOURCE_PORT_NONE);
    assert_int_equal(source_port_next_closing(&b.table), 0);
    assert_int_equal(attach(&b, &second, 2, NOW_US), 0);
    assert_int_equal(b.table.slots[0].upstream, 2);
    end(&b);
}

// A long random life with several upstreams: all promises at every step.
static void test_random_life_keeps_every_promise(void **state)
{
    (void)state;
    enum { SIZE = 12, ATTEMPTS = 60 };
    struct bench b = begin(SIZE);
    struct attempt attempts[ATTEMPTS] = {0};
    uint64_t seed = 1, now_us = NOW_US, attached = 0, none = 0;
    for (unsigned i = 0; i < ATTEMPTS; i++)
        attempts[i].slot = SOURCE_PORT_NONE;
    for (unsigned step = 0; step < 200000; step++) {
        struct attempt *attempt = &attempts[test_random(&seed) % ATTEMPTS];
        now_us += test_random(&seed) % 2000;
        if (attempt->slot != SOURCE_PORT_NONE) {
            assert_ptr_equal(source_port_find(&b.table, attempt->slot, attempt->id), attempt);
            source_port_detach(&b.table, attempt);
        } else {
            uint16_t upstream = (uint16_t)(test_random(&seed) % 4);
            bool together = test_random(&seed) % 2;
            uint16_t index = together ? join(&b, attempt, upstream, now_us)
                                      : attach(&b, attempt, upstream, now_us);
            attached += index != SOURCE_PORT_NONE;
            none += index == SOURCE_PORT_NONE;
            if (index != SOURCE_PORT_NONE) {
                const struct source_port *port = &b.table.slots[index];
                assert_true(port->open);
                assert_int_equal(port->upstream, upstream);
                assert_in_range(port->uses, 1, SOURCE_PORT_USES);
                assert_in_range(port->waiting, 1, SOURCE_PORT_WAITING);
                assert_true(now_us - port->opened_us <= SOURCE_PORT_LIFE_US);
            }
        }
        if (test_random(&seed) % 64 == 0)
            source_port_retire(&b.table, (uint16_t)(test_random(&seed) % SIZE));
        uint16_t closing =
            test_random(&seed) % 2 ? source_port_next_closing(&b.table) : SOURCE_PORT_NONE;
        if (closing != SOURCE_PORT_NONE)
            assert_null(b.table.slots[closing].attempts);
        unsigned open = 0;
        for (unsigned i = 0; i < SIZE; i++)
            open += b.table.slots[i].open;
        assert_int_equal(open + b.table.free_count, SIZE);
    }
    assert_in_range(attached, 50000, 200000);
    assert_in_range(none, 10, 1000);
    end(&b);
}

// Where few are free, those whose latest attempt is old can give their places up, and none before
// its time.
static void test_where_ports_run_short_the_old_ones_can_yield(void **state)
{
    (void)state;
    enum { SIZE = SOURCE_PORT_ROOM_SHARE, DRAWS = 1000 };
    struct bench b = begin(SIZE);
    struct attempt attempts[SIZE];
    uint64_t kept_us = NOW_US + SOURCE_PORT_KEPT_US;
    assert_int_equal(source_port_draw_kept(&b.table, &b.rng, kept_us), SOURCE_PORT_NONE);
    for (unsigned i = 0; i < SIZE; i++) {
        assert_false(source_ports_short(&b.table));
        uint16_t port = attach(&b, &attempts[i], (uint16_t)i, NOW_US + i);
        assert_int_not_equal(port, SOURCE_PORT_NONE);
    }
    assert_true(source_ports_short(&b.table));
    unsigned drawn = 0;
    for (unsigned i = 0; i < DRAWS; i++) {
        assert_int_equal(source_port_draw_kept(&b.table, &b.rng, kept_us - 1), SOURCE_PORT_NONE);
        uint16_t port = source_port_draw_kept(&b.table, &b.rng, kept_us);
        assert_true(port == SOURCE_PORT_NONE || port == attempts[0].slot);
        drawn += port != SOURCE_PORT_NONE;
    }
    assert_in_range(drawn, DRAWS / SIZE / 2, DRAWS / SIZE * 2);
    // One that is about to be closed is room enough, and nothing is gained by it once more.
    uint16_t closing = attempts[0].slot;
    source_port_retire(&b.table, closing);
    source_port_detach(&b.table, &attempts[0]);
    assert_false(source_ports_short(&b.table));
    for (unsigned i = 0; i < DRAWS; i++)
        assert_int_not_equal(source_port_draw_kept(&b.table, &b.rng, kept_us + SIZE), closing);
    assert_int_equal(source_port_next_closing(&b.table), closing);
    assert_false(source_ports_short(&b.table));
    end(&b);
}

// The last free ones are gone: whatever is open to the upstream is found, however few those are.
static void test_without_a_free_port_any_open_one_is_found(void **state)
{
    (void)state;
    enum { SIZE = 800 };
    struct bench b = begin(SIZE);
    struct attempt attempts[SIZE], more;
    for (unsigned i = 0; i < SIZE; i++)
        assert_int_not_equal(attach(&b, &attempts[i], i == 0 ? 1 : (uint16_t)(2 + i), NOW_US),
                             SOURCE_PORT_NONE);
    assert_int_equal(b.table.free_count, 0);
    for (unsigned i = 1; i < SOURCE_PORT_USES; i++) {
        assert_int_equal(attach(&b, &more, 1, NOW_US), attempts[0].slot);
        source_port_detach(&b.table, &more);
    }
    assert_int_equal(attach(&b, &more, 1, NOW_US), SOURCE_PORT_NONE);
    end(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_while_there_is_room_each_attempt_gets_its_own_port),
        cmocka_unit_test(test_attempts_that_leave_together_share_a_port),
        cmocka_unit_test(test_what_is_retired_is_not_shared),
        cmocka_unit_test(test_what_is_old_is_not_shared),
        cmocka_unit_test(test_no_more_wait_at_a_port_than_it_bears),
        cmocka_unit_test(test_numbers_come_from_the_whole_range),
        cmocka_unit_test(test_port_is_retired_after_its_uses),
        cmocka_unit_test(test_uses_count_even_when_each_attempt_has_ended),
        cmocka_unit_test(test_find_needs_port_and_id_of_a_sent_attempt),
        cmocka_unit_test(test_ids_are_unique_at_a_port),
        cmocka_unit_test(test_old_port_serves_no_more_and_closes),
        cmocka_unit_test(test_retire_old_tells_whether_any_is_open),
        cmocka_unit_test(test_retiring_twice_closes_once),
        cmocka_unit_test(test_idle_port_of_another_upstream_makes_way),
        cmocka_unit_test(test_random_life_keeps_every_promise),
        cmocka_unit_test(test_where_ports_run_short_the_old_ones_can_yield),
        cmocka_unit_test(test_without_a_free_port_any_open_one_is_found),
    };
    return cmocka_run_group_tests_name("port", tests, NULL, NULL);
}
