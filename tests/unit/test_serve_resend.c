// SPDX-License-Identifier: MIT
#include "tests/unit/serve_table.h"

// When a question is sent again and to which upstream: the times of a story are milliseconds, see
// story_write.

struct story_row {
    const char *name;
    size_t upstreams;
    unsigned met; // questions answered before by the first upstream, 0: none is known
    const char *story;
};

// With 20 samples of 1 ms a reply is late after 10 ms, with one after 30, and with none after 150;
// from send to send the wait doubles, up to sixteenfold.
static const struct story_row story_rows[] = {
    {"one unknown: dead with the first, then probes", 1, 0, "0:u0 150:u0 4900:r"},
    {"two unknown: in pairs", 2, 0, "0:u0 0:u1 150:u0 150:u1 4900:r"},
    {"three unknown: in pairs", 3, 0, "0:u0 0:u1 150:u2 300:u0 300:u1 600:u2 4900:d 4900:r"},
    {"one known a little", 1, 1, "0:u0 30:u0 90:u0 210:c0 210:t0 4900:r"},
    {"one known well", 1, 20, "0:u0 10:u0 30:u0 70:c0 70:t0 1070:c0 1070:t0 4900:r"},
    {"two, the first known well", 2, 20,
     "0:u0 10:u1 40:u0 60:u1 120:u0 160:u1 280:c1 280:t1 4900:r"},
    {"three, the first known well", 3, 20,
     "0:u0 10:u1 40:u2 70:u0 90:u1 150:u2 210:u0 250:u1 370:u2 490:c2 490:t2 1490:c2 1490:t2 "
     "3021:c2 3021:t2 4900:r"},
};

// Three sends to each over UDP, and where it is still taken for alive then three over TCP.
static void test_story_row(void **state)
{
    const struct story_row *row = *state;
    struct table *t = begin((struct setup){.upstreams = row->upstreams});
    if (row->met > 0)
        meet(t, 1000, row->met);
    ask_waiting(t, 1, "1234 0100 " ONE_OPT ASK OPT);
    assert_story(t, 9 * SECOND_US, row->story);
    assert_int_equal(counter_get(&t->counters, COUNTER_answers_failure), 1);
    end(t);
}

static void test_wait_follows_the_upstreams_time(void **state)
{
    (void)state;
    static const struct {
        uint64_t reply_us, wait_us;
    } rows[] = {
        {1000, 10000},   // the least
        {16000, 20480},  // into the bucket that ends at 16.384 ms, and a quarter
        {40000, 51200},  // at 40.96 ms
        {200000, 286720} // at 229.376 ms
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct table *t = begin((struct setup){0});
        meet(t, rows[i].reply_us, 20);
        ask_waiting(t, 1, QUERY);
        query_sent(t);
        assert_after(t, rows[i].wait_us);
        sent_at(t, 0, OUTGOING_OPEN);
        end(t);
    }
}

// Sends to whatever is silent, and returns how many sends there were until then.
static unsigned sends_until(struct table *t, uint64_t until_us)
{
    unsigned count = 0;
    while (pass_until(t, until_us)) {
        for (size_t i = 0; i < t->sent_count; i++)
            count += t->sent[i].kind == OUTGOING_QUERY;
    }
    return count;
}

// A hundred questions at once, and no upstream answers. The budget has 48 sends at the start and a
// twentieth for each question, 54 in all. What is above half of 64 may go after 10 ms, the rest
// when the slow mode has had its time, after 30 ms. Then the upstream is dead.
static void test_outage_is_not_answered_with_more_of_the_same(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.pending_max = 256, .source_ports_max = 1024});
    meet(t, 1000, 20);
    uint64_t start_us = t->now_us;
    for (unsigned n = 0; n < 100; n++) {
        char text[128];
        snprintf(text, sizeof text, "1234 0100 " ONE "02 %02x%02x 00 0001 0001", 'a' + n / 10,
                 'a' + n % 10);
        ask_waiting(t, (uint8_t)n, text);
    }
    drain(t);
    assert_counted(t, "queries 100 upstream_queries 100 ports_opened 7");
    assert_int_equal(sends_until(t, start_us + 9000), 0);
    assert_int_equal(sends_until(t, start_us + 10000), 22);
    assert_counted(t, "upstream_queries 22 upstream_resends 22 resends_deferred 78 "
                      "ports_opened 2");
    assert_int_equal(sends_until(t, start_us + 29000), 0);
    assert_int_equal(sends_until(t, start_us + 30000), 32);
    assert_in_range(sends_until(t, start_us + 250000), 0, 1); // a probe
    // Now and then a probe, and the clients get an error in time.
    assert_in_range(sends_until(t, start_us + GIVEN_UP_US - 1000), 10, 100);
    assert_int_equal(counter_get(&t->counters, COUNTER_answers_failure), 0);
    sends_until(t, start_us + GIVEN_UP_US + 50000);
    assert_int_equal(counter_get(&t->counters, COUNTER_answers_failure), 100);
    end(t);
}

// A query of which only the second send is answered, with another between them.
static void lose_one(struct table *t, const char *name)
{
    char text[128];
    snprintf(text, sizeof text, "1234 0100 " ONE "'%s' 00 0001 0001", name);
    ask_waiting(t, 1, text);
    drain(t);
    assert_after(t, 10000);
    struct sent second = first_of(t, OUTGOING_QUERY);
    t->now_us += 1000;
    reply_to(t, &second, "8183 " ONE, "");
    assert_int_equal(drain(t), 1);
    assert_int_equal(t->sent[0].kind, OUTGOING_REPLY);
}

// What got lost while the upstream answered others is made good in full, however much it is.
static void test_loss_that_is_proven_costs_no_budget(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.source_ports_max = 1024});
    meet(t, 1000, 20);
    for (unsigned n = 0; n < 200; n++) {
        char name[3] = {(char)('a' + n / 20), (char)('a' + n % 20), 0};
        lose_one(t, name);
        // An orphan is given up after 200 ms.
        assert_quiet(t, 199000);
    }
    assert_quiet(t, 3000);
    assert_int_equal(counter_get(&t->counters, COUNTER_upstream_lost), 200);
    assert_int_equal(counter_get(&t->counters, COUNTER_resends_deferred), 0);
    end(t);
}

static void test_late_reply_tells_the_time_and_no_more(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2});
    meet(t, 1000, 20);
    ask_waiting(t, 1, QUERY);
    struct sent first = query_sent(t);
    assert_after(t, 10000);
    struct sent second = sent_at(t, 0, OUTGOING_OPEN);
    reply_from(t, &second, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);
    t->before = t->counters;
    t->now_us += 190000;
    reply_from(t, &first, GOOD);
    assert_int_equal(drain(t), 0);
    assert_counted(t, "replies_late");
    // It came, so it was not lost.
    assert_quiet(t, SECOND_US);
    assert_counted(t, "");
    end(t);
}

// There are four attempts for each question; what still waits for the reply to one that has ended
// is the first to go.
static void test_oldest_orphan_makes_room(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.pending_max = 1});
    meet(t, 1000, 20);
    for (unsigned n = 0; n < 12; n++) {
        char name[2] = {(char)('a' + n), 0};
        lose_one(t, name);
    }
    assert_int_equal(counter_get(&t->counters, COUNTER_ports_exhausted), 0);
    assert_quiet(t, SECOND_US);
    assert_int_equal(counter_get(&t->counters, COUNTER_upstream_lost), 3);
    settle(t);
    end(t);
}

// No upstream answers: the loss is not proven.
static void test_orphan_of_a_silent_upstream_is_forgotten(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2});
    meet(t, 1000, 20);
    ask_waiting(t, 1, QUERY);
    query_sent(t);
    assert_after(t, 10000);
    struct sent second = sent_at(t, 0, OUTGOING_OPEN);
    reply_from(t, &second, GOOD);
    drain(t);
    assert_quiet(t, SECOND_US);
    assert_int_equal(counter_get(&t->counters, COUNTER_upstream_lost), 0);
    end(t);
}

// What comes after the orphan was given up belongs to no question.
static void test_reply_after_all_time_is_late(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2});
    meet(t, 1000, 20);
    ask_waiting(t, 1, QUERY);
    struct sent first = query_sent(t);
    assert_after(t, 10000);
    struct sent second = sent_at(t, 0, OUTGOING_OPEN);
    reply_from(t, &second, GOOD);
    drain(t);
    assert_quiet(t, 250000);
    t->before = t->counters;
    reply_from(t, &first, GOOD);
    assert_counted(t, "replies_late");
    end(t);
}

// --- upstreams that are not trusted
// ---------------------------------------------------------------

static void test_unknown_ones_are_asked_in_pairs_until_they_answer(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2});
    ask_waiting(t, 1, QUERY);
    assert_int_equal(drain(t), 4);
    struct sent first = sent_at(t, 0, OUTGOING_OPEN), second = sent_at(t, 2, OUTGOING_OPEN);
    assert_int_equal(where(t, &first) + where(t, &second), 1);
    t->now_us += 1000;
    reply_from(t, &second, GOOD);
    drain(t);
    assert_reply(&t->sent[0], 1, ANSWER);
    // The one that answered is asked, and once more the other one as well.
    ask_waiting(t, 1, "1234 0100 " ONE NAME "0010 0001");
    assert_int_equal(drain(t), 4);
    struct sent third = sent_at(t, 0, OUTGOING_OPEN), fourth = sent_at(t, 2, OUTGOING_OPEN);
    assert_int_equal(where(t, &third), where(t, &second));
    assert_int_equal(where(t, &fourth), where(t, &first));
    reply_from(t, &third, "8183 " ONE NAME "0010 0001");
    drain(t);
    reply_from(t, &fourth, "8183 " ONE NAME "0010 0001"); // late, but it is alive
    ask_waiting(t, 1, "1234 0100 " ONE NAME "001c 0001");
    struct sent fifth = query_sent(t);
    assert_int_equal(where(t, &fifth), 0);
    end(t);
}

// Kills an upstream: it says nothing to a question that the other one then answers.
static void kill_first(struct table *t)
{
    uint64_t end_us = t->now_us + SECOND_US;
    for (unsigned n = 0; n < 6; n++) {
        char text[128];
        snprintf(text, sizeof text, "1234 0100 " ONE "'kill' 01 %02x 00 0001 0001", 'a' + n);
        ask_waiting(t, 1, text);
        drain(t);
        for (bool answered = false; !answered;) {
            for (size_t i = 0; i < t->sent_count && !answered; i++) {
                struct sent sent = t->sent[i];
                if (sent.kind != OUTGOING_QUERY || where(t, &sent) == 0)
                    continue;
                reply_to(t, &sent, "8183 " ONE, "");
                drain(t);
                answered = true;
            }
            if (!answered)
                assert_true(pass_until(t, t->now_us + SECOND_US));
        }
        while (t->now_us < end_us - SECOND_US / 6 * (5 - n) &&
               pass_until(t, end_us - SECOND_US / 6 * (5 - n)))
            continue;
    }
    t->before = t->counters;
}

static void test_dead_upstream_gets_only_probes(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2, .source_ports_max = 1024});
    meet(t, 1000, 20);
    kill_first(t);
    // 300 questions in three seconds; the dead one has a copy of some.
    unsigned sends[2] = {0};
    for (unsigned n = 0; n < 300; n++) {
        char text[128];
        snprintf(text, sizeof text, "1234 0100 " ONE "02 %02x%02x 00 0001 0001", 'a' + n / 20,
                 'a' + n % 20);
        ask_waiting(t, 1, text);
        size_t count = drain(t);
        for (size_t i = 0; i < count; i++) {
            struct sent sent = t->sent[i];
            if (sent.kind != OUTGOING_QUERY)
                continue;
            sends[where(t, &sent)]++;
            // No client waits for the dead one.
            if (where(t, &sent) == 1)
                reply_to(t, &sent, "8183 " ONE, "");
            struct outgoing outgoing = {.bytes = t->out};
            while (serve_drain(t->serve, t->now_us, &outgoing))
                continue;
        }
        assert_false(pass_until(t, t->now_us + 10000));
    }
    assert_int_equal(sends[1], 300);
    assert_in_range(sends[0], 15, 31);
    assert_int_equal(t->counters.values[COUNTER_upstream_probes] -
                         t->before.values[COUNTER_upstream_probes],
                     sends[0]);
    end(t);
}

static void test_dead_upstream_is_back_with_its_first_reply(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2});
    meet(t, 1000, 20);
    kill_first(t);
    ask_waiting(t, 1, QUERY);
    assert_int_equal(drain(t) % 2, 0);
    struct sent probe = t->sent[t->sent_count - 1];
    assert_int_equal(where(t, &probe), 0);
    t->now_us += 1000;
    reply_from(t, &probe, GOOD);
    drain(t);
    assert_reply(&t->sent[0], 1, ANSWER);
    // It is the first of the list again.
    ask_waiting(t, 1, "1234 0100 " ONE NAME "0010 0001");
    struct sent next = query_sent(t);
    assert_int_equal(where(t, &next), 0);
    end(t);
}

// Asks and has the first upstream answer after a millisecond; the second says nothing. Returns
// whether it was asked too.
static bool ask_beside_silent(struct table *t, unsigned n)
{
    char text[128];
    bool beside = false;
    snprintf(text, sizeof text, "1234 0100 " ONE "'met' 01 %02x 00 0001 0001", 'a' + n);
    ask_waiting(t, 1, text);
    drain(t);
    struct sent sent = first_of(t, OUTGOING_QUERY);
    for (size_t i = 0; i < t->sent_count; i++)
        beside |= t->sent[i].kind == OUTGOING_QUERY && where(t, &t->sent[i]) == 1;
    assert_int_equal(where(t, &sent), 0);
    t->now_us += 1000;
    reply_to(t, &sent, "8183 " ONE, "");
    drain(t);
    return beside;
}

// It is found dead although no question ever waited for it; so what gets lost on the way to the
// other one is not sent there for nothing.
static void test_silence_to_copies_counts(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2});
    for (unsigned n = 0; n < 20; n++)
        assert_int_equal(ask_beside_silent(t, n), n < 2);
    // Four times its late tail, for want of samples 300 ms, have to pass.
    assert_quiet(t, 1170000);
    ask_waiting(t, 1, QUERY);
    assert_story(t, 5000, "0:u0 0:u1");
    reply_from(t, &t->sent[1], GOOD);
    end(t);

    t = begin((struct setup){.upstreams = 2});
    for (unsigned n = 0; n < 20; n++)
        ask_beside_silent(t, n);
    assert_quiet(t, 1200000);
    assert_true(ask_beside_silent(t, 20)); // a probe, and for a while there is no other
    ask_waiting(t, 1, QUERY);
    assert_story(t, 50000, "0:u0 10:u0 30:u0");
    end(t);
}

// The copy to an unknown upstream must not make the question wait for it.
static void test_copy_does_not_put_off_the_resend(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2});
    for (unsigned n = 0; n < 20; n++)
        ask_beside_silent(t, n);
    assert_quiet(t, 1300000);
    // Now it is dead, with a wait of 150 ms.
    ask_waiting(t, 1, QUERY);
    assert_story(t, 50000, "0:u0 0:u1 10:u0 30:u0");
    end(t);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_wait_follows_the_upstreams_time),
    cmocka_unit_test(test_outage_is_not_answered_with_more_of_the_same),
    cmocka_unit_test(test_loss_that_is_proven_costs_no_budget),
    cmocka_unit_test(test_late_reply_tells_the_time_and_no_more),
    cmocka_unit_test(test_oldest_orphan_makes_room),
    cmocka_unit_test(test_orphan_of_a_silent_upstream_is_forgotten),
    cmocka_unit_test(test_reply_after_all_time_is_late),
    cmocka_unit_test(test_unknown_ones_are_asked_in_pairs_until_they_answer),
    cmocka_unit_test(test_dead_upstream_gets_only_probes),
    cmocka_unit_test(test_dead_upstream_is_back_with_its_first_reply),
    cmocka_unit_test(test_silence_to_copies_counts),
    cmocka_unit_test(test_copy_does_not_put_off_the_resend),
};

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(story_rows) + COUNT_OF(others)];
    size_t count =
        tests_of_rows(tests, test_story_row, story_rows, sizeof *story_rows, COUNT_OF(story_rows));
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("serve resend", tests, NULL, NULL);
}
