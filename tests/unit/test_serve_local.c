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

static void test_only_the_client_decides_whether_it_is_answered(void **state)
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

// www.example, an alias of x.blocked.example.
#define ALIAS_RECORDS(ttl)                           \
    "c00c 0005 0001 " ttl " 000c 'x' 'blocked' c010" \
    "c029 0001 0001 " ttl " 0004 c0000201"
#define ALIAS      "8180 0001 0002 0000 0000 " ASK ALIAS_RECORDS("0000012c")
#define ALIAS_GOOD "1234 8180 0001 0002 0000 0000 " ASK ALIAS_RECORDS("0000012c")
#define QUERY_EDNS "1234 0100 " ONE_OPT ASK OPT
#define BLOCKED_EDNS \
    "1234 8183 0001 0000 0001 0001 " ASK_NAME SOA "00 0029 04d0 00 00 0000 0006 000f 0002 000f"

static void alias_learn(struct table *t, const char *query, const char *answer)
{
    ask_waiting(t, 1, query);
    struct sent sent = query_sent(t);
    reply_from(t, &sent, ALIAS);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, answer);
}

// What a name leads to decides as well, and says so. It is asked for again a minute later.
static void test_an_alias_of_a_blocked_name_is_blocked(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct made made = world_make(&(struct world){.block = "blocked.example"});
    serve_local(t->serve, made.local);
    alias_learn(t, QUERY_EDNS, BLOCKED_EDNS);
    assert_counted(t, "queries answers_upstream upstream_queries replies_accepted ports_opened "
                      "blocked_aliases cache_inserted");
    ask_answered(t, 1, QUERY, BLOCKED);
    ask_answered(t, 1, QUERY_EDNS, BLOCKED_EDNS);
    // Other types of the name are other questions.
    ask_waiting(t, 1, "1234 0100 " ONE NAME "0010 0001");
    drain(t);
    t->now_us += 61 * SECOND_US;
    alias_learn(t, QUERY, BLOCKED);
    free(made.memory);
    end(t);
}

static void test_an_alias_of_a_blocked_name_is_answered_as_the_settings_say(void **state)
{
    (void)state;
    static const struct {
        uint32_t how;
        const char *answer;
    } rows[] = {
        {LOCAL_BLOCK_NULL,
         "1234 8180 0001 0001 0000 0000 " ASK "c00c 0001 0001 0000003c 0004 00000000"},
        {LOCAL_BLOCK_REFUSED, "1234 8185 0001 0000 0000 0000 " ASK},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct table *t = begin((struct setup){0});
        struct made made =
            world_make(&(struct world){.block = "blocked.example", .block_answer = rows[i].how});
        serve_local(t->serve, made.local);
        alias_learn(t, QUERY, rows[i].answer);
        ask_answered(t, 1, QUERY, rows[i].answer);
        free(made.memory);
        end(t);
    }
}

// Lists that are added apply to cached answers, and those that are removed release them.
static void test_lists_apply_to_cached_aliases(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct made other = world_make(&(struct world){.block = "other.example"});
    struct made made = world_make(&(struct world){.block = "blocked.example"});
    serve_local(t->serve, other.local);
    alias_learn(t, QUERY, ALIAS_GOOD);
    t->before = t->counters;
    ask_answered(t, 1, QUERY, ALIAS_GOOD);
    ask_answered(t, 1, QUERY, ALIAS_GOOD);
    serve_local(t->serve, made.local);
    ask_answered(t, 1, QUERY, BLOCKED);
    ask_answered(t, 1, QUERY_EDNS, BLOCKED_EDNS);
    assert_counted(t, "queries 4 answers_cache 2 answers_blocked 2");
    serve_local(t->serve, other.local);
    ask_answered(t, 1, QUERY, ALIAS_GOOD);
    // Nor is it given when it is stale.
    serve_local(t->serve, made.local);
    t->now_us += 400 * SECOND_US;
    ask_waiting(t, 1, QUERY);
    drain(t);
    while (pass_until(t, t->now_us + 6 * SECOND_US))
        continue;
    assert_int_equal(t->counters.values[COUNTER_answers_stale], 0);
    free(made.memory);
    free(other.memory);
    end(t);
}

static void test_a_name_that_is_excepted_may_lead_to_a_blocked_one(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct made made =
        world_make(&(struct world){.block = "blocked.example", .allow = "www.example"});
    serve_local(t->serve, made.local);
    alias_learn(t, QUERY, ALIAS_GOOD);
    ask_answered(t, 1, QUERY, ALIAS_GOOD);
    free(made.memory);
    end(t);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_local_names_come_before_the_cache),
        cmocka_unit_test(test_other_names_go_on),
        cmocka_unit_test(test_only_the_client_decides_whether_it_is_answered),
        cmocka_unit_test(test_what_is_too_long_is_counted),
        cmocka_unit_test(test_an_alias_of_a_blocked_name_is_blocked),
        cmocka_unit_test(test_an_alias_of_a_blocked_name_is_answered_as_the_settings_say),
        cmocka_unit_test(test_lists_apply_to_cached_aliases),
        cmocka_unit_test(test_a_name_that_is_excepted_may_lead_to_a_blocked_one),
    };
    return cmocka_run_group_tests_name("serve_local", tests, NULL, NULL);
}
