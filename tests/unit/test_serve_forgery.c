// SPDX-License-Identifier: MIT
#include "tests/unit/serve_table.h"

// Replies that are nearly right (RFC 5452): other IDs and questions, another 0x20 case. What
// is too much moves a question to TCP, where no off-path forger can reply.

#define TXT NAME "0010 0001 "

static struct sent asked(struct table *t, const char *question)
{
    char text[256];
    snprintf(text, sizeof text, "1234 0100 " ONE "%s", question);
    ask_waiting(t, 1, text);
    drain(t);
    return first_of(t, OUTGOING_QUERY);
}

// The reply to a query with its ID and something else changed.
static void reply_changed(struct table *t, struct sent query, size_t at, uint8_t change)
{
    query.packet.bytes[at] ^= change;
    reply_to(t, &query, "8180 " COUNTS1, A("0000012c"));
}

static size_t capitals(const struct sent *query)
{
    size_t count = 0;
    for (size_t i = 12; i < 25; i++)
        count += query->packet.bytes[i] >= 'A' && query->packet.bytes[i] <= 'Z';
    return count;
}

// --- near misses -------------------------------------------------------------------------------

struct miss_row {
    const char *name;
    struct {
        size_t at;
        uint8_t change;
    } misses[3];
    const char *counted; // for the three together
};

static const struct miss_row miss_rows[] = {
    {"three other IDs", {{0, 1}, {1, 1}, {1, 0x80}}, "replies_mismatched 3"},
    {"three other names", {{13, 1}, {14, 2}, {15, 4}}, "replies_mismatched 3"},
    {"three other types", {{26, 1}, {26, 2}, {26, 4}}, "replies_mismatched 3"},
    {"one of each", {{0, 1}, {13, 1}, {26, 2}}, "replies_mismatched 3"},
};

static void test_miss_row(void **state)
{
    const struct miss_row *row = *state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    struct sent query = asked(t, ASK);
    t->before = t->counters;
    for (unsigned i = 0; i < 2; i++) {
        reply_changed(t, query, row->misses[i].at, row->misses[i].change);
        assert_int_equal(drain(t), 0);
    }
    // Two may be chance. The third moves it.
    reply_changed(t, query, row->misses[2].at, row->misses[2].change);
    struct sent message = message_sent(t);
    char counted[256];
    snprintf(counted, sizeof counted,
             "upstream_queries_tcp upstream_resends moved_to_tcp %s upstream_connections_opened",
             row->counted);
    assert_counted(t, counted);
    // What was asked over UDP no longer counts, be it ever so right.
    reply_from(t, &query, GOOD);
    assert_int_equal(drain(t), 0);
    assert_counted(t, "replies_late");
    reply_from(t, &message, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);
    // The next question starts from the beginning.
    asked(t, TXT);
    end(t);
}

static void test_two_misses_are_forgiven(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    struct sent query = asked(t, ASK);
    reply_changed(t, query, 0, 1);
    reply_changed(t, query, 13, 1);
    reply_from(t, &query, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);
    end(t);
}

// A guess of an ID at a port may hit any of the questions that wait there.
static void test_wrong_id_counts_against_all_questions_of_the_port(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.source_ports_max = 1});
    meet(t, 1000, 1);
    struct sent first = asked(t, ASK), second = asked(t, TXT);
    assert_int_equal(first.port, second.port);
    reply_changed(t, first, 0, 1);
    reply_changed(t, first, 0, 2);
    assert_int_equal(drain(t), 0);
    reply_changed(t, first, 0, 4);
    assert_int_equal(drain(t), 3);
    sent_at(t, 0, OUTGOING_CONNECT);
    assert_int_equal(t->sent[2].kind, OUTGOING_MESSAGE);
    assert_int_equal(counter_get(&t->counters, COUNTER_moved_to_tcp), 2);
    end(t);
}

// A reply that the network doubled is no guess.
static void test_reply_that_comes_twice_is_no_miss(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.source_ports_max = 1});
    meet(t, 1000, 1);
    struct sent first = asked(t, ASK), second = asked(t, TXT);
    reply_from(t, &first, GOOD);
    drain(t);
    t->before = t->counters;
    for (unsigned i = 0; i < 5; i++)
        reply_from(t, &first, GOOD);
    assert_int_equal(drain(t), 0);
    assert_counted(t, "replies_late 5");
    reply_to(t, &second, "8183 " ONE, "");
    assert_int_equal(drain(t), 1);
    end(t);
}

// Where there is no TCP, UDP has to do; guessing must not shut a client out.
static void test_misses_without_tcp_end_it(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    struct sent query = asked(t, ASK);
    for (unsigned i = 0; i < 3; i++)
        reply_changed(t, query, 13, (uint8_t)(1 + i));
    struct sent message = message_sent(t);
    serve_closed(t->serve, t->now_us, message.port);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8182 " ONE ASK);
    reply_from(t, &query, GOOD);
    assert_int_equal(drain(t), 0);
    assert_int_equal(counter_get(&t->counters, COUNTER_moved_to_tcp), 1);
    end(t);
}

// Nothing that came over a connection was put there from outside.
static void test_misses_over_tcp_end_nothing(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    struct sent query = asked(t, ASK);
    reply_from(t, &query, "8380 " ONE ASK);
    struct sent message = message_sent(t);
    for (unsigned i = 0; i < 5; i++)
        reply_changed(t, message, 13, (uint8_t)(1 + i));
    drain(t);
    for (size_t i = 0; i < t->sent_count; i++)
        assert_int_not_equal(t->sent[i].kind, OUTGOING_REPLY);
    reply_from(t, &message, GOOD);
    drain(t);
    assert_reply(&t->sent[0], 1, ANSWER);
    end(t);
}

// --- 0x20 case
// ------------------------------------------------------------------------------------

static void test_names_go_out_in_random_case(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2, .random_case = true});
    meet(t, 1000, 20);
    struct sent first = asked(t, "'wWW' 'exAMPLe' 00 0001 0001");
    assert_in_range(capitals(&first), 1, 9);
    // A resend has the same case.
    assert_after(t, 10000);
    struct sent second = first_of(t, OUTGOING_QUERY);
    assert_memory_equal(first.packet.bytes + 12, second.packet.bytes + 12, 17);
    reply_to(t, &second, "8180 " COUNTS1, A("0000012c"));
    assert_int_equal(drain(t), 1);
    // The client sees its own spelling, and ours is not cached.
    assert_reply(&t->sent[0], 1, "1234 8180 " COUNTS1 "'wWW' 'exAMPLe' 00 0001 0001" A("0000012c"));
    ask_answered(t, 1, QUERY, ANSWER);
    // Another question has another case.
    struct sent third = asked(t, TXT);
    assert_memory_not_equal(first.packet.bytes + 12, third.packet.bytes + 12, 13);
    end(t);
}

static void test_each_letter_is_as_often_a_capital_as_not(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.random_case = true});
    unsigned counts[26] = {0};
    meet(t, 1000, 20);
    for (unsigned n = 0; n < 400; n++) {
        char question[64];
        snprintf(question, sizeof question, "02 %02x%02x 'example' 00 0001 0001", 'a' + n / 20,
                 'a' + n % 20);
        struct sent query = asked(t, question);
        for (unsigned i = 0; i < 7; i++)
            counts[i] += query.packet.bytes[16 + i] < 'a';
        reply_to(t, &query, "8183 " ONE, "");
        drain(t);
    }
    for (unsigned i = 0; i < 7; i++)
        assert_in_range(counts[i], 150, 250);
    end(t);
}

// Moves a question to TCP by a reply in another case.
static struct sent misspelled(struct table *t, const struct sent *query)
{
    t->before = t->counters;
    reply_from(t, query, "8180 " COUNTS1 ASK A("0000012c"));
    struct sent message = message_sent(t);
    assert_counted(t, "upstream_queries_tcp upstream_resends moved_to_tcp replies_mismatched "
                      "upstream_connections_opened");
    assert_memory_equal(query->packet.bytes + 12, message.packet.bytes + 12, 17);
    return message;
}

static void test_wrong_case_is_checked_over_tcp_and_proves_nothing_alone(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.random_case = true});
    meet(t, 1000, 20);
    struct sent query = asked(t, ASK);
    struct sent message = misspelled(t, &query);
    // The server says the same over TCP: it does not preserve the case of this name.
    reply_from(t, &message, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);
    query = asked(t, TXT);
    assert_in_range(capitals(&query), 1, 10);
    end(t);
}

static void test_forgery_in_the_wrong_case_changes_nothing(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.random_case = true});
    meet(t, 1000, 20);
    struct sent query = asked(t, ASK);
    struct sent message = misspelled(t, &query);
    // The true answer over UDP no longer counts; that over TCP does.
    reply_to(t, &query, "8180 " COUNTS1, A("0000012c"));
    assert_int_equal(drain(t), 0);
    reply_to(t, &message, "8180 " COUNTS1, A("0000012c"));
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);
    query = asked(t, TXT);
    assert_in_range(capitals(&query), 1, 10);
    end(t);
}

static void test_wrong_case_without_tcp_is_not_believed(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.random_case = true});
    meet(t, 1000, 20);
    struct sent query = asked(t, ASK);
    struct sent message = misspelled(t, &query);
    serve_closed(t->serve, t->now_us, message.port);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8182 " ONE ASK);
    query = asked(t, TXT);
    assert_in_range(capitals(&query), 1, 10);
    end(t);
}

static void test_wrong_case_of_a_name_sent_in_lower_case_is_accepted(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    struct sent query = asked(t, ASK);
    reply_from(t, &query, "8180 " COUNTS1 "'WWW' 'example' 00 0001 0001" A("0000012c"));
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);
    end(t);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_two_misses_are_forgiven),
    cmocka_unit_test(test_wrong_id_counts_against_all_questions_of_the_port),
    cmocka_unit_test(test_reply_that_comes_twice_is_no_miss),
    cmocka_unit_test(test_misses_without_tcp_end_it),
    cmocka_unit_test(test_misses_over_tcp_end_nothing),
    cmocka_unit_test(test_names_go_out_in_random_case),
    cmocka_unit_test(test_each_letter_is_as_often_a_capital_as_not),
    cmocka_unit_test(test_wrong_case_is_checked_over_tcp_and_proves_nothing_alone),
    cmocka_unit_test(test_forgery_in_the_wrong_case_changes_nothing),
    cmocka_unit_test(test_wrong_case_without_tcp_is_not_believed),
    cmocka_unit_test(test_wrong_case_of_a_name_sent_in_lower_case_is_accepted),
};

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(miss_rows) + COUNT_OF(others)];
    size_t count =
        tests_of_rows(tests, test_miss_row, miss_rows, sizeof *miss_rows, COUNT_OF(miss_rows));
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("serve forgery", tests, NULL, NULL);
}
