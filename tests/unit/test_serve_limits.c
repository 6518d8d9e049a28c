// SPDX-License-Identifier: MIT
#include "core/forward/source_port.h"
#include "core/policy/error_loop.h"
#include "tests/unit/serve_table.h"

// What serve does when a table is full, a socket fails, or the query is another worker's; batches;
// and a long random run in which every query must be accounted for.

// A query for a name of its own: n as three letters under example.
static void name_write(char text[static 64], unsigned n, const char *before, const char *after)
{
    snprintf(text, 64, "%s03 %02x%02x%02x 'example' 00 0001 0001 %s", before, 'a' + n / 676 % 26,
             'a' + n / 26 % 26, 'a' + n % 26, after);
}

static struct serve_item ask_number(struct table *t, uint8_t host, unsigned n)
{
    char text[64];
    name_write(text, n, "1234 0100 " ONE, "");
    return ask(t, host, text);
}

// A quarter of a small table stays free, for those that end before the next draining.
static void test_full_table_gives_up_the_oldest_question(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.pending_max = 8});
    meet(t, 1000, 1);
    for (unsigned n = 0; n < 6; n++)
        assert_int_equal(ask_number(t, (uint8_t)(n + 1), n).verdict, SERVE_WAITING);
    drain(t);
    assert_counted(t, "queries 6 upstream_queries 6 ports_opened");
    assert_int_equal(gauge(t, COUNTER_pending), 6);
    // Questions in flight can be joined without giving any up.
    assert_int_equal(ask_number(t, 9, 0).verdict, SERVE_WAITING);
    assert_int_equal(drain(t), 0);
    // The next one takes the place of the oldest, whose clients get an error.
    assert_int_equal(ask_number(t, 7, 6).verdict, SERVE_WAITING);
    assert_int_equal(drain(t), 4);
    assert_reply(&t->sent[2], 1, "1234 8182 " ONE "03 616161 'example' 00 0001 0001");
    assert_reply(&t->sent[3], 9, "1234 8182 " ONE "03 616161 'example' 00 0001 0001");
    assert_counted(t,
                   "queries 2 answers_failure 2 pending_abandoned upstream_queries ports_opened");
    assert_int_equal(gauge(t, COUNTER_pending), 6);
    // It did not fail, so it may be asked again at once.
    assert_int_equal(ask_number(t, 10, 0).verdict, SERVE_WAITING);
    drain(t);
    assert_counted(t, "queries answers_failure pending_abandoned upstream_queries ports_opened");
    end(t);
}

static void test_batch_that_fills_the_table_drops_what_is_too_much(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.pending_max = 8});
    meet(t, 1000, 1);
    for (unsigned n = 0; n < 10; n++)
        assert_int_equal(ask_number(t, (uint8_t)(n + 1), n).verdict,
                         n < 8 ? SERVE_WAITING : SERVE_DROPPED);
    drain(t);
    // No more are given up than is of use: their places come back with the draining.
    assert_counted(t, "queries 10 answers_failure 2 drops_pending_full 2 pending_abandoned 2 "
                      "upstream_queries 6 ports_opened");
    assert_int_equal(gauge(t, COUNTER_pending), 6);
    assert_int_equal(gauge(t, COUNTER_waiters), 6);
    assert_int_equal(ask_number(t, 11, 8).verdict, SERVE_WAITING);
    end(t);
}

// A question given up before it could be sent may leave a port behind that was not opened.
static void test_only_what_was_opened_is_closed(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.pending_max = 8});
    bool open[128] = {0};
    for (unsigned n = 0; n < 8; n++)
        assert_int_equal(ask_number(t, (uint8_t)(n + 1), n).verdict, SERVE_WAITING);
    drain(t);
    for (uint64_t end_us = t->now_us + 20 * SECOND_US; t->now_us < end_us;) {
        for (size_t i = 0; i < t->sent_count; i++) {
            const struct sent *sent = &t->sent[i];
            if (sent->kind != OUTGOING_OPEN && sent->kind != OUTGOING_CLOSE)
                continue;
            assert_int_equal(open[sent->port], sent->kind == OUTGOING_CLOSE);
            open[sent->port] = sent->kind == OUTGOING_OPEN;
        }
        t->now_us += SECOND_US / 10;
        serve_expire(t->serve, t->now_us);
        drain(t);
    }
    assert_int_equal(gauge(t, COUNTER_ports), 0);
    end(t);
}

// If the table is half full, no network has more than a quarter of it.
static void test_no_client_takes_the_table_for_itself(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.pending_max = 64, .source_ports_max = 256});
    meet(t, 1000, 1);
    for (unsigned n = 0; n < 32; n++)
        assert_int_equal(ask_number(t, 1, n).verdict, SERVE_WAITING);
    drain(t);
    t->before = t->counters;
    assert_int_equal(ask_number(t, 1, 50).verdict, SERVE_DROPPED);
    assert_counted(t, "queries drops_client_share");
    // What is asked already it may join, and what is known it gets.
    assert_int_equal(ask_number(t, 1, 5).verdict, SERVE_WAITING);
    assert_counted(t, "queries");
    // Others have their own share.
    for (unsigned n = 0; n < 15; n++)
        assert_int_equal(ask_number(t, 2, 60 + n).verdict, SERVE_WAITING);
    drain(t);
    assert_int_equal(t->counters.values[COUNTER_pending_abandoned], 0);
    end(t);
}

static void test_question_has_at_most_256_waiters(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.pending_max = 128});
    for (unsigned i = 0; i < 256; i++)
        assert_int_equal(ask_number(t, (uint8_t)(i % 100), 0).verdict, SERVE_WAITING);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ask_number(t, 1, 0).verdict, SERVE_DROPPED);
    assert_int_equal(ask_number(t, 1, 1).verdict, SERVE_WAITING);
    assert_int_equal(drain(t), 3);
    assert_counted(t, "queries 260 drops_waiters_full 3 upstream_queries 2 ports_opened");
    struct sent query = t->sent[1];
    reply_from(t, &query, "8183 " ONE "03 616161 'example' 00 0001 0001");
    assert_int_equal(drain(t), 256);
    for (unsigned i = 0; i < 256; i++)
        assert_reply(&t->sent[i], (uint8_t)(i % 100),
                     "1234 8183 " ONE "03 616161 'example' 00 0001 0001");
    assert_counted(t, "answers_upstream 256 replies_accepted");
    assert_int_equal(gauge(t, COUNTER_waiters), 1);
    end(t);
}

// A client that asks one slow name again and again leaves room for others, and one that does so
// with many names leaves them room for theirs.
static void test_equal_queries_of_one_client_leave_room_for_others(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.pending_max = 128}); // 512 waiters
    for (unsigned i = 0; i < 300; i++)
        (void)ask_number(t, 1, 0);
    assert_counted(t, "queries 300 drops_client_share 172");
    for (uint8_t host = 2; host < 7; host++)
        assert_int_equal(ask_number(t, host, 0).verdict, SERVE_WAITING);
    for (unsigned i = 0; i < 20 * 50; i++)
        (void)ask_number(t, 1, 1 + i % 20);
    assert_int_equal(gauge(t, COUNTER_waiters), 0); // answered with the next draining
    drain(t);
    assert_int_equal(gauge(t, COUNTER_waiters), 256);
    for (uint8_t host = 2; host < 16; host++)
        assert_int_equal(ask_number(t, host, 100 + host).verdict, SERVE_WAITING);
    drain(t);
    end(t);
}

// A hint is about a query that its worker has answered, perhaps when other settings were in force:
// here it is never answered, whatever it looks like by now.
static void test_hint_is_never_answered(void **state)
{
    (void)state;
    static const char *const hints[] = {
        "1234 0100 0001 0000 0000 0001 'www' 'example' 00 0001 0001 "
        "00 0029 04d0 00 00 0000 0007 000a 0003 010203", // a cookie of no length
        "1234 2100 " ONE "'www' 'example' 00 0001 0001", // NOTIFY
        "1234 8100 " ONE "'www' 'example' 00 0001 0001", // a reply
        "1234 0100 " ONE "'www' 'example' 00 00fc 0001", // a transfer
        "1234 0100 " ONE "'www' 'example' 00 0001 0001", // a good one
        "1234 01",
    };
    struct table *t = begin((struct setup){0});
    for (size_t i = 0; i < COUNT_OF(hints); i++) {
        struct serve_item hint = {.client = client(1), .handed_over = true, .hint = true};
        assert_int_equal(ask_as(t, hint, hints[i]).verdict, SERVE_HINTED);
    }
    assert_int_equal(drain(t), 0);
    assert_counted(t, "");
    end(t);
}

// A port that answers everything with something other than a query gets errors for a while, then
// none.
static void test_loop_of_errors_ends(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    for (unsigned i = 0; i < ERROR_LOOP_MAX; i++)
        assert_int_equal(ask(t, 1, "2021 2223 2425 2627 2829 2a2b 2c2d2e2f").verdict,
                         SERVE_ANSWERED);
    for (unsigned i = 0; i < 10; i++) {
        t->now_us += ERROR_LOOP_QUIET_US - 1;
        assert_int_equal(ask(t, 1, "2021 2223 2425 2627 2829 2a2b 2c2d2e2f").verdict,
                         SERVE_DROPPED);
    }
    assert_counted(t, "queries 60 answers_error 50 drops_error_loop 10");
    // What can be read gets its error, whatever came before: a query of type MAILA.
    assert_int_equal(ask(t, 1, "1234 0100 " ONE "'www' 00 00fe 0001").verdict, SERVE_ANSWERED);
    // Others are not concerned, nor is what it asks well.
    assert_int_equal(ask(t, 2, "2021 2223 2425 2627 2829 2a2b 2c2d2e2f").verdict, SERVE_ANSWERED);
    assert_int_equal(ask_number(t, 1, 0).verdict, SERVE_WAITING);
    drain(t);
    t->now_us += ERROR_LOOP_QUIET_US;
    assert_int_equal(ask(t, 1, "2021 2223 2425 2627 2829 2a2b 2c2d2e2f").verdict, SERVE_ANSWERED);
    end(t);
}

static void test_table_of_waiters_is_shared_and_can_be_full(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.pending_max = 16}); // 64 waiters
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(ask_number(t, (uint8_t)i, 0).verdict, SERVE_WAITING);
    assert_int_equal(ask_number(t, 100, 0).verdict, SERVE_DROPPED);
    // A new question would have no waiting client.
    assert_int_equal(ask_number(t, 100, 1).verdict, SERVE_DROPPED);
    drain(t);
    assert_counted(t, "queries 66 drops_pending_full drops_waiters_full upstream_queries "
                      "ports_opened");
    assert_int_equal(gauge(t, COUNTER_pending), 1);
    end(t);
}

static void test_refused_port_is_tried_with_another_number(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    ask_waiting(t, 1, QUERY);
    struct outgoing outgoing;
    uint8_t bytes[2048];
    uint16_t first = 0;
    // Refused while draining, as io may do.
    for (unsigned i = 0; i < 3; i++) {
        outgoing = (struct outgoing){.bytes = bytes};
        assert_true(serve_drain(t->serve, t->now_us, &outgoing));
        if (i > 0) {
            assert_int_equal(outgoing.kind, OUTGOING_CLOSE);
            assert_true(serve_drain(t->serve, t->now_us, &outgoing));
        }
        assert_int_equal(outgoing.kind, OUTGOING_OPEN);
        if (i == 0)
            first = outgoing.source_port;
        else
            assert_int_not_equal(outgoing.source_port, first);
        if (i < 2)
            serve_source_port_refused(t->serve, t->now_us, outgoing.slot);
    }
    assert_int_equal(drain(t), 1);
    assert_int_equal(t->sent[0].kind, OUTGOING_QUERY);
    assert_int_equal(t->sent[0].port, outgoing.slot);
    reply_from(t, &t->sent[0], GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);
    assert_counted(t, "queries answers_upstream upstream_queries replies_accepted ports_opened 3 "
                      "ports_refused 2 cache_inserted");
    end(t);
}

// What was put off leaves after that time; returns the query.
static struct sent put_off_sent(struct table *t)
{
    t->now_us += 50000;
    serve_expire(t->serve, t->now_us);
    return query_sent(t);
}

// Without a descriptor no other number would do: the question is put off, and nothing is tried.
static void test_without_a_socket_the_question_is_put_off(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    uint8_t bytes[2048];
    struct outgoing outgoing = {.bytes = bytes};
    ask_waiting(t, 1, QUERY);
    assert_true(serve_drain(t->serve, t->now_us, &outgoing));
    assert_int_equal(outgoing.kind, OUTGOING_OPEN);
    serve_source_port_unavailable(t->serve, t->now_us, outgoing.slot);
    assert_int_equal(drain(t), 1);
    assert_int_equal(t->sent[0].kind, OUTGOING_CLOSE);
    assert_counted(t, "queries ports_opened ports_unavailable ports_exhausted");
    struct sent sent = put_off_sent(t);
    reply_from(t, &sent, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);
    end(t);
}

// The same of a port from which was sent already, once for a question that still waits and once for
// one that has been answered: the former is sent again from another port, and nothing is left.
static void test_a_port_where_nothing_can_be_received_is_left(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    assert_int_equal(ask_number(t, 1, 1).verdict, SERVE_WAITING);
    assert_int_equal(ask_number(t, 1, 2).verdict, SERVE_WAITING);
    assert_int_equal(drain(t), 3);
    uint16_t port = t->sent[0].port;
    assert_after(t, 150000);
    struct sent other = sent_at(t, 0, OUTGOING_OPEN);
    assert_int_equal(t->sent_count, 2);
    assert_int_not_equal(other.port, port);
    reply_to(t, &other, "8183 " ONE, "");
    assert_int_equal(drain(t), 1);
    t->before = t->counters;
    serve_source_port_unavailable(t->serve, t->now_us, port);
    assert_int_equal(drain(t), 1);
    assert_int_equal(t->sent[0].kind, OUTGOING_CLOSE);
    assert_counted(t, "ports_unavailable ports_exhausted");
    struct sent again = put_off_sent(t);
    reply_to(t, &again, "8183 " ONE, "");
    assert_int_equal(drain(t), 1);
    assert_int_equal(t->sent[0].kind, OUTGOING_REPLY);
    assert_int_equal(gauge(t, COUNTER_pending), 0);
    settle(t);
    end(t);
}

static void test_ports_refused_without_end_give_servfail_in_time(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    unsigned opens = 0, replies = 0, queries = 0;
    ask_waiting(t, 1, QUERY);
    for (unsigned i = 0; i < 100000 && replies == 0; i++) {
        uint8_t bytes[2048];
        struct outgoing outgoing = {.bytes = bytes};
        if (!serve_drain(t->serve, t->now_us, &outgoing)) {
            t->now_us = serve_deadline(t->serve);
            serve_expire(t->serve, t->now_us);
        } else if (outgoing.kind == OUTGOING_OPEN) {
            opens++;
            serve_source_port_refused(t->serve, t->now_us, outgoing.slot);
        } else if (outgoing.kind == OUTGOING_REPLY) {
            replies++;
            assert_packet(bytes, outgoing.len, "1234 8182 " ONE ASK);
        } else {
            queries += outgoing.kind == OUTGOING_QUERY;
        }
    }
    assert_int_equal(replies, 1);
    assert_int_equal(queries, 0);
    assert_in_range(opens, 8, 8 * 100); // no storm: eight at a time
    assert_in_range(t->now_us, START_US + GIVEN_UP_US, START_US + GIVEN_UP_US + 1000);
    drain(t);
    assert_int_equal(gauge(t, COUNTER_ports), 0);
    end(t);
}

static void test_unreachable_upstream_is_left_at_once(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2});
    meet(t, 1000, 1);
    t->now_us += 2 * SECOND_US;
    ask_waiting(t, 1, "1234 0100 " ONE_OPT ASK OPT);
    struct sent first = query_sent(t);
    serve_unreachable(t->serve, t->now_us, first.port);
    struct sent second = query_sent(t);
    assert_int_equal(where(t, &second), 1);
    assert_counted(t, "queries upstream_queries 2 upstream_resends upstream_unreachable "
                      "ports_opened 2");
    // The second too: no upstream is left, and the client gets an error once there was time for a
    // reply all the same.
    uint64_t began_us = t->now_us;
    refuse_until_told(t);
    assert_reply(&t->sent[t->sent_count - 1], 1,
                 "1234 8182 " ONE_OPT ASK "00 0029 04d0 00 00 0000 0006 000f 0002 0017");
    assert_in_range(t->now_us - began_us, 200000, 400000);
    end(t);
}

// A report about a port says nothing of what is still to leave from there, and does not make an
// upstream that is heard unreachable.
static void test_report_is_not_about_what_was_not_sent(void **state)
{
    (void)state;
    enum { PORTS = 7, MANY = 10 }; // that are drawn, and one is spared
    struct table *t = begin((struct setup){.upstreams = 2, .source_ports_max = PORTS + 1});
    meet(t, 1000, 40);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(ask_number(t, 1, i).verdict, SERVE_WAITING);
    for (uint16_t i = 0; i < PORTS; i++)
        serve_unreachable(t->serve, t->now_us, i);
    unsigned queries = 0;
    for (size_t i = drain(t); i-- > 0;) {
        if (t->sent[i].kind != OUTGOING_QUERY)
            continue;
        queries++;
        assert_int_equal(where(t, &t->sent[i]), 0);
    }
    assert_int_equal(queries, MANY);
    end(t);
}

// Two questions to one upstream share the only port there is.
static void test_exhausted_ports_are_shared_and_waited_for(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2, .source_ports_max = 1});
    assert_int_equal(ask_number(t, 1, 0).verdict, SERVE_WAITING);
    struct sent first = query_sent(t);
    // Neither of the two is known, but there is no port for asking both.
    assert_counted(t, "queries upstream_queries ports_opened ports_exhausted");
    assert_int_equal(ask_number(t, 2, 1).verdict, SERVE_WAITING);
    assert_int_equal(drain(t), 1);
    assert_int_equal(t->sent[0].kind, OUTGOING_QUERY);
    assert_int_equal(t->sent[0].port, first.port);
    assert_memory_not_equal(t->sent[0].packet.bytes, first.packet.bytes, 2);
    struct sent second = t->sent[0];
    t->before = t->counters;

    // The first fails: its next upstream has no port until the second question has ended too.
    reply_from(t, &first, "8182 " ONE "03 616161 'example' 00 0001 0001");
    assert_int_equal(drain(t), 0);
    assert_counted(t, "replies_failed ports_exhausted");
    t->now_us += 50000;
    serve_expire(t->serve, t->now_us);
    assert_int_equal(drain(t), 0);
    assert_counted(t, "ports_exhausted");
    reply_from(t, &second, "8183 " ONE "03 616162 'example' 00 0001 0001");
    assert_int_equal(drain(t), 1);
    t->now_us += 50000;
    serve_expire(t->serve, t->now_us); // retires the idle port
    assert_int_equal(drain(t), 1);
    assert_int_equal(t->sent[0].kind, OUTGOING_CLOSE);
    t->now_us += 50000;
    serve_expire(t->serve, t->now_us);
    struct sent third = query_sent(t);
    assert_true(endpoint_equal(&third.upstream, &t->upstreams[1]));
    end(t);
}

static void test_miss_of_another_shard_is_handed_over(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.workers = 2});
    unsigned elsewhere = 0, number = 0;
    for (unsigned n = 0; n < 40; n++) {
        struct serve_item item = ask_number(t, 1, n);
        if (item.verdict == SERVE_ELSEWHERE) {
            assert_int_equal(item.owner, 1);
            number = n;
            elsewhere++;
        } else {
            assert_int_equal(item.verdict, SERVE_WAITING);
        }
    }
    assert_in_range(elsewhere, 8, 32);
    assert_int_equal(counter_get(&t->counters, COUNTER_handed_over), elsewhere);
    unsigned asked = 40 - elsewhere;
    unsigned ports = (asked + SOURCE_PORT_WAITING - 1) / SOURCE_PORT_WAITING;
    assert_int_equal(drain(t), asked + ports);
    t->before = t->counters;

    // The owner does not count it again, nor ask whether this client may.
    t->serve = t->workers[1];
    char text[64], rest[128];
    name_write(text, number, "1234 0100 " ONE, "");
    struct serve_item given = {.client = client(200), .handed_over = true};
    assert_int_equal(ask_as(t, given, text).verdict, SERVE_WAITING);
    struct sent query = query_sent(t);
    name_write(text, number, "8180 " COUNTS1, "");
    snprintf(rest, sizeof rest, "%s%s", text, A("0000012c"));
    reply_from(t, &query, rest);
    assert_int_equal(drain(t), 1);
    assert_int_equal(t->sent[0].client.from.port, 1200);
    assert_counted(t, "answers_upstream upstream_queries replies_accepted ports_opened "
                      "cache_inserted");

    // From now on every query finds it.
    t->serve = t->workers[0];
    assert_int_equal(ask_number(t, 1, number).verdict, SERVE_ANSWERED);
    assert_counted(t, "queries answers_cache");
    serve_handover_failed(t->serve);
    assert_counted(t, "drops_handover_full");
    end(t);
}

// Each worker reads the clock for itself, so an answer may be born in another's future.
static void test_answer_from_a_clock_slightly_ahead_has_its_whole_ttl(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    t->now_us = START_US + SECOND_US + 10;
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t);
    reply_from(t, &query, GOOD);
    drain(t);
    t->now_us = START_US + SECOND_US - 10;
    ask_answered(t, 1, QUERY, ANSWER);
    end(t);
}

static void test_hit_too_large_for_the_client_is_truncated(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    char text[2048] = "8180 0001 0028 0000 0000 " ASK; // 40 records: 29 + 640 octets
    for (unsigned i = 0; i < 40; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "c00c00010001000000640004%08x",
                 i);
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t);
    reply_from(t, &query, text);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8380 " ONE ASK);
    t->before = t->counters;
    ask_answered(t, 1, QUERY, "1234 8380 " ONE ASK);
    assert_counted(t, "queries answers_cache truncated");
    struct serve_item item = ask(t, 1, "1234 0100 " ONE_OPT ASK OPT);
    assert_int_equal(item.out_len, 29 + 640 + 11);
    assert_counted(t, "queries answers_cache");
    end(t);
}

static void batch_fill(struct serve_item *items, struct packet *packets, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        static const uint8_t hosts[] = {1, 1, 130, 200};
        char text[64];
        // In turns: a hit, a miss, one refused, one dropped; each fourth miss comes twice.
        name_write(text, i % 4 == 1 ? 100 + i / 8 : 0, "1234 0100 " ONE, "");
        packets[i] = packet_of(text);
        store_be16(packets[i].bytes, (uint16_t)i);
        items[i] = (struct serve_item){.client = client(hosts[i % 4]),
                                       .in = packets[i].bytes,
                                       .in_len = (uint16_t)packets[i].len};
    }
}

static void test_batch_of_64_gets_each_its_own_verdict(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct serve_item items[SERVE_BATCH_MAX];
    struct packet *packets = calloc(SERVE_BATCH_MAX, sizeof *packets);
    assert_non_null(packets);
    assert_int_equal(ask_number(t, 1, 0).verdict, SERVE_WAITING);
    struct sent query = query_sent(t);
    reply_from(t, &query, "8180 " COUNTS1 "03 616161 'example' 00 0001 0001" A("0000012c"));
    drain(t);
    t->before = t->counters;

    batch_fill(items, packets, SERVE_BATCH_MAX);
    size_t used = serve_queries(t->serve, t->now_us, items, SERVE_BATCH_MAX, t->out, t->out_size);
    static const enum serve_verdict verdicts[] = {SERVE_ANSWERED, SERVE_WAITING, SERVE_ANSWERED,
                                                  SERVE_DROPPED};
    for (unsigned i = 0; i < SERVE_BATCH_MAX; i++) {
        assert_int_equal(items[i].verdict, verdicts[i % 4]);
        if (items[i].verdict != SERVE_ANSWERED)
            continue;
        assert_in_range((uintptr_t)items[i].out, (uintptr_t)t->out,
                        (uintptr_t)t->out + used - items[i].out_len);
        assert_int_equal(items[i].out_len, i % 4 == 0 ? 45 : 29);
        // No reply has overwritten another one's octets.
        assert_int_equal(load_be16(items[i].out), i);
        assert_int_equal(load_be32(items[i].out + items[i].out_len - 4),
                         i % 4 == 0 ? 0xc0000201 : 0x00010001);
        assert_int_equal(items[i].out[3] & HEADER_RCODE, i % 4 == 0 ? 0 : RCODE_REFUSED);
    }
    assert_counted(t, "queries 64 answers_cache 16 answers_refused 16 drops_access 16");
    assert_int_equal(drain(t), 1 + 8);
    assert_int_equal(gauge(t, COUNTER_waiters), 16);
    assert_int_equal(serve_queries(t->serve, t->now_us, items, 0, t->out, t->out_size), 0);
    assert_counted(t, "upstream_queries 8 ports_opened");
    free(packets);
    end(t);
}

// What is on its way, and which connections there are.
struct soak {
    struct sent flying[256];
    size_t count;
    bool connected[8];
    uint64_t seed;
};

// A reply that is not read is lost: that is what a network does.
static void network_take(struct table *t, struct soak *net)
{
    for (size_t i = 0; i < t->sent_count; i++) {
        const struct sent *sent = &t->sent[i];
        if (sent->kind == OUTGOING_CONNECT || sent->kind == OUTGOING_DISCONNECT) {
            assert_int_equal(net->connected[sent->port], sent->kind == OUTGOING_DISCONNECT);
            net->connected[sent->port] = sent->kind == OUTGOING_CONNECT;
        }
        assert_true(sent->kind != OUTGOING_MESSAGE || net->connected[sent->port]);
        if ((sent->kind == OUTGOING_QUERY || sent->kind == OUTGOING_MESSAGE) &&
            net->count < COUNT_OF(net->flying) && test_random(&net->seed) % 8 > 0)
            net->flying[net->count++] = *sent;
    }
}

// The questions are few, so that they are joined, and the TTLs short, so that they come again.
static void network_reply(struct table *t, struct soak *net, const struct sent *sent)
{
    static const char *const replies[] = {
        "8180 " COUNTS1 "%s" A("00000002"),
        "8183 " ONE "%s",
        "8182 " ONE "%s",
        "8380 " ONE "%s",
        "8180 " ONE "03 787878 00 0001 0001 %s",
        "8181 0000 0000 0000 0000 %s",
        "01 %s",
    };
    unsigned kind = (unsigned)(test_random(&net->seed) % 20);
    char question[64], text[256];
    if (sent->kind == OUTGOING_MESSAGE && (!net->connected[sent->port] || kind > 16)) {
        if (net->connected[sent->port])
            serve_closed(t->serve, t->now_us, sent->port);
        net->connected[sent->port] = false;
    } else if (kind > 17) {
        serve_unreachable(t->serve, t->now_us, sent->port);
    } else {
        snprintf(question, sizeof question, "03 %02x%02x%02x 'example' 00 0001 0001 ",
                 sent->packet.bytes[13], sent->packet.bytes[14], sent->packet.bytes[15]);
        snprintf(text, sizeof text, replies[kind < 10 ? 0 : (kind - 9) % COUNT_OF(replies)],
                 question);
        reply_from(t, sent, text);
    }
}

static void soak_network(struct table *t, struct soak *net)
{
    drain(t);
    network_take(t, net);
    for (unsigned turns = (unsigned)(test_random(&net->seed) % 4); turns > 0 && net->count > 0;
         turns--) {
        size_t which = test_random(&net->seed) % net->count;
        struct sent sent = net->flying[which];
        net->flying[which] = net->flying[--net->count];
        network_reply(t, net, &sent);
        // What serve_reply delivers is valid only until the next drain.
        drain(t);
        network_take(t, net);
    }
}

static uint64_t outcomes(const struct table *t)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        const char *metric = counter_descriptions[i].metric;
        if (strcmp(metric, "ouzel_answers_total") == 0 || strcmp(metric, "ouzel_drops_total") == 0)
            sum += t->counters.values[i];
    }
    return sum;
}

// Now and then the worker does not run for seconds.
static void soak(uint64_t seed)
{
    struct table *t = begin((struct setup){.upstreams = 1 + seed % 3,
                                           .pending_max = 16u << seed % 3,
                                           .source_ports_max = (uint16_t)(4 << seed % 5),
                                           .upstream_connections_max = (uint16_t)(1 + seed % 8),
                                           .no_stale = seed % 4 == 0,
                                           .fastest = seed % 2});
    struct soak *net = calloc(1, sizeof *net);
    assert_non_null(net);
    net->seed = seed;
    for (unsigned step = 0; step < 3000; step++) {
        uint8_t host = (uint8_t)(test_random(&net->seed) % 230);
        ask_number(t, host, (unsigned)(test_random(&net->seed) % 40));
        soak_network(t, net);
        t->now_us += test_random(&net->seed) % (step % 100 ? 50000 : 8 * SECOND_US);
        serve_expire(t->serve, t->now_us);
        drain(t);
        network_take(t, net);
        assert_int_equal(counter_get(&t->counters, COUNTER_queries),
                         outcomes(t) + gauge(t, COUNTER_waiters));
    }
    t->now_us += 6 * SECOND_US;
    serve_expire(t->serve, t->now_us);
    drain(t);
    assert_int_equal(gauge(t, COUNTER_waiters), 0);
    assert_int_equal(counter_get(&t->counters, COUNTER_queries), outcomes(t));
    while (pass_until(t, t->now_us + 6 * SECOND_US)) // refreshes
        continue;
    settle(t);
    assert_int_equal(gauge(t, COUNTER_pending), 0);
    for (uint32_t i = 0; i < t->cache.shard_count; i++)
        assert_null(cache_verify(&t->cache, i));
    free(net);
    end(t);
}

static void test_every_query_of_a_long_run_is_accounted_for(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++)
        soak(seed);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_table_gives_up_the_oldest_question),
        cmocka_unit_test(test_batch_that_fills_the_table_drops_what_is_too_much),
        cmocka_unit_test(test_only_what_was_opened_is_closed),
        cmocka_unit_test(test_no_client_takes_the_table_for_itself),
        cmocka_unit_test(test_question_has_at_most_256_waiters),
        cmocka_unit_test(test_table_of_waiters_is_shared_and_can_be_full),
        cmocka_unit_test(test_equal_queries_of_one_client_leave_room_for_others),
        cmocka_unit_test(test_hint_is_never_answered),
        cmocka_unit_test(test_loop_of_errors_ends),
        cmocka_unit_test(test_refused_port_is_tried_with_another_number),
        cmocka_unit_test(test_without_a_socket_the_question_is_put_off),
        cmocka_unit_test(test_a_port_where_nothing_can_be_received_is_left),
        cmocka_unit_test(test_ports_refused_without_end_give_servfail_in_time),
        cmocka_unit_test(test_unreachable_upstream_is_left_at_once),
        cmocka_unit_test(test_exhausted_ports_are_shared_and_waited_for),
        cmocka_unit_test(test_report_is_not_about_what_was_not_sent),
        cmocka_unit_test(test_miss_of_another_shard_is_handed_over),
        cmocka_unit_test(test_answer_from_a_clock_slightly_ahead_has_its_whole_ttl),
        cmocka_unit_test(test_hit_too_large_for_the_client_is_truncated),
        cmocka_unit_test(test_batch_of_64_gets_each_its_own_verdict),
        cmocka_unit_test(test_every_query_of_a_long_run_is_accounted_for),
    };
    return cmocka_run_group_tests_name("serve limits", tests, NULL, NULL);
}
