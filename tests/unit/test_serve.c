// SPDX-License-Identifier: MIT
#include "tests/unit/serve_table.h"

static void test_miss_is_forwarded_cached_and_hit(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    t->settings.cache_prefetch = false;
    assert_int_equal(serve_deadline(t->serve), WHEEL_NEVER);
    ask_waiting(t, 5, "1234 0100 " ONE "'WwW' 'example' 00 0001 0001");
    assert_in_range(serve_deadline(t->serve), START_US + 1, START_US + 150000);
    struct sent query = query_sent(t);
    assert_true(endpoint_equal(&query.upstream, &t->upstreams[0]));
    query.packet.bytes[0] = query.packet.bytes[1] = 0;
    assert_packet(query.packet.bytes, query.packet.len, "0000 0100 " ONE_OPT ASK OPT);
    assert_counted(t, "queries upstream_queries ports_opened");
    assert_int_equal(gauge(t, COUNTER_pending), 1);
    assert_int_equal(gauge(t, COUNTER_waiters), 1);
    assert_int_equal(gauge(t, COUNTER_ports), 1);

    t->now_us += 12345;
    reply_from(t, &t->sent[1], GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 5, "1234 8180 " COUNTS1 "'WwW' 'example' 00 0001 0001" A("0000012c"));
    assert_counted(t, "answers_upstream replies_accepted cache_inserted");
    assert_int_equal(gauge(t, COUNTER_pending), 0);
    assert_int_equal(gauge(t, COUNTER_waiters), 0);

    ask_answered(t, 6, "abcd 0100 " ONE_OPT ASK OPT,
                 "abcd 8180 0001 0001 0000 0001 " ASK A("0000012c") OPT);
    t->now_us += 10 * SECOND_US;
    ask_answered(t, 6, QUERY, "1234 8180 " COUNTS1 ASK A("00000122"));
    t->now_us = START_US + 299 * SECOND_US;
    ask_answered(t, 6, QUERY, "1234 8180 " COUNTS1 ASK A("00000001"));
    assert_int_equal(drain(t), 0);
    assert_counted(t, "queries 3 answers_cache 3");
    settle(t);
    t->now_us = START_US + 300 * SECOND_US;
    ask_waiting(t, 6, QUERY);
    end(t);
}

static void test_waiters_of_one_question_get_each_their_own_reply(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    ask_waiting(t, 1, "0001 0100 " ONE "'WWW' 'example' 00 0001 0001");
    struct sent query = query_sent(t);
    ask_waiting(t, 2, "0002 0100 " ONE "'www' 'EXAMPLE' 00 0001 0001");
    ask_waiting(t, 3, "0003 0100 " ONE_OPT "'www' 'eXample' 00 0001 0001" OPT);
    assert_int_equal(drain(t), 0);
    // DO and CD ask for something else.
    ask_waiting(t, 4, "0004 0100 " ONE_OPT ASK OPT_DO);
    ask_waiting(t, 5, "0005 0110 " ONE ASK);
    assert_int_equal(drain(t), 3);
    assert_int_equal(gauge(t, COUNTER_pending), 3);
    assert_int_equal(gauge(t, COUNTER_waiters), 5);
    assert_counted(t, "queries 5 upstream_queries 3 ports_opened 2");

    reply_from(t, &query, GOOD);
    assert_int_equal(drain(t), 3);
    assert_reply(&t->sent[0], 1, "0001 8180 " COUNTS1 "'WWW' 'example' 00 0001 0001" A("0000012c"));
    assert_reply(&t->sent[1], 2, "0002 8180 " COUNTS1 "'www' 'EXAMPLE' 00 0001 0001" A("0000012c"));
    assert_reply(&t->sent[2], 3,
                 "0003 8180 0001 0001 0000 0001 'www' 'eXample' 00 0001 0001" A("0000012c") OPT);
    assert_counted(t, "answers_upstream 3 replies_accepted cache_inserted");
    assert_int_equal(gauge(t, COUNTER_waiters), 2);
    end(t);
}

static void test_lost_query_is_sent_again_and_the_first_reply_counts(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    ask_waiting(t, 1, QUERY);
    struct sent first = query_sent(t);
    assert_after(t, 150000);
    struct sent second = sent_at(t, 0, OUTGOING_OPEN);
    assert_int_not_equal(first.port, second.port);
    assert_memory_not_equal(first.packet.bytes, second.packet.bytes, 2);
    assert_memory_equal(first.packet.bytes + 2, second.packet.bytes + 2, first.packet.len - 2);
    assert_counted(t, "queries upstream_queries 2 upstream_resends upstream_probes ports_opened 2");

    reply_from(t, &first, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);
    reply_from(t, &second, GOOD);
    reply_from(t, &first, GOOD);
    assert_int_equal(drain(t), 0);
    assert_counted(t, "answers_upstream replies_accepted replies_late 2 cache_inserted");
    settle(t);
    assert_in_range(t->now_us, START_US + 10 * SECOND_US, START_US + 13 * SECOND_US);
    end(t);
}

static void test_each_upstream_gets_three_sends_and_the_client_servfail(void **state)
{
    (void)state;
    for (size_t upstreams = 1; upstreams <= 3; upstreams++) {
        struct table *t = begin((struct setup){.upstreams = upstreams});
        unsigned sends[3] = {0}, tcp_sends = 0, probes = 0, replies = 0, order = 0;
        meet(t, 1000, 1);
        uint64_t end_us = t->now_us + GIVEN_UP_US;
        ask_waiting(t, 1, "1234 0100 " ONE_OPT ASK OPT);
        ask_waiting(t, 2, "4321 0100 " ONE ASK);
        for (drain(t); replies == 0; assert_true(pass_until(t, end_us + 1000))) {
            for (size_t i = 0; i < t->sent_count; i++) {
                replies += t->sent[i].kind == OUTGOING_REPLY;
                tcp_sends += t->sent[i].kind == OUTGOING_MESSAGE;
                probes += t->sent[i].kind == OUTGOING_QUERY && is_probe(&t->sent[i]);
                if (t->sent[i].kind != OUTGOING_QUERY || is_probe(&t->sent[i]))
                    continue;
                size_t which = where(t, &t->sent[i]);
                sends[which]++;
                // The first round goes through the list in its order.
                if (order < upstreams)
                    assert_int_equal(which, order++);
            }
            if (replies > 0)
                break;
        }
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(sends[i], i < upstreams ? 3 : 0);
        // The sends to all are over before they are taken for dead, so they are tried over TCP.
        assert_in_range(tcp_sends, 1, 2 * upstreams);
        assert_int_equal(replies, 2);
        assert_in_range(t->now_us, end_us, end_us + 1000);
        const struct sent *sent = t->sent;
        while (sent->kind != OUTGOING_REPLY)
            sent++;
        assert_reply(&sent[0], 1, "1234 8182 " ONE_OPT ASK EDE_22);
        assert_reply(&sent[1], 2, "4321 8182 " ONE ASK);
        assert_int_equal(counter_get(&t->counters, COUNTER_answers_failure), 2);
        assert_int_equal(t->counters.values[COUNTER_upstream_queries] -
                             t->before.values[COUNTER_upstream_queries],
                         3 * upstreams + probes);
        // A thirty-second of the silence lies between two, and 100 ms at least.
        assert_in_range(probes, 12 * upstreams, 50 * upstreams);
        settle(t);
        end(t);
    }
}

static void test_query_without_rd_is_answered_from_the_cache_alone(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    ask_answered(t, 1, "1234 0000 " ONE ASK, "1234 8085 " ONE ASK);
    assert_counted(t, "queries answers_refused");
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t);
    ask_answered(t, 1, "1234 0000 " ONE ASK, "1234 8085 " ONE ASK); // while it is being asked
    reply_from(t, &query, GOOD);
    drain(t);
    ask_answered(t, 1, "1234 0000 " ONE ASK, "1234 8080 " COUNTS1 ASK A("0000012c"));
    end(t);
}

struct immediate_row {
    const char *name;
    uint8_t host; // 1: served, 130: refused, 200: dropped
    bool cut;
    bool no_port;
    const char *query;
    const char *reply; // NULL: dropped
    const char *counted;
};

#define EDE_18 "00 0029 04d0 00 00 0000 0006 000f 0002 0012 "

static const struct immediate_row immediate_rows[] = {
    {"client refused", 130, false, false, QUERY, "1234 8105 " ONE ASK, "queries answers_refused"},
    {"client refused with EDE", 130, false, false, "1234 0100 " ONE_OPT ASK OPT,
     "1234 8105 " ONE_OPT ASK EDE_18, "queries answers_refused"},
    {"client refused whatever it asks", 130, false, false, "1234 2900 " ONE ASK,
     "1234 a905 " ONE ASK, "queries answers_refused"},
    {"client outside all lists", 0, false, false, QUERY, "1234 8105 " ONE ASK,
     "queries answers_refused"},
    {"client refused gets nothing for a response", 130, false, false, "1234 8180 " ONE ASK, NULL,
     "queries drops_response"},
    {"client dropped", 200, false, false, QUERY, NULL, "queries drops_access"},
    {"client dropped whatever it asks", 200, true, true, "12", NULL, "queries drops_access"},
    {"datagram too short", 1, false, false, "1234 0100 0001 0000 0000 00", NULL,
     "queries drops_short"},
    {"datagram empty", 1, false, false, "", NULL, "queries drops_short"},
    {"datagram cut", 1, true, false, QUERY, NULL, "queries drops_too_large"},
    {"datagram from port 0", 1, false, true, QUERY, NULL, "queries drops_source"},
    {"response from a client", 1, false, false, "1234 8180 " ONE ASK, NULL,
     "queries drops_response"},
    {"malformed", 1, false, false, "1234 0100 " ONE "'www'", "1234 8181 0001 0000 0000 0000",
     "queries answers_error"},
    {"not implemented", 1, false, false, "1234 2100 " ONE ASK, "1234 a184 " ONE ASK,
     "queries answers_error"},
    {"EDNS version 1", 1, false, false, "1234 0100 " ONE_OPT ASK "00 0029 04d0 00 01 8000 0000",
     "1234 8180 " ONE_OPT ASK "00 0029 04d0 01 00 8000 0000", "queries answers_error"},
    {"AXFR", 1, false, false, "1234 0100 " ONE NAME "00fc 0001", "1234 8185 " ONE NAME "00fc 0001",
     "queries answers_refused"},
    {"class CH", 1, false, false, "1234 0100 " ONE NAME "0010 0003",
     "1234 8185 " ONE NAME "0010 0003", "queries answers_refused"},
};

static void test_immediate_row(void **state)
{
    const struct immediate_row *row = *state;
    struct table *t = begin((struct setup){0});
    struct serve_item given = {.client = client(row->host), .cut = row->cut};
    if (row->host == 0)
        given.client.from.ip[2] = 3;
    if (row->no_port)
        given.client.from.port = 0;
    struct serve_item item = ask_as(t, given, row->query);
    assert_int_equal(item.verdict, row->reply ? SERVE_ANSWERED : SERVE_DROPPED);
    // A reply to a question that could not be read has none: QDCOUNT 0.
    if (row->reply && item.out_len == 12)
        assert_packet(item.out, item.out_len, "1234 8181 0000 0000 0000 0000");
    else if (row->reply)
        assert_packet(item.out, item.out_len, row->reply);
    assert_counted(t, row->counted);
    assert_int_equal(drain(t), 0);
    end(t);
}

static void test_name_outside_all_zones_is_refused(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.zone = "corp.example"});
    ask_answered(t, 1, QUERY, "1234 8185 " ONE ASK);
    assert_counted(t, "queries answers_refused");
    ask_waiting(t, 1, "1234 0100 " ONE "'a' 'CORP' 'example' 00 0001 0001");
    end(t);
}

struct reply_row {
    const char *name;
    const char *rest; // of the reply behind its ID
    const char *counted;
};

// None of these may end the question: the good reply that follows is taken.
static const struct reply_row bad_replies[] = {
    {"reply of no use: a query", "0180 " COUNTS1 ASK A("0000012c"), "replies_garbage"},
    {"reply of no use: two octets", "", "replies_garbage"},
    {"reply of no use: eleven octets", "8180 0001 0001 0000 00", "replies_garbage"},
    {"reply of no use: a query cut in a record", "0180 " COUNTS1 ASK "c00c 0001",
     "replies_garbage"},
    {"reply of no use: another name", "8180 " COUNTS1 "'wwx' 'example' 00 0001 0001" A("0000012c"),
     "replies_mismatched"},
    {"reply of no use: another type", "8180 " ONE NAME "001c 0001", "replies_mismatched"},
    {"reply of no use: no question", "8180 0000 0000 0000 0000", "replies_mismatched"},
    {"reply of no use: opcode", "a180 " ONE ASK, "replies_mismatched"},
};

static void test_bad_reply_row(void **state)
{
    const struct reply_row *row = *state;
    struct table *t = begin((struct setup){0});
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t), other = query;
    assert_counted(t, "queries upstream_queries ports_opened");
    reply_from(t, &query, row->rest);
    assert_int_equal(drain(t), 0);
    assert_counted(t, row->counted);
    other.packet.bytes[1] ^= 1;
    reply_from(t, &other, GOOD);
    other = query;
    other.port++;
    reply_from(t, &other, GOOD);
    assert_int_equal(drain(t), 0);
    assert_counted(t, "replies_mismatched 2");
    reply_from(t, &query, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);
    end(t);
}

static void test_upstream_that_fails_is_left_for_the_next(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2});
    meet(t, 1000, 1);
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t);
    reply_from(t, &query, FAILED);
    struct sent next = query_sent(t);
    assert_true(endpoint_equal(&next.upstream, &t->upstreams[1]));
    assert_counted(t, "queries upstream_queries 2 upstream_resends replies_failed ports_opened 2");
    reply_from(t, &next, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);

    // When all fail the client gets the last one's error, and nothing is cached.
    ask_waiting(t, 1, "1234 0100 " ONE NAME "001c 0001");
    query = query_sent(t);
    reply_from(t, &query, "8182 " ONE NAME "001c 0001");
    query = query_sent(t);
    t->before = t->counters;
    reply_from(t, &query, "8185 " ONE NAME "001c 0001");
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8185 " ONE NAME "001c 0001");
    assert_counted(t, "answers_failure replies_failed");
    // For a while it is not asked again (RFC 9520).
    ask_answered(t, 1, "1234 0100 " ONE NAME "001c 0001", "1234 8185 " ONE NAME "001c 0001");
    end(t);
}

// A failure of one while another is still being waited for does not end the question.
static void test_failure_waits_for_what_is_under_way(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2});
    meet(t, 1000, 1);
    ask_waiting(t, 1, QUERY);
    struct sent first = query_sent(t);
    assert_after(t, 30000);
    struct sent second = sent_at(t, 0, OUTGOING_OPEN);
    assert_int_equal(where(t, &second), 1);
    reply_from(t, &second, REFUSED);
    assert_int_equal(drain(t), 0);
    reply_from(t, &first, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);
    end(t);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_miss_is_forwarded_cached_and_hit),
    cmocka_unit_test(test_waiters_of_one_question_get_each_their_own_reply),
    cmocka_unit_test(test_lost_query_is_sent_again_and_the_first_reply_counts),
    cmocka_unit_test(test_each_upstream_gets_three_sends_and_the_client_servfail),
    cmocka_unit_test(test_query_without_rd_is_answered_from_the_cache_alone),
    cmocka_unit_test(test_name_outside_all_zones_is_refused),
    cmocka_unit_test(test_upstream_that_fails_is_left_for_the_next),
    cmocka_unit_test(test_failure_waits_for_what_is_under_way),
};

#define ROWS(run, rows) tests_of_rows(tests + count, run, rows, sizeof *(rows), COUNT_OF(rows))

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(immediate_rows) + COUNT_OF(bad_replies) + COUNT_OF(others)];
    size_t count = 0;
    count += ROWS(test_immediate_row, immediate_rows);
    count += ROWS(test_bad_reply_row, bad_replies);
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("serve", tests, NULL, NULL);
}
