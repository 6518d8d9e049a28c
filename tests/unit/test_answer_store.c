// SPDX-License-Identifier: MIT
#include "core/forward/answer_store.h"

#include "tests/unit/packet.h"

#include <stdlib.h>

struct fixture {
    struct answer_store store;
    void *memory;
    uint8_t value[ANSWER_SIZE_MAX];
    uint8_t back[ANSWER_SIZE_MAX];
};

static struct fixture *begin(uint32_t questions)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->memory = malloc(answer_store_size(questions));
    assert_non_null(f->memory);
    answer_store_init(&f->store, f->memory, questions);
    return f;
}

static void end(struct fixture *f)
{
    assert_int_equal(f->store.used, 0);
    free(f->memory);
    free(f);
}

static uint32_t put(struct fixture *f, uint32_t len, uint8_t first)
{
    for (uint32_t i = 0; i < len; i++)
        f->value[i] = (uint8_t)(first + i * 31);
    struct answer answer = {.value = f->value, .len = len, .lifetime_s = len, .rcode = 3};
    uint32_t before = f->store.used, at = answer_store_put(&f->store, &answer);
    if (at != ANSWER_NONE)
        assert_int_equal(f->store.used - before, answer_store_blocks(&answer));
    else
        assert_int_equal(f->store.used, before);
    return at;
}

static void assert_there(struct fixture *f, uint32_t at, uint32_t len, uint8_t first)
{
    struct answer answer = {.value = f->back};
    answer_store_get(&f->store, at, &answer);
    assert_ptr_equal(answer.value, f->back);
    assert_int_equal(answer.len, len);
    assert_int_equal(answer.lifetime_s, len);
    assert_int_equal(answer.rcode, 3);
    for (uint32_t i = 0; i < len; i++)
        assert_int_equal(f->back[i], (uint8_t)(first + i * 31));
}

// Of any length, whatever borders of blocks it meets.
static void test_what_is_put_comes_back(void **state)
{
    (void)state;
    struct fixture *f = begin(64);
    for (uint32_t len = 1; len < 1200; len++) {
        uint32_t at = put(f, len, (uint8_t)len);
        assert_int_not_equal(at, ANSWER_NONE);
        assert_there(f, at, len, (uint8_t)len);
        assert_true(answer_store_drop(&f->store, at) > 0);
    }
    uint32_t at = put(f, ANSWER_SIZE_MAX, 7);
    assert_there(f, at, ANSWER_SIZE_MAX, 7);
    (void)answer_store_drop(&f->store, at);
    end(f);
}

static void test_several_stand_side_by_side(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    struct fixture *f = begin(64);
    uint32_t at[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        at[i] = put(f, 1 + 20 * i, (uint8_t)i);
    for (uint32_t i = 0; i < COUNT; i += 2)
        (void)answer_store_drop(&f->store, at[i]);
    for (uint32_t i = 0; i < COUNT; i += 2)
        at[i] = put(f, 1 + 20 * (COUNT - i), (uint8_t)i);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_there(f, at[i], 1 + 20 * (i % 2 ? i : COUNT - i), (uint8_t)i);
        (void)answer_store_drop(&f->store, at[i]);
    }
    end(f);
}

static void test_full_store_says_so(void **state)
{
    (void)state;
    struct fixture *f = begin(64);
    uint32_t at[1024], count = 0;
    while ((at[count] = put(f, 3000, 1)) != ANSWER_NONE)
        count++;
    assert_true(f->store.size - f->store.used < 7);
    while (count > 0)
        (void)answer_store_drop(&f->store, at[--count]);
    end(f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_put_comes_back),
        cmocka_unit_test(test_several_stand_side_by_side),
        cmocka_unit_test(test_full_store_says_so),
    };
    return cmocka_run_group_tests_name("answer_store", tests, NULL, NULL);
}
