// SPDX-License-Identifier: MIT
#include "tests/unit/local_table.h"
#include "tests/unit/serve_table.h"

#define BLOCKED  "1234 8183 0001 0000 0001 0000 " ASK_NAME SOA
#define ASK_NAME "'www' 'example' 00 0001 0001"
#define SOA                                                   \
    "c00c 0006 0001 0000003c 0026 c00c 'nobody' 'invalid' 00" \
    "00000001 00000e10 000004b0 00093a80 0000003c"

static void test_local_names_come_before_the_cache(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct made blocked = world_make(&(struct world){.block = "www.example"});
    struct made own = world_make(&(struct world){.records = "www.example. 60 A 192.0.2.77"});
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t);
    reply_from(t, &query, GOOD);
    assert_int_equal(drain(t), 1);
    ask_answered(t, 1, QUERY, "1234 8180 " COUNTS1 ASK A("0000012c"));
    t->before = t->counters;

    // Each publishing takes effect with the next query, and leaves what the cache has.
    serve_local(t->serve, blocked.local);
    ask_answered(t, 1, QUERY, BLOCKED);
    ask_answered(t, 1, QUERY, BLOCKED);
    assert_counted(t, "queries 2 answers_blocked 2");
    serve_local(t->serve, NULL);
    ask_answered(t, 1, QUERY, "1234 8180 " COUNTS1 ASK A("0000012c"));
    assert_counted(t, "queries answers_cache");
    serve_local(t->serve, own.local);
    ask_answered(t, 1, QUERY,
                 "1234 8580 0001 0001 0000 0000 " ASK_NAME "c00c 0001 0001 0000003c 0004 c000024d");
    assert_counted(t, "queries answers_local");
    free(own.memory);
    free(blocked.memory);
    end(t);
}

static void test_other_names_go_on(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct made made = world_make(&(struct world){.block = "blocked.example", .special = true});
    t->settings.cache_prefetch = false;
    serve_local(t->serve, made.local);
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t);
    ask_waiting(t, 2, QUERY);
    reply_from(t, &query, GOOD);
    assert_int_equal(drain(t), 2);
    for (unsigned i = 0; i < 3; i++)
        ask_answered(t, 1, QUERY, "1234 8180 " COUNTS1 ASK A("0000012c"));
    assert_counted(t, "queries 5 answers_cache 3 answers_upstream 2 upstream_queries "
                      "replies_accepted ports_opened cache_inserted");
    settle(t);
    free(made.memory);
    end(t);
}

static void test_nothing_but_the_client_decides_who_is_answered(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.workers = 2});
    struct made made = world_make(&(struct world){.records = "www.example. 60 A 192.0.2.77"});
    static const char answer[] =
        "1234 8480 0001 0001 0000 0000 " ASK_NAME "c00c 0001 0001 0000003c 0004 c000024d";
    for (uint32_t i = 0; i < 2; i++)
        serve_local(t->workers[i], made.local);
    // Without RD too, and by the worker that the query came to.
    ask_answered(t, 1, "1234 0000 " ONE ASK, answer);
    t->serve = t->workers[1];
    ask_answered(t, 1, "1234 0000 " ONE ASK, answer);
    ask_answered(t, 130, QUERY, "1234 8105 0001 0000 0000 0000 " ASK);
    assert_int_equal(ask(t, 200, QUERY).verdict, SERVE_DROPPED);
    assert_counted(t, "queries 4 answers_local 2 answers_refused drops_access");
    free(made.memory);
    end(t);
}

static void test_what_is_too_long_is_counted(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    static char records[4096];
    for (unsigned i = 0; i < 60; i++)
        sprintf(records + strlen(records), "www.example. A 192.0.2.%u\n", i);
    struct made made = world_make(&(struct world){.records = records});
    serve_local(t->serve, made.local);
    ask_answered(t, 1, QUERY, "1234 8380 0001 0000 0000 0000 " ASK);
    assert_counted(t, "queries answers_local truncated");
    free(made.memory);
    end(t);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_local_names_come_before_the_cache),
        cmocka_unit_test(test_other_names_go_on),
        cmocka_unit_test(test_nothing_but_the_client_decides_who_is_answered),
        cmocka_unit_test(test_what_is_too_long_is_counted),
    };
    return cmocka_run_group_tests_name("serve_local", tests, NULL, NULL);
}
