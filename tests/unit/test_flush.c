// SPDX-License-Identifier: MIT
#include "tests/support/warm.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

// serve_flush over a cache that knows 100 names below bench.example.

enum { NAMES = 100, CACHE_SIZE = 1 << 20, BUDGET = 10 };

// How many of the names are answered from memory.
static size_t known(struct warm *w, bool known_at[NAMES])
{
    size_t count = 0;
    for (size_t i = 0; i < NAMES; i++) {
        struct serve_item item = {
            .client.from = {.ip = {127, 0, 0, 1}, .port = 5000, .family = ADDRESS_IPV4},
            .in = w->queries[i].bytes,
            .in_len = w->queries[i].len,
        };
        (void)serve_queries(w->serve, w->now_us, &item, 1, w->out, w->out_size);
        known_at[i] = item.verdict == SERVE_ANSWERED;
        count += known_at[i];
    }
    return count;
}

struct row {
    const char *name;
    enum flush_what what;
    uint64_t removed;
};

static const struct row rows[] = {
    {"n7.bench.example", FLUSH_NAME, 1},
    {"N7.Bench.EXAMPLE", FLUSH_NAME, 1},
    {"bench.example", FLUSH_NAME, 0},
    {"n7.bench.example", FLUSH_SUBTREE, 1},
    {"bench.example", FLUSH_SUBTREE, NAMES},
    {"ench.example", FLUSH_SUBTREE, 0},
    {".", FLUSH_SUBTREE, NAMES},
    {".", FLUSH_ALL, NAMES},
};

static void test_flush_row(void **state)
{
    const struct row *row = *state;
    bool known_at[NAMES];
    struct warm *w = warm_make(NAMES, CACHE_SIZE);
    struct serve_flush flush = {.what = row->what};
    size_t len = 0;
    while (row->name[len])
        len++;
    assert_true(name_parse(&flush.name, row->name, len));
    assert_int_equal(known(w, known_at), NAMES);
    size_t calls = 1;
    while (serve_flush(w->serve, &flush, BUDGET))
        calls++;
    assert_true(calls > 10); // in pieces
    assert_int_equal(flush.sweep.removed, row->removed);
    assert_int_equal(known(w, known_at), NAMES - row->removed);
    if (row->removed == 1)
        assert_false(known_at[7]);
    for (uint32_t i = 0; i < w->cache.shard_count; i++)
        assert_null(cache_verify(&w->cache, i));
    warm_free(w);
}

int main(void)
{
    struct CMUnitTest tests[sizeof rows / sizeof *rows];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        tests[i] = (struct CMUnitTest){
            .name = rows[i].name, .test_func = test_flush_row, .initial_state = (void *)&rows[i]};
    return cmocka_run_group_tests_name("flush", tests, NULL, NULL);
}
