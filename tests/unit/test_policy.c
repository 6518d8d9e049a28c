// SPDX-License-Identifier: MIT
#include "core/policy/policy.h"

#include "core/settings/parse.h"
#include "tests/unit/local_table.h"

// Which rule decides where several could: the order of core/policy/policy.h.

#define NAME        "'www' 'example' 00 "
#define ASK         NAME "0001 0001 "
#define QUERY       "1234 0100 0001 0000 0000 0000 " ASK
#define NOT_DNS     "1234 0100 0002 0000 0000 0000 " ASK // FORMERR
#define CHAOS       "1234 0100 0001 0000 0000 0000 'version' 'bind' 00 0010 0003"
#define OPT(option) "1234 0100 0001 0000 0000 0001 " ASK "00 0029 04d0 00 00 0000 " option

enum from { ALLOWED = 1, REFUSED = 130, DROPPED = 200 };

struct world_of_policy {
    struct policy policy;
    struct settings settings;
    struct forward_zone zone;
    struct endpoint upstream;
    struct prefix allow, refuse, drop;
    struct access_list access;
    struct zone_table zone_table;
    struct cache cache;
    struct counters counters;
    struct answer_limits limits;
    void *memory[4];
};

static struct prefix prefix_of(const char *text)
{
    struct prefix prefix;
    assert_true(prefix_parse(&prefix, text, strlen(text)));
    return prefix;
}

// As in serve_table.h: 192.0.2.0/24 is served, 192.0.2.128/26 refused, 192.0.2.192/26 dropped.
static void begin(struct world_of_policy *w, const struct local *local, uint64_t qps,
                  enum any_answer any)
{
    static const uint8_t seed[32] = {1};
    static const struct cookie_source cookies = {.count = 1};
    static const uint64_t loop_seed[2] = {1, 2};
    memset(w, 0, sizeof *w);
    settings_init(&w->settings);
    forward_zone_init(&w->zone);
    assert_true(name_parse(&w->zone.zone, ".", 1));
    w->upstream.address =
        (struct address){.ip = {198, 51, 100, 1}, .port = 53, .family = ADDRESS_IPV4};
    w->zone.to = (struct endpoint_list){&w->upstream, 1};
    w->settings.forward = (struct forward_zone_list){&w->zone, 1};
    w->allow = prefix_of("192.0.2.0/24");
    w->refuse = prefix_of("192.0.2.128/26");
    w->drop = prefix_of("192.0.2.192/26");
    w->settings.access_allow = (struct prefix_list){&w->allow, 1};
    w->settings.access_refuse = (struct prefix_list){&w->refuse, 1};
    w->settings.access_drop = (struct prefix_list){&w->drop, 1};
    w->settings.limits_client_qps = qps;
    w->settings.limits_flood_factor = 1;
    w->settings.server_any = any;
    w->limits.udp_payload_max = 1232;
    w->memory[0] = world_memory(zone_table_size(&w->settings));
    assert_null(zone_table_build(&w->zone_table, w->memory[0], &w->settings));
    w->memory[1] = world_memory(access_size(&w->settings));
    access_build(&w->access, w->memory[1], &w->settings);
    w->memory[2] = world_memory(cache_size_min(1));
    assert_int_equal(cache_format(&w->cache, w->memory[2], cache_size_min(1), 1, 7), 0);
    struct policy_config config = {
        .settings = &w->settings,
        .zone_table = &w->zone_table,
        .access = &w->access,
        .local = local,
        .cookies = &cookies,
        .cache = &w->cache,
        .limits = &w->limits,
        .counters = &w->counters,
        .workers = 1,
        .seed = seed,
    };
    w->memory[3] = world_memory(policy_size(&config));
    policy_init(&w->policy, w->memory[3], &config, loop_seed);
    client_limits_time(&w->policy.client_limits, 1000000000);
}

static void end(struct world_of_policy *w)
{
    for (size_t i = 0; i < COUNT_OF(w->memory); i++)
        free(w->memory[i]);
}

struct message_row {
    const char *name;
    const char *message;
    enum policy_verdict verdict;
    uint8_t from; // enum from
    bool no_port, cut, tcp, handed_over, hint;
    uint8_t again; // so often it comes, and the last one counts
    uint8_t qps;
};

static const struct message_row message_rows[] = {
    {.name = "a query", .message = QUERY, .from = ALLOWED, .verdict = POLICY_LOOK_UP},
    {.name = "dropped before it is read",
     .message = "12",
     .from = DROPPED,
     .verdict = POLICY_DROP_ACCESS},
    {.name = "dropped before its port is looked at",
     .message = QUERY,
     .from = DROPPED,
     .no_port = true,
     .cut = true,
     .verdict = POLICY_DROP_ACCESS},
    {.name = "cut before its port is looked at",
     .message = QUERY,
     .from = ALLOWED,
     .no_port = true,
     .cut = true,
     .verdict = POLICY_DROP_CUT},
    {.name = "no port before it is refused",
     .message = QUERY,
     .from = REFUSED,
     .no_port = true,
     .verdict = POLICY_DROP_SOURCE},
    {.name = "too short to be refused",
     .message = "1234 0100",
     .from = REFUSED,
     .verdict = POLICY_DROP_SHORT},
    {.name = "a response is not refused",
     .message = "1234 8100 0001 0000 0000 0000 " ASK,
     .from = REFUSED,
     .verdict = POLICY_DROP_RESPONSE},
    {.name = "refused", .message = QUERY, .from = REFUSED, .verdict = POLICY_REFUSED},
    {.name = "refused before it gets an error",
     .message = NOT_DNS,
     .from = REFUSED,
     .verdict = POLICY_REFUSED},
    {.name = "refused before it gets the identity",
     .message = CHAOS,
     .from = REFUSED,
     .verdict = POLICY_REFUSED},
    {.name = "gets the identity", .message = CHAOS, .from = ALLOWED, .verdict = POLICY_IDENTITY},
    {.name = "gets an error", .message = NOT_DNS, .from = ALLOWED, .verdict = POLICY_ERROR},
    {.name = "a malformed cookie",
     .message = OPT("0008 000a 0004 01020304"),
     .from = ALLOWED,
     .verdict = POLICY_ERROR},
    {.name = "a malformed cookie of a refused client",
     .message = OPT("0008 000a 0004 01020304"),
     .from = REFUSED,
     .verdict = POLICY_REFUSED},
    {.name = "not DNS without end",
     .message = NOT_DNS,
     .from = ALLOWED,
     .again = ERROR_LOOP_MAX + 1,
     .verdict = POLICY_DROP_ERROR_LOOP},
    {.name = "not DNS without end of a refused client",
     .message = NOT_DNS,
     .from = REFUSED,
     .again = ERROR_LOOP_MAX + 1,
     .verdict = POLICY_DROP_ERROR_LOOP},
    {.name = "not DNS without end over TCP",
     .message = NOT_DNS,
     .from = ALLOWED,
     .tcp = true,
     .again = ERROR_LOOP_MAX + 1,
     .verdict = POLICY_ERROR},
    {.name = "far above the quota, before an error",
     .message = NOT_DNS,
     .from = ALLOWED,
     .qps = 1,
     .again = 100,
     .verdict = POLICY_FLOOD},
    {.name = "far above the quota, before it is refused",
     .message = QUERY,
     .from = REFUSED,
     .qps = 1,
     .again = 100,
     .verdict = POLICY_FLOOD},
    {.name = "handed over: admitted by another worker",
     .message = QUERY,
     .from = DROPPED,
     .handed_over = true,
     .qps = 1,
     .again = 100,
     .verdict = POLICY_LOOK_UP},
    {.name = "a hint about nothing",
     .message = NOT_DNS,
     .from = ALLOWED,
     .handed_over = true,
     .hint = true,
     .verdict = POLICY_DROP_HINT},
};

static void test_message_row(void **state)
{
    const struct message_row *row = *state;
    static struct world_of_policy w;
    struct packet packet = packet_of(row->message);
    struct client client = {
        .from = {.ip = {192, 0, 2, row->from}, .port = 1053, .family = ADDRESS_IPV4},
        .transport = row->tcp ? TRANSPORT_TCP : TRANSPORT_UDP,
    };
    enum policy_verdict verdict = POLICY_LOOK_UP;
    begin(&w, NULL, row->qps, ANY_HINFO);
    if (row->no_port)
        client.from.port = 0;
    for (unsigned i = 0; i < (row->again ? row->again : 1u); i++) {
        uint8_t *bytes = exact_copy(packet.bytes, packet.len);
        struct policy_message message = {
            .client = &client,
            .bytes = bytes,
            .len = packet.len,
            .handed_over = row->handed_over,
            .cut = row->cut,
        };
        struct query query;
        struct reply_options options;
        struct policy_reading reading = policy_before(&w.policy, &message, &query);
        verdict = reading.verdict;
        if (verdict == POLICY_UNUSUAL)
            verdict =
                policy_before_unusual(&w.policy, &message, row->hint, reading, &query, &options);
        free(bytes);
    }
    assert_int_equal(verdict, row->verdict);
    end(&w);
}

struct name_row {
    const char *name;
    struct world local;
    enum policy_verdict verdict;
    uint16_t type; // 0: A
    uint8_t any;   // enum any_answer
};

static const struct name_row name_rows[] = {
    {.name = "nothing is said of a name", .verdict = POLICY_LOOK_UP},
    {.name = "a record", .local = {.records = "www.example. A 192.0.2.9"}, .verdict = POLICY_LOCAL},
    {.name = "a record before a list",
     .local = {.records = "www.example. A 192.0.2.9", .block = "example"},
     .verdict = POLICY_LOCAL},
    {.name = "a list", .local = {.block = "example"}, .verdict = POLICY_BLOCKED},
    {.name = "an exception",
     .local = {.block = "example", .allow = "www.example"},
     .verdict = POLICY_LOOK_UP},
    {.name = "a list before ANY",
     .local = {.block = "example"},
     .type = TYPE_ANY,
     .verdict = POLICY_BLOCKED},
    {.name = "ANY", .type = TYPE_ANY, .verdict = POLICY_ANY},
    {.name = "ANY over UDP, to come over TCP",
     .type = TYPE_ANY,
     .any = ANY_TCP,
     .verdict = POLICY_ANY},
    {.name = "ANY of an upstream", .type = TYPE_ANY, .any = ANY_FORWARD, .verdict = POLICY_LOOK_UP},
};

static void test_name_row(void **state)
{
    const struct name_row *row = *state;
    static struct world_of_policy w;
    uint8_t out[2048];
    struct made made = world_make(&row->local);
    begin(&w, made.local, 0, (enum any_answer)row->any);
    struct packet packet = packet_of(QUERY);
    if (row->type)
        store_be16(packet.bytes + packet.len - 4, row->type);
    struct query query;
    struct key key;
    assert_int_equal(query_read(&query, packet.bytes, packet.len), QUERY_GOOD);
    query.transport = TRANSPORT_UDP;
    query.proven = false;
    key_make(&key, &query, w.cache.seed);
    for (unsigned i = 0; i < 2; i++) { // the second time it is known
        struct policy_decision decision =
            policy_before_name(&w.policy, 1000000000, &query, &key, out, sizeof out, 0);
        assert_int_equal(decision.verdict, row->verdict);
        assert_int_equal(decision.len > 0,
                         row->verdict == POLICY_LOCAL || row->verdict == POLICY_BLOCKED);
    }
    free(made.memory);
    end(&w);
}

#define ROWS(run, rows) tests_of_rows(tests + count, run, rows, sizeof *(rows), COUNT_OF(rows))

int main(void)
{
    static struct CMUnitTest tests[COUNT_OF(message_rows) + COUNT_OF(name_rows)];
    size_t count = 0;
    count += ROWS(test_message_row, message_rows);
    count += ROWS(test_name_row, name_rows);
    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
