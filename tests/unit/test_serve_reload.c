// SPDX-License-Identifier: MIT
#include "tests/unit/serve_table.h"

// Other settings for a worker that goes on.

#define OTHER     "'other' 'example' 00 0001 0001 "
#define OTHER_ASK "1234 0100 " ONE OTHER

// What is in force after a reload.
struct next {
    struct settings settings;
    struct forward_zone zones[1];
    struct endpoint upstreams[2];
    struct prefix allow[1];
    struct zone_table zone_table;
    struct access_list access;
};

// The settings of now, for a test to change.
static struct next *next_make(struct table *t)
{
    struct next *next = memory_of(t, sizeof *next);
    next->settings = t->settings;
    next->zones[0] = t->zones[0];
    next->settings.forward = (struct forward_zone_list){next->zones, 1};
    memcpy(next->upstreams, t->upstreams, sizeof next->upstreams);
    next->zones[0].to.items = next->upstreams;
    return next;
}

static void reload(struct table *t, struct next *next)
{
    assert_null(zone_table_rebuild(&next->zone_table,
                                   memory_of(t, zone_table_size(&next->settings)), &next->settings,
                                   &t->zone_table));
    access_build(&next->access, memory_of(t, access_size(&next->settings)), &next->settings);
    serve_reload(t->serve, t->now_us,
                 &(struct serve_update){.settings = &next->settings,
                                        .zone_table = &next->zone_table,
                                        .access = &next->access});
}

static void test_questions_that_wait_go_on_and_new_ones_go_elsewhere(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    ask_waiting(t, 1, QUERY);
    struct sent before = query_sent(t);
    assert_int_equal(where(t, &before), 0);
    struct next *next = next_make(t);
    next->upstreams[0] = t->upstreams[2];
    reload(t, next);
    assert_int_equal(next->zone_table.upstream_count, 2);
    // Asked again in its time, of the one it was asked of.
    assert_true(pass_until(t, t->now_us + 200000));
    struct sent again = first_of(t, OUTGOING_QUERY);
    assert_int_equal(where(t, &again), 0);
    ask_waiting(t, 2, OTHER_ASK);
    struct sent after = query_sent(t);
    assert_int_equal(where(t, &after), 2);
    reply_from(t, &before, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);
    reply_to(t, &after, "8183 " ONE, "");
    assert_int_equal(drain(t), 1);
    // It was the reply of an upstream of the old settings, only for the clients that had waited for
    // it.
    ask_waiting(t, 1, QUERY);
    struct sent to_new = query_sent(t);
    assert_int_equal(where(t, &to_new), 2);
    reply_from(t, &to_new, GOOD);
    assert_int_equal(drain(t), 1);
    end(t);
}

// If another process writes the cache, only the waiting clients get the answer.
static void test_what_others_write_is_not_written(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    serve_keeps(t->serve, false);
    for (unsigned round = 0; round < 2; round++) {
        ask_waiting(t, 1, QUERY);
        struct sent query = query_sent(t);
        reply_from(t, &query, GOOD);
        assert_int_equal(drain(t), 1);
        assert_reply(&t->sent[0], 1, ANSWER);
    }
    serve_keeps(t->serve, true);
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t);
    reply_from(t, &query, GOOD);
    assert_int_equal(drain(t), 1);
    ask_answered(t, 1, QUERY, ANSWER);
    serve_keeps(t->serve, false);
    ask_answered(t, 1, QUERY, ANSWER);
    end(t);
}

static void test_failures_are_forgotten(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t);
    reply_to(t, &query, "8182 " ONE, "");
    drain(t);
    ask_answered(t, 1, QUERY, "1234 8182 " ONE ASK);
    reload(t, next_make(t));
    ask_waiting(t, 1, QUERY);
    end(t);
}

static void test_access_and_bounds_of_answers_change_at_once(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct next *next = next_make(t);
    next->allow[0] = prefix_of("192.0.2.2/32");
    next->settings.access_allow.items = next->allow;
    next->settings.cache_ttl_max = 7000;
    reload(t, next);
    assert_int_equal(ask(t, 1, QUERY).verdict, SERVE_ANSWERED);
    assert_packet(t->out, 29, "1234 8105 " ONE ASK);
    ask_waiting(t, 2, QUERY);
    struct sent query = query_sent(t);
    reply_from(t, &query, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 2, "1234 8180 " COUNTS1 ASK A("00000007"));
    end(t);
}

static void test_room_for_replies_grows(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct next *next = next_make(t);
    size_t room = serve_reply_room(t->serve);
    next->settings.server_udp_payload_max = 4096;
    reload(t, next);
    assert_true(serve_reply_room(t->serve) > room + 2864);
    assert_true(serve_reply_room(t->serve) <= SERVE_REPLY_ROOM_MAX);
    end(t);
}

// Limits that were off are on; where they are the same, clients do not get all of it once more.
static void test_limits_are_turned_on_and_stay(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct next *next = next_make(t);
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t);
    reply_from(t, &query, GOOD);
    drain(t);
    next->settings.limits_client_qps = 1;
    next->settings.limits_burst = 10000;
    reload(t, next);
    // From one port: four cost a worker's share each, which is all of one.
    for (unsigned i = 0; i < 10; i++)
        ask_answered(t, 1, QUERY, ANSWER);
    assert_int_equal(ask(t, 1, OTHER_ASK).verdict, SERVE_ANSWERED);
    assert_packet(t->out, 31, "1234 8185 " ONE OTHER);
    struct next *same = next_make(t);
    same->settings.limits_client_qps = 1;
    same->settings.limits_burst = 10000;
    reload(t, same);
    assert_int_equal(ask(t, 1, OTHER_ASK).verdict, SERVE_ANSWERED);
    reload(t, next_make(t));
    ask_waiting(t, 1, OTHER_ASK);
    end(t);
}

static void test_upstreams_have_their_indexes_for_ever(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.upstreams = 3});
    struct next *next = next_make(t);
    next->upstreams[0] = t->upstreams[1];
    next->upstreams[1].address =
        (struct address){.ip = {198, 51, 100, 77}, .port = 53, .family = ADDRESS_IPV4};
    next->zones[0].to.count = 2;
    reload(t, next);
    assert_int_equal(next->zone_table.upstream_count, 4);
    for (size_t i = 0; i < 3; i++)
        assert_true(endpoint_equal(&next->zone_table.upstreams[i], &t->zone_table.upstreams[i]));
    assert_int_equal(next->zone_table.zones[0].upstreams[0], 1);
    assert_int_equal(next->zone_table.zones[0].upstreams[1], 3);
    end(t);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_questions_that_wait_go_on_and_new_ones_go_elsewhere),
        cmocka_unit_test(test_what_others_write_is_not_written),
        cmocka_unit_test(test_failures_are_forgotten),
        cmocka_unit_test(test_access_and_bounds_of_answers_change_at_once),
        cmocka_unit_test(test_room_for_replies_grows),
        cmocka_unit_test(test_limits_are_turned_on_and_stay),
        cmocka_unit_test(test_upstreams_have_their_indexes_for_ever),
    };
    return cmocka_run_group_tests_name("serve reload", tests, NULL, NULL);
}
