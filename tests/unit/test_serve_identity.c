// SPDX-License-Identifier: MIT
#include "tests/unit/serve_table.h"

// What a worker says of itself: NSID (RFC 5001), keepalive (RFC 7828), names of class CH, and the
// small answer to a question for all types (RFC 8482).

#define QUERY_OPT  "1234 0100 " ONE_OPT ASK
#define ANSWER_OPT "1234 8180 0001 0001 0000 0001 " ASK A("0000012c")
#define OPT_OF(n)  "00 0029 04d0 00 00 0000 " n " "
#define NSID       "0003 0000 "
#define NSID_NS1   "0003 0003 6e7331 "
#define KEEPALIVE  "000b 0000 "
#define TENTHS_100 "000b 0002 0064 "
#define ID_SERVER  "'id' 'server' 00 "
#define VERSION    "'version' 'bind' 00 "
#define TXT_CH     "0010 0003 "
#define ANY        NAME "00ff 0001 "
#define HINFO      "c00c 000d 0001 00000e10 0009 07 52464338343832 00 "

static void identity_set(struct table *t, const char *text)
{
    t->settings.server_identity = (struct short_text){.len = (uint8_t)strlen(text)};
    strcpy(t->settings.server_identity.text, text);
}

// Puts the answer to QUERY into memory.
static void learn(struct table *t)
{
    ask_waiting(t, 1, QUERY);
    struct sent query = query_sent(t);
    reply_to(t, &query, "8180 " COUNTS1, A("0000012c"));
    drain(t);
    t->before = t->counters;
}

struct option_row {
    const char *name;
    const char *asked; // the OPT record
    const char *told;
    bool tcp;
    bool nameless; // the server has no identity
};

static const struct option_row option_rows[] = {
    {"NSID", OPT_OF("0004") NSID, OPT_OF("0007") NSID_NS1, false, false},
    {"NSID that has a value", OPT_OF("0006") "0003 0002 ffff", OPT_OF("0007") NSID_NS1, false,
     false},
    {"NSID twice", OPT_OF("0008") NSID NSID, OPT_OF("0007") NSID_NS1, false, false},
    {"NSID of a server without a name", OPT_OF("0004") NSID, OPT_OF("0000"), false, true},
    {"NSID not asked for", OPT_OF("0000"), OPT_OF("0000"), false, false},
    {"keepalive over TCP", OPT_OF("0004") KEEPALIVE, OPT_OF("0006") TENTHS_100, true, false},
    {"keepalive over UDP", OPT_OF("0004") KEEPALIVE, OPT_OF("0000"), false, false},
    {"keepalive with a value over TCP", OPT_OF("0006") TENTHS_100, OPT_OF("0000"), true, false},
    {"both over TCP", OPT_OF("0008") KEEPALIVE NSID, OPT_OF("000d") NSID_NS1 TENTHS_100, true,
     false},
    {"both over UDP", OPT_OF("0008") KEEPALIVE NSID, OPT_OF("0007") NSID_NS1, false, false},
};

// From memory, from upstream and with an error: the options are the same.
static void test_option_row(void **state)
{
    const struct option_row *row = *state;
    struct table *t = begin((struct setup){0});
    char query[256], reply[256];
    struct serve_item item = {.client = client(2)};
    item.client.transport = row->tcp ? TRANSPORT_TCP : TRANSPORT_UDP;
    identity_set(t, row->nameless ? "" : "ns1");
    snprintf(query, sizeof query, "%s%s", QUERY_OPT, row->asked);
    struct serve_item waits = ask_as(t, item, query);
    assert_int_equal(waits.verdict, SERVE_WAITING);
    struct sent sent = query_sent(t);
    reply_to(t, &sent, "8180 " COUNTS1, A("0000012c"));
    assert_int_equal(drain(t), 1);
    snprintf(reply, sizeof reply, "%s%s", ANSWER_OPT, row->told);
    assert_packet(t->sent[0].packet.bytes, t->sent[0].packet.len, reply);
    item = ask_as(t, item, query);
    assert_int_equal(item.verdict, SERVE_ANSWERED);
    assert_packet(item.out, item.out_len, reply);
    snprintf(query, sizeof query, "1234 0100 %s%s00fc 0001 %s", ONE_OPT, NAME, row->asked);
    snprintf(reply, sizeof reply, "1234 8185 %s%s00fc 0001 %s", ONE_OPT, NAME, row->told);
    item = ask_as(t, item, query);
    assert_packet(item.out, item.out_len, reply);
    end(t);
}

// An idle timeout beyond the range of the option is sent as its maximum.
static void test_keepalive_is_bounded(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    struct serve_item item = {.client = client(2)};
    item.client.transport = TRANSPORT_TCP;
    learn(t);
    t->settings.server_tcp_idle_timeout = 7200000;
    item = ask_as(t, item, QUERY_OPT OPT_OF("0004") KEEPALIVE);
    assert_packet(item.out, item.out_len, ANSWER_OPT OPT_OF("0006") "000b 0002 ffff");
    end(t);
}

// The longest name of a server fits into what every client takes.
static void test_longest_identity(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    char identity[IDENTITY_LEN_MAX + 1];
    memset(identity, 'x', IDENTITY_LEN_MAX);
    identity[IDENTITY_LEN_MAX] = '\0';
    identity_set(t, identity);
    learn(t);
    struct serve_item item = ask(t, 1, QUERY_OPT OPT_OF("0004") NSID);
    assert_int_equal(item.out_len, 12 + 17 + 16 + 11 + 4 + 63);
    item = ask(t, 1, "1234 0100 " ONE ID_SERVER TXT_CH);
    assert_int_equal(item.out_len, 12 + 15 + 12 + 64);
    end(t);
}

struct chaos_row {
    const char *name;
    const char *question;
    bool version;
    bool identity;
    const char *answer; // without the front; NULL: refused
};

#define NS1 "c00c 0010 0003 00000000 0004 03 6e7331"

static const struct chaos_row chaos_rows[] = {
    {"id.server", ID_SERVER TXT_CH, false, true, NS1},
    {"hostname.bind", "'hostname' 'bind' 00 " TXT_CH, false, true, NS1},
    {"in capitals", "'ID' 'Server' 00 " TXT_CH, false, true, NS1},
    {"for all types", ID_SERVER "00ff 0003 ", false, true, NS1},
    {"id.server of a server without a name", ID_SERVER TXT_CH, true, false, NULL},
    {"version.bind where it is off", VERSION TXT_CH, false, true, NULL},
    {"another name", "'authors' 'bind' 00 " TXT_CH, true, true, NULL},
    {"a name below", "'a' 'id' 'server' 00 " TXT_CH, true, true, NULL},
    {"another type", ID_SERVER "0001 0003 ", true, true, NULL},
    {"AXFR", ID_SERVER "00fc 0003 ", true, true, NULL},
    {"class HS", ID_SERVER "0010 0004 ", true, true, NULL},
    {"class ANY", ID_SERVER "0010 00ff ", true, true, NULL},
};

static void test_chaos_row(void **state)
{
    const struct chaos_row *row = *state;
    struct table *t = begin((struct setup){0});
    char query[256], reply[256];
    identity_set(t, row->identity ? "ns1" : "");
    t->settings.server_version = row->version;
    snprintf(query, sizeof query, "1234 0100 %s%s", ONE, row->question);
    snprintf(reply, sizeof reply, "1234 %s%s%s", row->answer ? "8580 " COUNTS1 : "8185 " ONE,
             row->question, row->answer ? row->answer : "");
    ask_answered(t, 1, query, reply);
    assert_counted(t, row->answer ? "queries answers_local" : "queries answers_refused");
    // A refused client gets REFUSED for this too.
    struct serve_item item = ask(t, 130, query);
    assert_int_equal(item.out[3], RCODE_REFUSED);
    assert_int_equal(load_be16(item.out + 6), 0);
    end(t);
}

static void test_version(void **state)
{
    static const char *const names[] = {VERSION, "'VERSION' 'Server' 00 "};
    static const char version[] = "ouzel " OUZEL_VERSION;
    (void)state;
    struct table *t = begin((struct setup){0});
    t->settings.server_version = true;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char query[128];
        snprintf(query, sizeof query, "1234 0100 %s%s%s%s", ONE_OPT, names[i], TXT_CH, OPT);
        struct serve_item item = ask(t, 1, query);
        size_t at = item.out_len - OPT_LEN - strlen(version);
        assert_int_equal(load_be16(item.out + 6), 1);
        assert_memory_equal(item.out + at, version, strlen(version));
        assert_int_equal(item.out[at - 1], strlen(version));
        assert_int_equal(load_be16(item.out + at - 3), strlen(version) + 1);
    }
    end(t);
}

// --- ANY ---------------------------------------------------------------------------------------

static void test_any_gets_one_record(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    const char *reply = "1234 8580 " COUNTS1 ANY HINFO;
    learn(t);
    ask_answered(t, 1, "1234 0100 " ONE ANY, reply);
    assert_counted(t, "queries answers_local");
    ask_answered(t, 1, "1234 0110 " ONE_OPT ANY OPT_DO,
                 "1234 8590 0001 0001 0000 0001 " ANY HINFO OPT_DO);
    ask_answered(t, 1, "1234 0000 " ONE ANY, "1234 8480 " COUNTS1 ANY HINFO);
    struct serve_item item = {.client = client(2)};
    item.client.transport = TRANSPORT_TCP;
    item = ask_as(t, item, "1234 0100 " ONE ANY);
    assert_packet(item.out, item.out_len, reply);
    assert_int_equal(drain(t), 0);
    end(t);
}

static void test_any_is_asked_for_over_tcp(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    t->settings.server_any = ANY_TCP;
    ask_answered(t, 1, "1234 0100 " ONE ANY, "1234 8380 " ONE ANY);
    assert_counted(t, "queries answers_local truncated");
    struct serve_item item = {.client = client(2)};
    item.client.transport = TRANSPORT_TCP;
    item = ask_as(t, item, "1234 0100 " ONE ANY);
    assert_int_equal(item.verdict, SERVE_WAITING);
    end(t);
}

static void test_any_is_forwarded_where_that_is_wanted(void **state)
{
    (void)state;
    struct table *t = begin((struct setup){0});
    t->settings.server_any = ANY_FORWARD;
    ask_waiting(t, 1, "1234 0100 " ONE ANY);
    struct sent query = query_sent(t);
    reply_to(t, &query, "8180 " COUNTS1, A("0000012c"));
    drain(t);
    ask_answered(t, 1, "1234 0100 " ONE ANY, "1234 8180 " COUNTS1 ANY A("0000012c"));
    end(t);
}

static const struct CMUnitTest others[] = {
    cmocka_unit_test(test_keepalive_is_bounded),
    cmocka_unit_test(test_longest_identity),
    cmocka_unit_test(test_version),
    cmocka_unit_test(test_any_gets_one_record),
    cmocka_unit_test(test_any_is_asked_for_over_tcp),
    cmocka_unit_test(test_any_is_forwarded_where_that_is_wanted),
};

#define ROWS(run, rows) tests_of_rows(tests + count, run, rows, sizeof *(rows), COUNT_OF(rows))

int main(void)
{
    struct CMUnitTest tests[COUNT_OF(option_rows) + COUNT_OF(chaos_rows) + COUNT_OF(others)];
    size_t count = 0;
    count += ROWS(test_option_row, option_rows);
    count += ROWS(test_chaos_row, chaos_rows);
    memcpy(tests + count, others, sizeof others);
    return cmocka_run_group_tests_name("serve own", tests, NULL, NULL);
}
