// SPDX-License-Identifier: MIT
#include "tests/unit/serve_table.h"

// Popular answers are refreshed before they expire: with the third hit they are recorded, and a
// tenth of their lifetime before its end the question goes out without a waiting client.

#define GOOD_FOR(ttl)   "8180 " COUNTS1 ASK A(ttl)
#define ANSWER_FOR(ttl) "1234 8180 " COUNTS1 ASK A(ttl)
#define TTL_60          "0000003c"

// Has the answer learned, with this time to live.
static void learn(struct table *t, const char *ttl)
{
    char rest[256];
    snprintf(rest, sizeof rest, "8180 " COUNTS1 ASK "c00c 0001 0001 %s 0004 c0000201", ttl);
    ask_waiting(t, 1, QUERY);
    drain(t);
    struct sent query = first_of(t, OUTGOING_QUERY);
    reply_from(t, &query, rest);
    assert_int_equal(drain(t), 1);
}

static void hit(struct table *t, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct serve_item item = ask(t, 1, QUERY);
        assert_int_equal(item.verdict, SERVE_ANSWERED);
        assert_false(item.hint); // this worker is its home
    }
    assert_int_equal(drain(t), 0);
}

static struct table *begin_met(struct setup setup)
{
    struct table *t = begin(setup);
    meet(t, 1000, 20);
    t->now_us = START_US + SECOND_US;
    return t;
}

// A worker with an answer that lives 60 s and was hit three times in the first.
static struct table *begin_popular(void)
{
    struct table *t = begin_met((struct setup){0});
    learn(t, TTL_60);
    hit(t, 3);
    t->before = t->counters;
    return t;
}

static void test_popular_answer_is_refreshed_before_it_expires(void **state)
{
    (void)state;
    struct table *t = begin_popular();
    assert_after(t, 54 * SECOND_US);
    struct sent query = sent_at(t, 0, OUTGOING_OPEN);
    query.packet.bytes[0] = query.packet.bytes[1] = 0;
    assert_packet(query.packet.bytes, query.packet.len, "0000 0100 " ONE_OPT ASK OPT);
    assert_counted(t, "upstream_queries ports_opened refreshes");
    assert_int_equal(gauge(t, COUNTER_pending), 1);
    assert_int_equal(gauge(t, COUNTER_waiters), 0);
    // Meanwhile clients have the old one.
    ask_answered(t, 1, QUERY, ANSWER_FOR("00000006"));
    t->now_us += 20000;
    reply_from(t, &t->sent[1], GOOD_FOR("00000064"));
    assert_int_equal(drain(t), 0);
    assert_counted(t, "queries answers_cache replies_accepted cache_inserted");
    assert_int_equal(gauge(t, COUNTER_pending), 0);
    // The first client that gets the new one proves it useful.
    t->now_us += 10 * SECOND_US;
    ask_answered(t, 1, QUERY, ANSWER_FOR("0000005a"));
    assert_counted(t, "queries answers_cache refreshes_used");
    ask_answered(t, 1, QUERY, ANSWER_FOR("0000005a"));
    assert_counted(t, "queries answers_cache");
    // Two hits are no three: it ends unrefreshed.
    assert_quiet(t, 200 * (uint64_t)SECOND_US);
    end(t);
}

static void test_answer_is_refreshed_again_and_again_as_long_as_it_is_popular(void **state)
{
    (void)state;
    struct table *t = begin_popular();
    for (unsigned i = 0; i < 20; i++) {
        assert_after(t, 54 * SECOND_US);
        struct sent query = first_of(t, OUTGOING_QUERY);
        reply_from(t, &query, GOOD_FOR(TTL_60));
        assert_int_equal(drain(t), 0);
        hit(t, 3);
    }
    assert_int_equal(counter_get(&t->counters, COUNTER_refreshes), 20);
    assert_int_equal(counter_get(&t->counters, COUNTER_refreshes_used), 20);
    end(t);
}

struct quiet_row {
    const char *name;
    const char *ttl;
    unsigned hits;
    bool off;
};

static const struct quiet_row quiet_rows[] = {
    {"two hits are not enough", TTL_60, 2, false},
    {"refreshing is off", TTL_60, 5, true},
};

static void test_quiet_row(void **state)
{
    const struct quiet_row *row = *state;
    struct table *t = begin_met((struct setup){0});
    t->settings.cache_prefetch = !row->off;
    learn(t, row->ttl);
    hit(t, row->hits);
    t->before = t->counters;
    assert_quiet(t, 100 * (uint64_t)SECOND_US);
    assert_counted(t, "");
    end(t);
}

static void test_answer_is_recorded_with_its_third_hit_whenever_that_is(void **state)
{
    (void)state;
    struct table *t = begin_met((struct setup){0});
    learn(t, TTL_60);
    hit(t, 2);
    assert_quiet(t, 58 * SECOND_US);
    hit(t, 1);
    assert_after(t, 0); // it is due already
    first_of(t, OUTGOING_QUERY);
    end(t);
}

static void test_answer_that_is_gone_or_another_is_not_refreshed(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 2; how++) {
        struct table *t = begin_popular();
        struct serve_flush flush = {.what = FLUSH_ALL};
        assert_quiet(t, 10 * SECOND_US);
        while (serve_flush(t->serve, &flush, 1000))
            continue;
        if (how == 1)
            learn(t, TTL_60); // lives until 70
        t->before = t->counters;
        assert_quiet(t, 50 * SECOND_US);
        assert_counted(t, "");
        end(t);
    }
}

// In an outage that is known it would be in vain, and where the question has failed a moment ago.
static void test_refresh_is_left_out_in_an_outage(void **state)
{
    (void)state;
    struct table *t = begin_popular();
    assert_quiet(t, 53 * SECOND_US);
    ask_waiting(t, 1, "1234 0100 " ONE NAME "0010 0001");
    drain(t);
    refuse_until_told(t);
    t->before = t->counters;
    assert_quiet(t, 20 * SECOND_US);
    assert_counted(t, "");
    end(t);
}

// The refresh gets no reply: the answer is used until it expires, and then as a stale one.
static void test_refresh_that_fails_hurts_no_client(void **state)
{
    (void)state;
    struct table *t = begin_popular();
    assert_after(t, 54 * SECOND_US);
    while (pass_until(t, t->now_us + 5100000))
        assert_int_not_equal(t->sent[0].kind, OUTGOING_REPLY);
    assert_int_equal(gauge(t, COUNTER_pending), 0);
    t->now_us = START_US + 61 * SECOND_US - 1;
    ask_answered(t, 1, QUERY, ANSWER_FOR("00000001"));
    t->now_us++;
    t->before = t->counters;
    ask_answered(t, 1, QUERY, ANSWER_FOR("0000001e"));
    assert_counted(t, "queries answers_stale failures_remembered upstream_probes");
    end(t);
}

// A client that comes after the expiry of the old one waits for the refresh like for any question.
static void test_client_joins_a_refresh_that_takes_long(void **state)
{
    (void)state;
    struct table *t = begin_popular();
    assert_after(t, 54 * SECOND_US);
    struct sent first = first_of(t, OUTGOING_QUERY);
    t->now_us = START_US + 61 * SECOND_US;
    t->before = t->counters;
    ask_waiting(t, 4, QUERY);
    reply_from(t, &first, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 4, ANSWER);
    end(t);
}

// Refreshing takes no more than half of the table, as far as the budget goes.
static void test_refreshes_leave_room_for_waiting_clients(void **state)
{
    (void)state;
    enum { NAMES = 100 };
    struct table *t = begin_met((struct setup){.pending_max = 128, .source_ports_max = 512});
    char question[64], query[128], rest[256];
    for (unsigned n = 0; n < NAMES; n++) {
        snprintf(question, sizeof question, "02 %02x%02x 00 0001 0001 ", 'a' + n / 20,
                 'a' + n % 20);
        snprintf(query, sizeof query, "1234 0100 " ONE "%s", question);
        snprintf(rest, sizeof rest, "8180 " COUNTS1 "%s" A(TTL_60), question);
        ask_waiting(t, (uint8_t)(1 + n), query);
        drain(t);
        struct sent sent = first_of(t, OUTGOING_QUERY);
        reply_from(t, &sent, rest);
        drain(t);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(ask(t, (uint8_t)(1 + n), query).verdict, SERVE_ANSWERED);
    }
    t->before = t->counters;
    assert_after(t, 54 * SECOND_US);
    assert_counted(t, "upstream_queries 64 ports_opened 4 refreshes 64 refreshes_forgone 36");
    end(t);
}

static void test_full_refresh_table_is_reported(void **state)
{
    (void)state;
    struct table *t = begin_met((struct setup){.pending_max = 4});
    char question[64], query[128], rest[256];
    for (unsigned n = 0; n < 6; n++) {
        snprintf(question, sizeof question, "01 %02x 00 0001 0001 ", 'a' + n);
        snprintf(query, sizeof query, "1234 0100 " ONE "%s", question);
        snprintf(rest, sizeof rest, "8180 " COUNTS1 "%s" A(TTL_60), question);
        ask_waiting(t, (uint8_t)(1 + n), query);
        drain(t);
        struct sent sent = first_of(t, OUTGOING_QUERY);
        reply_from(t, &sent, rest);
        drain(t);
        for (unsigned i = 0; i < 5; i++)
            assert_int_equal(ask(t, (uint8_t)(1 + n), query).verdict, SERVE_ANSWERED);
    }
    assert_int_equal(counter_get(&t->counters, COUNTER_refreshes_full), 2);
    end(t);
}

// --- two workers -------------------------------------------------------------------------------

// A table of two workers with an answer in the shard of the other one, which is returned.
static uint32_t learn_elsewhere(struct table *t)
{
    struct serve_item item = ask(t, 1, QUERY);
    uint32_t home = item.verdict == SERVE_ELSEWHERE ? item.owner : 0;
    t->serve = t->workers[home];
    struct serve_item given = {.client = client(1), .handed_over = true};
    if (item.verdict == SERVE_ELSEWHERE)
        assert_int_equal(ask_as(t, given, QUERY).verdict, SERVE_WAITING);
    struct sent query = query_sent(t);
    reply_from(t, &query, GOOD_FOR(TTL_60));
    assert_int_equal(drain(t), 1);
    t->before = t->counters;
    return home;
}

static void test_third_hit_elsewhere_becomes_a_hint_for_the_home(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.workers = 2});
    uint32_t home = learn_elsewhere(t);
    t->serve = t->workers[1 - home];
    for (unsigned i = 1; i <= 5; i++) {
        struct serve_item item = ask(t, 1, QUERY);
        assert_int_equal(item.verdict, SERVE_ANSWERED);
        assert_packet(item.out, item.out_len, ANSWER_FOR(TTL_60));
        assert_int_equal(item.hint, i == 3);
        assert_int_equal(item.owner, i == 3 ? home : 0);
    }
    assert_counted(t, "queries 5 answers_cache 5");
    assert_int_equal(serve_deadline(t->serve), WHEEL_NEVER);

    // The home has nothing to answer, nor to count.
    t->serve = t->workers[home];
    struct serve_item hint = {.client = client(200), .handed_over = true, .hint = true};
    assert_int_equal(ask_as(t, hint, QUERY).verdict, SERVE_HINTED);
    assert_int_equal(drain(t), 0);
    assert_counted(t, "");
    assert_after(t, 54 * SECOND_US);
    struct sent query = first_of(t, OUTGOING_QUERY);
    assert_int_equal(counter_get(&t->counters, COUNTER_refreshes), 1);
    reply_from(t, &query, GOOD);
    assert_int_equal(drain(t), 0);
    // The clients of all workers get it, and the first of them proves it useful.
    t->serve = t->workers[1 - home];
    ask_answered(t, 1, QUERY, ANSWER);
    assert_int_equal(counter_get(&t->counters, COUNTER_refreshes_used), 1);
    end(t);
}

// The hits of all workers count together.
static void test_third_hit_counts_at_whichever_worker_the_others_were(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.workers = 2});
    uint32_t home = learn_elsewhere(t);
    assert_false(ask(t, 1, QUERY).hint);
    assert_false(ask(t, 1, QUERY).hint);
    t->serve = t->workers[1 - home];
    assert_true(ask(t, 1, QUERY).hint);
    end(t);
}

static void test_hint_about_an_answer_that_is_gone_or_expired_starts_nothing(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 2; how++) {
        struct table *t = begin((struct setup){.workers = 2});
        uint32_t home = learn_elsewhere(t);
        t->serve = t->workers[home];
        struct serve_flush flush = {.what = FLUSH_ALL};
        while (how == 0 && serve_flush(t->serve, &flush, 1000))
            continue;
        if (how == 1)
            assert_quiet(t, 60 * SECOND_US);
        struct serve_item hint = {.client = client(1), .handed_over = true, .hint = true};
        assert_int_equal(ask_as(t, hint, QUERY).verdict, SERVE_HINTED);
        assert_int_equal(drain(t), 0);
        assert_counted(t, "");
        assert_quiet(t, 70 * SECOND_US);
        end(t);
    }
}

static void test_hint_twice_is_recorded_once(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.workers = 2});
    uint32_t home = learn_elsewhere(t);
    struct serve_item hint = {.client = client(1), .handed_over = true, .hint = true};
    t->serve = t->workers[1 - home];
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ask(t, 1, QUERY).verdict, SERVE_ANSWERED);
    t->serve = t->workers[home];
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ask_as(t, hint, QUERY).verdict, SERVE_HINTED);
    assert_after(t, 54 * SECOND_US);
    assert_counted(t, "queries 3 answers_cache 3 upstream_queries ports_opened refreshes");
    end(t);
}

// An answer may have been replaced while the hint was on its way. The hint is no hit either.
static void test_hint_about_an_answer_with_fewer_than_three_hits_starts_nothing(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.workers = 2});
    uint32_t home = learn_elsewhere(t);
    struct serve_item hint = {.client = client(1), .handed_over = true, .hint = true};
    t->serve = t->workers[home];
    for (unsigned i = 0; i < 9; i++)
        assert_int_equal(ask_as(t, hint, QUERY).verdict, SERVE_HINTED);
    t->serve = t->workers[1 - home];
    for (unsigned i = 1; i <= 3; i++)
        assert_int_equal(ask(t, 1, QUERY).hint, i == 3);
    t->serve = t->workers[home];
    assert_quiet(t, 60 * SECOND_US);
    assert_counted(t, "queries 3 answers_cache 3");
    end(t);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_popular_answer_is_refreshed_before_it_expires),
    cmocka_unit_test(test_answer_is_refreshed_again_and_again_as_long_as_it_is_popular),
    cmocka_unit_test(test_answer_is_recorded_with_its_third_hit_whenever_that_is),
    cmocka_unit_test(test_answer_that_is_gone_or_another_is_not_refreshed),
    cmocka_unit_test(test_refresh_is_left_out_in_an_outage),
    cmocka_unit_test(test_refresh_that_fails_hurts_no_client),
    cmocka_unit_test(test_client_joins_a_refresh_that_takes_long),
    cmocka_unit_test(test_refreshes_leave_room_for_waiting_clients),
    cmocka_unit_test(test_full_refresh_table_is_reported),
    cmocka_unit_test(test_third_hit_elsewhere_becomes_a_hint_for_the_home),
    cmocka_unit_test(test_third_hit_counts_at_whichever_worker_the_others_were),
    cmocka_unit_test(test_hint_about_an_answer_that_is_gone_or_expired_starts_nothing),
    cmocka_unit_test(test_hint_twice_is_recorded_once),
    cmocka_unit_test(test_hint_about_an_answer_with_fewer_than_three_hits_starts_nothing),
};

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(quiet_rows) + COUNT_OF(others)];
    size_t count =
        tests_of_rows(tests, test_quiet_row, quiet_rows, sizeof *quiet_rows, COUNT_OF(quiet_rows));
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("serve refresh", tests, NULL, NULL);
}
