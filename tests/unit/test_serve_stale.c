// SPDX-License-Identifier: MIT
#include "tests/unit/serve_table.h"

// What clients get if no upstream answers: a stale answer (RFC 8767), or a failure, which
// is remembered for a while (RFC 9520).

#define AAAA            NAME "001c 0001 "
#define QUERY_OPT       "1234 0100 " ONE_OPT ASK OPT
#define GOOD_FOR(ttl)   "8180 " COUNTS1 ASK A(ttl)
#define ANSWER_FOR(ttl) "1234 8180 " COUNTS1 ASK A(ttl)
#define STALE           ANSWER_FOR("0000001e")
#define EDE(code)       "00 0029 04d0 00 00 0000 0006 000f 0002 " code " "
#define STALE_EDE       "1234 8180 0001 0001 0000 0001 " ASK A("0000001e") EDE("0003")
#define SOA(ttl)                                                                          \
    "c010 0006 0001 " ttl " 001d 'ns' c010 'a' c010 00000001 00000002 00000003 00000004 " \
    "0000012c "

// A worker that knows its upstreams, and an answer that expired five seconds ago.
static struct table *begin_stale(struct setup setup)
{
    struct table *t = begin(setup);
    meet(t, 1000, 20);
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t);
    reply_from(t, &query, GOOD_FOR("00000005"));
    assert_int_equal(drain(t), 1);
    assert_quiet(t, 10 * SECOND_US);
    t->before = t->counters;
    return t;
}

// Makes it answer a question that is not cached, again and again.
static void answer_all(struct table *t, const char *rest)
{
    struct sent queries[16];
    size_t count = 0;
    for (size_t i = 0; i < t->sent_count; i++) {
        assert_in_range(count, 0, COUNT_OF(queries) - 1);
        if (t->sent[i].kind == OUTGOING_QUERY)
            queries[count++] = t->sent[i];
    }
    for (size_t i = 0; i < count; i++) {
        reply_from(t, &queries[i], rest);
        drain(t);
    }
}

// Makes all upstreams known to be dead: a question without a reply.
static void kill_all(struct table *t)
{
    ask_waiting(t, 1, "1234 0100 " ONE "'kill' 00 0001 0001");
    drain(t);
    while (pass_until(t, t->now_us + 6 * SECOND_US))
        continue;
    t->before = t->counters;
}

static uint64_t counted(const struct table *t, enum counter which)
{
    return t->counters.values[which] - t->before.values[which];
}

// Passes time until a client gets an answer, and returns that.
static struct sent told(struct table *t)
{
    for (;;) {
        assert_true(pass_until(t, t->now_us + 10 * SECOND_US));
        for (size_t i = 0; i < t->sent_count; i++) {
            if (t->sent[i].kind == OUTGOING_REPLY)
                return t->sent[i];
        }
    }
}

// --- stale answers -----------------------------------------------------------------------------

static void test_stale_answer_is_given_after_1800_ms(void **state)
{
    (void)state;
    struct table *t = begin_stale((struct setup){0});
    uint64_t asked_us = t->now_us;
    ask_waiting(t, 1, QUERY);
    ask_waiting(t, 2, QUERY_OPT);
    drain(t);
    struct sent first = first_of(t, OUTGOING_QUERY);
    struct sent reply = told(t);
    assert_in_range(t->now_us, asked_us + 1800000, asked_us + 1801000);
    assert_reply(&reply, 1, STALE);
    assert_reply(&t->sent[t->sent_count - 1], 2, STALE_EDE);
    assert_int_equal(counted(t, COUNTER_answers_stale), 2);
    assert_int_equal(gauge(t, COUNTER_waiters), 0);
    assert_in_range(gauge(t, COUNTER_pending), 1, 2); // it, and perhaps a probe of its upstream
    // The question continues without them, and a new client gets it at once.
    ask_answered(t, 3, QUERY_OPT, STALE_EDE);
    assert_int_equal(counted(t, COUNTER_answers_stale), 3);
    drain(t); // perhaps a probe
    t->now_us += SECOND_US;
    t->before = t->counters;
    reply_from(t, &first, GOOD);
    for (size_t i = drain(t); i-- > 0;)
        assert_int_not_equal(t->sent[i].kind, OUTGOING_REPLY);
    assert_counted(t, "replies_accepted cache_inserted");
    ask_answered(t, 3, QUERY, ANSWER);
    end(t);
}

static void test_fresh_answer_wins_while_the_client_waits(void **state)
{
    (void)state;
    struct table *t = begin_stale((struct setup){0});
    ask_waiting(t, 1, QUERY);
    drain(t);
    struct sent first = first_of(t, OUTGOING_QUERY);
    uint64_t end_us = t->now_us + 1799000;
    while (pass_until(t, end_us))
        assert_int_not_equal(t->sent[0].kind, OUTGOING_REPLY);
    t->before = t->counters;
    reply_from(t, &first, GOOD);
    drain(t);
    assert_reply(&t->sent[0], 1, ANSWER);
    assert_counted(t, "answers_upstream replies_accepted cache_inserted");
    end(t);
}

static void test_time_to_the_stale_answer_is_a_setting(void **state)
{
    (void)state;
    static const uint64_t after_ms[] = {0, 100, 3000, 4900};
    for (size_t i = 0; i < COUNT_OF(after_ms); i++) {
        struct setup setup = {.stale_after_ms = after_ms[i], .stale_after_set = true};
        struct table *t = begin_stale(setup);
        uint64_t asked_us = t->now_us;
        ask_waiting(t, 1, QUERY);
        drain(t);
        struct sent reply = told(t);
        assert_reply(&reply, 1, STALE);
        assert_in_range(t->now_us - asked_us, after_ms[i] * 1000, after_ms[i] * 1000 + 1000);
        end(t);
    }
}

static void test_failure_gives_the_stale_answer_at_once(void **state)
{
    (void)state;
    static const char *const failures[] = {FAILED, REFUSED, "8181 " ONE ASK, "8184 " ONE ASK};
    for (size_t i = 0; i < COUNT_OF(failures); i++) {
        struct table *t = begin_stale((struct setup){0});
        ask_waiting(t, 1, QUERY_OPT);
        drain(t);
        for (unsigned sends = 0; sends < 3 && gauge(t, COUNTER_waiters) > 0; sends++)
            answer_all(t, failures[i]);
        assert_reply(&t->sent[t->sent_count - 1], 1, STALE_EDE);
        // For 30 s it is not asked again (RFC 8767 5).
        uint64_t failed_us = t->now_us;
        t->now_us = failed_us + 30 * SECOND_US - 1;
        t->before = t->counters;
        ask_answered(t, 2, QUERY, STALE);
        assert_counted(t, "queries answers_stale failures_remembered");
        t->now_us++;
        ask_waiting(t, 2, QUERY);
        end(t);
    }
}

static void test_known_outage_gives_the_stale_answer_at_once(void **state)
{
    (void)state;
    struct table *t = begin_stale((struct setup){.upstreams = 2});
    kill_all(t);
    t->now_us += 2 * SECOND_US;
    serve_expire(t->serve, t->now_us);
    drain(t);
    t->before = t->counters;
    ask_answered(t, 1, QUERY_OPT, STALE_EDE);
    // Meanwhile probes go on.
    drain(t);
    struct sent probe = first_of(t, OUTGOING_QUERY);
    // Over TCP as well, as all upstreams are gone.
    (void)first_of(t, OUTGOING_MESSAGE);
    assert_int_equal(counter_get(&t->counters, COUNTER_upstream_queries) -
                         t->before.values[COUNTER_upstream_queries],
                     2);
    ask_answered(t, 2, QUERY, STALE);
    assert_int_equal(drain(t), 0);
    reply_from(t, &probe, GOOD);
    drain(t);
    ask_answered(t, 3, QUERY, ANSWER);
    end(t);
}

static void test_unreachable_upstreams_give_the_stale_answer_at_once(void **state)
{
    (void)state;
    struct table *t = begin_stale((struct setup){0});
    ask_waiting(t, 1, QUERY_OPT);
    uint64_t began_us = t->now_us;
    drain(t);
    refuse_until_told(t);
    assert_reply(&t->sent[t->sent_count - 1], 1, STALE_EDE);
    assert_in_range(t->now_us - began_us, 0, 1000);
    end(t);
}

struct age_row {
    const char *name;
    uint64_t max_age_s;
    uint64_t age_s; // since the answer expired
    bool given;
};

static const struct age_row age_rows[] = {
    {"just over", 86400, 0, true},           {"nearly a day old", 86400, 86399, true},
    {"a day old", 86400, 86400, false},      {"within a short bound", 60, 59, true},
    {"beyond a short bound", 60, 60, false}, {"stale answers are off", 0, 0, false},
};

static void test_age_row(void **state)
{
    const struct age_row *row = *state;
    struct setup setup = {.no_stale = row->max_age_s == 0,
                          .stale_max_age_ms = row->max_age_s * 1000};
    struct table *t = begin(setup);
    meet(t, 1000, 20);
    t->now_us = START_US + 10 * SECOND_US;
    ask_waiting(t, 1, QUERY);
    drain(t);
    answer_all(t, GOOD_FOR("00000005"));
    t->now_us += 5 * SECOND_US + row->age_s * SECOND_US;
    serve_expire(t->serve, t->now_us);
    drain(t);
    ask_waiting(t, 1, QUERY);
    drain(t);
    answer_all(t, FAILED);
    assert_reply(&t->sent[t->sent_count - 1], 1, row->given ? STALE : "1234 " FAILED);
    end(t);
}

// That a name does not exist is given for every type of it, and says so.
static void test_stale_denial_is_given_for_all_types(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    ask_waiting(t, 1, QUERY);
    drain(t);
    answer_all(t, "8183 0001 0000 0001 0000 " ASK SOA("00000005"));
    t->now_us += 10 * SECOND_US;
    ask_waiting(t, 1, "1234 0100 " ONE_OPT AAAA OPT);
    drain(t);
    answer_all(t, "8182 " ONE AAAA);
    assert_reply(&t->sent[t->sent_count - 1], 1,
                 "1234 8183 0001 0000 0001 0001 " AAAA SOA("0000001e") EDE("0013"));
    end(t);
}

static void test_stale_answer_that_went_meanwhile_is_a_failure(void **state)
{
    (void)state;
    struct table *t = begin_stale((struct setup){0});
    ask_waiting(t, 1, QUERY_OPT);
    drain(t);
    struct serve_flush flush = {.what = FLUSH_ALL};
    while (serve_flush(t->serve, &flush, 1000))
        continue;
    // Nothing is there after 1.8 s, so the client waits for the end.
    uint64_t asked_us = t->now_us;
    struct sent reply = told(t);
    assert_in_range(t->now_us, asked_us + GIVEN_UP_US, asked_us + GIVEN_UP_US + 1000);
    assert_reply(&reply, 1, "1234 8182 " ONE_OPT ASK EDE("0016"));
    assert_int_equal(counted(t, COUNTER_answers_stale), 0);
    end(t);
}

// It was there when its time came, and is gone before the client has it.
static void test_stale_answer_that_is_evicted_while_clients_get_it_is_a_failure(void **state)
{
    (void)state;
    struct table *t = begin_stale((struct setup){0});
    ask_waiting(t, 1, QUERY_OPT);
    drain(t);
    t->now_us += 1801000;
    serve_expire(t->serve, t->now_us);
    struct serve_flush flush = {.what = FLUSH_ALL};
    while (serve_flush(t->serve, &flush, 1000))
        continue;
    drain(t);
    struct sent reply = first_of(t, OUTGOING_REPLY);
    assert_reply(&reply, 1, "1234 8182 " ONE_OPT ASK EDE("0016"));
    assert_int_equal(counted(t, COUNTER_answers_failure), 1);
    end(t);
}

// A worker that did not run: everything due since long ago comes at once.
static void test_leap_over_stale_and_deadline_answers_each_client_once(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    char question[64], query[128], rest[256];
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned n = 0; n < 5; n++) {
            snprintf(question, sizeof question, "01 %02x 00 0001 0001 ", 'a' + n);
            snprintf(query, sizeof query, "1234 0100 " ONE "%s", question);
            ask_waiting(t, (uint8_t)(n + 1), query);
            if (round == 0) {
                snprintf(rest, sizeof rest, "8180 " COUNTS1 "%s" A("00000005"), question);
                drain(t);
                answer_all(t, rest);
            }
        }
        drain(t);
        t->now_us += 10 * SECOND_US;
        serve_expire(t->serve, t->now_us);
        drain(t);
    }
    unsigned replies = 0;
    for (size_t i = 0; i < t->sent_count; i++)
        replies += t->sent[i].kind == OUTGOING_REPLY;
    assert_int_equal(replies, 5);
    assert_int_equal(counted(t, COUNTER_answers_stale), 5);
    assert_int_equal(gauge(t, COUNTER_waiters), 0);
    settle(t);
    end(t);
}

// --- failures that are remembered --------------------------------------------------------------

static const struct sent *told_to(const struct table *t, uint8_t host)
{
    struct client wanted = client(host);
    for (size_t i = 0; i < t->sent_count; i++) {
        if (t->sent[i].kind == OUTGOING_REPLY &&
            address_equal(&t->sent[i].client.from, &wanted.from))
            return &t->sent[i];
    }
    return NULL;
}

static void test_silence_is_remembered_for_five_seconds_and_then_ten(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2});
    meet(t, 1000, 20);
    for (unsigned round = 0; round < 2; round++) {
        ask_waiting(t, 1, QUERY_OPT);
        drain(t);
        const struct sent *reply = NULL; // and not that to the other question of the round before
        while (!reply) {
            told(t);
            reply = told_to(t, 1);
        }
        assert_reply(reply, 1, "1234 8182 " ONE_OPT ASK EDE("0016"));
        uint64_t over_us = t->now_us + (round + 1) * 5 * SECOND_US;
        t->before = t->counters;
        ask_answered(t, 2, QUERY_OPT, "1234 8182 " ONE_OPT ASK EDE("0016"));
        // Both are dead, and a client's question may probe whether one of them is back.
        assert_int_equal(counted(t, COUNTER_queries), 1);
        assert_int_equal(counted(t, COUNTER_answers_failure), 1);
        assert_int_equal(counted(t, COUNTER_failures_remembered), 1);
        while (pass_until(t, over_us - 1))
            continue;
        ask_answered(t, 2, QUERY, "1234 " FAILED);
        // Other questions are other questions.
        ask_waiting(t, 2, round == 0 ? "1234 0100 " ONE AAAA : "1234 0100 " ONE NAME "0010 0001");
        drain(t);
        t->now_us = over_us;
    }
    ask_waiting(t, 2, QUERY_OPT);
    end(t);
}

static void test_error_of_the_upstream_is_remembered_with_its_reason(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    ask_waiting(t, 1, QUERY_OPT);
    drain(t);
    answer_all(t, REFUSED);
    assert_reply(&t->sent[0], 1, "1234 8185 " ONE_OPT ASK OPT);
    ask_answered(t, 1, QUERY_OPT, "1234 8185 " ONE_OPT ASK EDE("000d"));
    ask_answered(t, 1, QUERY, "1234 " REFUSED);
    t->now_us += 5 * SECOND_US;
    ask_waiting(t, 1, QUERY);
    drain(t);
    answer_all(t, GOOD_FOR("00000001"));
    // An answer ends the row: the next failure is the first again.
    t->now_us += 200 * (uint64_t)SECOND_US;
    t->settings.cache_stale_max_age = 0;
    struct serve_flush flush = {.what = FLUSH_ALL};
    while (serve_flush(t->serve, &flush, 1000))
        continue;
    ask_waiting(t, 1, QUERY);
    drain(t);
    answer_all(t, REFUSED);
    t->now_us += 5 * SECOND_US;
    ask_waiting(t, 1, QUERY);
    end(t);
}

// What no upstream answered may be asked again as soon as one is back; what one refused may not.
static void test_failure_of_the_network_is_forgotten_when_one_comes_back(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2});
    meet(t, 1000, 20);
    ask_waiting(t, 1, QUERY);
    drain(t);
    told(t);
    // Failing questions probe now and then whether an upstream is back, and one of them is.
    do {
        t->now_us += SECOND_US / 20;
        serve_expire(t->serve, t->now_us);
        ask_answered(t, 1, QUERY, "1234 " FAILED);
    } while (drain(t) == 0);
    answer_all(t, "8183 " ONE "00 0006 0001");
    t->before = t->counters;
    ask_waiting(t, 1, QUERY);
    drain(t);
    answer_all(t, GOOD);
    assert_reply(&t->sent[0], 1, ANSWER);
    end(t);
}

static void test_refused_stays_remembered_when_one_comes_back(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    ask_waiting(t, 1, "1234 0100 " ONE NAME "0010 0001");
    drain(t);
    struct sent orphan = first_of(t, OUTGOING_QUERY);
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t);
    reply_from(t, &query, REFUSED);
    drain(t);
    serve_unreachable(t->serve, t->now_us, query.port);
    drain(t);
    reply_from(t, &orphan, "8183 " ONE NAME "0010 0001"); // it is back
    drain(t);
    ask_answered(t, 1, QUERY, "1234 " REFUSED);
    end(t);
}

// ICMP reports all upstreams unreachable: the client gets the reason, and so do the next.
static void test_unreachable_is_answered_with_its_reason(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2});
    meet(t, 1000, 20);
    t->now_us += 2 * SECOND_US;
    ask_waiting(t, 1, QUERY_OPT);
    drain(t);
    refuse_until_told(t);
    assert_reply(&t->sent[t->sent_count - 1], 1, "1234 8182 " ONE_OPT ASK EDE("0017"));
    ask_waiting(t, 1, "1234 0100 " ONE_OPT AAAA OPT);
    if (drain(t) == 0)
        assert_true(pass_until(t, t->now_us + SECOND_US));
    refuse_until_told(t);
    assert_reply(&t->sent[t->sent_count - 1], 1, "1234 8182 " ONE_OPT AAAA EDE("0017"));
    // From time to time a question has to probe.
    t->now_us += 100000;
    ask_waiting(t, 1, "1234 0100 " ONE_OPT NAME "0010 0001" OPT);
    drain(t);
    first_of(t, OUTGOING_QUERY);
    end(t);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_stale_answer_is_given_after_1800_ms),
    cmocka_unit_test(test_fresh_answer_wins_while_the_client_waits),
    cmocka_unit_test(test_time_to_the_stale_answer_is_a_setting),
    cmocka_unit_test(test_failure_gives_the_stale_answer_at_once),
    cmocka_unit_test(test_known_outage_gives_the_stale_answer_at_once),
    cmocka_unit_test(test_unreachable_upstreams_give_the_stale_answer_at_once),
    cmocka_unit_test(test_stale_denial_is_given_for_all_types),
    cmocka_unit_test(test_stale_answer_that_went_meanwhile_is_a_failure),
    cmocka_unit_test(test_stale_answer_that_is_evicted_while_clients_get_it_is_a_failure),
    cmocka_unit_test(test_leap_over_stale_and_deadline_answers_each_client_once),
    cmocka_unit_test(test_silence_is_remembered_for_five_seconds_and_then_ten),
    cmocka_unit_test(test_error_of_the_upstream_is_remembered_with_its_reason),
    cmocka_unit_test(test_failure_of_the_network_is_forgotten_when_one_comes_back),
    cmocka_unit_test(test_refused_stays_remembered_when_one_comes_back),
    cmocka_unit_test(test_unreachable_is_answered_with_its_reason),
};

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(age_rows) + COUNT_OF(others)];
    size_t count =
        tests_of_rows(tests, test_age_row, age_rows, sizeof *age_rows, COUNT_OF(age_rows));
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("serve stale", tests, NULL, NULL);
}
