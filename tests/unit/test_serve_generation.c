// SPDX-License-Identifier: MIT
#include "core/serve/explain.h"

#include "tests/unit/local_table.h"
#include "tests/unit/serve_table.h"

// What has been cached by other rules than those in force is not given, in whatever way, and all
// else is.

#define SOA      "c010 0006 0001 00000e10 0016 00 00 00000001 00000002 00000003 00000004 00000e10 "
#define NONE     "8183 0001 0000 0001 0000 " ASK SOA
#define NO_NAME  "1234 8183 0001 0000 0001 0000 " ASK SOA
#define PRIVATE  "8180 " COUNTS1 ASK "c00c 0001 0001 0000012c 0004 c0a80101 "
#define ASK6     NAME "001c 0001 "
#define QUERY6   "1234 0100 " ONE ASK6
#define NO_DATA6 "8180 0001 0000 0001 0000 " ASK6 SOA
#define MADE     "c00c 001c 0001 0000012c 0010 0064ff9b0000000000000000 c0000201 "
#define OTHER    "'other' 'example' 00 0001 0001 "
#define OTHER6   "'other' 'example' 00 001c 0001 "

// What is in force after a reload: the settings of now, for a test to change.
struct next {
    struct settings settings;
    struct forward_zone zones[2];
    struct endpoint upstreams[3];
    struct zone_table zone_table;
    const struct local *local;
};

static struct next *next_make(struct table *t)
{
    struct next *next = memory_of(t, sizeof *next);
    next->settings = t->settings;
    next->zones[0] = next->zones[1] = t->zones[0];
    next->settings.forward = (struct forward_zone_list){next->zones, 1};
    memcpy(next->upstreams, t->upstreams, sizeof next->upstreams);
    next->zones[0].to.items = next->upstreams;
    next->zones[1].to.items = &next->upstreams[2];
    return next;
}

static void reload(struct table *t, struct next *next)
{
    const struct zone_table *before = &t->zone_table;
    assert_null(zone_table_rebuild(&next->zone_table,
                                   memory_of(t, zone_table_size(&next->settings)), &next->settings,
                                   before));
    struct serve_update update = {.settings = &next->settings,
                                  .zone_table = &next->zone_table,
                                  .access = &t->access,
                                  .local = next->local};
    serve_reload(t->serve, t->now_us, &update);
}

static void zone_add(struct next *next, const char *zone)
{
    assert_true(name_parse(&next->zones[1].zone, zone, strlen(zone)));
    next->settings.forward.count = 2;
}

// Has an answer cached that an upstream gives.
static void learn(struct table *t, const char *query, const char *reply)
{
    ask_waiting(t, 1, query);
    struct sent sent = query_sent(t);
    reply_from(t, &sent, reply);
    assert_int_equal(drain(t), 1);
}

// A question must go to this upstream, which has this for it.
static void assert_asked(struct table *t, const char *query, size_t upstream, const char *reply)
{
    ask_waiting(t, 1, query);
    struct sent sent = query_sent(t);
    assert_int_equal(where(t, &sent), upstream);
    reply_from(t, &sent, reply);
    assert_int_equal(drain(t), 1);
}

static void test_a_zone_is_given_other_upstreams(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    learn(t, QUERY, NONE);
    ask_answered(t, 1, QUERY, NO_NAME);
    struct next *next = next_make(t);
    next->upstreams[0] = t->upstreams[1];
    reload(t, next);
    // Neither under its own key nor as the denial of all types.
    ask_waiting(t, 1, QUERY6);
    struct sent other_type = query_sent(t);
    assert_int_equal(where(t, &other_type), 1);
    reply_from(t, &other_type,
               "8180 0001 0001 0000 0000 " ASK6
               "c00c 001c 0001 0000012c 0010 20010db8000000000000000000000001");
    assert_int_equal(drain(t), 1);
    assert_asked(t, QUERY, 1, GOOD);
    ask_answered(t, 1, QUERY, ANSWER);
    end(t);
}

static void test_a_zone_comes_between(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    learn(t, QUERY, GOOD);
    learn(t, "1234 0100 " ONE OTHER, "8180 " COUNTS1 OTHER A("0000012c"));
    struct next *next = next_make(t);
    zone_add(next, "www.example");
    reload(t, next);
    ask_answered(t, 1, "1234 0100 " ONE OTHER, "1234 8180 " COUNTS1 OTHER A("0000012c"));
    assert_asked(t, QUERY, 2, GOOD);
    ask_answered(t, 1, QUERY, ANSWER);
    end(t);
}

// It may not be had as a stale answer either, whether the upstream fails or says nothing.
static void test_old_answers_are_not_given_as_stale(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    learn(t, QUERY, GOOD);
    struct next *next = next_make(t);
    next->upstreams[0] = t->upstreams[1];
    reload(t, next);
    t->now_us += 400 * SECOND_US;
    ask_waiting(t, 1, QUERY);
    struct sent sent = query_sent(t);
    assert_int_equal(where(t, &sent), 1);
    t->before = t->counters;
    reply_to(t, &sent, "8182 " ONE, "");
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8182 " ONE ASK);
    ask_answered(t, 1, QUERY, "1234 8182 " ONE ASK);
    end(t);
}

// A client that waits for a stale answer when the rules change goes on waiting.
static void test_a_reload_while_a_client_waits(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    learn(t, QUERY, GOOD);
    t->now_us += 400 * SECOND_US;
    ask_waiting(t, 1, QUERY);
    struct sent sent = query_sent(t);
    struct next *next = next_make(t);
    next->upstreams[0] = t->upstreams[1];
    reload(t, next);
    uint64_t end_us = t->now_us + 3 * SECOND_US;
    while (pass_until(t, end_us)) {
        for (size_t i = 0; i < t->sent_count; i++)
            assert_int_not_equal(t->sent[i].kind, OUTGOING_REPLY);
    }
    reply_from(t, &sent, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, ANSWER);
    // The reply came from an upstream of the old settings: it is not cached.
    ask_waiting(t, 1, QUERY);
    end(t);
}

// A client that comes after a reload gets no answer to a question from before, and does not wait
// for it.
static void test_questions_of_before_are_not_joined(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    ask_waiting(t, 1, QUERY);
    struct sent before = query_sent(t);
    struct next *next = next_make(t);
    next->upstreams[0] = t->upstreams[1];
    reload(t, next);
    ask_waiting(t, 2, QUERY);
    struct sent after = query_sent(t);
    assert_int_equal(where(t, &after), 1);
    ask_waiting(t, 3, QUERY);
    assert_int_equal(drain(t), 0);
    reply_from(t, &after, GOOD);
    assert_int_equal(drain(t), 2);
    assert_reply(&t->sent[0], 2, ANSWER);
    assert_reply(&t->sent[1], 3, ANSWER);
    reply_from(t, &before, NONE);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, NO_NAME);
    // Nor does it take away what is known since.
    ask_answered(t, 4, QUERY, ANSWER);
    end(t);
}

// What other rules would ask in the same way goes on for all.
static void test_other_questions_are_joined(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    ask_waiting(t, 1, QUERY);
    struct sent sent = query_sent(t);
    struct next *next = next_make(t);
    next->zones[0].strategy = FORWARD_RANDOM;
    zone_add(next, "elsewhere.test");
    reload(t, next);
    ask_waiting(t, 2, QUERY);
    assert_int_equal(drain(t), 0);
    reply_from(t, &sent, GOOD);
    assert_int_equal(drain(t), 2);
    ask_answered(t, 3, QUERY, ANSWER);
    end(t);
}

static void test_rebind_protection_is_switched_on(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    learn(t, QUERY, PRIVATE);
    struct next *next = next_make(t);
    next->settings.filter_rebind = true;
    reload(t, next);
    assert_asked(t, QUERY, 0, PRIVATE);
    assert_reply(&t->sent[0], 1, "1234 8180 " ONE ASK);
    ask_answered(t, 1, QUERY, "1234 8180 " ONE ASK);
    // And off again.
    reload(t, next_make(t));
    assert_asked(t, QUERY, 0, PRIVATE);
    ask_answered(t, 1, QUERY, "1234 " PRIVATE);
    end(t);
}

static void test_the_prefix_of_dns64_changes(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct next *next = next_make(t);
    next->settings.dns64_enable = true;
    reload(t, next);
    learn(t, QUERY, GOOD);
    ask_waiting(t, 1, QUERY6);
    struct sent sent = query_sent(t);
    reply_from(t, &sent, NO_DATA6);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 8180 " COUNTS1 ASK6 MADE);
    next = next_make(t);
    next->settings.dns64_enable = true;
    assert_true(prefix_parse(&next->settings.dns64_prefix, "2001:db8:64::/96", 16));
    reload(t, next);
    ask_waiting(t, 1, QUERY6);
    sent = query_sent(t);
    reply_from(t, &sent, NO_DATA6);
    // Addresses that were known before are asked for as well.
    assert_int_equal(drain(t), 2);
    sent = sent_at(t, 0, OUTGOING_OPEN);
    reply_from(t, &sent, GOOD);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1,
                 "1234 8180 " COUNTS1 ASK6
                 "c00c 001c 0001 0000012c 0010 20010db8006400000000 0000c0000201");
    end(t);
}

// www.example, an alias of x.blocked.example.
#define ALIAS_RECORDS                                  \
    "c00c 0005 0001 0000012c 000c 'x' 'blocked' c010 " \
    "c029 0001 0001 0000012c 0004 c0000201 "
#define ALIAS "8180 0001 0002 0000 0000 " ASK ALIAS_RECORDS

static void test_an_entry_of_a_block_list_goes(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct made both = world_make(&(struct world){.block = "blocked.example\nads.example"});
    struct made one = world_make(&(struct world){.block = "ads.example"});
    struct next *next = next_make(t);
    next->local = both.local;
    reload(t, next);
    learn(t, QUERY, ALIAS);
    assert_int_equal(t->sent[0].packet.bytes[3] & HEADER_RCODE, RCODE_NXDOMAIN);
    learn(t, "1234 0100 " ONE OTHER, "8180 " COUNTS1 OTHER A("0000012c"));
    // What no list has withheld stays.
    next = next_make(t);
    next->local = one.local;
    reload(t, next);
    ask_answered(t, 1, "1234 0100 " ONE OTHER, "1234 8180 " COUNTS1 OTHER A("0000012c"));
    assert_asked(t, QUERY, 0, ALIAS);
    ask_answered(t, 1, QUERY, "1234 8180 0001 0002 0000 0000 " ASK ALIAS_RECORDS);
    free(one.memory);
    free(both.memory);
    end(t);
}

// What an upstream of before said of an alias does not say that it is blocked.
static void test_old_aliases_are_not_looked_at(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct made made = world_make(&(struct world){.block = "blocked.example"});
    learn(t, QUERY, ALIAS);
    struct next *next = next_make(t);
    next->upstreams[0] = t->upstreams[1];
    next->local = made.local;
    reload(t, next);
    assert_asked(t, QUERY, 1, GOOD);
    ask_answered(t, 1, QUERY, ANSWER);
    free(made.memory);
    end(t);
}

// Nothing is asked again for what bears on no answer, nor for what bears on those of other zones.
static void test_what_does_not_matter_changes(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.zone = "example"});
    learn(t, QUERY, GOOD);
    reload(t, next_make(t));
    ask_answered(t, 1, QUERY, ANSWER);
    struct next *next = next_make(t);
    next->zones[0].strategy = FORWARD_RANDOM;
    next->settings.cache_stale_max_age = 5000;
    next->settings.upstream_random_case = !t->settings.upstream_random_case;
    next->settings.filter_rebind = true; // in a zone that is there to have such names
    reload(t, next);
    ask_answered(t, 1, QUERY, ANSWER);
    next = next_make(t);
    zone_add(next, "elsewhere.test");
    struct made made = world_make(&(struct world){.records = "here.test. A 192.0.2.1"});
    next->local = made.local;
    reload(t, next);
    ask_answered(t, 1, QUERY, ANSWER);
    ask_answered(t, 1, QUERY, ANSWER);
    free(made.memory);
    end(t);
}

// The cache goes over to a process with settings of its own.
static void test_a_cache_is_inherited(void **state)
{
    (void)state;
    for (unsigned same = 0; same < 2; same++) {
        struct table *t = begin((struct setup){0});
        learn(t, QUERY, NONE);
        struct next *next = next_make(t);
        if (!same)
            next->upstreams[0] = t->upstreams[1];
        assert_null(zone_table_build(
            &next->zone_table, memory_of(t, zone_table_size(&next->settings)), &next->settings));
        struct serve_config config = {
            .settings = &next->settings,
            .zone_table = &next->zone_table,
            .access = &t->access,
            .cache = &t->cache,
            .counters = &t->counters,
            .worker_count = 1,
            .pending_max = 64,
            .source_ports_max = 128,
            .upstream_connections_max = 8,
            .seed = {7},
        };
        t->serve = serve_init(memory_of(t, serve_size(&config)), &config, t->now_us);
        if (same)
            ask_answered(t, 1, QUERY, NO_NAME);
        else
            assert_asked(t, QUERY, 1, GOOD);
        end(t);
    }
}

static void test_old_answers_are_not_reported(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct serve_explanation e;
    struct name name;
    assert_true(name_parse(&name, "www.example", 11));
    learn(t, QUERY, GOOD);
    serve_explain(t->serve, t->now_us, &name, TYPE_A, NULL, &e);
    assert_int_equal(e.outcome, OUTCOME_MEMORY);
    struct next *next = next_make(t);
    next->upstreams[0] = t->upstreams[1];
    reload(t, next);
    serve_explain(t->serve, t->now_us, &name, TYPE_A, NULL, &e);
    assert_int_equal(e.outcome, OUTCOME_UPSTREAM);
    assert_false(e.cached.there);
    end(t);
}

// An answer that was popular is not asked for again on behalf of the rules of before.
static void test_old_answers_are_not_refreshed(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    learn(t, QUERY, GOOD);
    for (unsigned i = 0; i < 4; i++)
        ask_answered(t, 1, QUERY, ANSWER);
    struct next *next = next_make(t);
    next->upstreams[0] = t->upstreams[1];
    reload(t, next);
    assert_quiet(t, 299 * SECOND_US);
    end(t);
}

// www.example, an alias of other.example, whose address comes from its own zone's upstream.
#define LEADS                                                                    \
    "8180 0001 0002 0000 0000 " ASK "c00c 0005 0001 0000012c 0008 'other' c010 " \
    "c029 0001 0001 0000012c 0004 c0000201 "

static void test_the_target_of_an_alias_moves_to_another_zone(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    learn(t, QUERY, LEADS);
    ask_answered(t, 1, QUERY, "1234 " LEADS);
    struct next *next = next_make(t);
    zone_add(next, "other.example");
    reload(t, next);
    ask_waiting(t, 1, QUERY);
    struct sent sent = query_sent(t);
    reply_from(t, &sent, LEADS);
    assert_int_equal(drain(t), 2);
    sent = sent_at(t, 0, OUTGOING_OPEN);
    assert_int_equal(where(t, &sent), 2);
    reply_from(t, &sent, "8180 " COUNTS1 OTHER A("0000012c"));
    assert_int_equal(drain(t), 1);
    ask_answered(t, 1, QUERY, "1234 " LEADS);
    end(t);
}

static void test_an_alias_stays_within_its_zone_over_a_reload(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct next *next = next_make(t);
    zone_add(next, "elsewhere.test");
    reload(t, next);
    ask_waiting(t, 1, QUERY);
    struct sent sent = query_sent(t);
    next = next_make(t);
    zone_add(next, "elsewhere.test");
    reload(t, next);
    reply_from(t, &sent, LEADS);
    assert_int_equal(drain(t), 1);
    assert_reply(&t->sent[0], 1, "1234 " LEADS);
    end(t);
}

// The generation in the trailer of what is cached under a key.
static uint32_t stamp_of(const struct table *t, const struct key *key)
{
    uint8_t value[512];
    struct cache_key cache_key = key_for_cache(key);
    struct cache_hit hit;
    assert_int_equal(cache_peek(&t->cache, &cache_key, value, sizeof value, &hit), CACHE_HIT);
    return answer_generation(value, hit.value_len);
}

static struct key key_asked(const struct table *t)
{
    struct query query;
    struct key key;
    assert_int_equal(query_read(&query, t->asked.bytes, t->asked.len), QUERY_GOOD);
    key_make(&key, &query, t->cache.seed);
    return key;
}

// What holds under the new rules is of their generation once it has been given.
static void test_what_holds_is_marked_as_of_the_new_rules(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    learn(t, "1234 0100 " ONE OTHER, "8180 " COUNTS1 OTHER A("0000012c"));
    struct key answer = key_asked(t);
    learn(t, QUERY, NONE);
    struct key asked = key_asked(t), denial;
    key_make_denial(&denial, &asked);
    uint32_t before = stamp_of(t, &answer);
    assert_int_equal(stamp_of(t, &denial), before);
    struct next *next = next_make(t);
    zone_add(next, "elsewhere.test");
    reload(t, next);
    ask_answered(t, 1, "1234 0100 " ONE OTHER, "1234 8180 " COUNTS1 OTHER A("0000012c"));
    ask_answered(t, 1, QUERY, NO_NAME);
    assert_int_not_equal(stamp_of(t, &answer), before);
    assert_int_equal(stamp_of(t, &denial), stamp_of(t, &answer));
    ask_answered(t, 1, QUERY, NO_NAME);
    end(t);
}

// Where another worker writes the shard, it is told by a hint.
static void test_the_home_is_asked_to_mark_what_holds(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){.workers = 2});
    struct packet query = packet_of(QUERY);
    struct query read;
    struct key key;
    assert_int_equal(query_read(&read, query.bytes, query.len), QUERY_GOOD);
    key_make(&key, &read, t->cache.seed);
    unsigned home = cache_shard_of(&t->cache, key.hash) % 2;
    t->serve = t->workers[home];
    learn(t, QUERY, GOOD);
    uint32_t before = stamp_of(t, &key);
    struct next *next = next_make(t);
    zone_add(next, "elsewhere.test");
    for (unsigned i = 0; i < 2; i++) {
        t->serve = t->workers[i];
        reload(t, next);
    }
    t->serve = t->workers[!home];
    struct serve_item item = ask(t, 1, QUERY);
    assert_int_equal(item.verdict, SERVE_ANSWERED);
    assert_true(item.hint);
    assert_int_equal(item.owner, home);
    assert_int_equal(stamp_of(t, &key), before);
    t->serve = t->workers[home];
    struct serve_item hint = {.client = client(1), .handed_over = true, .hint = true};
    assert_int_equal(ask_as(t, hint, QUERY).verdict, SERVE_HINTED);
    assert_int_not_equal(stamp_of(t, &key), before);
    t->serve = t->workers[!home];
    assert_false(ask(t, 1, QUERY).hint);
    end(t);
}

// A hint of a worker that goes by the rules of before marks nothing that those in force answer
// otherwise: neither what a list blocks by now, itself or by its alias, nor a local name.
static void test_a_late_hint_marks_no_local_name(void **state)
{
    (void)state;
    static const struct {
        const char *reply;
        struct world world;
        bool marked;
    } rows[] = {
        {GOOD, {.block = "elsewhere.test"}, true},
        {GOOD, {.block = "example"}, false},
        {GOOD, {.block = "example", .allow = "www.example"}, true},
        {GOOD, {.records = "www.example. TXT \"mine\""}, false},
        {GOOD, {.zones = "example", .special = true}, true},
        {NONE, {.block = "example"}, false},
        {ALIAS, {.block = "blocked.example"}, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct table *t = begin((struct setup){.workers = 2});
        struct made made = world_make(&rows[i].world);
        struct packet query = packet_of(QUERY);
        struct query read;
        struct key key, denial;
        assert_int_equal(query_read(&read, query.bytes, query.len), QUERY_GOOD);
        key_make(&key, &read, t->cache.seed);
        key_make_denial(&denial, &key);
        bool denies = strcmp(rows[i].reply, NONE) == 0;
        t->serve = t->workers[cache_shard_of(&t->cache, key.hash) % 2];
        learn(t, QUERY, rows[i].reply);
        uint32_t before = stamp_of(t, denies ? &denial : &key);
        struct next *next = next_make(t);
        next->local = made.local;
        reload(t, next);
        struct serve_item hint = {.client = client(1), .handed_over = true, .hint = true};
        assert_int_equal(ask_as(t, hint, QUERY).verdict, SERVE_HINTED);
        assert_int_equal(stamp_of(t, denies ? &denial : &key) != before, rows[i].marked);
        free(made.memory);
        end(t);
    }
}

// home.arpa is answered here, but for DS with DO. If an upstream says of that that there is no such
// name, it says nothing of other types: whoever reads the cache alone would take it for that.
static void test_the_parent_of_a_special_name_denies_its_type_alone(void **state)
{
    (void)state;
    static const char home[] = "'home' 'arpa' 00 002b 0001 ", opt[] = OPT_DO;
    char query[120], reply[300];
    snprintf(query, sizeof query, "1234 0100 0001 0000 0000 0001 %s%s", home, opt);
    snprintf(reply, sizeof reply, "8183 0001 0000 0001 0001 %sc011%s%s", home, &SOA[4], opt);
    struct table *t = begin((struct setup){0});
    struct made made = world_make(&(struct world){.special = true});
    struct next *next = next_make(t);
    next->local = made.local;
    reload(t, next);
    learn(t, query, reply);
    struct key asked = key_asked(t), denial;
    struct cache_hit hit;
    uint8_t value[512];
    key_make_denial(&denial, &asked);
    struct cache_key cache_key = key_for_cache(&denial);
    assert_int_equal(cache_peek(&t->cache, &cache_key, value, sizeof value, &hit), CACHE_MISS);
    cache_key = key_for_cache(&asked);
    assert_int_equal(cache_peek(&t->cache, &cache_key, value, sizeof value, &hit), CACHE_HIT);
    assert_int_equal(ask(t, 1, query).source, COUNTER_answers_cache);
    free(made.memory);
    end(t);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_zone_is_given_other_upstreams),
        cmocka_unit_test(test_a_zone_comes_between),
        cmocka_unit_test(test_old_answers_are_not_given_as_stale),
        cmocka_unit_test(test_a_reload_while_a_client_waits),
        cmocka_unit_test(test_questions_of_before_are_not_joined),
        cmocka_unit_test(test_other_questions_are_joined),
        cmocka_unit_test(test_rebind_protection_is_switched_on),
        cmocka_unit_test(test_the_prefix_of_dns64_changes),
        cmocka_unit_test(test_an_entry_of_a_block_list_goes),
        cmocka_unit_test(test_old_aliases_are_not_looked_at),
        cmocka_unit_test(test_what_does_not_matter_changes),
        cmocka_unit_test(test_a_cache_is_inherited),
        cmocka_unit_test(test_old_answers_are_not_reported),
        cmocka_unit_test(test_old_answers_are_not_refreshed),
        cmocka_unit_test(test_the_target_of_an_alias_moves_to_another_zone),
        cmocka_unit_test(test_an_alias_stays_within_its_zone_over_a_reload),
        cmocka_unit_test(test_what_holds_is_marked_as_of_the_new_rules),
        cmocka_unit_test(test_the_home_is_asked_to_mark_what_holds),
        cmocka_unit_test(test_a_late_hint_marks_no_local_name),
        cmocka_unit_test(test_the_parent_of_a_special_name_denies_its_type_alone),
    };
    return cmocka_run_group_tests_name("serve_generation", tests, NULL, NULL);
}
