// SPDX-License-Identifier: MIT
#include "core/forward/refresh.h"

#include "tests/unit/packet.h"

#define BIRTH_S 1000000u

struct bench {
    struct refresh_table table;
    void *memory;
};

static struct bench begin(uint32_t size)
{
    struct bench bench = {.memory = malloc(refresh_size(size))};
    assert_non_null(bench.memory);
    memset(bench.memory, 0xa5, refresh_size(size));
    refresh_init(&bench.table, bench.memory, size);
    return bench;
}

static void end(struct bench *bench)
{
    free(bench->memory);
}

// Key n, all of them in one chain.
static struct key key_of(unsigned n)
{
    struct key key = {.hash = 64, .len = KEY_HEAD_LEN + 3};
    key.bytes[5] = (uint8_t)n;
    return key;
}

static struct refresh *note(struct bench *b, unsigned n, uint32_t life_s, bool full_wanted)
{
    struct key key = key_of(n);
    bool full = !full_wanted;
    struct refresh *refresh =
        refresh_note(&b->table, &key, (uint8_t)n, BIRTH_S, BIRTH_S + life_s, &full);
    assert_int_equal(full, full_wanted);
    return refresh;
}

// A tenth of the life before its end, but no less than 1 s and no more than 30 s.
static void test_refresh_is_due_in_the_last_part_of_the_life(void **state)
{
    (void)state;
    static const struct {
        uint32_t life_s;
        uint64_t lead_us;
    } rows[] = {
        {1, 1000000},     {2, 1000000},      {4, 1000000},       {5, 1000000},    {9, 1000000},
        {10, 1000000},    {11, 1100000},     {60, 6000000},      {299, 29900000}, {300, 30000000},
        {3600, 30000000}, {86400, 30000000}, {604800, 30000000},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct bench b = begin(1);
        struct refresh *refresh = note(&b, 1, rows[i].life_s, false);
        assert_non_null(refresh);
        uint64_t end_us = (uint64_t)(BIRTH_S + rows[i].life_s) * 1000000;
        assert_true(refresh->due_us == end_us - rows[i].lead_us);
        assert_int_equal(refresh->expiry_s, BIRTH_S + rows[i].life_s);
        assert_false(timer_running(&refresh->timer));
        end(&b);
    }
}

static void test_answer_is_recorded_once(void **state)
{
    (void)state;
    struct bench b = begin(4);
    struct refresh *refresh = note(&b, 1, 60, false);
    struct key key = key_of(1);
    assert_non_null(refresh);
    assert_true(key_equal(&refresh->key, &key));
    assert_null(note(&b, 1, 60, false));
    refresh_forget(&b.table, refresh);
    assert_non_null(note(&b, 1, 60, false));
    end(&b);
}

// An answer that was replaced before its end leaves its entry to the next, though nothing is free.
static void test_entry_passes_to_the_next_answer(void **state)
{
    (void)state;
    struct bench b = begin(1);
    struct key key = key_of(1);
    bool full;
    struct refresh *refresh = note(&b, 1, 60, false);
    assert_ptr_equal(refresh_note(&b.table, &key, 7, BIRTH_S + 5, BIRTH_S + 60, &full), refresh);
    assert_false(full);
    assert_int_equal(refresh->birth_s, BIRTH_S + 5);
    assert_int_equal(refresh->expiry_s, BIRTH_S + 60);
    assert_true(refresh->due_us == (BIRTH_S + 60) * 1000000ull - 5500000);
    assert_true(key_equal(&refresh->key, &key));
    assert_null(refresh_note(&b.table, &key, 7, BIRTH_S + 5, BIRTH_S + 60, &full));
    assert_null(note(&b, 2, 60, true));
    end(&b);
}

static void test_full_table_records_no_more_and_says_so(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= 16; size *= 2) {
        struct bench b = begin(size);
        struct refresh *notes[16];
        for (unsigned i = 0; i < size; i++) {
            notes[i] = note(&b, i, 60, false);
            assert_non_null(notes[i]);
        }
        assert_null(note(&b, 99, 60, true));
        assert_null(note(&b, 0, 60, false)); // is there: nothing is missing
        // From the chain's head, middle and end; its place is given to the next.
        for (unsigned i = 0; i < size; i++) {
            unsigned which = (i * 5 + 3) % size;
            refresh_forget(&b.table, notes[which]);
            assert_ptr_equal(note(&b, 100 + which, 60, false), notes[which]);
            assert_null(note(&b, 99, 60, true));
        }
        for (unsigned i = 0; i < size; i++)
            assert_null(note(&b, 100 + i, 60, false));
        end(&b);
    }
}

// Of 16 places networks with one hash get half, until others have some: then a quarter.
static void test_network_takes_no_places_from_others(void **state)
{
    (void)state;
    struct bench b = begin(16);
    struct refresh *last = NULL;
    unsigned count = 0;
    for (; count < 16; count++) {
        bool full;
        struct key key = key_of(count);
        struct refresh *refresh = refresh_note(&b.table, &key, 1, BIRTH_S, BIRTH_S + 60, &full);
        assert_int_equal(refresh == NULL, full);
        if (full)
            break;
        last = refresh;
    }
    assert_int_equal(count, 8);
    for (unsigned i = 0; i < 5; i++)
        assert_non_null(note(&b, 100 + i, 60, false));
    // What another network makes popular is that one's.
    bool full;
    struct key key = key_of(0);
    assert_non_null(refresh_note(&b.table, &key, 2, BIRTH_S + 1, BIRTH_S + 61, &full));
    assert_int_equal(b.table.held[1], 7);
    assert_int_equal(b.table.held[2], 1);
    refresh_forget(&b.table, last);
    assert_int_equal(b.table.held[1], 6);
    assert_int_equal(b.table.count, 12);
    end(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refresh_is_due_in_the_last_part_of_the_life),
        cmocka_unit_test(test_answer_is_recorded_once),
        cmocka_unit_test(test_entry_passes_to_the_next_answer),
        cmocka_unit_test(test_full_table_records_no_more_and_says_so),
        cmocka_unit_test(test_network_takes_no_places_from_others),
    };
    return cmocka_run_group_tests_name("refresh", tests, NULL, NULL);
}
