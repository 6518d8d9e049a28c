// SPDX-License-Identifier: MIT
#include "tests/unit/serve_table.h"

// What upstreams say about EDNS and cookies (RFC 6891, RFC 7873), and what is made of it.

#define TXT  NAME "0010 0001 "
#define AAAA NAME "001c 0001 "
#define HOUR (3600 * (uint64_t)SECOND_US)

static struct sent asked(struct table *t, const char *question)
{
    char text[256];
    snprintf(text, sizeof text, "1234 0100 " ONE "%s", question);
    ask_waiting(t, 1, text);
    drain(t);
    return first_of(t, OUTGOING_QUERY);
}

static bool has_opt(const struct sent *query)
{
    return load_be16(query->packet.bytes + 10) == 1;
}

// --- servers without EDNS ----------------------------------------------------------------------

struct plain_row {
    const char *name;
    const char *head; // of the reply to a query with EDNS
    bool question;    // is in it
    const char *tail;
};

// Questions of other kinds.
static const char *const other_kinds[] = {"03 6f6e65 00 0001 0001 ", "03 74776f 00 0001 0001 "};

static const struct plain_row plain_rows[] = {
    {"FORMERR", "8181 " ONE, true, ""},
    {"NOTIMP", "8184 " ONE, true, ""},
    {"BADVERS", "8180 " ONE_OPT, true, "00 0029 04d0 01 00 0000 0000"},
    {"FORMERR and no question", "8181 0000 0000 0000 0000", false, ""},
    {"NOTIMP and no question", "8184 0000 0000 0000 0000", false, ""},
};

static void reply_with_row(struct table *t, const struct sent *query, const struct plain_row *row)
{
    if (row->question)
        reply_to(t, query, row->head, row->tail);
    else
        reply_from(t, query, row->head);
}

static void test_plain_row(void **state)
{
    const struct plain_row *row = *state;
    struct table *t = begin((struct setup){.upstreams = 2});
    meet(t, 1000, 20);
    t->now_us += HOUR; // since it was last heard with an OPT record
    struct sent query = asked(t, ASK);
    assert_true(has_opt(&query));
    t->before = t->counters;
    reply_with_row(t, &query, row);
    // The same server at once without EDNS.
    assert_int_equal(drain(t), 2);
    struct sent plain = sent_at(t, 0, OUTGOING_OPEN);
    assert_int_equal(where(t, &plain), 0);
    assert_false(has_opt(&plain));
    assert_int_equal(plain.packet.len, 29);
    assert_counted(t, "upstream_queries upstream_resends replies_edns ports_opened");
    reply_from(t, &plain, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);

    // It takes questions of three kinds, however often one is asked.
    for (unsigned i = 0; i < 4; i++) {
        query = asked(t, i < 2 ? (i ? NAME "0002 0001 " : NAME "000f 0001 ") : other_kinds[i - 2]);
        assert_true(has_opt(&query));
        reply_with_row(t, &query, row);
        plain = query_sent(t);
        assert_false(has_opt(&plain));
        reply_to(t, &plain, "8183 " ONE, "");
        drain(t);
    }
    // And never where the error itself has an OPT record.
    if (row->tail[0] != 0) {
        query = asked(t, TXT);
        assert_true(has_opt(&query));
        end(t);
        return;
    }
    // For an hour it is asked so from the start.
    uint64_t known_us = t->now_us;
    t->now_us += HOUR - SECOND_US;
    plain = asked(t, TXT);
    assert_false(has_opt(&plain));
    reply_to(t, &plain, "8183 " ONE, "");
    drain(t);
    t->now_us = known_us + HOUR;
    query = asked(t, AAAA);
    assert_true(has_opt(&query));
    end(t);
}

// If it does not understand the question without EDNS either, it was not for EDNS.
static void test_plain_that_is_refused_too_is_a_failure(void **state)
{
    (void)state;
    for (unsigned bare = 0; bare < 2; bare++) {
        struct table *t = begin((struct setup){.upstreams = 2});
        meet(t, 1000, 20);
        struct sent query = asked(t, ASK);
        reply_from(t, &query, "8181 " ONE ASK);
        struct sent plain = query_sent(t);
        reply_from(t, &plain, bare ? "8181 0000 0000 0000 0000" : "8181 " ONE ASK);
        struct sent next = query_sent(t);
        assert_int_equal(where(t, &next), 1);
        reply_from(t, &next, GOOD);
        assert_int_equal(drain(t), 1);
        assert_reply(&t->sent[0], 1, ANSWER);
        // Nothing is known of either, so both are asked with EDNS.
        query = asked(t, TXT);
        assert_int_equal(where(t, &query), 0);
        assert_true(has_opt(&query));
        end(t);
    }
}

static void test_client_gets_servfail_if_no_upstream_understands(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    struct sent query = asked(t, ASK);
    reply_from(t, &query, "8184 0000 0000 0000 0000");
    struct sent plain = query_sent(t);
    reply_from(t, &plain, "8184 0000 0000 0000 0000");
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8182 " ONE ASK);
    end(t);
}

// What one server does not know another may.
static void test_only_an_upstream_that_does_not_understand_is_asked_without(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2});
    meet(t, 1000, 20);
    struct sent query = asked(t, ASK);
    reply_from(t, &query, "8181 " ONE ASK);
    struct sent plain = query_sent(t);
    assert_int_equal(where(t, &plain), 0);
    // Nothing comes, so the other one is asked.
    assert_true(pass_until(t, t->now_us + 100000));
    struct sent other = first_of(t, OUTGOING_QUERY);
    assert_int_equal(where(t, &other), 1);
    assert_true(has_opt(&other));
    reply_from(t, &other, GOOD);
    drain(t);
    // Which says nothing about either's support of EDNS.
    asked(t, TXT);
    assert_int_equal(t->sent_count, 4);
    assert_int_equal(where(t, &t->sent[1]), 1);
    assert_int_equal(where(t, &t->sent[3]), 0);
    assert_true(has_opt(&t->sent[1]) && has_opt(&t->sent[3]));
    end(t);
}

static void test_plain_goes_over_tcp_too(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    meet(t, 1000, 20);
    struct sent query = asked(t, ASK);
    reply_from(t, &query, "8380 " ONE ASK);
    struct sent message = message_sent(t);
    assert_true(has_opt(&message));
    reply_from(t, &message, "8181 " ONE ASK);
    message = message_sent(t);
    assert_false(has_opt(&message));
    reply_from(t, &message, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);
    end(t);
}

// --- cookies -----------------------------------------------------------------------------------

static size_t cookie_of(const struct sent *query, uint8_t cookie[COOKIE_MAX_LEN])
{
    const uint8_t *found = NULL;
    const uint8_t *question = query->packet.bytes + MESSAGE_HEADER_LEN;
    size_t at = MESSAGE_HEADER_LEN + name_length(question, NAME_MAX_LEN) + 4 + OPT_LEN;
    assert_true(has_opt(query));
    size_t len = cookie_find(query->packet.bytes + at, query->packet.len - at, &found);
    if (len > 0)
        memcpy(cookie, found, len);
    return len;
}

#define COOKIE_A "a1a2a3a4a5a6a7a8"
#define COOKIE_B "b1b2b3b4b5b6b7b8b9babbbcbdbebfb0"

// An OPT record with the query's own cookie and a server's behind it.
static void opt_of(char text[static 256], const struct sent *query, const char *server_cookie,
                   unsigned rcode_high)
{
    uint8_t cookie[COOKIE_MAX_LEN];
    size_t len = COOKIE_CLIENT_LEN + strlen(server_cookie) / 2;
    assert_in_range(cookie_of(query, cookie), COOKIE_CLIENT_LEN, COOKIE_MAX_LEN);
    size_t at = (size_t)snprintf(text, 256, "00 0029 04d0 %02x 00 0000 %04x 000a %04x ", rcode_high,
                                 (unsigned)len + 4, (unsigned)len);
    for (size_t i = 0; i < COOKIE_CLIENT_LEN; i++)
        at += (size_t)snprintf(text + at, 256 - at, "%02x", cookie[i]);
    snprintf(text + at, 256 - at, "%s", server_cookie);
}

static void reply_with_cookie(struct table *t, const struct sent *query, const char *server_cookie)
{
    char opt[256];
    opt_of(opt, query, server_cookie, 0);
    reply_to(t, query, "8183 " ONE_OPT, opt);
}

static void assert_cookie(const struct sent *query, const char *server_cookie)
{
    uint8_t cookie[COOKIE_MAX_LEN];
    size_t len = cookie_of(query, cookie);
    assert_int_equal(len, COOKIE_CLIENT_LEN + strlen(server_cookie) / 2);
    assert_packet(cookie + COOKIE_CLIENT_LEN, len - COOKIE_CLIENT_LEN, server_cookie);
}

// A worker that knows its upstream's cookie.
static struct table *begin_with_cookie(void)
{
    struct table *t = begin((struct setup){.cookies = true});
    meet(t, 1000, 20);
    struct sent query = asked(t, NAME "000f 0001 ");
    reply_with_cookie(t, &query, COOKIE_A);
    assert_int_equal(drain(t), 1);
    t->before = t->counters;
    return t;
}

static void test_cookie_is_the_servers_own_and_what_it_gave_goes_back(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 2, .cookies = true});
    uint8_t cookies[3][COOKIE_MAX_LEN];
    meet(t, 1000, 20);
    struct sent first = asked(t, ASK);
    assert_int_equal(cookie_of(&first, cookies[0]), COOKIE_CLIENT_LEN);
    assert_after(t, 10000);
    struct sent second = first_of(t, OUTGOING_QUERY);
    assert_int_equal(cookie_of(&second, cookies[1]), COOKIE_CLIENT_LEN);
    assert_memory_not_equal(cookies[0], cookies[1], COOKIE_CLIENT_LEN);
    reply_with_cookie(t, &first, COOKIE_A);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8183 " ONE ASK);
    // From now on it has both parts back, and the newest it gave.
    first = asked(t, TXT);
    assert_int_equal(cookie_of(&first, cookies[2]), 16);
    assert_memory_equal(cookies[0], cookies[2], COOKIE_CLIENT_LEN);
    assert_cookie(&first, COOKIE_A);
    reply_with_cookie(t, &first, COOKIE_B);
    drain(t);
    first = asked(t, AAAA);
    assert_cookie(&first, COOKIE_B);
    assert_int_equal(counter_get(&t->counters, COUNTER_replies_mismatched), 0);
    end(t);
}

static void test_server_that_knows_no_cookies_is_let_be(void **state)
{
    (void)state;
    static const char *const tails[] = {
        "",
        OPT,
        "00 0029 04d0 00 00 0000 0006 000f 0002 0003",
    };
    for (size_t i = 0; i < COUNT_OF(tails); i++) {
        struct table *t = begin((struct setup){.cookies = true});
        meet(t, 1000, 20);
        struct sent query = asked(t, ASK);
        reply_to(t, &query, i ? "8183 " ONE_OPT : "8183 " ONE, tails[i]);
        assert_int_equal(drain(t), 1);
        assert_reply(&t->sent[0], 1, "1234 8183 " ONE ASK);
        query = asked(t, TXT);
        assert_cookie(&query, "");
        end(t);
    }
}

static void test_wrong_cookie_is_a_near_miss(void **state)
{
    (void)state;
    struct table *t = begin_with_cookie();
    struct sent query = asked(t, ASK), forged = query;
    // The query's cookie stands at its end, before what the server gave.
    forged.packet.bytes[forged.packet.len - 9] ^= 1;
    t->before = t->counters;
    for (unsigned i = 0; i < 2; i++) {
        reply_with_cookie(t, &forged, COOKIE_A);
        assert_int_equal(drain(t), 0);
    }
    assert_counted(t, "replies_mismatched 2");
    reply_with_cookie(t, &forged, COOKIE_A);
    struct sent message = message_sent(t);
    assert_counted(t, "upstream_queries_tcp upstream_resends moved_to_tcp replies_mismatched "
                      "upstream_connections_opened");
    assert_cookie(&message, COOKIE_A);
    reply_with_cookie(t, &message, COOKIE_B);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8183 " ONE ASK);
    end(t);
}

struct missing_row {
    const char *name;
    const char *head;
    const char *tail;
};

static const struct missing_row missing_rows[] = {
    {"no OPT where a cookie was given before", "8183 " ONE, ""},
    {"no cookie where one was given before", "8183 " ONE_OPT, OPT},
    {"a cookie of no valid length", "8183 " ONE_OPT,
     "00 0029 04d0 00 00 0000 000d 000a 0009 010203040506070809"},
    {"SERVFAIL without the cookie", "8182 " ONE, ""},
};

// RFC 7873 5.3: a server that has sent a cookie always does. TCP shows whether it still does.
static void test_missing_row(void **state)
{
    const struct missing_row *row = *state;
    for (unsigned forged = 0; forged < 2; forged++) {
        struct table *t = begin_with_cookie();
        struct sent query = asked(t, ASK);
        t->before = t->counters;
        reply_to(t, &query, row->head, row->tail);
        struct sent message = message_sent(t);
        assert_counted(t, "upstream_queries_tcp upstream_resends moved_to_tcp "
                          "replies_mismatched upstream_connections_opened");
        if (forged)
            reply_with_cookie(t, &message, COOKIE_B);
        else
            reply_to(t, &message, "8183 " ONE, "");
        assert_int_equal(drain(t), 1);
        assert_reply(&t->sent[0], 1, "1234 8183 " ONE ASK);
        query = asked(t, TXT);
        assert_cookie(&query, forged ? COOKIE_B : "");
        // Where it is gone, replies without it are taken again.
        if (!forged) {
            reply_to(t, &query, "8183 " ONE, "");
            assert_int_equal(drain(t), 1);
            assert_reply(&t->sent[0], 1, "1234 8183 " ONE TXT);
        }
        end(t);
    }
}

static void test_missing_cookie_without_tcp_is_not_believed(void **state)
{
    (void)state;
    struct table *t = begin_with_cookie();
    struct sent query = asked(t, ASK);
    reply_to(t, &query, "8183 " ONE, "");
    struct sent message = message_sent(t);
    serve_closed(t->serve, t->now_us, message.port);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 " FAILED);
    query = asked(t, TXT);
    assert_cookie(&query, COOKIE_A);
    end(t);
}

// A cut reply is read no further than its question, so it has no cookie; all it can do is to have
// the question asked over TCP.
static void test_truncated_reply_needs_no_cookie(void **state)
{
    (void)state;
    struct table *t = begin_with_cookie();
    struct sent query = asked(t, ASK);
    t->before = t->counters;
    reply_to(t, &query, "8380 " ONE, "");
    struct sent message = message_sent(t);
    assert_counted(
        t, "upstream_queries_tcp upstream_resends replies_truncated upstream_connections_opened");
    reply_with_cookie(t, &message, COOKIE_A);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8183 " ONE ASK);
    end(t);
}

// RFC 7873 5.3: asked again with the new cookie, and if that is not good either over TCP.
static void test_badcookie_is_answered_with_the_new_one(void **state)
{
    (void)state;
    struct table *t = begin_with_cookie();
    struct sent query = asked(t, ASK);
    char opt[256];
    t->before = t->counters;
    opt_of(opt, &query, COOKIE_B, 1);
    reply_to(t, &query, "8187 " ONE_OPT, opt);
    assert_int_equal(drain(t), 2);
    query = sent_at(t, 0, OUTGOING_OPEN);
    assert_cookie(&query, COOKIE_B);
    assert_counted(t, "upstream_queries upstream_resends replies_edns ports_opened");
    opt_of(opt, &query, COOKIE_A, 1);
    reply_to(t, &query, "8187 " ONE_OPT, opt);
    struct sent message = message_sent(t);
    assert_cookie(&message, COOKIE_A);
    assert_counted(
        t, "upstream_queries_tcp upstream_resends replies_edns upstream_connections_opened");
    reply_with_cookie(t, &message, COOKIE_A);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8183 " ONE ASK);
    end(t);
}

static void test_badcookie_without_end_is_a_failure(void **state)
{
    (void)state;
    struct table *t = begin_with_cookie();
    struct sent sent = asked(t, ASK);
    unsigned sends = 1;
    for (; sends < 20; sends++) {
        char opt[256];
        opt_of(opt, &sent, COOKIE_B, 1);
        reply_to(t, &sent, "8187 " ONE_OPT, opt);
        drain(t);
        if (t->sent[t->sent_count - 1].kind == OUTGOING_REPLY)
            break;
        sent = t->sent[t->sent_count - 1];
    }
    assert_int_equal(sends, 5); // two datagrams and three over TCP
    assert_reply(&t->sent[t->sent_count - 1], 1, "1234 " FAILED);
    end(t);
}

static void test_plain_query_needs_no_cookie(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.cookies = true});
    meet(t, 1000, 20);
    struct sent query = asked(t, ASK);
    reply_from(t, &query, "8181 0000 0000 0000 0000");
    // It may be the cookie alone.
    query = query_sent(t);
    assert_true(has_opt(&query));
    assert_int_equal(query.packet.len, 29 + OPT_LEN);
    reply_from(t, &query, "8181 0000 0000 0000 0000");
    struct sent plain = query_sent(t);
    assert_false(has_opt(&plain));
    reply_from(t, &plain, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);
    end(t);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_plain_that_is_refused_too_is_a_failure),
    cmocka_unit_test(test_client_gets_servfail_if_no_upstream_understands),
    cmocka_unit_test(test_only_an_upstream_that_does_not_understand_is_asked_without),
    cmocka_unit_test(test_plain_goes_over_tcp_too),
    cmocka_unit_test(test_cookie_is_the_servers_own_and_what_it_gave_goes_back),
    cmocka_unit_test(test_server_that_knows_no_cookies_is_let_be),
    cmocka_unit_test(test_wrong_cookie_is_a_near_miss),
    cmocka_unit_test(test_missing_cookie_without_tcp_is_not_believed),
    cmocka_unit_test(test_truncated_reply_needs_no_cookie),
    cmocka_unit_test(test_badcookie_is_answered_with_the_new_one),
    cmocka_unit_test(test_badcookie_without_end_is_a_failure),
    cmocka_unit_test(test_plain_query_needs_no_cookie),
};

#define ROWS(run, rows) tests_of_rows(tests + count, run, rows, sizeof *(rows), COUNT_OF(rows))

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(plain_rows) + COUNT_OF(missing_rows) + COUNT_OF(others)];
    size_t count = 0;
    count += ROWS(test_plain_row, plain_rows);
    count += ROWS(test_missing_row, missing_rows);
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("serve edns", tests, NULL, NULL);
}
