// SPDX-License-Identifier: MIT
#include "core/settings/parse.h"
#include "tests/sim/sim.h"

#include <assert.h>

// Every parameter is drawn on its own, and most have a chance to be extreme: a failure needs the
// meeting of two or three oddities far more often than the size of one.

enum { USUAL_PENDING = 64, USUAL_PORTS = 64 };

static const uint16_t all_types[TYPES_MAX] = {1, 28, 16, 15, 5, 6, 2, 12, 33, 65, 65280, 255};

static const char *const zone_names[ZONES_MAX] = {"\0", "\7example\0", "\4corp\7example\0",
                                                  "\3sub\4corp\7example\0"};
static const uint8_t zone_lens[ZONES_MAX] = {1, 9, 14, 18};

static struct prefix prefix_of(uint8_t a, uint8_t b, uint8_t length, uint8_t family)
{
    return (struct prefix){.ip = {a, b}, .length = length, .family = family};
}

// Two of three are nothing or a little, the third may be anything.
static uint32_t now_and_then(struct dice *d, uint32_t little, uint32_t much)
{
    switch (dice_below(d, 6)) {
    case 0:
        return dice_between(d, 0, much);
    case 1:
    case 2:
        return dice_between(d, 0, little);
    default:
        return 0;
    }
}

static uint32_t power_of_two(struct dice *d, uint32_t exponent_max)
{
    return 1u << dice_between(d, 0, exponent_max);
}

// A moment, half a minute, or so long that answers are over in between.
static uint32_t span_draw(struct dice *d)
{
    static const uint32_t spans[] = {8000000, 8000000, 40000000, 40000000, 600000000};
    return 1000 + dice_skewed(d, spans[dice_below(d, sizeof spans / sizeof *spans)]);
}

static void numbers_draw(struct params *s, struct dice *d)
{
    *s = (struct params){
        .workers = dice_between(d, 1, WORKERS_MAX),
        .clients = dice_between(d, 1, 16),
        .queries = 10 + dice_skewed(d, 400),
        .names = dice_between(d, 1, dice_chance(d, 500) ? NAMES_MAX : 4),
        .types = dice_between(d, 1, dice_chance(d, 300) ? TYPES_MAX : 3),
        .zones = dice_between(d, 1, ZONES_MAX),
        .servers = dice_between(d, 1, SERVERS_MAX),
        .span_us = span_draw(d),
        .popularity = dice_below(d, 4),
        .malformed_pm = now_and_then(d, 50, 600),
        .edns_pm = dice_between(d, 0, 1000),
        .do_pm = dice_chance(d, 500) ? dice_between(d, 0, 1000) : 0,
        .cd_pm = now_and_then(d, 100, 500),
        .tcp_pm = now_and_then(d, 200, 1000),
        .unasked_pm = now_and_then(d, 50, 500),
        .repeat_pm = now_and_then(d, 100, 800),
        .burst_pm = now_and_then(d, 100, 990),
        .handed_fail_pm = now_and_then(d, 20, 1000),
        .handed_us = dice_skewed(d, dice_chance(d, 100) ? 500000 : 500),
        .refuse_pm = now_and_then(d, 30, 1000),
        .connect_fail_pm = now_and_then(d, 20, 700),
        .wake_late_us = dice_chance(d, 500) ? dice_skewed(d, 20000) : 0,
        .stalls = dice_chance(d, 150) ? dice_between(d, 1, 4) : 0,
        .mode_us = dice_chance(d, 600) ? 5000 + dice_skewed(d, 5000000) : 0,
        .outages = dice_chance(d, 250) ? dice_between(d, 1, 3) : 0,
        .outage_us = 1000 + dice_skewed(d, 60000000),
        .big_pm = dice_chance(d, 250) ? dice_between(d, 50, 1000) : dice_below(d, 30),
        .huge_pm = dice_chance(d, 100) ? dice_between(d, 1, 200) : 0,
        .inbox_max = dice_chance(d, 100) ? dice_between(d, 1, 4) : INBOX_MAX,
        .pending_max = dice_chance(d, 300) ? power_of_two(d, 4) : USUAL_PENDING,
        .source_ports_max = dice_between(d, 1, dice_chance(d, 300) ? 6 : USUAL_PORTS),
        .upstream_connections_max = dice_between(d, 1, dice_chance(d, 300) ? 2 : STREAMS_MAX),
        .brief = dice_chance(d, 400),
        .lazy = dice_chance(d, 500),
        .must_answer = dice_chance(d, 300),
    };
    // So often in all, or now and then a storm.
    if (dice_chance(d, 400))
        s->spoof_us = 1000 + s->span_us / dice_between(d, 1, dice_chance(d, 100) ? 4000 : 200);
    s->stall_us = 1000 + dice_skewed(d, dice_chance(d, 300) ? 2000000000 : 8000000);
    if (s->queries > 200 && s->clients == 1)
        s->clients = 2;
}

// So much that the logs of the cache go round.
static void plenty_make(struct params *s, struct dice *d)
{
    s->workers = dice_between(d, 1, 2);
    s->queries = dice_between(d, 400, 900);
    s->names = NAMES_MAX;
    s->types = TYPES_MAX;
    s->popularity = 0;
    s->big_pm = 1000;
    s->zones = ZONES_MAX;
    s->malformed_pm = 0;
    s->unasked_pm = 0;
    s->span_us += 5000000;
}

// What would excuse a failure is taken out where none is to be excused.
static void excuses_remove(struct params *s)
{
    s->refuse_pm = 0;
    s->connect_fail_pm = 0;
    s->wake_late_us = s->wake_late_us > 2000 ? 2000 : s->wake_late_us;
    s->stalls = 0;
    s->pending_max = PENDING_MAX;
    s->source_ports_max = 2 * USUAL_PORTS;
    s->upstream_connections_max = STREAMS_MAX;
}

static struct link link_draw(struct dice *d, bool good)
{
    struct link link = {
        .base_us = 50 + dice_skewed(d, good ? 60000 : 300000),
        .jitter_us = dice_skewed(d, good ? 30000 : 400000),
        .duplicate_pm = (uint16_t)now_and_then(d, 30, 500),
        .reorder_pm = (uint16_t)now_and_then(d, 50, 500),
    };
    if (good)
        return link;
    link.loss_pm = (uint16_t)now_and_then(d, 30, 900);
    link.burst_pm = (uint16_t)now_and_then(d, 20, 200);
    link.mtu = (uint16_t)(dice_chance(d, 150) ? dice_between(d, 600, 1500) : 0);
    link.cuts = dice_chance(d, 300);
    return link;
}

// Half of the servers can do all of it; the others have each their ways.
static void traits_draw(struct server *server, struct dice *d)
{
    bool odd = dice_chance(d, 500), steady = server->steady;
    if (dice_chance(d, 500))
        server->miss_us = 1000 + dice_skewed(d, steady ? 800000 : 3000000);
    server->cookies = dice_chance(d, 500) ? COOKIES_GIVEN : COOKIES_NONE;
    if (!odd)
        return;
    server->edns = (uint8_t)(dice_chance(d, 400) ? dice_below(d, EDNS_COUNT) : EDNS_KNOWN);
    server->name_case = (uint8_t)(dice_chance(d, 400) ? dice_below(d, CASE_COUNT) : CASE_KEPT);
    server->cookies = (uint8_t)dice_below(d, steady ? COOKIES_WRONG : COOKIES_COUNT);
    server->tcp =
        (uint8_t)(dice_chance(d, 500) ? dice_below(d, steady ? TCP_CLOSES_EARLY : TCP_COUNT)
                                      : TCP_GOOD);
    server->tcp_after =
        server->tcp == TCP_CLOSES_AFTER ? dice_between(d, 1, 8) : 1000 + dice_skewed(d, 20000000);
    // Of one that is steady some are open to what is asked, and long enough.
    if (steady)
        server->tcp_after += server->tcp == TCP_CLOSES_AFTER ? 20 : 2000000;
    server->unordered = dice_chance(d, 500);
    server->oversized = dice_chance(d, 200);
    if (steady)
        return;
    server->flaps = dice_chance(d, 150);
    server->rate_max = dice_chance(d, 150) ? dice_between(d, 1, 5) : 0;
    server->slips = dice_chance(d, 500);
}

// Of a dice of their own, as are all that were added later, so that seeds stay what they were.
static void habits_draw(struct server *server, struct dice d)
{
    if (dice_chance(&d, 150))
        server->mixed = (uint8_t)dice_below(&d, server->steady ? MIXED_IGNORED : MIXED_COUNT);
    server->bare = dice_chance(&d, 150);
    server->formerr_cookie = dice_chance(&d, 100);
    server->moody = !server->steady && dice_chance(&d, 250);
}

static void servers_draw(struct sim *sim)
{
    struct dice *d = &sim->dice;
    for (unsigned i = 0; i < sim->params.servers; i++) {
        struct server *server = &sim->servers[i];
        bool steady = i == 0 && sim->params.must_answer;
        *server = (struct server){
            .address = {.ip = {192, 0, 2, (uint8_t)(1 + i)}, .family = ADDRESS_IPV4, .port = 53},
            .there = link_draw(d, steady),
            .back = link_draw(d, steady),
            .slow_us = 1000 + dice_skewed(d, 4000000),
            .steady = steady,
        };
        if (dice_chance(d, 300)) {
            server->address.family = ADDRESS_IPV6;
            server->address.scope = dice_chance(d, 200) ? 3 : 0;
        }
        traits_draw(server, d);
        habits_draw(server, dice_for(sim->seed, 0x4ab17000u + i));
        server_mode_change(sim, i, false);
    }
}

static void zones_draw(struct sim *sim)
{
    struct dice *d = &sim->dice;
    struct params *s = &sim->params;
    bool other = !s->plain && dice_chance(d, 300);
    unsigned first = other ? dice_below(d, ZONES_MAX) : 0; // mostly the root
    for (unsigned z = 0; z < s->zones; z++) {
        struct sim_zone *zone = &sim->zones[z];
        unsigned which = (first + z) % ZONES_MAX;
        zone->name.len = zone_lens[which];
        memcpy(zone->name.bytes, zone_names[which], zone_lens[which]);
        zone->server_count = 0;
        unsigned turn = dice_below(d, s->servers);
        unsigned wanted = s->plain ? s->servers : dice_between(d, 1, s->servers);
        if (s->must_answer)
            turn = (s->servers - dice_below(d, wanted)) % s->servers; // so that server 0 is in it
        for (unsigned i = 0; i < wanted; i++)
            zone->servers[zone->server_count++] = (uint8_t)((turn + i) % s->servers);

        struct forward_zone *forward = &sim->forward[z];
        forward_zone_init(forward);
        forward->zone.len = zone->name.len;
        for (unsigned i = 0; i < zone->name.len; i++) {
            uint8_t c = zone->name.bytes[i];
            bool letter = c >= 'a' && c <= 'z';
            forward->zone.bytes[i] = letter && dice_chance(d, 100) ? c & ~0x20u : c;
        }
        forward->strategy = s->plain ? FORWARD_FASTEST : dice_below(d, 3);
        // By their order or at random four may be asked one after the other, and that takes too
        // long.
        if (s->must_answer && wanted == SERVERS_MAX)
            forward->strategy = FORWARD_FASTEST;
        for (unsigned i = 0; i < wanted; i++)
            sim->forward_to[z][i].address = sim->servers[zone->servers[i]].address;
        forward->to = (struct endpoint_list){.items = sim->forward_to[z], .count = wanted};
    }
}

// The longest zone that the name ends in, found the slow way.
static int zone_of(const struct sim *sim, const struct strict_name *name)
{
    for (size_t at = 0; at < name->len; at += 1u + name->bytes[at]) {
        for (unsigned z = 0; z < sim->params.zones; z++) {
            const struct strict_name *zone = &sim->zones[z].name;
            if (zone->len == name->len - at && !memcmp(zone->bytes, name->bytes + at, zone->len))
                return (int)z;
        }
    }
    return -1;
}

static void label_add(struct strict_name *name, const void *bytes, uint8_t len)
{
    name->bytes[name->len] = len;
    memcpy(name->bytes + name->len + 1, bytes, len);
    name->len = (uint8_t)(name->len + 1 + len);
}

static void name_draw(struct strict_name *name, uint32_t number, struct dice *d)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned zone = dice_below(d, ZONES_MAX);
    unsigned labels = dice_chance(d, 50) ? 8 : dice_below(d, 3);
    uint8_t label[63];
    name->len = 0;
    name->pointed = false;
    for (unsigned l = 0; l < labels; l++) {
        unsigned room = STRICT_NAME_MAX - name->len - zone_lens[zone] - 4;
        unsigned len = labels == 8 ? 63 : dice_between(d, 1, 12);
        len = len + 1 < room ? len : room - 1;
        if (room < 2)
            break;
        bool strange = dice_chance(d, 60);
        for (unsigned i = 0; i < len; i++)
            label[i] = (uint8_t)(strange ? dice_below(d, 256)
                                         : (unsigned)letters[dice_below(d, sizeof letters - 1)]);
        strict_lower(label, label, len);
        label_add(name, label, (uint8_t)len);
    }
    // What makes it differ from all others; the zone's own name has none.
    if (number > 0) {
        uint8_t own[3] = {'n', (uint8_t)('a' + number / 26), (uint8_t)('a' + number % 26)};
        label_add(name, own, sizeof own);
    } else {
        name->len = 0;
    }
    memcpy(name->bytes + name->len, zone_names[zone], zone_lens[zone]);
    name->len = (uint8_t)(name->len + zone_lens[zone]);
}

static void names_draw(struct sim *sim)
{
    struct dice *d = &sim->dice;
    for (uint32_t i = 0; i < sim->params.names; i++) {
        name_draw(&sim->names[i].name, i, d);
        sim->names[i].zone = zone_of(sim, &sim->names[i].name);
    }
    for (unsigned z = 0; z < sim->params.zones; z++)
        sim->names[NAMES_MAX + z] = (struct qname){.name = sim->zones[z].name, .zone = (int)z};
    memcpy(sim->types, all_types, sizeof all_types);
    for (unsigned i = TYPES_MAX - 1; i > 0; i--) {
        unsigned j = dice_below(d, i + 1);
        uint16_t swap = sim->types[i];
        sim->types[i] = sim->types[j];
        sim->types[j] = swap;
    }
}

static void settings_draw(struct sim *sim)
{
    struct dice *d = &sim->dice;
    struct settings *settings = &sim->settings;
    struct prefix *prefixes = sim->prefixes;
    prefixes[0] = prefix_of(0, 0, 0, ADDRESS_IPV4);
    prefixes[1] = prefix_of(0, 0, 0, ADDRESS_IPV6);
    prefixes[2] = prefix_of(10, 66, 16, ADDRESS_IPV4);
    prefixes[3] = prefix_of(10, 99, 16, ADDRESS_IPV4);

    settings_init(settings);
    settings->access_allow = (struct prefix_list){.items = prefixes, .count = 2};
    settings->access_refuse = (struct prefix_list){.items = prefixes + 2, .count = 1};
    settings->access_drop = (struct prefix_list){.items = prefixes + 3, .count = 1};
    settings->forward =
        (struct forward_zone_list){.items = sim->forward, .count = sim->params.zones};
    settings->server_udp_payload_max =
        dice_chance(d, 500) ? 1232 : dice_between(d, MESSAGE_UDP_MIN, 4096);
    settings->server_any = ANY_FORWARD; // so that there is something to judge
    settings->cache_rotate = dice_chance(d, 500);
    settings->cache_ttl_min = dice_chance(d, 150) ? 1000 * dice_below(d, 20) : 0;
    settings->cache_ttl_max = dice_chance(d, 300) ? 1000 * dice_between(d, 20, 100) : 86400000;
    settings->cache_ttl_negative_max = dice_chance(d, 300) ? 1000 * dice_below(d, 30) : 3600000;
    settings->cache_stale_max_age = dice_chance(d, 300) ? 1000 * dice_below(d, 60) : 86400000;
    settings->cache_stale_answer_after = dice_chance(d, 300) ? dice_below(d, 5001) : 1800;
    settings->cache_stale_ttl = dice_chance(d, 300) ? 1000 * dice_between(d, 1, 60) : 30000;
    settings->cache_prefetch = !dice_chance(d, 200);
    settings->upstream_random_case = !dice_chance(d, 200);
    settings->upstream_cookies = !dice_chance(d, 200);
    settings->upstream_tcp_idle_timeout = dice_chance(d, 500) ? 1000 + dice_below(d, 20000) : 10000;
}

static void clock_draw(struct sim *sim)
{
    struct dice *d = &sim->dice;
    sim->start_us = 1700000000000000u + (uint64_t)dice_below(d, 300000000) * 1000000;
    sim->start_us += dice_below(d, 1000000);
    // Just before the wheel's levels turn over.
    if (dice_chance(d, 300)) {
        unsigned bits = 6 * dice_between(d, 1, 5);
        uint64_t tick = ((sim->start_us / 1000 >> bits) + 1) << bits;
        sim->start_us = tick * 1000 - dice_skewed(d, 6000000) - 1;
    }
    sim->now_us = sim->start_us;
}

void params_draw(struct sim *sim)
{
    numbers_draw(&sim->params, &sim->dice);
    if (dice_chance(&sim->dice, 30))
        plenty_make(&sim->params, &sim->dice);
    if (sim->params.must_answer)
        excuses_remove(&sim->params);
    struct dice icmp = dice_for(sim->seed, 0x1c390000u);
    sim->params.icmp = !sim->params.must_answer && dice_chance(&icmp, 300);
    clock_draw(sim);
    sim->client_link = link_draw(&sim->dice, false);
    servers_draw(sim);
    zones_draw(sim);
    names_draw(sim);
    settings_draw(sim);
    sim->queries_left = sim->params.queries;
    const char *why = zone_table_build(&sim->zone_table, sim->zone_table_memory, &sim->settings);
    assert(!why);
    access_build(&sim->access, sim->access_memory, &sim->settings);
}

void params_plain(struct sim *sim, unsigned servers)
{
    static const struct link quick = {.base_us = 250};
    struct settings *settings = &sim->settings;
    sim->params = (struct params){
        .workers = 1,
        .clients = 1,
        .names = NAMES_MAX,
        .types = TYPES_MAX,
        .zones = 1,
        .servers = servers,
        .pending_max = PENDING_MAX,
        .source_ports_max = PORTS_MAX,
        .upstream_connections_max = STREAMS_MAX,
        .inbox_max = INBOX_MAX,
        .plain = true,
    };
    clock_draw(sim);
    sim->client_link = (struct link){0};
    for (unsigned i = 0; i < servers; i++)
        sim->servers[i] = (struct server){
            .address = {.ip = {192, 0, 2, (uint8_t)(1 + i)}, .family = ADDRESS_IPV4, .port = 53},
            .there = quick,
            .back = quick,
        };
    zones_draw(sim);
    names_draw(sim);
    settings_draw(sim);
    struct prefix_list allow = settings->access_allow;
    struct forward_zone_list forward = settings->forward;
    settings_init(settings);
    settings->server_any = ANY_FORWARD; // so that there is something to judge
    settings->access_allow = allow;
    settings->forward = forward;
    const char *why = zone_table_build(&sim->zone_table, sim->zone_table_memory, settings);
    assert(!why);
    access_build(&sim->access, sim->access_memory, settings);
}

struct serve_config params_config(struct sim *sim, unsigned worker)
{
    const struct params *s = &sim->params;
    return (struct serve_config){
        .settings = &sim->settings,
        .zone_table = &sim->zone_table,
        .access = &sim->access,
        .cache = &sim->cache,
        .counters = &sim->nodes[worker].counters,
        .worker = worker,
        .worker_count = s->workers,
        .pending_max = s->pending_max,
        .source_ports_max = (uint16_t)s->source_ports_max,
        .upstream_connections_max = (uint16_t)s->upstream_connections_max,
    };
}

void params_largest(struct sim *sim)
{
    struct settings *settings = &sim->settings;
    settings_init(settings);
    settings->server_udp_payload_max = 4096;
    settings->forward = (struct forward_zone_list){.items = sim->forward, .count = ZONES_MAX};
    settings->access_allow = (struct prefix_list){.items = sim->prefixes, .count = 4};
    sim->params = (struct params){.pending_max = PENDING_MAX,
                                  .source_ports_max = PORTS_MAX,
                                  .upstream_connections_max = STREAMS_MAX};
}
