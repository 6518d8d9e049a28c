// SPDX-License-Identifier: MIT
#include "core/forward/question_table.h"

#include "tests/unit/packet.h"

struct bench {
    struct question_table table;
    void *memory;
    struct asker askers[64];
    size_t asker_count; // that were ever used
};

// The memory is of the exact size, so that a sanitizer sees what reaches out of it.
static struct bench begin(uint32_t size)
{
    struct bench bench = {.memory = malloc(question_table_size(size))};
    assert_non_null(bench.memory);
    memset(bench.memory, 0xa5, question_table_size(size));
    question_table_init(&bench.table, bench.memory, size, (uint64_t[2]){1, 2});
    return bench;
}

// A client whose network has this number.
static struct address client_of(unsigned number)
{
    return (struct address){
        .ip = {10, 0, (uint8_t)(number >> 8), (uint8_t)number}, .port = 1, .family = ADDRESS_IPV4};
}

static struct asker *add(struct bench *b, struct question *question, unsigned number)
{
    struct address client = client_of(number);
    struct asker *asker = &b->askers[b->asker_count++];
    assert_in_range(b->asker_count, 1, sizeof b->askers / sizeof *b->askers);
    asker_add(&b->table, question, asker, &client);
    return asker;
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

static void finish(struct question_table *table, struct question *question)
{
    question->state = QUESTION_SILENT;
    question_unlink(table, question);
}

static void put_away(struct question_table *table, struct question *question)
{
    finish(table, question);
    question_free(table, question);
}

static void test_question_is_found_by_its_whole_key(void **state)
{
    (void)state;
    struct bench b = begin(16);
    struct key key = key_of(1, 16), other = key;
    struct question *question = question_add(&b.table, &key);
    assert_non_null(question);
    assert_ptr_equal(question_find(&b.table, &key), question);
    assert_ptr_equal(timer_owner(&question->timer), question);
    other.hash += 16; // same chain
    assert_null(question_find(&b.table, &other));
    other = key;
    other.bytes[7] ^= 1;
    assert_null(question_find(&b.table, &other));
    other = key;
    other.len++;
    assert_null(question_find(&b.table, &other));
    other = key;
    other.len--;
    assert_null(question_find(&b.table, &other));
    // What stands behind the key's end does not count.
    other = key;
    other.bytes[100] = 1;
    assert_ptr_equal(question_find(&b.table, &other), question);
    put_away(&b.table, question);
    assert_null(question_find(&b.table, &key));
    end(&b);
}

static void test_new_question_is_clean(void **state)
{
    (void)state;
    struct bench b = begin(1);
    struct key key = key_of(1, 1);
    for (unsigned round = 0; round < 3; round++) {
        struct question *question = question_add(&b.table, &key);
        assert_non_null(question);
        assert_null(question->askers);
        assert_null(question->attempts);
        assert_null(question->zone);
        assert_false(timer_running(&question->timer));
        assert_int_equal(question->state, QUESTION_ASKED);
        assert_true(question_is_open(question));
        assert_false(question->tcp_only || question->hopeless || question->apart);
        assert_int_equal(question->rcode, RCODE_NOERROR);
        assert_int_equal(question->plain, 0);
        for (unsigned i = 0; i < ZONE_UPSTREAMS_MAX; i++)
            assert_int_equal(question->sends[i] + question->tcp_sends[i], 0);
        memset(question->sends, 3, sizeof question->sends);
        memset(question->tcp_sends, 3, sizeof question->tcp_sends);
        question->tcp_only = question->apart = true;
        question->rcode = RCODE_REFUSED;
        question->plain = 7;
        put_away(&b.table, question);
    }
    end(&b);
}

static void test_table_is_full_at_its_size(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= 64; size *= 2) {
        struct bench b = begin(size);
        struct question *question = NULL;
        for (unsigned i = 0; i < size; i++) {
            struct key key = key_of(i, 3);
            question = question_add(&b.table, &key);
            assert_non_null(question);
        }
        struct key key = key_of(999, 3);
        assert_null(question_add(&b.table, &key));
        assert_int_equal(b.table.count, size);
        put_away(&b.table, question);
        assert_int_equal(b.table.count, size - 1);
        assert_non_null(question_add(&b.table, &key));
        for (unsigned i = 0; i + 1 < size; i++) {
            key = key_of(i, 3);
            assert_non_null(question_find(&b.table, &key));
        }
        end(&b);
    }
}

// A finished question cannot be joined, but its askers can still be taken.
static void test_unlinked_question_keeps_its_askers(void **state)
{
    (void)state;
    struct bench b = begin(4);
    struct key key = key_of(1, 4);
    struct question *first = question_add(&b.table, &key);
    assert_non_null(first);
    struct asker *asker = add(&b, first, 0);
    finish(&b.table, first);
    assert_null(question_find(&b.table, &key));
    struct question *second = question_add(&b.table, &key);
    assert_non_null(second);
    assert_ptr_not_equal(second, first);
    assert_ptr_equal(asker_pop(&b.table, first), asker);
    assert_null(asker_pop(&b.table, first));
    question_free(&b.table, first);
    assert_ptr_equal(question_find(&b.table, &key), second);
    end(&b);
}

static void test_attempts_are_latest_first_and_freed_in_any_order(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 3; which++) {
        struct bench b = begin(1); // 4 attempts
        struct key key = key_of(1, 1);
        struct question *question = question_add(&b.table, &key);
        assert_non_null(question);
        struct attempt *attempts[4];
        for (unsigned i = 0; i < 4; i++) {
            attempts[i] = attempt_add(&b.table, question);
            assert_non_null(attempts[i]);
            assert_ptr_equal(attempts[i]->question, question);
            assert_int_equal(attempts[i]->slot, UINT16_MAX);
            assert_false(attempts[i]->queued || attempts[i]->overdue);
            assert_int_equal(attempts[i]->transport, TRANSPORT_UDP);
            assert_int_equal(attempts[i]->sent_us, 0);
            assert_ptr_equal(question->attempts, attempts[i]);
            attempts[i]->queued = attempts[i]->overdue = true;
            attempts[i]->transport = TRANSPORT_TCP;
            attempts[i]->sent_us = 1;
        }
        assert_null(attempt_add(&b.table, question));
        attempt_free(&b.table, attempts[which]);
        struct attempt *attempt = question->attempts;
        for (unsigned i = 4; i-- > 0;) {
            if (i == which)
                continue;
            assert_ptr_equal(attempt, attempts[i]);
            attempt = attempt->next;
        }
        assert_null(attempt);
        assert_ptr_equal(attempt_add(&b.table, question), attempts[which]);
        while (question->attempts)
            attempt_free(&b.table, question->attempts);
        put_away(&b.table, question);
        end(&b);
    }
}

// What the list of all questions must be: in the order they came, each linked both ways.
static void assert_order(const struct question_table *table, struct question *const *wanted,
                         unsigned count)
{
    const struct question *question = table->oldest, *older = NULL;
    for (unsigned i = 0; i < count; i++) {
        assert_ptr_equal(question, wanted[i]);
        assert_ptr_equal(question->older, older);
        older = question;
        question = question->younger;
    }
    assert_null(question);
    assert_ptr_equal(table->youngest, older);
    assert_int_equal(table->open_count, count);
}

static void test_questions_stand_in_the_order_they_came(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 4; which++) {
        struct bench b = begin(8);
        struct question *in[5];
        assert_order(&b.table, in, 0);
        for (unsigned i = 0; i < 4; i++) {
            struct key key = key_of(i, 2);
            in[i] = question_add(&b.table, &key);
            assert_non_null(in[i]);
            assert_order(&b.table, in, i + 1);
        }
        struct question *gone = in[which];
        finish(&b.table, gone);
        assert_int_equal(b.table.count, 4);
        memmove(in + which, in + which + 1, (3 - which) * sizeof *in);
        assert_order(&b.table, in, 3);
        struct key key = key_of(9, 2);
        in[3] = question_add(&b.table, &key);
        assert_order(&b.table, in, 4);
        question_free(&b.table, gone);
        assert_int_equal(b.table.count, 4);
        for (unsigned i = 0; i < 4; i++) {
            finish(&b.table, in[i]);
            assert_order(&b.table, in + i + 1, 3 - i);
            question_free(&b.table, in[i]);
        }
        end(&b);
    }
}

static void assert_orphans(const struct question_table *table, struct attempt *const *wanted,
                           unsigned count)
{
    const struct attempt *orphan = table->oldest_orphan, *before = NULL;
    for (unsigned i = 0; i < count; i++) {
        assert_ptr_equal(orphan, wanted[i]);
        assert_ptr_equal(orphan->before, before);
        assert_null(orphan->question);
        before = orphan;
        orphan = orphan->next;
    }
    assert_null(orphan);
    assert_ptr_equal(table->youngest_orphan, before);
}

static void test_orphans_outlive_their_question_in_the_order_they_came(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 3; which++) {
        struct bench b = begin(1); // 4 attempts
        struct key key = key_of(1, 1);
        struct question *question = question_add(&b.table, &key);
        struct attempt *attempts[4];
        assert_non_null(question);
        for (unsigned i = 0; i < 4; i++) {
            attempts[i] = attempt_add(&b.table, question);
            assert_non_null(attempts[i]);
        }
        attempt_free(&b.table, attempts[3]);
        for (unsigned i = 0; i < 3; i++) {
            attempt_orphan(&b.table, attempts[i]);
            assert_orphans(&b.table, attempts, i + 1);
        }
        assert_null(question->attempts);
        put_away(&b.table, question);
        assert_orphans(&b.table, attempts, 3);
        attempt_free(&b.table, attempts[which]);
        memmove(attempts + which, attempts + which + 1, (2 - which) * sizeof *attempts);
        assert_orphans(&b.table, attempts, 2);
        while (b.table.oldest_orphan)
            attempt_free(&b.table, b.table.oldest_orphan);
        assert_orphans(&b.table, attempts, 0);
        // All four can be had again.
        question = question_add(&b.table, &key);
        for (unsigned i = 0; i < 4; i++)
            assert_non_null(attempt_add(&b.table, question));
        assert_null(attempt_add(&b.table, question));
        end(&b);
    }
}

// An attempt counts for the network that it is charged to until its question ends.
static void test_attempts_are_charged_until_their_question_ends(void **state)
{
    (void)state;
    struct bench b = begin(1);
    struct key key = key_of(1, 1);
    struct question *question = question_add(&b.table, &key);
    assert_non_null(question);
    uint32_t share = add(&b, question, 7)->share;
    const struct share *held = &b.table.shares.shares[share];
    struct attempt *attempts[3];
    for (unsigned i = 0; i < 3; i++) {
        attempts[i] = attempt_add(&b.table, question);
        assert_non_null(attempts[i]);
        assert_int_equal(attempts[i]->share, SHARE_NONE);
        if (i > 0)
            attempt_charge(&b.table, attempts[i], share);
        assert_int_equal(held->apart, i);
    }
    attempt_free(&b.table, attempts[0]);
    assert_int_equal(held->apart, 2);
    attempt_orphan(&b.table, attempts[1]);
    assert_int_equal(held->apart, 1);
    attempt_free(&b.table, attempts[1]);
    attempt_free(&b.table, attempts[2]);
    assert_int_equal(held->apart, 0);
    end(&b);
}

// Questions without waiters go first, in the order in which they lost them, then the oldest of all.
static void test_questions_without_waiters_are_given_up_first(void **state)
{
    (void)state;
    enum { COUNT = 5 };
    struct bench b = begin(8);
    struct question *all[COUNT];
    assert_null(question_to_abandon(&b.table));
    for (unsigned i = 0; i < COUNT; i++) {
        struct key key = key_of(i, 1);
        all[i] = question_add(&b.table, &key);
        assert_non_null(all[i]);
        assert_ptr_equal(question_to_abandon(&b.table), all[0]);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        assert_ptr_equal(question_to_abandon(&b.table), all[i]);
        assert_non_null(add(&b, all[i], i));
    }
    assert_ptr_equal(question_to_abandon(&b.table), all[0]);
    assert_non_null(asker_pop(&b.table, all[3]));
    assert_non_null(asker_pop(&b.table, all[2]));
    assert_ptr_equal(question_to_abandon(&b.table), all[3]);
    all[3]->probe = true;
    assert_ptr_equal(question_to_abandon(&b.table), all[2]);
    // Those that can no longer be joined are not given up again.
    finish(&b.table, all[2]);
    assert_ptr_equal(question_to_abandon(&b.table), all[0]);
    all[3]->probe = false;
    // A parent is a waiter.
    parent_add(&b.table, all[3], all[4]);
    assert_ptr_equal(all[4]->sub, all[3]);
    assert_ptr_equal(question_to_abandon(&b.table), all[0]);
    parent_remove(&b.table, all[4]);
    assert_null(all[4]->sub);
    assert_ptr_equal(question_to_abandon(&b.table), all[3]);
    end(&b);
}

// A question that continues is like a new one, with those that ask for it.
static void test_question_comes_back(void **state)
{
    (void)state;
    struct bench b = begin(8);
    struct key first_key = key_of(0, 1), second_key = key_of(1, 1);
    struct question *first = question_add(&b.table, &first_key);
    struct question *second = question_add(&b.table, &second_key);
    assert_non_null(add(&b, first, 0));
    finish(&b.table, first);
    assert_null(question_find(&b.table, &first_key));
    first->state = QUESTION_PARENT;
    question_link(&b.table, first);
    assert_ptr_equal(question_find(&b.table, &first_key), first);
    assert_ptr_equal(b.table.youngest, first);
    assert_int_equal(b.table.open_count, 2);
    assert_ptr_equal(question_to_abandon(&b.table), second);
    assert_non_null(add(&b, second, 1));
    assert_ptr_equal(question_to_abandon(&b.table), second);
    end(&b);
}

// What is asked on behalf of a parent counts for the network that the parent was first asked for.
static void test_parents_are_of_their_network(void **state)
{
    (void)state;
    struct bench b = begin(8);
    struct key parent_key = key_of(0, 1), sub_key = key_of(1, 1);
    struct question *parent = question_add(&b.table, &parent_key);
    struct question *sub = question_add(&b.table, &sub_key);
    struct address client = client_of(1);
    parent_add(&b.table, sub, parent); // it has no other waiter so far
    assert_int_equal(sub->askers->share, SHARE_NONE);
    parent_remove(&b.table, parent);
    assert_non_null(add(&b, parent, 1));
    parent_add(&b.table, sub, parent);
    assert_true(network_equal(&sub->network, &parent->network));
    assert_int_equal(share_held(&b.table.shares, &client), 2);
    assert_ptr_equal(asker_pop(&b.table, sub), &parent->as_parent);
    assert_null(parent->sub);
    assert_int_equal(share_held(&b.table.shares, &client), 1);
    assert_int_equal(sub->parent_count, 0);
    end(&b);
}

// It stands first in both orders, but goes last.
static void test_probe_is_given_up_where_there_is_nothing_else(void **state)
{
    (void)state;
    enum { COUNT = 4 };
    struct bench b = begin(8);
    struct question *all[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        struct key key = key_of(i, 1);
        all[i] = question_add(&b.table, &key);
        assert_non_null(all[i]);
        all[i]->probe = i < 2;
    }
    assert_ptr_equal(question_to_abandon(&b.table), all[2]);
    assert_non_null(add(&b, all[2], 1));
    assert_ptr_equal(question_to_abandon(&b.table), all[3]);
    assert_non_null(add(&b, all[3], 1));
    assert_ptr_equal(question_to_abandon(&b.table), all[2]);
    finish(&b.table, all[2]);
    assert_ptr_equal(question_to_abandon(&b.table), all[3]);
    finish(&b.table, all[3]);
    assert_ptr_equal(question_to_abandon(&b.table), all[0]);
    end(&b);
}

// The table against a list of what is in it.
static void test_random_questions_match_a_list(void **state)
{
    (void)state;
    enum { KEYS = 100, SIZE = 32 };
    struct bench b = begin(SIZE);
    struct question *in[KEYS] = {0};
    unsigned count = 0;
    uint64_t seed = 2;
    for (unsigned i = 0; i < 100000; i++) {
        unsigned n = (unsigned)(test_random(&seed) % KEYS);
        struct key key = key_of(n, 7);
        struct question *found = question_find(&b.table, &key);
        assert_ptr_equal(found, in[n]);
        if (found) {
            assert_memory_equal(found->key.bytes, key.bytes, key.len);
            put_away(&b.table, found);
            in[n] = NULL;
            count--;
        } else {
            in[n] = question_add(&b.table, &key);
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
        cmocka_unit_test(test_unlinked_question_keeps_its_askers),
        cmocka_unit_test(test_attempts_are_latest_first_and_freed_in_any_order),
        cmocka_unit_test(test_questions_stand_in_the_order_they_came),
        cmocka_unit_test(test_orphans_outlive_their_question_in_the_order_they_came),
        cmocka_unit_test(test_attempts_are_charged_until_their_question_ends),
        cmocka_unit_test(test_questions_without_waiters_are_given_up_first),
        cmocka_unit_test(test_question_comes_back),
        cmocka_unit_test(test_parents_are_of_their_network),
        cmocka_unit_test(test_probe_is_given_up_where_there_is_nothing_else),
        cmocka_unit_test(test_random_questions_match_a_list),
    };
    return cmocka_run_group_tests_name("question_table", tests, NULL, NULL);
}
