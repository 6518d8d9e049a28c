// SPDX-License-Identifier: MIT
#include "core/serve.h"
#include "tests/fuzz/target.h"
#include "tests/sim/strict.h"

// An input is a script of what happens to a worker: queries, replies, time, bad news. The driver
// keeps the contract of core/serve.h whatever the script says, and checks what is cheap to check.
// The simulator (tests/sim) knows what the answers should be; here the octets are worse.

enum {
    PENDING = 4,
    PORTS = 4,
    CLIENTS = 512,
    SENT = 64,
    STEPS = 200,
    TICK_US = 1000,
    DEADLINE_US = 5000000,
    RAW_MAX = 400,
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
    OP_COUNT
};

struct waiting {
    uint64_t since_us;
    uint16_t id;
    bool waits;
};

// A query that left for an upstream.
struct departed {
    uint16_t port;
    uint16_t len;
    uint8_t bytes[MESSAGE_UDP_MIN];
};

struct world {
    struct serve *serve;
    struct cache cache;
    struct counters counters;
    uint64_t now_us;
    uint32_t client_count;
    uint32_t answered, dropped, elsewhere, opens, closes, sends;
    uint32_t sent_count;
    unsigned refuse;     // so many of the next ports cannot be opened
    bool later;          // the next drain is put off
    uint8_t open[PORTS]; // 0 free, 1 open, 2 could not be opened
    struct waiting clients[CLIENTS];
    struct departed sent[SENT];
};

static struct world world;
static struct settings settings;
static struct forward_zone zones[2];
static struct address addresses[3];
static struct prefix prefixes[4];
static struct plan plan;
static struct access_list access_list;
static void *memory, *region;
static size_t region_size;

static void settings_make(void)
{
    settings_init(&settings);
    for (unsigned i = 0; i < 3; i++)
        addresses[i] =
            (struct address){.ip = {192, 0, 2, (uint8_t)i}, .family = ADDRESS_IPV4, .port = 53};
    forward_zone_init(&zones[0]);
    forward_zone_init(&zones[1]);
    assert(name_parse(&zones[1].zone, "b.", 2));
    zones[0].zone = (struct name){.len = 1};
    zones[0].to = (struct address_list){.items = addresses, .count = 2};
    zones[1].to = (struct address_list){.items = addresses + 1, .count = 2};
    settings.forward = (struct forward_zone_list){.items = zones, .count = 2};
    prefixes[0] = (struct prefix){.family = ADDRESS_IPV4};
    prefixes[1] = (struct prefix){.ip = {10, 1}, .length = 16, .family = ADDRESS_IPV4};
    prefixes[2] = (struct prefix){.ip = {10, 2}, .length = 16, .family = ADDRESS_IPV4};
    settings.access_allow = (struct prefix_list){.items = prefixes, .count = 1};
    settings.access_refuse = (struct prefix_list){.items = prefixes + 1, .count = 1};
    settings.access_drop = (struct prefix_list){.items = prefixes + 2, .count = 1};
    assert(!plan_build(&plan, malloc(plan_size(&settings)), &settings));
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
    struct serve_config config = {
        .settings = &settings,
        .plan = &plan,
        .access = &access_list,
        .cache = &world.cache,
        .counters = &world.counters,
        .worker_count = shards,
        .pending_max = choice & 2 ? 1 : PENDING,
        .ports_max = choice & 4 ? 1 : PORTS,
        .seed = {choice},
    };
    if (!memory) {
        struct serve_config largest = config;
        largest.pending_max = PENDING;
        largest.ports_max = PORTS;
        memory = aligned_alloc(64, (serve_size(&largest) + 63) & ~(size_t)63);
    }
    assert(region && memory);
    memset(&world, 0, sizeof world);
    memset(region, 0, cache_size_min(shards));
    assert(cache_format(&world.cache, region, cache_size_min(shards), shards, 1) == 0);
    // Near where the wheel's second level turns over.
    world.now_us =
        ((uint64_t)1700000000 * 1000 >> 12 << 12) * 1000 - 2500 * (uint64_t)(choice >> 3);
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
        assert(out->port < PORTS && world.open[out->port] == 0 && out->number >= 1024);
        world.opens++;
        world.open[out->port] = 1;
        if (world.refuse == 0)
            break;
        world.open[out->port] = 2;
        if (world.refuse-- & 1)
            serve_port_refused(world.serve, world.now_us, out->port);
        else
            serve_unreachable(world.serve, world.now_us, out->port);
        break;
    case OUTGOING_QUERY:
        assert(out->port < PORTS && world.open[out->port] == 1 && out->len <= MESSAGE_UDP_MIN);
        struct departed *departed = &world.sent[world.sent_count++ % SENT];
        departed->port = out->port;
        departed->len = (uint16_t)out->len;
        memcpy(departed->bytes, out->bytes, out->len);
        struct strict m;
        assert(strict_open(&m, out->bytes, out->len) && !strict_rest(&m) && m.class == CLASS_IN);
        world.sends++;
        break;
    case OUTGOING_CLOSE:
        assert(out->port < PORTS && world.open[out->port] != 0);
        world.closes++;
        world.open[out->port] = 0;
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

static void query_give(uint8_t *bytes, size_t len, uint8_t from, bool handed)
{
    size_t room = serve_reply_room(world.serve);
    uint8_t *out = malloc(room);
    struct waiting *client = &world.clients[world.client_count];
    struct serve_item item = {
        .client = {.from = {.ip = {10, from & 3}, .family = ADDRESS_IPV4, .port = 1000},
                   .listener = (uint16_t)world.client_count},
        .in = bytes,
        .in_len = (uint16_t)len,
        .handed_over = handed,
        .cut = from == 0xff,
    };
    assert(out);
    if (from == 0xfe)
        item.client.from.port = 0;
    if (len >= 2)
        client->id = load_be16(bytes);
    world.client_count++;
    serve_queries(world.serve, world.now_us, &item, 1, out);
    free(bytes); // nobody may look there any more
    if (item.verdict == SERVE_ANSWERED) {
        assert(item.out >= out && item.out + item.out_len <= out + room);
        reply_check(item.client.listener, item.out, item.out_len);
    }
    if (item.verdict == SERVE_WAITING) {
        client->waits = true;
        client->since_us = world.now_us;
    }
    if (item.verdict == SERVE_ELSEWHERE) {
        assert(item.owner < world.cache.shard_count && item.owner != 0);
        world.elsewhere++;
    }
    world.dropped += item.verdict == SERVE_DROPPED;
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
    query_give(copy, at, from, how & 0x20);
}

static void reply_give(uint16_t port, const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len);
    assert(copy || len == 0);
    if (len)
        memcpy(copy, bytes, len);
    serve_reply(world.serve, world.now_us, port, copy, len);
    free(copy);
    drain();
}

// An answer to one of the queries that left, with one record or a rcode, which the script may
// spoil.
static void answer_op(struct input *input, bool spoiled)
{
    uint8_t which = input_u8(input), how = input_u8(input), ttl = input_u8(input);
    uint32_t kept = world.sent_count < SENT ? world.sent_count : SENT;
    struct strict m;
    if (kept == 0)
        return;
    const struct departed *departed = &world.sent[which % kept];
    if (world.open[departed->port] != 1 || !strict_open(&m, departed->bytes, departed->len))
        return;
    uint8_t bytes[MESSAGE_UDP_MIN + 64];
    size_t at = m.question_end;
    memcpy(bytes, departed->bytes, at);
    bytes[2] = (uint8_t)(HEADER_QR | (how & HEADER_TC));
    bytes[3] = (uint8_t)(how >> 4 == 15 ? 0 : how >> 4);
    memset(bytes + 6, 0, 6);
    if (how & 1) {
        static const uint8_t soa[] = {1, 'm', 0xc0, 12, 0, 0, 0, 0, 1, 0, 0, 0, 2,
                                      0, 0,   0,    3,  0, 0, 0, 4, 0, 0, 0, 5};
        bytes[how & 8 ? 9 : 7] = 1;
        store_be16(bytes + at, 0xc00c);
        store_be16(bytes + at + 2, how & 8 ? TYPE_SOA : m.type);
        store_be16(bytes + at + 4, CLASS_IN);
        store_be32(bytes + at + 6, ttl);
        store_be16(bytes + at + 10, sizeof soa);
        memcpy(bytes + at + 12, soa, sizeof soa);
        at += 12 + sizeof soa;
    }
    if (how & 4) {
        opt_write(bytes + at, 1232, how >> 4 == 15 ? 16 : 0, false);
        bytes[11] = 1;
        at += OPT_LEN;
    }
    for (unsigned i = spoiled ? 1 + input_u8(input) % 4 : 0; i > 0; i--) {
        size_t place = input_u8(input) % at;
        bytes[place] = input_u8(input);
    }
    if (spoiled)
        at -= input_u8(input) % 8 == 0 ? input_u8(input) % at : 0;
    reply_give(departed->port, bytes, at);
}

static void raw_answer_op(struct input *input)
{
    uint8_t which = input_u8(input);
    size_t len = input_u8(input) * 2u;
    uint32_t kept = world.sent_count < SENT ? world.sent_count : SENT;
    uint8_t *bytes = input_copy(input, &len);
    if (kept > 0 && world.open[world.sent[which % kept].port] == 1) {
        // The ID is right: guessing it is no work for a fuzzer.
        if (len >= 2)
            memcpy(bytes, world.sent[which % kept].bytes, 2);
        reply_give(world.sent[which % kept].port, bytes, len);
    }
    free(bytes);
}

static void raw_query_op(struct input *input)
{
    uint8_t from = input_u8(input);
    size_t len = input_u16(input) % RAW_MAX;
    uint8_t *bytes = input_copy(input, &len);
    query_give(bytes, len, from, false);
}

static void operation_do(struct input *input)
{
    uint8_t octet = input_u8(input);
    unsigned port = octet / OP_COUNT % PORTS;
    bool asked = false;
    switch (octet % OP_COUNT) {
    case OP_QUERY:
        query_op(input);
        asked = true;
        break;
    case OP_RAW_QUERY:
        raw_query_op(input);
        asked = true;
        break;
    case OP_ANSWER:
        drain();
        answer_op(input, false);
        break;
    case OP_SPOILED_ANSWER:
        drain();
        answer_op(input, true);
        break;
    case OP_RAW_ANSWER:
        drain();
        raw_answer_op(input);
        break;
    case OP_WAIT:
        drain();
        wait_us(input_u8(input) * (uint64_t)5000);
        break;
    case OP_WAIT_LONG:
        drain();
        wait_us(input_u8(input) * (uint64_t)700000);
        break;
    case OP_UNREACHABLE:
        drain();
        if (world.open[port] == 1)
            serve_unreachable(world.serve, world.now_us, (uint16_t)port);
        break;
    case OP_REFUSE:
        world.refuse = octet / OP_COUNT;
        break;
    default:
        world.later = true;
        return;
    }
    // As in the daemon, several queries may come before what they ask for is done.
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

static void end_check(void)
{
    drain();
    wait_us(DEADLINE_US + TICK_US);
    for (unsigned i = 0; i < world.client_count; i++)
        assert(!world.clients[i].waits);
    wait_us(60 * (uint64_t)1000000);
    assert(serve_deadline(world.serve) == WHEEL_NEVER);
    assert(sum(COUNTER_pending, COUNTER_ports) == 0);
    assert(sum(COUNTER_answers_cache, COUNTER_answers_error) == world.answered);
    assert(sum(COUNTER_drops_short, COUNTER_drops_handover_full) == world.dropped);
    assert(sum(COUNTER_handed_over, COUNTER_handed_over) == world.elsewhere);
    assert(world.answered + world.dropped + world.elsewhere == world.client_count);
    assert(sum(COUNTER_ports_opened, COUNTER_ports_opened) == world.opens);
    assert(sum(COUNTER_upstream_queries, COUNTER_upstream_queries) == world.sends);
    assert(world.opens == world.closes);
    for (uint32_t i = 0; i < world.cache.shard_count; i++)
        assert(!cache_verify(&world.cache, i));
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
