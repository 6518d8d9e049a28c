// SPDX-License-Identifier: MIT
#include "tests/unit/serve_table.h"

// An NXDOMAIN is cached for all types of its name (RFC 2308 5, RFC 8020 2), until a server says of
// that name something else.

#define AAAA          NAME "001c 0001 "
#define TXT           NAME "0010 0001 "
#define OF(question)  "1234 0100 " ONE question
#define SOA(ttl)      "c010 0006 0001 " ttl " 001d 'ns' c010 'a' c010 " NUMBERS
#define NUMBERS       "00000001 00000002 00000003 00000004 0000012c "
#define COUNTS_SOA    "0001 0000 0001 0000 "
#define NONE          "8183 " COUNTS_SOA
#define DENIAL(of)    NONE of SOA("0000012c")
#define DENIED(of)    "1234 " DENIAL(of)
#define CNAME         "c00c 0005 0001 0000012c 0004 'x' c010 "
#define FOUND         "8180 " COUNTS1 AAAA DATA("0000012c")
#define DATA(ttl)     "c00c 001c 0001 " ttl " 0010 20010db8000000000000000000000001 "
#define GOOD_FOR(ttl) "8180 " COUNTS1 ASK A(ttl)

// Asks, and lets the upstream answer.
static void learn(struct table *t, const char *question, const char *reply)
{
    ask_waiting(t, 1, question);
    assert_in_range(drain(t), 1, 2);
    struct sent query = t->sent[t->sent_count - 1];
    assert_int_equal(query.kind, OUTGOING_QUERY);
    reply_from(t, &query, reply);
    assert_int_equal(drain(t), 1);
    assert_int_equal(t->sent[0].kind, OUTGOING_REPLY);
}

static bool known(struct table *t, const char *question)
{
    return ask(t, 1, question).verdict == SERVE_ANSWERED;
}

static uint64_t entries(const struct table *t)
{
    struct cache_use use;
    cache_use(&t->cache, &use);
    return use.entries;
}

static void test_nxdomain_is_the_answer_to_every_type(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    learn(t, QUERY, DENIAL(ASK));
    assert_counted(t, "queries answers_upstream upstream_queries replies_accepted ports_opened "
                      "cache_inserted");
    ask_answered(t, 1, QUERY, DENIED(ASK));
    ask_answered(t, 1, OF(AAAA), DENIED(AAAA));
    // The question is the client's own, to the letter, and so are RD and OPT.
    ask_answered(t, 2, "abcd 0000 " ONE "'wWw' 'EXAMPLE' 00 0010 0001",
                 "abcd 8083 " COUNTS_SOA "'wWw' 'EXAMPLE' 00 0010 0001" SOA("0000012c"));
    ask_answered(t, 3, "abcd 0100 " ONE_OPT "'www' 'Example' 00 ff00 0001" OPT,
                 "abcd 8183 0001 0000 0001 0001 'www' 'Example' 00 ff00 0001" SOA("0000012c") OPT);
    t->now_us += 40 * SECOND_US;
    ask_answered(t, 1, OF(TXT), "1234 " NONE TXT SOA("00000104"));
    assert_int_equal(drain(t), 0);
    assert_counted(t, "queries 5 answers_cache 5");
    assert_int_equal(entries(t), 1);
    end(t);
}

static void test_denial_expires_with_its_soa(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    learn(t, QUERY, DENIAL(ASK));
    t->now_us = START_US + 299 * SECOND_US;
    ask_answered(t, 1, OF(AAAA), "1234 " NONE AAAA SOA("00000001"));
    t->now_us = START_US + 300 * SECOND_US;
    ask_waiting(t, 1, OF(AAAA));
    ask_waiting(t, 1, QUERY);
    end(t);
}

static void test_denial_is_of_one_name_with_its_do_and_cd(void **state)
{
    (void)state;
    static const char *const others[] = {
        "1234 0100 " ONE_OPT ASK OPT_DO,
        "1234 0100 " ONE_OPT AAAA OPT_DO,
        "1234 0110 " ONE AAAA,
        "1234 0110 " ONE_OPT AAAA OPT_DO,
        OF("'example' 00 001c 0001"),
        OF("'a' 'www' 'example' 00 001c 0001"),
        OF("'wwv' 'example' 00 001c 0001"),
    };
    struct table *t = begin((struct setup){0});
    learn(t, QUERY, DENIAL(ASK));
    for (size_t i = 0; i < COUNT_OF(others); i++)
        ask_waiting(t, 1, others[i]);
    end(t);

    t = begin((struct setup){0});
    learn(t, "1234 0110 " ONE_OPT ASK OPT_DO, DENIAL(ASK));
    ask_answered(t, 1, "1234 0110 " ONE_OPT AAAA OPT_DO,
                 "1234 8193 0001 0000 0001 0001 " AAAA SOA("0000012c") OPT_DO);
    assert_false(known(t, OF(AAAA)));
    end(t);
}

// What an alias leads to does not exist; the alias does.
static void test_nxdomain_behind_a_cname_is_the_answer_to_its_type_alone(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    learn(t, QUERY, "8183 0001 0001 0001 0000 " ASK CNAME SOA("0000012c"));
    ask_answered(t, 1, QUERY, "1234 8183 0001 0001 0001 0000 " ASK CNAME SOA("0000012c"));
    ask_waiting(t, 1, OF(AAAA));
    end(t);
}

struct row {
    const char *name;
    const char *reply; // to a question for AAAA, when the name was denied a moment ago
    bool denied;       // still
    bool kept;         // the reply
};

static const struct row rows[] = {
    {"data", FOUND, false, true},
    {"no data", "8180 " COUNTS_SOA AAAA SOA("0000012c"), false, true},
    {"CNAME to no data", "8180 0001 0001 0001 0000 " AAAA CNAME SOA("0000012c"), false, true},
    {"CNAME to NXDOMAIN", "8183 0001 0001 0001 0000 " AAAA CNAME SOA("0000012c"), false, true},
    {"NXDOMAIN again", DENIAL(AAAA), true, false},
    // A reply that may not be cached still ends the denial.
    {"NXDOMAIN without SOA", "8183 " ONE AAAA, false, false},
    {"referral", "8180 " ONE AAAA, false, false},
    {"data for no time", "8180 " COUNTS1 AAAA DATA("00000000"), false, false},
    // What is no answer does not.
    {"SERVFAIL", "8182 " ONE AAAA, true, false},
};

static void test_later_reply_row(void **state)
{
    const struct row *row = *state;
    struct table *t = begin((struct setup){0});
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t);
    ask_waiting(t, 2, OF(AAAA));
    struct sent other = query_sent(t);
    reply_from(t, &query, DENIAL(ASK));
    drain(t);
    assert_true(known(t, OF(TXT)));
    // Denied in memory, so another client that asks does not wait with the first.
    ask_answered(t, 1, OF(AAAA), DENIED(AAAA));
    reply_from(t, &other, row->reply);
    assert_int_equal(drain(t), 1);
    char reply[512];
    snprintf(reply, sizeof reply, "1234 %s", row->reply);
    assert_reply(&t->sent[0], 2, reply);

    assert_int_equal(entries(t), row->kept || row->denied);
    if (row->kept || row->denied)
        ask_answered(t, 1, OF(AAAA), row->kept ? reply : DENIED(AAAA));
    else
        ask_waiting(t, 1, OF(AAAA));
    assert_int_equal(known(t, QUERY), row->denied);
    assert_int_equal(known(t, OF(TXT)), row->denied);
    assert_null(cache_verify(&t->cache, 0));
    end(t);
}

static void test_answer_to_another_type_outlives_the_denial(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    learn(t, OF(AAAA), FOUND);
    learn(t, QUERY, DENIAL(ASK));
    ask_answered(t, 1, OF(AAAA), "1234 " FOUND);
    ask_answered(t, 1, QUERY, DENIED(ASK));
    ask_answered(t, 1, OF(TXT), DENIED(TXT));
    end(t);
}

// A stale answer is no obstacle, and is removed when the denial replaces it.
static void test_denial_takes_the_place_of_its_questions_answer(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    learn(t, QUERY, GOOD_FOR("00000005"));
    learn(t, OF(AAAA), "8180 " COUNTS1 AAAA DATA("00000005"));
    t->now_us += 5 * SECOND_US;
    assert_int_equal(entries(t), 2);
    learn(t, QUERY, DENIAL(ASK));
    assert_int_equal(entries(t), 2);
    ask_answered(t, 1, QUERY, DENIED(ASK));
    ask_answered(t, 1, OF(AAAA), DENIED(AAAA));
    end(t);
}

static void test_answer_with_other_flags_leaves_the_denial(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    learn(t, QUERY, DENIAL(ASK));
    learn(t, "1234 0110 " ONE AAAA, FOUND);
    ask_answered(t, 1, OF(AAAA), DENIED(AAAA));
    ask_answered(t, 1, "1234 0110 " ONE AAAA, "1234 8190 " COUNTS1 AAAA DATA("0000012c"));
    end(t);
}

static const struct {
    const char *name;
    enum flush_what what;
    bool gone;
} flushes[] = {
    {"WWW.example", FLUSH_NAME, true},    {"example", FLUSH_NAME, false},
    {"example", FLUSH_SUBTREE, true},     {"www.example", FLUSH_SUBTREE, true},
    {"a.www.example", FLUSH_NAME, false}, {".", FLUSH_ALL, true},
};

static void test_flush_removes_the_denial(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(flushes); i++) {
        struct table *t = begin((struct setup){0});
        learn(t, QUERY, DENIAL(ASK));
        struct serve_flush flush = {.what = flushes[i].what};
        assert_true(name_parse(&flush.name, flushes[i].name, strlen(flushes[i].name)));
        while (serve_flush(t->serve, &flush, 1000))
            continue;
        assert_int_equal(flush.sweep.removed, flushes[i].gone);
        assert_int_equal(known(t, OF(AAAA)), !flushes[i].gone);
        end(t);
    }
}

// Every worker reads the denial that the name's home has cached; none but the home is asked.
static void test_denial_is_found_by_every_worker(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.workers = 2});
    struct serve_item item = ask(t, 1, QUERY);
    uint32_t home = item.verdict == SERVE_ELSEWHERE ? item.owner : 0;
    t->serve = t->workers[home];
    if (item.verdict == SERVE_ELSEWHERE)
        assert_int_equal(
            ask_as(t, (struct serve_item){.client = client(1), .handed_over = true}, QUERY).verdict,
            SERVE_WAITING);
    struct sent query = query_sent(t);
    t->serve = t->workers[1 - home];
    item = ask(t, 1, OF(AAAA));
    assert_int_equal(item.verdict, SERVE_ELSEWHERE);
    assert_int_equal(item.owner, home);
    t->serve = t->workers[home];
    reply_from(t, &query, DENIAL(ASK));
    assert_int_equal(drain(t), 1);
    for (unsigned i = 0; i < WORKERS; i++) {
        t->serve = t->workers[i];
        ask_answered(t, 1, OF(AAAA), DENIED(AAAA));
    }
    end(t);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_nxdomain_is_the_answer_to_every_type),
    cmocka_unit_test(test_denial_expires_with_its_soa),
    cmocka_unit_test(test_denial_is_of_one_name_with_its_do_and_cd),
    cmocka_unit_test(test_nxdomain_behind_a_cname_is_the_answer_to_its_type_alone),
    cmocka_unit_test(test_answer_to_another_type_outlives_the_denial),
    cmocka_unit_test(test_denial_takes_the_place_of_its_questions_answer),
    cmocka_unit_test(test_answer_with_other_flags_leaves_the_denial),
    cmocka_unit_test(test_flush_removes_the_denial),
    cmocka_unit_test(test_denial_is_found_by_every_worker),
};

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(rows) + COUNT_OF(others)];
    size_t count = tests_of_rows(tests, test_later_reply_row, rows, sizeof *rows, COUNT_OF(rows));
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("serve denial", tests, NULL, NULL);
}
