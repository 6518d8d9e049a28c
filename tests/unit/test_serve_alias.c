// SPDX-License-Identifier: MIT
#include "tests/unit/local_table.h"
#include "tests/unit/serve_table.h"

// Local aliases come and go under questions, clients and cached answers. How aliases are followed
// is told by tests/scenario/promises/alias.

#define DENIAL                      \
    "8183 0001 0000 0001 0000 " ASK \
    "c010 0006 0001 00000e10 0016 00 00 00000001 00000002 00000003 00000004 00000e10 "
#define OTHER      "'other' 'example' 00 0001 0001 "
#define THIRD      "'third' 'example' 00 0001 0001 "
#define OTHER_GOOD "8180 " COUNTS1 OTHER A("0000012c")
// www.example as a local alias of other.example, with what that has.
#define FOLLOWED                                                                      \
    "1234 8180 0001 0002 0000 0000 " ASK "c00c 0005 0001 00000e10 0008 'other' c010 " \
    "c029 0001 0001 0000012c 0004 c0000201 "

static struct made alias_make(void)
{
    return world_make(&(struct world){.records = "www.example. CNAME other.example."});
}

static void learn(struct table *t, const char *query, const char *reply)
{
    ask_waiting(t, 1, query);
    struct sent sent = query_sent(t);
    reply_from(t, &sent, reply);
    assert_int_equal(drain(t), 1);
}

// Has the alias followed, by a client that asks now.
static void assert_followed(struct table *t)
{
    ask_waiting(t, 2, QUERY);
    struct sent sent = query_sent(t);
    reply_from(t, &sent, OTHER_GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 2, FOLLOWED);
    ask_answered(t, 3, QUERY, FOLLOWED);
}

// What an upstream has said of the name is not given any more, fresh or stale; nor is what the
// alias had, once that is gone.
static void test_alias_comes_over_an_answer_and_goes(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct made made = alias_make();
    learn(t, QUERY, GOOD);
    ask_answered(t, 1, QUERY, ANSWER);
    serve_local(t->serve, made.local);
    assert_followed(t);
    serve_local(t->serve, NULL);
    learn(t, QUERY, GOOD);
    ask_answered(t, 1, QUERY, ANSWER);
    free(made.memory);
    end(t);
}

static void test_alias_comes_over_a_denial(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct made made = alias_make();
    learn(t, QUERY, DENIAL);
    serve_local(t->serve, made.local);
    assert_followed(t);
    free(made.memory);
    end(t);
}

// A client that asked before gets what the upstream says; a later one does not wait for it, and
// it is not cached.
static void test_alias_comes_over_a_question(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct made made = alias_make();
    ask_waiting(t, 1, QUERY);
    struct sent before = query_sent(t);
    serve_local(t->serve, made.local);
    ask_waiting(t, 2, QUERY);
    struct sent sent = query_sent(t);
    reply_from(t, &before, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);
    reply_from(t, &sent, OTHER_GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 2, FOLLOWED);
    ask_answered(t, 3, QUERY, FOLLOWED);
    free(made.memory);
    end(t);
}

// The alias goes while its target is asked for: the chain that was promised is no longer there.
static void test_alias_goes_under_a_question(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct made made = alias_make();
    serve_local(t->serve, made.local);
    ask_waiting(t, 1, QUERY);
    struct sent sent = query_sent(t);
    serve_local(t->serve, NULL);
    reply_from(t, &sent, OTHER_GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8182 " ONE ASK);
    ask_waiting(t, 1, QUERY);
    sent = query_sent(t);
    reply_from(t, &sent, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);
    free(made.memory);
    end(t);
}

// An answer joined while rules change goes to the waiting clients, and is not cached.
static void test_rules_change_while_it_is_followed(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct made made = alias_make();
    struct made more = world_make(
        &(struct world){.records = "www.example. CNAME other.example.\nhere.test. A 192.0.2.1"});
    serve_local(t->serve, made.local);
    ask_waiting(t, 1, QUERY);
    struct sent sent = query_sent(t);
    serve_local(t->serve, more.local);
    reply_from(t, &sent, OTHER_GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, FOLLOWED);
    // Put together again of what is cached of the target.
    ask_waiting(t, 1, QUERY);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, FOLLOWED);
    ask_answered(t, 1, QUERY, FOLLOWED);
    free(more.memory);
    free(made.memory);
    end(t);
}

// Several in one batch, each of which has an answer in hand while the others are delivered.
static void test_several_in_a_batch(void **state)
{
    (void)state;
    enum { COUNT = 8 };
    struct table *t = begin((struct setup){0});
    char records[COUNT * 64], query[256], wanted[512];
    records[0] = '\0';
    for (unsigned i = 0; i < COUNT; i++)
        snprintf(records + strlen(records), 64, "a%u.lan. CNAME other.example.\n", i);
    struct made made = world_make(&(struct world){.records = records});
    learn(t, "1234 0100 " ONE OTHER, OTHER_GOOD);
    serve_local(t->serve, made.local);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(query, sizeof query, "1234 0100 " ONE "'a%u' 'lan' 00 0001 0001", i);
        ask_waiting(t, (uint8_t)(i + 1), query);
    }
    assert_int_equal(drain(t), COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(wanted, sizeof wanted,
                 "1234 8180 0001 0002 0000 0000 'a%u' 'lan' 00 0001 0001"
                 "c00c 0005 0001 00000e10 000f 'other' 'example' 00"
                 "c024 0001 0001 0000012c 0004 c0000201",
                 i);
        assert_reply(&t->sent[i], i + 1, wanted);
    }
    assert_int_equal(gauge(t, COUNTER_pending), 0);
    free(made.memory);
    end(t);
}

// A worker may hand in a reply before it has fetched what queries have brought: neither answer is
// taken for the other.
static void test_reply_before_draining(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct made made = alias_make();
    learn(t, "1234 0100 " ONE OTHER, OTHER_GOOD);
    ask_waiting(t, 1, "1234 0100 " ONE THIRD);
    struct sent sent = query_sent(t);
    serve_local(t->serve, made.local);
    ask_waiting(t, 2, QUERY);
    reply_from(t, &sent, "8180 " COUNTS1 THIRD A("0000012c"));
    assert_int_equal(drain(t), 2);
    assert_reply(&t->sent[0], 1, "1234 8180 " COUNTS1 THIRD A("0000012c"));
    assert_reply(&t->sent[1], 2, FOLLOWED);
    ask_answered(t, 1, "1234 0100 " ONE THIRD, "1234 8180 " COUNTS1 THIRD A("0000012c"));
    ask_answered(t, 1, QUERY, FOLLOWED);
    free(made.memory);
    end(t);
}

// The clients of an alias are due for a stale answer in the moment when its target fails: they
// get one answer.
static void test_target_fails_as_stale_is_due(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.stale_after_set = true, .stale_after_ms = 4500});
    struct made made = alias_make();
    serve_local(t->serve, made.local);
    assert_followed(t);
    t->now_us += 301 * SECOND_US;
    uint64_t asked_us = t->now_us;
    ask_waiting(t, 1, "1234 0100 " ONE OTHER);
    t->now_us += SECOND_US / 2;
    ask_waiting(t, 2, QUERY);
    while (t->now_us < asked_us + GIVEN_UP_US - 10000)
        (void)pass_until(t, asked_us + GIVEN_UP_US - 10000);
    t->now_us = asked_us + GIVEN_UP_US + SECOND_US / 5;
    serve_expire(t->serve, t->now_us);
    unsigned replies = 0;
    for (size_t i = drain(t); i-- > 0;)
        replies += t->sent[i].kind == OUTGOING_REPLY;
    assert_int_equal(replies, 1);
    settle(t);
    free(made.memory);
    end(t);
}

#define ASK6 "'www' 'example' 00 001c 0001 "
#define NO_DATA6                     \
    "8180 0001 0000 0001 0000 " ASK6 \
    "c010 0006 0001 00000e10 0016 00 00 00000001 00000002 00000003 00000004 00000e10 "
#define THIRD_ALIAS "third.example. CNAME other.example."

// The second question of DNS64 follows an alias while rules change: what it ends with is not cached
// under the first one either.
static void test_rules_change_while_dns64_waits_for_an_alias(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct made made = world_make(&(struct world){.records = THIRD_ALIAS});
    struct made more =
        world_make(&(struct world){.records = THIRD_ALIAS "\nhere.test. A 192.0.2.1"});
    t->settings.dns64_enable = true;
    serve_local(t->serve, made.local);
    ask_waiting(t, 1, "1234 0100 " ONE ASK6);
    struct sent sent = query_sent(t);
    reply_from(t, &sent, NO_DATA6);
    sent = query_sent(t);
    reply_from(t, &sent,
               "8180 0001 0001 0000 0000 " ASK "c00c 0005 0001 0000012c 0008 'third' c010 ");
    sent = query_sent(t);
    serve_local(t->serve, more.local);
    reply_from(t, &sent, OTHER_GOOD);
    assert_int_equal(drain(t), 1);
    assert_int_equal(load_be16(t->sent[0].packet.bytes + 6), 3);
    ask_waiting(t, 1, "1234 0100 " ONE ASK6);
    free(more.memory);
    free(made.memory);
    end(t);
}

// While the target of a chain is asked for, an earlier name of it becomes a local one: the waiting
// client is given what was begun, and not a part of it.
static void test_chain_leaves_elsewhere_by_now(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct made made = world_make(&(struct world){.records = THIRD_ALIAS});
    struct made more =
        world_make(&(struct world){.records = THIRD_ALIAS "\nmore.example. A 192.0.2.9"});
    serve_local(t->serve, made.local);
    ask_waiting(t, 1, QUERY);
    struct sent sent = query_sent(t);
    reply_from(t, &sent,
               "8180 0001 0002 0000 0000 " ASK "c00c 0005 0001 0000012c 0007 'more' c010 "
               "c029 0005 0001 0000012c 0008 'third' c010 ");
    sent = query_sent(t);
    serve_local(t->serve, more.local);
    reply_from(t, &sent, OTHER_GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1,
                 "1234 8180 0001 0004 0000 0000 " ASK "c00c 0005 0001 0000012c 0007 'more' c010 "
                 "c029 0005 0001 0000012c 0008 'third' c010 "
                 "c03c 0005 0001 00000e10 0008 'other' c010 "
                 "c050 0001 0001 0000012c 0004 c0000201");
    free(more.memory);
    free(made.memory);
    end(t);
}

// What an upstream has said of a name that an alias of its own leads to is not given any more once
// that is a local name.
static void test_target_of_an_answer_becomes_local(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct made made = world_make(&(struct world){.records = "other.example. A 192.0.2.9"});
    learn(t, QUERY,
          "8180 0001 0002 0000 0000 " ASK "c00c 0005 0001 0000012c 0008 'other' c010 "
          "c029 0001 0001 0000012c 0004 c0000201 ");
    serve_local(t->serve, made.local);
    ask_waiting(t, 1, QUERY);
    free(made.memory);
    end(t);
}

enum { LONG_LEN = 20000 };

// Has this client ask for a name of its own, which leads to the alias third.example by an answer
// that takes a lot of room.
static void ask_long(struct table *t, uint8_t host, unsigned number)
{
    static uint8_t bytes[LONG_LEN + 256];
    char text[256];
    snprintf(text, sizeof text, "1234 0100 " ONE "'x%02u' 'example' 00 0001 0001", number);
    ask_waiting(t, host, text);
    struct sent sent = query_sent(t);
    snprintf(text, sizeof text,
             "%02x%02x 8180 0001 0002 0000 0000 'x%02u' 'example' 00 0001 0001 "
             "c00c 0005 0001 0000012c 0008 'third' c010 "
             "c00c 002e 0001 0000012c %04x 0005 08 02 0000012c 00000000 00000000 0000 00",
             sent.packet.bytes[0], sent.packet.bytes[1], number, LONG_LEN + 19);
    struct packet head = packet_of(text);
    memcpy(bytes, head.bytes, head.len);
    serve_reply(t->serve, t->now_us, sent.port, bytes, head.len + LONG_LEN);
    drain(t);
}

// Those who have long answers in hand do not keep others from having one there.
static void test_long_answers_make_room_for_others(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct made made = world_make(&(struct world){.records = THIRD_ALIAS});
    serve_local(t->serve, made.local);
    for (uint8_t i = 0; i < 12; i++)
        ask_long(t, 1 + i / 3, i);
    assert_int_equal(t->sent_count, 0);
    ask_long(t, 5, 12);
    assert_int_equal(t->sent_count, 1);
    assert_in_range(t->sent[0].client.from.ip[3], 1, 4);
    assert_int_equal(t->sent[0].packet.bytes[3] & 15, 2); // SERVFAIL
    free(made.memory);
    end(t);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alias_comes_over_an_answer_and_goes),
        cmocka_unit_test(test_alias_comes_over_a_denial),
        cmocka_unit_test(test_alias_comes_over_a_question),
        cmocka_unit_test(test_alias_goes_under_a_question),
        cmocka_unit_test(test_rules_change_while_it_is_followed),
        cmocka_unit_test(test_several_in_a_batch),
        cmocka_unit_test(test_reply_before_draining),
        cmocka_unit_test(test_target_fails_as_stale_is_due),
        cmocka_unit_test(test_rules_change_while_dns64_waits_for_an_alias),
        cmocka_unit_test(test_chain_leaves_elsewhere_by_now),
        cmocka_unit_test(test_target_of_an_answer_becomes_local),
        cmocka_unit_test(test_long_answers_make_room_for_others),
    };
    return cmocka_run_group_tests_name("serve_alias", tests, NULL, NULL);
}
