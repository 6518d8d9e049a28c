// SPDX-License-Identifier: MIT
#include "tests/unit/serve_table.h"

// TCP to upstreams: truncated answers, over connections that stay open and are pipelined;
// and what happens when there is none to be had. Stories are as in story_write.

#define CUT "8380 " ONE
#define TXT NAME "0010 0001 "

// Asks, and lets the upstream say over UDP that it is too long; returns what goes over TCP.
static struct sent asked_over_tcp(struct table *t, const char *question)
{
    char text[256];
    snprintf(text, sizeof text, "1234 0100 " ONE "%s", question);
    ask_waiting(t, 1, text);
    drain(t);
    struct sent query = first_of(t, OUTGOING_QUERY);
    reply_to(t, &query, CUT, "");
    return message_sent(t);
}

static void test_truncated_answer_is_asked_for_over_tcp(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2});
    meet(t, 1000, 20);
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t);
    assert_counted(t, "queries upstream_queries ports_opened");
    // What stands in it is not looked at.
    reply_from(t, &query, "8380 " COUNTS1 ASK "c00c 0001 0001");
    assert_int_equal(drain(t), 2);
    struct sent message = sent_at(t, 0, OUTGOING_CONNECT);
    assert_int_equal(where(t, &message), 0);
    assert_int_equal(gauge(t, COUNTER_upstream_connections), 1);
    assert_counted(
        t, "upstream_queries_tcp upstream_resends replies_truncated upstream_connections_opened");
    message.packet.bytes[0] = message.packet.bytes[1] = 0;
    assert_packet(message.packet.bytes, message.packet.len, "0000 0100 " ONE_OPT ASK OPT);
    t->now_us += 2000;
    reply_from(t, &t->sent[1], GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);
    assert_counted(t, "answers_upstream replies_accepted cache_inserted");
    ask_answered(t, 2, QUERY, ANSWER);
    end(t);
}

static void test_answer_longer_than_any_datagram_is_cached(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct sent message = asked_over_tcp(t, ASK);
    size_t len = 29 + 300 * 16;
    uint8_t *reply = malloc(len);
    assert_non_null(reply);
    struct packet head = packet_of("0000 8180 0001 012c 0000 0000 " ASK);
    struct packet record = packet_of(A("0000012c"));
    memcpy(reply, head.bytes, head.len);
    memcpy(reply, message.packet.bytes, 2);
    for (size_t i = 0; i < 300; i++) {
        store_be16(record.bytes + 12, (uint16_t)i);
        memcpy(reply + 29 + 16 * i, record.bytes, 16);
    }
    serve_message(t->serve, t->now_us, message.port, reply, len);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8380 " ONE ASK); // more than the client takes
    assert_int_equal(counter_get(&t->counters, COUNTER_cache_inserted), 1);
    ask_answered(t, 1, QUERY, "1234 8380 " ONE ASK);
    free(reply);
    end(t);
}

static void test_connection_stays_open_and_replies_come_in_any_order(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    struct sent first = asked_over_tcp(t, ASK);
    struct sent second = asked_over_tcp(t, TXT);
    struct sent third = asked_over_tcp(t, NAME "001c 0001 ");
    assert_int_equal(first.port, second.port);
    assert_int_equal(first.port, third.port);
    assert_int_equal(counter_get(&t->counters, COUNTER_upstream_connections_opened), 1);
    reply_to(t, &third, "8183 " ONE, "");
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8183 " ONE NAME "001c 0001");
    reply_to(t, &first, "8183 " ONE, "");
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8183 " ONE ASK);
    t->before = t->counters;
    reply_to(t, &first, "8183 " ONE, ""); // again, or an ID that was never there
    assert_int_equal(drain(t), 0);
    assert_counted(t, "replies_late");
    reply_to(t, &second, "8183 " ONE, "");
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8183 " ONE TXT);
    end(t);
}

static void test_idle_connection_is_closed_after_ten_seconds(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    struct sent first = asked_over_tcp(t, ASK);
    uint64_t used_us = t->now_us;
    reply_to(t, &first, "8183 " ONE, "");
    drain(t);
    bool closed = false;
    while (!closed) {
        t->now_us = serve_deadline(t->serve);
        serve_expire(t->serve, t->now_us);
        for (size_t i = drain(t); i-- > 0;) {
            closed |= t->sent[i].kind == OUTGOING_DISCONNECT;
            assert_true(t->sent[i].kind != OUTGOING_DISCONNECT || t->sent[i].port == first.port);
        }
    }
    assert_in_range(t->now_us - used_us, 10 * SECOND_US, 11 * SECOND_US + 1000);
    assert_int_equal(gauge(t, COUNTER_upstream_connections), 0);
    assert_int_equal(counter_get(&t->counters, COUNTER_upstream_connections_ended) +
                         counter_get(&t->counters, COUNTER_upstream_connections_failed),
                     0);
    // The slot comes again.
    struct sent second = asked_over_tcp(t, TXT);
    assert_int_equal(second.port, first.port);
    assert_int_equal(counter_get(&t->counters, COUNTER_upstream_connections_opened), 2);
    end(t);
}

// RFC 7766 6.2.4: the server may close at any time, also as we ask.
static void test_connection_that_served_and_is_closed_is_opened_again_at_once(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    struct sent first = asked_over_tcp(t, ASK);
    reply_to(t, &first, "8183 " ONE, "");
    drain(t);
    assert_quiet(t, 2 * SECOND_US);
    asked_over_tcp(t, ASK);
    asked_over_tcp(t, TXT);
    t->before = t->counters;
    serve_closed(t->serve, t->now_us, first.port);
    // Either may be why: each is asked alone, on a connection that is closed with its reply.
    assert_int_equal(drain(t), 4);
    struct sent message = t->sent[1], other = t->sent[3];
    assert_int_equal(message.kind, OUTGOING_MESSAGE);
    assert_int_equal(other.kind, OUTGOING_MESSAGE);
    assert_int_not_equal(other.port, message.port);
    assert_counted(t, "upstream_queries_tcp 2 upstream_resends 2 upstream_connections_opened 2 "
                      "upstream_connections_ended");
    reply_to(t, &message, "8183 " ONE, "");
    assert_int_equal(drain(t), 2);
    reply_to(t, &other, "8183 " ONE, "");
    assert_int_equal(drain(t), 2);
    assert_int_equal(gauge(t, COUNTER_upstream_connections), 0);
    end(t);
}

// A question that connections end with is asked on one more, and no more than that.
static void test_server_that_always_closes_is_asked_twice(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    struct sent message = asked_over_tcp(t, ASK);
    unsigned sends = 1;
    for (; sends < 10; sends++) {
        struct sent useful = message;
        // A word on the connection, so that it counts as one that served.
        useful.packet.bytes[0] ^= 0x80;
        reply_to(t, &useful, "8183 " ONE, "");
        serve_closed(t->serve, t->now_us, message.port);
        drain(t);
        size_t i = 0;
        while (i < t->sent_count && t->sent[i].kind != OUTGOING_MESSAGE)
            i++;
        if (i == t->sent_count)
            break;
        message = t->sent[i];
    }
    assert_int_equal(sends, 2);
    end(t);
}

static void test_connection_that_cannot_be_had_sends_the_question_on(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2});
    meet(t, 1000, 20);
    struct sent message = asked_over_tcp(t, ASK);
    assert_int_equal(where(t, &message), 0);
    t->before = t->counters;
    t->now_us += 5000;
    serve_closed(t->serve, t->now_us, message.port);
    assert_int_equal(drain(t), 2);
    struct sent query = sent_at(t, 0, OUTGOING_OPEN);
    assert_int_equal(where(t, &query), 1);
    assert_counted(t, "upstream_queries upstream_resends ports_opened upstream_connections_failed");
    // The next one that is too long is not tried there for half a second.
    ask_waiting(t, 1, "1234 0100 " ONE TXT);
    struct sent other = query_sent(t);
    assert_int_equal(where(t, &other), 0);
    reply_to(t, &other, CUT, "");
    assert_int_equal(drain(t), 2);
    struct sent next = sent_at(t, 0, OUTGOING_OPEN);
    assert_int_equal(where(t, &next), 1);
    // From the second it can be had.
    reply_to(t, &next, CUT, "");
    assert_int_equal(drain(t), 2);
    message = sent_at(t, 0, OUTGOING_CONNECT);
    assert_int_equal(where(t, &message), 1);
    reply_to(t, &message, "8183 " ONE, "");
    assert_int_equal(drain(t), 1);
    t->now_us += 500000;
    message = asked_over_tcp(t, NAME "001c 0001 ");
    assert_int_equal(where(t, &message), 0);
    end(t);
}

// What is too long and cannot be had whole is a failure, and not an answer without records.
static void test_truncated_answer_without_tcp_is_a_failure(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 2; how++) {
        struct table *t = begin((struct setup){.no_tcp = how == 1});
        meet(t, 1000, 20);
        ask_waiting(t, 1, QUERY);
        struct sent query = query_sent(t);
        reply_to(t, &query, CUT, "");
        if (how == 0) {
            struct sent message = message_sent(t);
            serve_closed(t->serve, t->now_us, message.port);
            // Perhaps it is shorter now.
            query = query_sent(t);
            reply_to(t, &query, CUT, "");
        }
        assert_int_equal(drain(t), 1);
        assert_reply(&t->sent[0], 1, "1234 " FAILED);
        ask_answered(t, 1, QUERY, "1234 " FAILED); // remembered
        end(t);
    }
}

static void test_truncated_over_tcp_is_asked_again_and_then_a_failure(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    struct sent message = asked_over_tcp(t, ASK);
    for (unsigned i = 0; i < 2; i++) {
        reply_to(t, &message, CUT, "");
        message = message_sent(t);
    }
    reply_to(t, &message, CUT, "");
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 " FAILED);
    end(t);
}

static void test_reply_over_tcp_is_waited_for_longer(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t);
    reply_to(t, &query, CUT, "");
    // A connection resends by itself; after a second the question goes on.
    assert_story(t, 999000, "0:c0 0:t0");
    assert_story(t, 2000, "1:u0");
    end(t);
}

// Answers every datagram that was sent: too long.
static void cut_all(struct table *t)
{
    struct sent queries[32];
    size_t count = 0;
    for (size_t i = 0; i < t->sent_count; i++) {
        assert_in_range(count, 0, COUNT_OF(queries) - 1);
        if (t->sent[i].kind == OUTGOING_QUERY)
            queries[count++] = t->sent[i];
    }
    for (size_t i = 0; i < count; i++) {
        reply_to(t, &queries[i], CUT, "");
        drain(t);
    }
}

// A connection on which nothing comes for a second is of no use, whatever is sent there.
static void test_stuck_connection_is_given_up(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    uint64_t start_us = t->now_us;
    for (unsigned n = 0; gauge(t, COUNTER_upstream_connections_failed) == 0; n++) {
        char question[64];
        assert_in_range(n, 0, 100);
        snprintf(question, sizeof question, "1234 0100 " ONE "01 %02x 00 0001 0001", 'A' + n);
        ask_waiting(t, 1, question);
        drain(t);
        cut_all(t);
        if (n == 0)
            serve_connected(t->serve, t->now_us, 0);
        while (pass_until(t, start_us + (n + 1) * SECOND_US / 50))
            cut_all(t);
    }
    assert_in_range(t->now_us - start_us, SECOND_US, 2 * SECOND_US);
    end(t);
}

// After a pause of the worker the connection is given up first, for which the question goes to the
// other upstream, and then the question ends before that could be sent.
static void test_what_a_leap_leaves_behind_is_cleared_away(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2, .source_ports_max = 1});
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t);
    reply_to(t, &query, CUT, "");
    message_sent(t);
    serve_unreachable(t->serve, t->now_us, query.port);
    assert_int_equal(drain(t), 1);
    assert_int_equal(t->sent[0].kind, OUTGOING_CLOSE);
    t->now_us += 30 * SECOND_US;
    serve_expire(t->serve, t->now_us);
    assert_int_equal(drain(t), 2);
    assert_int_equal(t->sent[0].kind, OUTGOING_DISCONNECT);
    assert_reply(&t->sent[1], 1, "1234 " FAILED);
    settle(t);
    end(t);
}

static void test_orphan_on_a_connection_teaches_nothing_of_datagrams(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    struct sent message = asked_over_tcp(t, ASK);
    assert_true(pass_until(t, t->now_us + 1600000));
    struct sent query = first_of(t, OUTGOING_QUERY);
    reply_from(t, &query, GOOD);
    drain(t);
    t->before = t->counters;
    t->now_us += 30000;
    reply_from(t, &message, GOOD); // after more than 1.6 s
    assert_int_equal(drain(t), 0);
    assert_counted(t, "replies_late");
    // The wait for a datagram is what it was.
    ask_waiting(t, 1, "1234 0100 " ONE TXT);
    assert_story(t, 15000, "0:u0 10:u0");
    end(t);
}

// An orphan on a connection that ends goes with it.
static void test_orphan_goes_with_its_connection(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    struct sent message = asked_over_tcp(t, ASK);
    assert_true(pass_until(t, t->now_us + 1600000));
    struct sent query = first_of(t, OUTGOING_QUERY);
    reply_from(t, &query, GOOD);
    drain(t);
    serve_closed(t->serve, t->now_us, message.port);
    assert_int_equal(drain(t), 0);
    settle(t);
    end(t);
}

static void test_second_connection_opens_where_the_first_is_busy(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.pending_max = 256, .source_ports_max = 512});
    meet(t, 1000, 20);
    uint16_t first = 0;
    unsigned on_first = 0;
    for (unsigned n = 0; n < 80; n++) {
        char question[64];
        snprintf(question, sizeof question, "02 %02x%02x 00 0001 0001", 'a' + n / 20, 'a' + n % 20);
        struct sent message = asked_over_tcp(t, question);
        first = n == 0 ? message.port : first;
        on_first += message.port == first;
        assert_int_equal(gauge(t, COUNTER_upstream_connections), n < 32 ? 1 : 2);
    }
    assert_in_range(on_first, 39, 41);
    end(t);
}

static void test_message_too_short_to_be_one_is_garbage(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    struct sent message = asked_over_tcp(t, ASK);
    t->before = t->counters;
    serve_message(t->serve, t->now_us, message.port, message.packet.bytes, 11);
    serve_message(t->serve, t->now_us, message.port, message.packet.bytes, 0);
    assert_int_equal(drain(t), 0);
    assert_counted(t, "replies_garbage 2");
    reply_from(t, &message, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);
    end(t);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncated_answer_is_asked_for_over_tcp),
        cmocka_unit_test(test_answer_longer_than_any_datagram_is_cached),
        cmocka_unit_test(test_connection_stays_open_and_replies_come_in_any_order),
        cmocka_unit_test(test_idle_connection_is_closed_after_ten_seconds),
        cmocka_unit_test(test_connection_that_served_and_is_closed_is_opened_again_at_once),
        cmocka_unit_test(test_server_that_always_closes_is_asked_twice),
        cmocka_unit_test(test_connection_that_cannot_be_had_sends_the_question_on),
        cmocka_unit_test(test_truncated_answer_without_tcp_is_a_failure),
        cmocka_unit_test(test_truncated_over_tcp_is_asked_again_and_then_a_failure),
        cmocka_unit_test(test_reply_over_tcp_is_waited_for_longer),
        cmocka_unit_test(test_stuck_connection_is_given_up),
        cmocka_unit_test(test_what_a_leap_leaves_behind_is_cleared_away),
        cmocka_unit_test(test_orphan_on_a_connection_teaches_nothing_of_datagrams),
        cmocka_unit_test(test_orphan_goes_with_its_connection),
        cmocka_unit_test(test_second_connection_opens_where_the_first_is_busy),
        cmocka_unit_test(test_message_too_short_to_be_one_is_garbage),
    };
    return cmocka_run_group_tests_name("serve tcp", tests, NULL, NULL);
}
