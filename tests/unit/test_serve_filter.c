// SPDX-License-Identifier: MIT
#include "tests/unit/serve_table.h"

#define ASK6     NAME "001c 0001 "
#define QUERY6   "1234 0100 " ONE ASK6
#define NO_DATA6 "8180 0001 0000 0001 0000 " ASK6 SOA
#define SOA      "c010 0006 0001 0000003c 0016 00 00 00000001 00000002 00000003 00000004 0000003c "
#define MADE     "c00c 001c 0001 0000012c 0010 0064ff9b0000000000000000 c0000201 "
#define PRIVATE  "c00c 0001 0001 0000012c 0004 c0a80101 "
#define EDE_15   "00 0029 04d0 00 00 0000 0006 000f 0002 000f "

// What was sent upstream must ask for this type, with these flags; returns it.
static struct sent asked_for(struct table *t, size_t at, uint16_t type)
{
    struct sent sent = sent_at(t, at, OUTGOING_OPEN);
    assert_int_equal(load_be16(sent.packet.bytes + 12 + 13), type);
    return sent;
}

static struct table *begin_dns64(void)
{
    struct table *t = begin((struct setup){0});
    t->settings.dns64_enable = true;
    t->settings.cache_prefetch = false;
    return t;
}

static void test_name_with_ipv4_alone_gets_ipv6(void **state)
{
    (void)state;
    struct table *t = begin_dns64();
    ask_waiting(t, 1, QUERY6);
    struct sent first = query_sent(t);
    ask_waiting(t, 2, "4321 0100 " ONE_OPT "'WWW' 'example' 00 001c 0001" OPT);
    reply_from(t, &first, NO_DATA6);
    assert_int_equal(drain(t), 2);
    struct sent second = asked_for(t, 0, TYPE_A);
    assert_int_equal(gauge(t, COUNTER_waiters), 2);
    assert_int_equal(gauge(t, COUNTER_pending), 2);
    reply_from(t, &second, GOOD);
    assert_int_equal(drain(t), 2);
    assert_reply(&t->sent[0], 1, "1234 8180 " COUNTS1 ASK6 MADE);
    assert_reply(&t->sent[1], 2,
                 "4321 8180 0001 0001 0000 0001 'WWW' 'example' 00 001c 0001" MADE OPT);
    assert_counted(t, "queries 2 answers_upstream 2 upstream_queries 2 replies_accepted 2 "
                      "ports_opened 2 subquestions dns64 cache_inserted 2");
    // Both are cached: what was made, and what was heard.
    ask_answered(t, 3, QUERY6, "1234 8180 " COUNTS1 ASK6 MADE);
    ask_answered(t, 3, QUERY, "1234 " GOOD);
    end(t);
}

static void test_known_addresses_are_used(void **state)
{
    (void)state;
    struct table *t = begin_dns64();
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t);
    reply_from(t, &query, GOOD);
    assert_int_equal(drain(t), 1);
    t->now_us += 200 * SECOND_US;
    t->before = t->counters;
    ask_waiting(t, 1, QUERY6);
    query = query_sent(t);
    reply_from(t, &query, NO_DATA6);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1,
                 "1234 8180 " COUNTS1 ASK6
                 "c00c 001c 0001 00000064 0010 0064ff9b0000000000000000 c0000201");
    t->now_us += 99 * SECOND_US;
    ask_answered(t, 3, QUERY6,
                 "1234 8180 " COUNTS1 ASK6
                 "c00c 001c 0001 00000001 0010 0064ff9b0000000000000000 c0000201");
    t->now_us += SECOND_US;
    ask_waiting(t, 3, QUERY6);
    end(t);
}

static void test_no_second_question(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        const char *reply; // behind the ID
        const char *client;
    } rows[] = {
        // It has addresses.
        {QUERY6,
         "8180 " COUNTS1 ASK6 "c00c 001c 0001 0000012c 0010 20010db8000000000000000000000001",
         "1234 8180 " COUNTS1 ASK6 "c00c 001c 0001 0000012c 0010 20010db8000000000000000000000001"},
        // There is no such name.
        {QUERY6, "8183 0001 0000 0001 0000 " ASK6 SOA, "1234 8183 0001 0000 0001 0000 " ASK6 SOA},
        // The client validates.
        {"1234 0110 " ONE_OPT ASK6 OPT_DO, NO_DATA6,
         "1234 8190 0001 0000 0001 0001 " ASK6 SOA OPT_DO},
        // Another type.
        {"1234 0100 " ONE NAME "0010 0001 ", "8180 0001 0000 0001 0000 " NAME "0010 0001 " SOA,
         "1234 8180 0001 0000 0001 0000 " NAME "0010 0001 " SOA},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct table *t = begin_dns64();
        ask_waiting(t, 1, rows[i].query);
        struct sent query = query_sent(t);
        reply_from(t, &query, rows[i].reply);
        assert_int_equal(drain(t), 1);
        assert_reply(&t->sent[0], 1, rows[i].client);
        end(t);
    }
}

static void test_second_question_without_addresses(void **state)
{
    (void)state;
    struct table *t = begin_dns64();
    ask_waiting(t, 1, QUERY6);
    struct sent query = query_sent(t);
    reply_from(t, &query, NO_DATA6);
    assert_int_equal(drain(t), 2);
    query = asked_for(t, 0, TYPE_A);
    reply_from(t, &query, "8180 0001 0000 0001 0000 " ASK SOA);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8180 0001 0000 0001 0000 " ASK6 SOA);
    ask_answered(t, 1, QUERY6, "1234 8180 0001 0000 0001 0000 " ASK6 SOA);
    end(t);
}

static void test_second_question_that_fails(void **state)
{
    (void)state;
    struct table *t = begin_dns64();
    ask_waiting(t, 1, QUERY6);
    struct sent query = query_sent(t);
    reply_from(t, &query, NO_DATA6);
    assert_int_equal(drain(t), 2);
    query = asked_for(t, 0, TYPE_A);
    reply_from(t, &query, REFUSED);
    bool told = drain(t) == 1 && t->sent[0].kind == OUTGOING_REPLY;
    while (!told && pass_until(t, t->now_us + 10 * SECOND_US))
        told = t->sent_count == 1 && t->sent[0].kind == OUTGOING_REPLY;
    assert_reply(&t->sent[0], 1, "1234 8185 " ONE ASK6);
    ask_answered(t, 1, QUERY6, "1234 8185 " ONE ASK6); // is remembered as what was asked
    settle(t);
    end(t);
}

// Some servers fail at what they do not know.
static void test_failure_of_the_first_question(void **state)
{
    (void)state;
    struct table *t = begin_dns64();
    ask_waiting(t, 1, QUERY6);
    struct sent query = query_sent(t);
    reply_from(t, &query, "8185 " ONE ASK6);
    while (drain(t) != 2 || load_be16(t->sent[1].packet.bytes + 25) != TYPE_A) {
        assert_true(t->sent_count == 0 || t->sent[0].kind != OUTGOING_REPLY);
        assert_true(pass_until(t, t->now_us + 10 * SECOND_US));
        if (t->sent_count == 2 && load_be16(t->sent[1].packet.bytes + 25) == TYPE_A)
            break;
        query = sent_at(t, 0, OUTGOING_OPEN);
        reply_from(t, &query, "8185 " ONE ASK6);
    }
    query = asked_for(t, 0, TYPE_A);
    reply_from(t, &query, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8180 " COUNTS1 ASK6 MADE);
    settle(t);
    end(t);
}

// A client that asks while the subquestion is in flight waits with the others; and so does one that
// asks one itself.
static void test_later_clients_meet_the_earlier_ones(void **state)
{
    (void)state;
    struct table *t = begin_dns64();
    ask_waiting(t, 1, QUERY6);
    struct sent query = query_sent(t);
    reply_from(t, &query, NO_DATA6);
    assert_int_equal(drain(t), 2);
    struct sent second = asked_for(t, 0, TYPE_A);
    ask_waiting(t, 2, QUERY6);
    ask_waiting(t, 3, QUERY);
    assert_int_equal(drain(t), 0);
    assert_int_equal(gauge(t, COUNTER_pending), 2);
    assert_int_equal(gauge(t, COUNTER_waiters), 3);
    reply_from(t, &second, GOOD);
    assert_int_equal(drain(t), 3);
    assert_reply(&t->sent[0], 3, "1234 " GOOD);
    assert_reply(&t->sent[1], 1, "1234 8180 " COUNTS1 ASK6 MADE);
    assert_reply(&t->sent[2], 2, "1234 8180 " COUNTS1 ASK6 MADE);
    settle(t);
    end(t);
}

static void test_no_room_for_a_second_question(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.pending_max = 1});
    t->settings.dns64_enable = true;
    ask_waiting(t, 1, QUERY6);
    struct sent query = query_sent(t);
    reply_from(t, &query, NO_DATA6);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8180 0001 0000 0001 0000 " ASK6 SOA);
    end(t);
}

static void test_addresses_of_the_inside_are_emptied(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    t->settings.filter_rebind = true;
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t);
    ask_waiting(t, 2, "1234 0100 " ONE_OPT ASK OPT);
    reply_from(t, &query, "8180 0001 0002 0000 0000 " ASK A("0000012c") PRIVATE);
    assert_int_equal(drain(t), 2);
    assert_reply(&t->sent[0], 1, "1234 8180 " ONE ASK);
    assert_reply(&t->sent[1], 2, "1234 8180 " ONE_OPT ASK EDE_15);
    ask_answered(t, 2, "1234 0100 " ONE_OPT ASK OPT, "1234 8180 " ONE_OPT ASK EDE_15);
    assert_counted(t, "queries 3 answers_cache answers_upstream 2 upstream_queries "
                      "replies_accepted ports_opened rebinds cache_inserted");
    end(t);
}

static void test_forward_zone_may_have_addresses_of_the_inside(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.zone = "example"});
    t->settings.filter_rebind = true;
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t);
    reply_from(t, &query, "8180 " COUNTS1 ASK PRIVATE);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8180 " COUNTS1 ASK PRIVATE);
    end(t);
}

static void test_name_may_have_addresses_of_the_inside(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    char text[] = "example";
    struct text_item item = {text, 1};
    t->settings.filter_rebind = true;
    t->settings.filter_rebind_allow = (struct text_list){&item, 1};
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t);
    reply_from(t, &query, "8180 " COUNTS1 ASK PRIVATE);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8180 " COUNTS1 ASK PRIVATE);
    end(t);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_with_ipv4_alone_gets_ipv6),
        cmocka_unit_test(test_known_addresses_are_used),
        cmocka_unit_test(test_no_second_question),
        cmocka_unit_test(test_second_question_without_addresses),
        cmocka_unit_test(test_second_question_that_fails),
        cmocka_unit_test(test_failure_of_the_first_question),
        cmocka_unit_test(test_later_clients_meet_the_earlier_ones),
        cmocka_unit_test(test_no_room_for_a_second_question),
        cmocka_unit_test(test_addresses_of_the_inside_are_emptied),
        cmocka_unit_test(test_forward_zone_may_have_addresses_of_the_inside),
        cmocka_unit_test(test_name_may_have_addresses_of_the_inside),
    };
    return cmocka_run_group_tests_name("serve_filter", tests, NULL, NULL);
}
