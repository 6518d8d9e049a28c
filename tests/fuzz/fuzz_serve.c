// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz_serve.h"
#include "core/policy/cookie.h"
#include "core/serve/serve.h"
#include "core/settings/parse.h"
#include "tests/fuzz/target.h"
#include "tests/sim/strict.h"

#include <stdio.h>

// An input is a script of what happens to a worker: queries, replies over datagrams and
// connections, time that passes or leaps, bad news. The driver keeps the contract of
// core/serve/serve.h whatever the script says, and checks what is cheap to check. The simulator
// (tests/sim) knows what the answers should be; here the octets are worse.

enum {
    PENDING = 4,
    PORTS = 4,
    CONNECTIONS = 3,
    CLIENTS = 512,
    SENT = 64,
    STEPS = 200,
    TICK_US = 1000,
    DEADLINE_US = 5000000,
    RAW_MAX = 400,
    AGAIN = CACHE_HITS_MAX + 1,
};

enum operation {
    OP_QUERY,
    OP_RAW_QUERY,
    OP_ANSWER,
    OP_SPOILED_ANSWER,
    OP_RAW_ANSWER,
    OP_WAIT,
    OP_WAIT_LONG,
    OP_UNREACHABLE,
    OP_REFUSE,
    OP_LATER,
    OP_STREAM_CLOSED,
    OP_LEAP,
    OP_COUNT
};

// What an answer is, besides its flags: bits of an octet.
enum {
    ANSWER_LOWERED = 1,   // the name in lower case, however it was spelled
    ANSWER_COOKIE = 2,    // with the cookie of the query and a server's
    ANSWER_BADCOOKIE = 4, // and the word that the query's was not good
    ANSWER_BARE = 8,      // a header alone
};

struct waiting {
    uint64_t since_us;
    uint16_t id;
    bool waits;
};

// A query that left for an upstream.
struct departed {
    bool tcp;      // over a connection
    uint16_t port; // or its slot
    uint16_t len;
    uint8_t bytes[UPSTREAM_QUERY_MAX];
};

struct world {
    struct serve *serve;
    struct cache cache;
    struct counters counters;
    uint64_t now_us;
    uint32_t client_count;
    uint32_t answered, dropped, elsewhere, hinted, opens, closes, sends;
    uint32_t connects, disconnects, messages;
    uint32_t sent_count;
    unsigned refuse;     // so many of the next ports and connections cannot be opened
    bool later;          // the next drain is put off
    uint8_t open[PORTS]; // 0 free, 1 open, 2 could not be opened
    bool connected[CONNECTIONS];
    struct waiting clients[CLIENTS];
    struct departed sent[SENT];
};

static struct world world;
static struct settings settings;
static struct forward_zone zones[2];
static struct endpoint endpoints[3];
static struct prefix prefixes[4];
static struct zone_table zone_table;
static struct access_list access_list;
static void *memory, *region;
static size_t region_size;
static struct beside *beside; // NULL: none

static void settings_make(void)
{
    settings_init(&settings);
    for (unsigned i = 0; i < 3; i++)
        endpoints[i].address =
            (struct address){.ip = {192, 0, 2, (uint8_t)i}, .family = ADDRESS_IPV4, .port = 53};
    forward_zone_init(&zones[0]);
    forward_zone_init(&zones[1]);
    assert(name_parse(&zones[1].zone, "b.", 2));
    zones[0].zone = (struct name){.len = 1};
    zones[0].to = (struct endpoint_list){.items = endpoints, .count = 2};
    zones[1].to = (struct endpoint_list){.items = endpoints + 1, .count = 2};
    settings.forward = (struct forward_zone_list){.items = zones, .count = 2};
    prefixes[0] = (struct prefix){.family = ADDRESS_IPV4};
    prefixes[1] = (struct prefix){.ip = {10, 1}, .length = 16, .family = ADDRESS_IPV4};
    prefixes[2] = (struct prefix){.ip = {10, 2}, .length = 16, .family = ADDRESS_IPV4};
    settings.access_allow = (struct prefix_list){.items = prefixes, .count = 1};
    settings.access_refuse = (struct prefix_list){.items = prefixes + 1, .count = 1};
    settings.access_drop = (struct prefix_list){.items = prefixes + 2, .count = 1};
    assert(!zone_table_build(&zone_table, malloc(zone_table_size(&settings)), &settings));
    access_build(&access_list, malloc(access_size(&settings)), &settings);
}

static void world_make(uint8_t choice)
{
    uint32_t shards = 1 + (choice & 1);
    if (!region) {
        settings_make();
        region_size = (cache_size_min(2) + 63) & ~(size_t)63;
        region = aligned_alloc(64, region_size);
    }
    static const struct cookie_source cookies = {.keys = {"known to anybody"}, .count = 1};
    struct serve_config config = {
        .settings = &settings,
        .zone_table = &zone_table,
        .access = &access_list,
        .cookies = &cookies,
        .cache = &world.cache,
        .counters = &world.counters,
        .worker_count = shards,
        .pending_max = choice & 2 ? 1 : PENDING,
        .source_ports_max = choice & 4 ? 1 : PORTS,
        .upstream_connections_max = choice & 4 ? 1 : CONNECTIONS,
        .seed = {choice},
    };
    settings.upstream_random_case = settings.upstream_cookies = choice & 8;
    settings.server_version = choice & 16;
    settings.server_identity.len = choice & 16 ? 5 : 0;
    memcpy(settings.server_identity.text, "ouzel", sizeof "ouzel");
    settings.limits_client_qps = choice >> 6 == 3 || !memory; // few, and a flood soon
    settings.limits_burst = 100;
    settings.limits_flood_factor = 2;
    settings.limits_clients = 16;
    if (!memory) {
        struct serve_config largest = config;
        largest.pending_max = PENDING;
        largest.source_ports_max = PORTS;
        largest.upstream_connections_max = CONNECTIONS;
        memory = aligned_alloc(64, (serve_size(&largest) + 63) & ~(size_t)63);
        settings.limits_client_qps = choice >> 6 == 3;
    }
    assert(region && memory);
    memset(&world, 0, sizeof world);
    size_t size = fuzz_serve_cache_size(shards);
    void *cache = beside ? beside->region(beside, shards, size) : memset(region, 0, size);
    assert(cache && cache_format(&world.cache, cache, size, shards, 1) == 0);
    // Near where the wheel's second level turns over.
    world.now_us =
        ((uint64_t)1700000000 * 1000 >> 12 << 12) * 1000 - 5000 * (uint64_t)(choice >> 4);
    world.serve = serve_init(memory, &config, world.now_us);
}

static void reply_check(uint32_t client, const uint8_t *bytes, size_t len)
{
    struct strict m;
    assert(client < world.client_count && len <= settings.server_udp_payload_max);
    assert(strict_open(&m, bytes, len) && !strict_rest(&m));
    assert(m.flags[0] & HEADER_QR && m.id == world.clients[client].id);
    world.answered++;
}

static void depart(bool tcp, uint16_t port, const uint8_t *bytes, size_t len)
{
    struct departed *departed = &world.sent[world.sent_count++ % SENT];
    struct strict m;
    assert(len <= UPSTREAM_QUERY_MAX);
    assert(strict_open(&m, bytes, len) && !strict_rest(&m) && m.class == CLASS_IN);
    departed->tcp = tcp;
    departed->port = port;
    departed->len = (uint16_t)len;
    memcpy(departed->bytes, bytes, len);
}

static void open_do(const struct outgoing *out)
{
    assert(out->slot < PORTS && world.open[out->slot] == 0 && out->source_port >= 1024);
    world.opens++;
    world.open[out->slot] = 1;
    if (world.refuse == 0)
        return;
    world.open[out->slot] = 2;
    if (world.refuse-- & 1)
        serve_source_port_refused(world.serve, world.now_us, out->slot);
    else
        serve_unreachable(world.serve, world.now_us, out->slot);
}

static void connection_closed(uint16_t slot)
{
    world.connected[slot] = false;
    world.disconnects++;
    serve_closed(world.serve, world.now_us, slot);
}

static void stream_do(const struct outgoing *out)
{
    assert(out->slot < CONNECTIONS);
    assert(world.connected[out->slot] == (out->kind != OUTGOING_CONNECT));
    if (out->kind == OUTGOING_MESSAGE) {
        assert(out->len > 2 && load_be16(out->bytes) == out->len - 2);
        depart(true, out->slot, out->bytes + 2, out->len - 2);
        world.messages++;
    } else {
        world.connected[out->slot] = out->kind == OUTGOING_CONNECT;
        world.connects += out->kind == OUTGOING_CONNECT;
        world.disconnects += out->kind == OUTGOING_DISCONNECT;
    }
    // It cannot be opened, or has no room for the message.
    if (out->kind != OUTGOING_DISCONNECT && world.refuse > 0) {
        world.refuse--;
        connection_closed(out->slot);
    } else if (out->kind == OUTGOING_CONNECT && out->slot % 4 != 3) {
        serve_connected(world.serve, world.now_us, out->slot);
    }
}

static void outgoing_do(const struct outgoing *out)
{
    struct waiting *client = &world.clients[out->client.listener % CLIENTS];
    switch (out->kind) {
    case OUTGOING_REPLY:
        reply_check(out->client.listener, out->bytes, out->len);
        assert(client->waits && world.now_us - client->since_us <= DEADLINE_US + TICK_US);
        client->waits = false;
        break;
    case OUTGOING_OPEN:
        open_do(out);
        break;
    case OUTGOING_QUERY:
        assert(out->slot < PORTS && world.open[out->slot] == 1);
        depart(false, out->slot, out->bytes, out->len);
        world.sends++;
        break;
    case OUTGOING_CLOSE:
        assert(out->slot < PORTS && world.open[out->slot] != 0);
        world.closes++;
        world.open[out->slot] = 0;
        break;
    default:
        stream_do(out);
        break;
    }
}

static void drain(void)
{
    size_t room = serve_reply_room(world.serve);
    uint8_t *bytes = malloc(room);
    assert(bytes);
    for (unsigned count = 0;; count++) {
        struct outgoing out = {.bytes = bytes};
        assert(count < 10000);
        if (!serve_drain(world.serve, world.now_us, &out))
            break;
        outgoing_do(&out);
    }
    free(bytes);
}

// Time passes, and the worker is woken when it wants to be.
static void wait_us(uint64_t us)
{
    uint64_t until_us = world.now_us + us;
    for (unsigned count = 0;; count++) {
        uint64_t deadline_us = serve_deadline(world.serve);
        assert(count < 100000);
        if (deadline_us == WHEEL_NEVER || deadline_us > until_us)
            break;
        if (deadline_us > world.now_us)
            world.now_us = deadline_us;
        serve_expire(world.serve, world.now_us);
        drain();
        assert(serve_deadline(world.serve) > world.now_us);
    }
    world.now_us = until_us;
}

// The worker did not run for a while: all that is due comes at once, and its clients have waited.
static void leap_us(uint64_t us)
{
    world.now_us += us;
    for (unsigned i = 0; i < world.client_count; i++)
        world.clients[i].since_us += us;
    serve_expire(world.serve, world.now_us);
    drain();
}

static void item_judge(const struct serve_item *item, const uint8_t *out, size_t room)
{
    struct waiting *client = &world.clients[item->client.listener];
    switch ((enum serve_verdict)item->verdict) {
    case SERVE_ANSWERED:
        assert(item->out >= out && item->out + item->out_len <= out + room);
        reply_check(item->client.listener, item->out, item->out_len);
        assert(!item->hint || (item->owner < world.cache.shard_count && item->owner != 0));
        break;
    case SERVE_WAITING:
        client->waits = true;
        client->since_us = world.now_us;
        break;
    case SERVE_ELSEWHERE:
        assert(item->owner < world.cache.shard_count && item->owner != 0);
        world.elsewhere++;
        break;
    case SERVE_DROPPED:
        world.dropped++;
        break;
    case SERVE_HINTED:
        assert(item->handed_over);
        world.hinted++;
        break;
    }
}

static void beside_check(const struct serve_item *item)
{
    const char *differs = beside ? beside->after(beside, item) : NULL;
    if (!differs)
        return;
    fprintf(stderr, "%s\n", differs);
    abort();
}

static void query_give(uint8_t *bytes, size_t len, uint8_t from, bool handed, bool hint)
{
    size_t room = serve_reply_room(world.serve);
    uint8_t *out = malloc(room);
    struct serve_item item = {
        .client = {.from = {.ip = {10, from & 3}, .family = ADDRESS_IPV4, .port = 1000},
                   .listener = (uint16_t)world.client_count},
        .in = bytes,
        .in_len = (uint16_t)len,
        .handed_over = handed || hint,
        .hint = hint,
        .cut = from == 0xff,
    };
    assert(out);
    if (from == 0xfe)
        item.client.from.port = 0;
    if (len >= 2)
        world.clients[world.client_count].id = load_be16(bytes);
    world.client_count++;
    if (beside)
        beside->before(beside, world.serve, world.now_us, &item);
    size_t used = serve_queries(world.serve, world.now_us, &item, 1, out, room);
    beside_check(&item);
    assert(item.verdict != SERVE_ANSWERED || (item.out == out && item.out_len <= used));
    free(bytes); // not to be read any more
    assert(!hint || item.verdict == SERVE_HINTED || item.verdict == SERVE_DROPPED);
    item_judge(&item, out, room);
    free(out);
}

// A good query for one of few names, out of three octets.
static void query_op(struct input *input)
{
    uint8_t name = input_u8(input), how = input_u8(input), from = input_u8(input);
    static const uint16_t types[] = {TYPE_A, TYPE_MX, TYPE_SOA, TYPE_TXT};
    uint8_t message[64] = {0, name, how & HEADER_RD, how & HEADER_CD, 0, 1};
    size_t at = 12;
    if (name & 3) {
        message[at++] = 1;
        message[at++] = (uint8_t)((name & 4 ? 'A' : 'a') + (name & 3) - 1);
    }
    message[at++] = 0;
    store_be16(message + at, types[name >> 3 & 3]);
    store_be16(message + at + 2, CLASS_IN);
    at += 4;
    if (how & 2) {
        opt_write(message + at, how & 4 ? 1232 : 512, 0, how & 8);
        message[11] = 1;
        at += OPT_LEN;
    }
    uint8_t *copy = malloc(at);
    assert(copy);
    memcpy(copy, message, at);
    query_give(copy, at, from, how & 0x20, how & 0x40);
}

// Clients ask for what has been replied to until it is popular, where that is compared.
static void ask_again(const struct departed *departed)
{
    struct departed asked = *departed;
    struct strict m;
    bool good = strict_open(&m, asked.bytes, asked.len);
    assert(good);
    size_t len = m.question_end + (m.counts[3] ? OPT_LEN : 0);
    asked.bytes[2] |= HEADER_RD;
    if (m.counts[3]) // without its options
        store_be16(asked.bytes + len - 2, 0);
    for (unsigned i = 0; i < AGAIN && world.client_count < CLIENTS; i++) {
        uint8_t *copy = malloc(len);
        assert(copy);
        memcpy(copy, asked.bytes, len);
        query_give(copy, len, 0, false, false);
        drain();
    }
}

static void reply_give(const struct departed *departed, const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len);
    assert(copy || len == 0);
    if (len)
        memcpy(copy, bytes, len);
    if (departed->tcp)
        serve_message(world.serve, world.now_us, departed->port, copy, len);
    else
        serve_reply(world.serve, world.now_us, departed->port, copy, len);
    free(copy);
    drain();
    if (beside)
        ask_again(departed);
}

// One of the queries that left, if what it left from is still there.
static const struct departed *departed_find(uint8_t which)
{
    uint32_t kept = world.sent_count < SENT ? world.sent_count : SENT;
    const struct departed *departed = &world.sent[kept ? which % kept : 0];
    if (kept == 0)
        return NULL;
    bool there = departed->tcp ? world.connected[departed->port] : world.open[departed->port] == 1;
    return there ? departed : NULL;
}

// The server's OPT record, with the client's cookie and one of its own where there is one.
static size_t opt_add(uint8_t *at, const struct departed *departed, size_t question_end,
                      uint8_t extra, bool badvers)
{
    const uint8_t *cookie = NULL;
    size_t options_at = question_end + OPT_LEN, len = 0;
    opt_write(at, 1232,
              extra & ANSWER_BADCOOKIE ? RCODE_BADCOOKIE
              : badvers                ? RCODE_BADVERS
                                       : 0,
              false);
    if (extra & ANSWER_COOKIE && departed->len > options_at)
        len = cookie_find(departed->bytes + options_at, departed->len - options_at, &cookie);
    if (len == 0)
        return OPT_LEN;
    store_be16(at + OPT_LEN - 2, 20);
    store_be32(at + OPT_LEN, 0x000a0010);
    memcpy(at + OPT_LEN + 4, cookie, COOKIE_CLIENT_LEN);
    memset(at + OPT_LEN + 12, extra, 8);
    return OPT_LEN + 20;
}

static size_t record_add(uint8_t *at, uint16_t type, uint8_t ttl)
{
    static const uint8_t soa[] = {1, 'm', 0xc0, 12, 0, 0, 0, 0, 1, 0, 0, 0, 2,
                                  0, 0,   0,    3,  0, 0, 0, 4, 0, 0, 0, 5};
    store_be16(at, 0xc00c);
    store_be16(at + 2, type);
    store_be16(at + 4, CLASS_IN);
    store_be32(at + 6, ttl);
    store_be16(at + 10, sizeof soa);
    memcpy(at + 12, soa, sizeof soa);
    return 12 + sizeof soa;
}

// An answer with one record or a rcode.
static size_t answer_make(uint8_t *bytes, const struct departed *departed, struct input *input)
{
    uint8_t how = input_u8(input), ttl = input_u8(input), extra = input_u8(input);
    struct strict m;
    assert(strict_open(&m, departed->bytes, departed->len));
    size_t at = m.question_end;
    memcpy(bytes, departed->bytes, at);
    bytes[2] = (uint8_t)(HEADER_QR | (how & HEADER_TC));
    bytes[3] = (uint8_t)(how >> 4 == 15 ? 0 : how >> 4);
    memset(bytes + 6, 0, 6);
    if (extra & ANSWER_LOWERED)
        name_lower(bytes + 12, bytes + 12, m.question.len);
    if (extra & ANSWER_BADCOOKIE)
        bytes[3] = RCODE_BADCOOKIE & HEADER_RCODE;
    if (extra & ANSWER_BARE) {
        memset(bytes + 4, 0, 2);
        bytes[3] = RCODE_FORMERR;
        return MESSAGE_HEADER_LEN;
    }
    if (how & 1) {
        bytes[how & 8 ? 9 : 7] = 1;
        at += record_add(bytes + at, how & 8 ? TYPE_SOA : m.type, ttl);
    }
    if (how & 4) {
        bytes[11] = 1;
        at += opt_add(bytes + at, departed, m.question_end, extra, how >> 4 == 15);
    }
    return at;
}

// An answer to one of the queries that left, which the script may spoil.
static void answer_op(struct input *input, bool spoiled)
{
    const struct departed *departed = departed_find(input_u8(input));
    uint8_t bytes[UPSTREAM_QUERY_MAX + 128];
    if (!departed)
        return;
    size_t at = answer_make(bytes, departed, input);
    for (unsigned i = spoiled ? 1 + input_u8(input) % 4 : 0; i > 0; i--) {
        size_t place = input_u8(input) % at;
        bytes[place] = input_u8(input);
    }
    if (spoiled)
        at -= input_u8(input) % 8 == 0 ? input_u8(input) % at : 0;
    reply_give(departed, bytes, at);
}

static void raw_answer_op(struct input *input)
{
    const struct departed *departed = departed_find(input_u8(input));
    size_t len = input_u8(input) * 2u;
    uint8_t *bytes = input_copy(input, &len);
    if (departed) {
        // The ID is right: guessing it is no work for a fuzzer.
        if (len >= 2)
            memcpy(bytes, departed->bytes, 2);
        reply_give(departed, bytes, len);
    }
    free(bytes);
}

static void raw_query_op(struct input *input)
{
    uint8_t from = input_u8(input);
    size_t len = input_u16(input) % RAW_MAX;
    uint8_t *bytes = input_copy(input, &len);
    query_give(bytes, len, from, false, false);
}

static void unreachable_op(unsigned port)
{
    if (world.open[port % PORTS] == 1)
        serve_unreachable(world.serve, world.now_us, (uint16_t)(port % PORTS));
}

static void connection_closed_op(unsigned number)
{
    uint16_t slot = (uint16_t)(number % CONNECTIONS);
    if (world.connected[slot])
        connection_closed(slot);
}

// All but queries: they find everything drained.
static void event_do(struct input *input, unsigned operation, unsigned number)
{
    drain();
    switch (operation) {
    case OP_ANSWER:
    case OP_SPOILED_ANSWER:
        answer_op(input, operation == OP_SPOILED_ANSWER);
        break;
    case OP_RAW_ANSWER:
        raw_answer_op(input);
        break;
    case OP_WAIT:
        wait_us(input_u8(input) * (uint64_t)5000);
        break;
    case OP_WAIT_LONG:
        wait_us(input_u8(input) * (uint64_t)700000);
        break;
    case OP_LEAP:
        leap_us(input_u8(input) * (uint64_t)300000);
        break;
    case OP_UNREACHABLE:
        unreachable_op(number);
        break;
    case OP_STREAM_CLOSED:
        connection_closed_op(number);
        break;
    default:
        world.refuse = number;
        break;
    }
    drain();
}

static void operation_do(struct input *input)
{
    uint8_t octet = input_u8(input);
    unsigned operation = octet % OP_COUNT;
    if (operation == OP_LATER) {
        world.later = true;
        return;
    }
    if (operation == OP_QUERY)
        query_op(input);
    else if (operation == OP_RAW_QUERY)
        raw_query_op(input);
    else
        event_do(input, operation, octet / OP_COUNT);
    // As in the daemon, several queries may come before what they ask for is done.
    bool asked = operation == OP_QUERY || operation == OP_RAW_QUERY;
    if (!asked || !world.later)
        drain();
    world.later = asked && world.later;
}

static uint64_t sum(unsigned first, unsigned last)
{
    uint64_t sum = 0;
    for (unsigned c = first; c <= last; c++)
        sum += counter_get(&world.counters, c);
    return sum;
}

static uint64_t counted(enum counter which)
{
    return sum(which, which);
}

static void end_check(void)
{
    drain();
    wait_us(DEADLINE_US + TICK_US);
    for (unsigned i = 0; i < world.client_count; i++)
        assert(!world.clients[i].waits);
    // Refreshes may be due as late as an answer may live.
    wait_us((settings.cache_ttl_max + 60000) * 1000);
    assert(serve_deadline(world.serve) == WHEEL_NEVER);
    assert(sum(COUNTER_pending, COUNTER_upstream_connections) == 0);
    assert(sum(COUNTER_answers_cache, COUNTER_answers_error) == world.answered);
    assert(sum(COUNTER_drops_short, COUNTER_drops_handover_full) == world.dropped);
    assert(counted(COUNTER_handed_over) == world.elsewhere);
    assert(world.answered + world.dropped + world.elsewhere + world.hinted == world.client_count);
    assert(counted(COUNTER_ports_opened) == world.opens && world.opens == world.closes);
    assert(counted(COUNTER_upstream_queries) == world.sends);
    assert(counted(COUNTER_upstream_queries_tcp) == world.messages);
    assert(counted(COUNTER_upstream_connections_opened) == world.connects);
    assert(world.connects == world.disconnects);
    assert(counted(COUNTER_refreshes_used) <= counted(COUNTER_refreshes));
    for (uint32_t i = 0; i < world.cache.shard_count; i++)
        assert(!cache_verify(&world.cache, i));
}

size_t fuzz_serve_cache_size(uint32_t shard_count)
{
    return cache_size_min(shard_count);
}

void fuzz_serve_beside(struct beside *other)
{
    beside = other;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    world_make(input_u8(&input));
    for (unsigned i = 0; i < STEPS && input.len > 0 && world.client_count < CLIENTS; i++)
        operation_do(&input);
    end_check();
    return 0;
}
