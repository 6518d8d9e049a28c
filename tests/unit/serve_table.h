// SPDX-License-Identifier: MIT
#pragma once
#include "core/serve/control.h"
#include "core/settings/parse.h"

#include "tests/unit/packet.h"

// The bench of the tests of serve: one worker or two over one cache, called by hand. `table` holds
// all that a case needs; `sent` stores what serve_drain returns.

#define START_US          1000000000000000u
#define SECOND_US         1000000u
#define GIVEN_UP_US       4900000u // after which a question has failed
#define SENT_MAX          600
#define WORKERS           2
#define REGION_LEN        ((size_t)2 << 20)
#define SHARDS_PER_WORKER 2

struct sent {
    enum outgoing_kind kind;
    uint16_t port;
    uint16_t number;
    struct endpoint upstream;
    struct client client;
    struct packet packet;
};

struct table {
    struct settings settings;
    struct forward_zone zones[1];
    struct endpoint upstreams[3];
    struct prefix allow[1], refuse[1], drop[1];
    struct zone_table zone_table;
    struct access_list access;
    struct cache cache;
    struct counters counters;
    struct counters before; // when the counters were looked at last
    void *memory[24];
    size_t memory_count;
    struct serve *workers[WORKERS];
    struct serve *serve; // the one that is spoken to
    uint8_t *out;
    size_t out_size;
    size_t room;
    uint64_t now_us;
    struct packet asked;
    struct sent *sent;
    size_t sent_count;
};

struct setup {
    size_t upstreams; // 0: stands for 1
    uint32_t pending_max;
    uint16_t source_ports_max;
    uint16_t upstream_connections_max; // 0: stands for 8
    uint32_t workers;
    const char *zone;
    bool fastest; // the zone's strategy; else ordered
    bool random_case;
    bool cookies;
    bool no_stale;
    bool stale_after_set; // or 1800 ms
    uint64_t stale_after_ms;
    uint64_t stale_max_age_ms; // 0: stands for a day
    bool no_tcp;               // there is no place for a connection
};

static inline void *memory_of(struct table *t, size_t size)
{
    size = (size + 63) / 64 * 64;
    void *memory = aligned_alloc(64, size);
    assert_non_null(memory);
    memset(memory, 0, size);
    assert_in_range(t->memory_count, 0, COUNT_OF(t->memory) - 1);
    t->memory[t->memory_count++] = memory;
    return memory;
}

static inline struct prefix prefix_of(const char *text)
{
    struct prefix prefix;
    assert_true(prefix_parse(&prefix, text, strlen(text)));
    return prefix;
}

// Clients of 192.0.2.0/24 are served, but 192.0.2.128/26 is refused and 192.0.2.192/26 dropped.
static inline void settings_make(struct table *t, const struct setup *setup)
{
    settings_init(&t->settings);
    forward_zone_init(&t->zones[0]);
    const char *zone = setup->zone ? setup->zone : ".";
    assert_true(name_parse(&t->zones[0].zone, zone, strlen(zone)));
    t->zones[0].strategy = setup->fastest ? FORWARD_FASTEST : FORWARD_ORDERED;
    for (uint8_t i = 0; i < COUNT_OF(t->upstreams); i++)
        t->upstreams[i].address = (struct address){
            .ip = {198, 51, 100, (uint8_t)(i + 1)}, .port = 53, .family = ADDRESS_IPV4};
    t->zones[0].to = (struct endpoint_list){t->upstreams, setup->upstreams ? setup->upstreams : 1};
    t->settings.forward = (struct forward_zone_list){t->zones, 1};
    t->allow[0] = prefix_of("192.0.2.0/24");
    t->refuse[0] = prefix_of("192.0.2.128/26");
    t->drop[0] = prefix_of("192.0.2.192/26");
    t->settings.access_allow = (struct prefix_list){t->allow, 1};
    t->settings.access_refuse = (struct prefix_list){t->refuse, 1};
    t->settings.access_drop = (struct prefix_list){t->drop, 1};
    // Off where a test does not ask for them, so that queries have the octets that it says.
    t->settings.upstream_random_case = setup->random_case;
    t->settings.upstream_cookies = setup->cookies;
    if (setup->stale_after_set)
        t->settings.cache_stale_answer_after = setup->stale_after_ms;
    if (setup->no_stale || setup->stale_max_age_ms > 0)
        t->settings.cache_stale_max_age = setup->stale_max_age_ms;
}

static inline struct table *begin(struct setup setup)
{
    struct table *t = calloc(1, sizeof *t);
    assert_non_null(t);
    uint32_t workers = setup.workers ? setup.workers : 1;
    uint32_t shards = SHARDS_PER_WORKER * workers;
    t->now_us = START_US;
    settings_make(t, &setup);
    assert_null(zone_table_build(&t->zone_table, memory_of(t, zone_table_size(&t->settings)),
                                 &t->settings));
    access_build(&t->access, memory_of(t, access_size(&t->settings)), &t->settings);
    assert_int_equal(cache_format(&t->cache, memory_of(t, REGION_LEN), REGION_LEN, shards, 99), 0);
    for (uint32_t i = 0; i < workers; i++) {
        struct serve_config config = {
            .settings = &t->settings,
            .zone_table = &t->zone_table,
            .access = &t->access,
            .cache = &t->cache,
            .counters = &t->counters,
            .worker = i,
            .worker_count = workers,
            .pending_max = setup.pending_max ? setup.pending_max : 64,
            .source_ports_max = setup.source_ports_max ? setup.source_ports_max : 128,
            .upstream_connections_max = setup.no_tcp ? 0
                                        : setup.upstream_connections_max
                                            ? setup.upstream_connections_max
                                            : 8,
            .seed = {[0] = (uint8_t)(i + 1)},
        };
        t->workers[i] = serve_init(memory_of(t, serve_size(&config)), &config, t->now_us);
    }
    t->serve = t->workers[0];
    t->room = serve_reply_room(t->serve);
    t->out_size = SERVE_BATCH_MAX * t->room;
    t->out = memory_of(t, t->out_size);
    t->sent = calloc(SENT_MAX, sizeof *t->sent);
    assert_non_null(t->sent);
    return t;
}

static inline void end(struct table *t)
{
    for (size_t i = 0; i < t->memory_count; i++)
        free(t->memory[i]);
    free(t->sent);
    free(t);
}

// The client with this last octet; its port tells clients apart too.
static inline struct client client(uint8_t host)
{
    return (struct client){
        .from = {.ip = {192, 0, 2, host}, .port = (uint16_t)(1000 + host), .family = ADDRESS_IPV4},
        .listener = host % 3};
}

static inline struct serve_item ask_as(struct table *t, struct serve_item item, const char *query)
{
    t->asked = packet_of(query);
    item.in = exact_copy(t->asked.bytes, t->asked.len);
    item.in_len = (uint16_t)t->asked.len;
    size_t used = serve_queries(t->serve, t->now_us, &item, 1, t->out, t->out_size);
    assert_true(item.verdict != SERVE_ANSWERED || used >= item.out_len);
    free((void *)(uintptr_t)item.in);
    return item;
}

static inline struct serve_item ask(struct table *t, uint8_t host, const char *query)
{
    return ask_as(t, (struct serve_item){.client = client(host)}, query);
}

static inline void ask_waiting(struct table *t, uint8_t host, const char *query)
{
    assert_int_equal(ask(t, host, query).verdict, SERVE_WAITING);
}

static inline void ask_answered(struct table *t, uint8_t host, const char *query, const char *reply)
{
    struct serve_item item = ask(t, host, query);
    assert_int_equal(item.verdict, SERVE_ANSWERED);
    assert_ptr_equal(item.out, t->out);
    assert_packet(item.out, item.out_len, reply);
}

static inline bool has_message(enum outgoing_kind kind)
{
    return kind == OUTGOING_REPLY || kind == OUTGOING_QUERY || kind == OUTGOING_MESSAGE;
}

// Fetches all that is to be done and returns how many things that were. What is sent on a
// connection is stored without its length, which must be right.
static inline size_t drain(struct table *t)
{
    uint8_t *bytes = malloc(t->room);
    assert_non_null(bytes);
    t->sent_count = 0;
    for (;;) {
        struct outgoing outgoing = {.bytes = bytes};
        if (!serve_drain(t->serve, t->now_us, &outgoing))
            break;
        assert_in_range(t->sent_count, 0, SENT_MAX - 1);
        struct sent *sent = &t->sent[t->sent_count++];
        *sent = (struct sent){
            .kind = outgoing.kind, .port = outgoing.slot, .number = outgoing.source_port};
        if (outgoing.kind == OUTGOING_REPLY)
            sent->client = outgoing.client;
        else if (outgoing.kind != OUTGOING_CLOSE && outgoing.kind != OUTGOING_DISCONNECT)
            sent->upstream = *outgoing.upstream;
        if (has_message(outgoing.kind)) {
            size_t head = outgoing.kind == OUTGOING_MESSAGE ? 2 : 0;
            assert_in_range(outgoing.len, head + 12, t->room);
            sent->packet.len = outgoing.len - head;
            memcpy(sent->packet.bytes, bytes + head, sent->packet.len);
            assert_true(head == 0 || load_be16(bytes) == sent->packet.len);
        }
    }
    free(bytes);
    return t->sent_count;
}

// The opening of a port or connection and what is sent from it must stand at this place of what
// was drained; returns the latter.
static inline struct sent sent_at(const struct table *t, size_t at, enum outgoing_kind open)
{
    const struct sent *sent = t->sent + at;
    assert_in_range(at + 2, 2, t->sent_count);
    assert_int_equal(sent[0].kind, open);
    assert_int_equal(sent[1].kind, open == OUTGOING_OPEN ? OUTGOING_QUERY : OUTGOING_MESSAGE);
    assert_int_equal(sent[0].port, sent[1].port);
    if (open == OUTGOING_OPEN)
        assert_in_range(sent[0].number, 1024, 65535);
    assert_true(endpoint_equal(&sent[0].upstream, &sent[1].upstream));
    return sent[1];
}

// The first of a kind among what was drained.
static inline struct sent first_of(const struct table *t, enum outgoing_kind kind)
{
    for (size_t i = 0; i < t->sent_count; i++) {
        if (t->sent[i].kind == kind)
            return t->sent[i];
    }
    fail_msg("there is none among %zu", t->sent_count);
    return (struct sent){0};
}

// Drains what must be the opening of a port and a query from it, and returns the query.
static inline struct sent query_sent(struct table *t)
{
    assert_int_equal(drain(t), 2);
    return sent_at(t, 0, OUTGOING_OPEN);
}

// The same of a connection, which may be open already.
static inline struct sent message_sent(struct table *t)
{
    if (drain(t) == 2)
        return sent_at(t, 0, OUTGOING_CONNECT);
    assert_int_equal(t->sent_count, 1);
    assert_int_equal(t->sent[0].kind, OUTGOING_MESSAGE);
    return t->sent[0];
}

// Which of the upstreams something went to.
static inline size_t where(const struct table *t, const struct sent *sent)
{
    size_t i = 0;
    while (!endpoint_equal(&sent->upstream, &t->upstreams[i]))
        assert_in_range(++i, 0, COUNT_OF(t->upstreams) - 1);
    return i;
}

// Gives what was sent to an upstream a reply, with its ID and this behind it.
static inline void reply_from(struct table *t, const struct sent *query, const char *rest)
{
    char text[5000];
    snprintf(text, sizeof text, "%02x%02x %s", query->packet.bytes[0], query->packet.bytes[1],
             rest);
    struct packet packet = packet_of(text);
    uint8_t *bytes = exact_copy(packet.bytes, packet.len);
    if (query->kind == OUTGOING_MESSAGE)
        serve_message(t->serve, t->now_us, query->port, bytes, packet.len);
    else
        serve_reply(t->serve, t->now_us, query->port, bytes, packet.len);
    free(bytes);
}

// The same with the question as it was sent, letter by letter: `head` is what stands before it,
// from the flags to the counts, and `tail` what stands behind it.
static inline void reply_to(struct table *t, const struct sent *query, const char *head,
                            const char *tail)
{
    char text[4000];
    const uint8_t *question = query->packet.bytes + MESSAGE_HEADER_LEN;
    size_t at = (size_t)snprintf(text, sizeof text, "%s ", head);
    for (size_t i = 0; i < name_length(question, NAME_MAX_LEN) + 4; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%02x", question[i]);
    snprintf(text + at, sizeof text - at, " %s", tail);
    reply_from(t, query, text);
}

// Lets time pass and wakes serve whenever it wants to be. Stops where something is sent, opened or
// reported, which then stands in `sent`; false: there was nothing until then.
static inline bool pass_until(struct table *t, uint64_t until_us)
{
    for (;;) {
        uint64_t deadline_us = serve_deadline(t->serve);
        if (deadline_us > until_us)
            break;
        t->now_us = deadline_us > t->now_us ? deadline_us : t->now_us;
        serve_expire(t->serve, t->now_us);
        for (size_t i = drain(t); i-- > 0;) {
            if (t->sent[i].kind != OUTGOING_CLOSE && t->sent[i].kind != OUTGOING_DISCONNECT)
                return true;
        }
    }
    t->now_us = until_us;
    return false;
}

// Nothing happens for so long, and then something does, at most a tick later.
static inline void assert_after(struct table *t, uint64_t us)
{
    uint64_t wanted_us = t->now_us + us;
    assert_true(pass_until(t, wanted_us + 60 * SECOND_US));
    if (t->now_us < wanted_us || t->now_us > wanted_us + 1000)
        fail_msg("%lld us late", (long long)(t->now_us - wanted_us));
}

static inline void assert_quiet(struct table *t, uint64_t us)
{
    assert_false(pass_until(t, t->now_us + us));
}

// ICMP reports everything sent, before and from now on, as undeliverable, until a
// client gets an answer, which is then the last in `sent`.
static inline void refuse_until_told(struct table *t)
{
    while (t->sent[t->sent_count - 1].kind != OUTGOING_REPLY) {
        for (size_t i = 0; i < t->sent_count; i++) {
            if (t->sent[i].kind == OUTGOING_QUERY)
                serve_unreachable(t->serve, t->now_us, t->sent[i].port);
            else if (t->sent[i].kind == OUTGOING_CONNECT)
                serve_closed(t->serve, t->now_us, t->sent[i].port);
        }
        if (drain(t) == 0)
            assert_true(pass_until(t, t->now_us + SECOND_US));
    }
}

// With nothing under way any more, all that is left to do is to close the source ports one after
// the other as they grow old, and the connections; then nothing is to be waited for.
static inline void settle(struct table *t)
{
    uint64_t end_us = t->now_us + 15 * SECOND_US;
    while (serve_deadline(t->serve) != WHEEL_NEVER) {
        assert_true(serve_deadline(t->serve) <= end_us);
        t->now_us = serve_deadline(t->serve);
        serve_expire(t->serve, t->now_us);
        for (size_t i = drain(t); i-- > 0;)
            assert_true(t->sent[i].kind == OUTGOING_CLOSE ||
                        t->sent[i].kind == OUTGOING_DISCONNECT);
    }
    assert_int_equal(counter_get(&t->counters, COUNTER_ports), 0);
    assert_int_equal(counter_get(&t->counters, COUNTER_upstream_connections), 0);
    assert_int_equal(counter_get(&t->counters, COUNTER_pending), 0);
    assert_int_equal(counter_get(&t->counters, COUNTER_waiters), 0);
}

// The question for a zone's own SOA that probes upstreams (forward_probe): of the tests'
// names only the zone's is the root.
static inline bool is_probe(const struct sent *sent)
{
    return (sent->kind == OUTGOING_QUERY || sent->kind == OUTGOING_MESSAGE) &&
           sent->packet.bytes[MESSAGE_HEADER_LEN] == 0;
}

// Writes what is in `sent` without probes, with the milliseconds since then: "u0" is a query to
// upstream 0, "c0" the opening of a connection to it, "t0" what is sent there, and "r" a reply to a
// client.
static inline void story_write(const struct table *t, uint64_t since_us, char *text, size_t size)
{
    static const char letters[] = {
        [OUTGOING_REPLY] = 'r',   [OUTGOING_QUERY] = 'u',      [OUTGOING_CONNECT] = 'c',
        [OUTGOING_MESSAGE] = 't', [OUTGOING_DISCONNECT] = 'd',
    };
    for (size_t i = 0; i < t->sent_count; i++) {
        const struct sent *sent = &t->sent[i];
        size_t at = strlen(text);
        if (sent->kind == OUTGOING_OPEN || sent->kind == OUTGOING_CLOSE || is_probe(sent))
            continue;
        // The connection that one goes over is its own.
        if (sent->kind == OUTGOING_CONNECT && i + 1 < t->sent_count && is_probe(sent + 1))
            continue;
        at += (size_t)snprintf(text + at, size - at, "%s%u:%c", at ? " " : "",
                               (unsigned)((t->now_us - since_us) / 1000), letters[sent->kind]);
        if (sent->kind != OUTGOING_REPLY && sent->kind != OUTGOING_DISCONNECT)
            snprintf(text + at, size - at, "%zu", where(t, sent));
    }
}

// Drains, and lets pass what follows until then.
static inline void assert_story(struct table *t, uint64_t us, const char *wanted)
{
    char story[2048] = "";
    uint64_t since_us = t->now_us;
    drain(t);
    do
        story_write(t, since_us, story, sizeof story);
    while (pass_until(t, since_us + us));
    assert_string_equal(story, wanted);
}

// Makes the upstreams known: each has answered, the first of them at least as often as this, and
// after so long. What it asks for is not cached.
static inline void meet(struct table *t, uint64_t us, unsigned count)
{
    bool met[COUNT_OF(t->upstreams)] = {0};
    size_t left = t->settings.forward.items[0].to.count;
    for (unsigned n = 0; left > 0 || n < count; n++) {
        char text[128];
        snprintf(text, sizeof text, "1234 0100 0001 0000 0000 0000 'meet' 02 %02x%02x 00 0001 0001",
                 'a' + n / 26, 'a' + n % 26);
        assert_int_equal(ask(t, 1, text).verdict, SERVE_WAITING);
        size_t sent_count = drain(t);
        t->now_us += us;
        for (size_t i = 0; i < sent_count; i++) {
            struct sent query = t->sent[i];
            if (query.kind != OUTGOING_QUERY)
                continue;
            left -= !met[where(t, &query)];
            met[where(t, &query)] = true;
            query.packet.bytes[2] |= HEADER_QR;
            query.packet.bytes[3] |= RCODE_NXDOMAIN;
            serve_reply(t->serve, t->now_us, query.port, query.packet.bytes, query.packet.len);
            struct outgoing outgoing = {.bytes = t->out};
            while (serve_drain(t->serve, t->now_us, &outgoing))
                assert_int_equal(outgoing.kind, OUTGOING_REPLY);
        }
    }
    t->before = t->counters;
}

static inline void assert_reply(const struct sent *sent, uint8_t host, const char *reply)
{
    struct client wanted = client(host);
    assert_int_equal(sent->kind, OUTGOING_REPLY);
    assert_true(address_equal(&sent->client.from, &wanted.from));
    assert_int_equal(sent->client.listener, wanted.listener);
    assert_packet(sent->packet.bytes, sent->packet.len, reply);
}

static const char *const counter_names[COUNTER_COUNT] = {
#define COUNTER(identifier, ...) [COUNTER_##identifier] = #identifier,
#define GAUGE(identifier, ...)
#include "core/settings/counters.def"
#undef COUNTER
#undef GAUGE
};

// What was counted since the last look must be this and nothing else: "queries 2 answers_cache 1".
// A word without a number counts 1.
static inline void assert_counted(struct table *t, const char *wanted)
{
    char is[512] = "";
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        uint64_t more = t->counters.values[i] - t->before.values[i];
        size_t at = strlen(is);
        if (counter_names[i] && more == 1)
            snprintf(is + at, sizeof is - at, "%s%s", at ? " " : "", counter_names[i]);
        else if (counter_names[i] && more > 1)
            snprintf(is + at, sizeof is - at, "%s%s %d", at ? " " : "", counter_names[i],
                     (int)more);
    }
    assert_string_equal(is, wanted);
    t->before = t->counters;
}

static inline uint64_t gauge(const struct table *t, enum counter which)
{
    return counter_get(&t->counters, which);
}

#define NAME    "'www' 'example' 00 "
#define ASK     NAME "0001 0001 "
#define ONE     "0001 0000 0000 0000 "
#define ONE_OPT "0001 0000 0000 0001 "
#define OPT     "00 0029 04d0 00 00 0000 0000 "
#define OPT_DO  "00 0029 04d0 00 00 8000 0000 "
#define EDE_22  "00 0029 04d0 00 00 0000 0006 000f 0002 0016 "
#define QUERY   "1234 0100 " ONE ASK
#define A(ttl)  "c00c 0001 0001 " ttl " 0004 c0000201 "
#define COUNTS1 "0001 0001 0000 0000 "
#define GOOD    "8180 " COUNTS1 ASK A("0000012c")
#define FAILED  "8182 " ONE ASK
#define REFUSED "8185 " ONE ASK
#define ANSWER  "1234 8180 " COUNTS1 ASK A("0000012c")
