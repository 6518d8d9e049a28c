// SPDX-License-Identifier: MIT
#include "tests/xdp/world.h"

#include "core/policy/generation.h"
#include "core/serve/state.h"
#include "core/settings/parse.h"
#include "io/xdp/plane_clients.h"
#include "io/xdp/plane_cookies.h"
#include "io/xdp/plane_settings.h"
#include "tests/xdp/frame.h"
#include "tests/xdp/program.h"
#include "tests/xdp/upstream.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    SHARDS = 4,
    SENT_MAX = 64,
    FORGET_US = 600000000,
};

static void *take(size_t size)
{
    size = (size + 63) & ~(size_t)63;
    void *memory = aligned_alloc(64, size);
    assert(memory);
    memset(memory, 0, size);
    return memory;
}

uint64_t world_random(struct world *w)
{
    uint64_t z = w->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

unsigned world_below(struct world *w, unsigned bound)
{
    return (unsigned)((world_random(w) >> 32) * bound >> 32);
}

uint64_t world_now_us(const struct world *w)
{
    return w->stopped_us ? w->stopped_us : (program_now_ns() + w->offset_ns) / 1000;
}

static void config_write(struct world *w)
{
    w->config.clock_offset_ns = w->offset_ns;
    w->config.generation = w->serve->policy.generation;
    int error = plane_configure(w->plane, &w->config);
    assert(error == 0);
}

struct sent {
    uint16_t slot, len;
    uint8_t bytes[UPSTREAM_QUERY_MAX];
};

// Drains the worker. Returns how many queries to its upstream are waiting in `sent` now.
static unsigned drain_once(struct world *w, struct sent sent[static SENT_MAX], unsigned count)
{
    struct outgoing outgoing = {.bytes = w->room};
    while (serve_drain(w->serve, world_now_us(w), &outgoing)) {
        if (outgoing.kind == OUTGOING_CONNECT)
            serve_closed(w->serve, world_now_us(w), outgoing.slot);
        if (outgoing.kind != OUTGOING_QUERY || count == SENT_MAX)
            continue;
        sent[count].slot = outgoing.slot;
        sent[count].len = outgoing.len;
        memcpy(sent[count++].bytes, outgoing.bytes, outgoing.len);
    }
    return count;
}

// The question of a reply is that of the query, but for the case of its name.
static bool is_asked(const uint8_t *reply, size_t len, const uint8_t *query, size_t name_len)
{
    uint8_t lower[NAME_MAX_LEN];
    size_t end = MESSAGE_HEADER_LEN + name_len;
    if (len < end + 4 || memcmp(reply + end, query + end, 4) != 0)
        return false;
    name_lower(lower, reply + MESSAGE_HEADER_LEN, name_len);
    return memcmp(lower, query + MESSAGE_HEADER_LEN, name_len) == 0;
}

// Replies with the given message, if it answers this query.
static bool given_reply(struct world *w, const struct sent *sent)
{
    static uint8_t reply[MESSAGE_LEN_MAX];
    size_t name_len = name_length(sent->bytes + MESSAGE_HEADER_LEN, sent->len - MESSAGE_HEADER_LEN);
    if (!w->given || !is_asked(w->given, w->given_len, sent->bytes, name_len))
        return false;
    memcpy(reply, w->given, w->given_len);
    memcpy(reply, sent->bytes, 2);
    memcpy(reply + MESSAGE_HEADER_LEN, sent->bytes + MESSAGE_HEADER_LEN, name_len);
    serve_reply(w->serve, world_now_us(w), sent->slot, reply, w->given_len);
    return true;
}

// Answers what the worker asks of its upstream until it asks no more.
static void drain(struct world *w)
{
    struct sent sent[SENT_MAX];
    uint8_t reply[UPSTREAM_REPLY_MAX];
    unsigned count = drain_once(w, sent, 0);
    while (count > 0) {
        const struct sent *last = &sent[--count];
        if (!given_reply(w, last)) {
            size_t len = upstream_reply(w, last->bytes, last->len, reply);
            serve_reply(w->serve, world_now_us(w), last->slot, reply, len);
        }
        count = drain_once(w, sent, count);
    }
}

static void cookies_tell(struct world *w,
                         int tell(struct plane *plane, const struct cookie_source *source, bool on,
                                  uint64_t now_s, uint64_t *until_s))
{
    int error =
        tell(w->plane, &w->cookies, w->has_cookies, world_now_us(w) / 1000000, &w->cookies_until_s);
    assert(error == 0);
}

bool world_checks_cookies(const struct world *w)
{
    return w->has_cookies && world_now_us(w) / 1000000 < w->cookies_until_s;
}

void world_wait(struct world *w, uint64_t us)
{
    w->offset_ns += us * 1000;
    config_write(w);
    if (world_below(w, 4))
        cookies_tell(w, plane_cookies_renew);
    serve_expire(w->serve, world_now_us(w));
    drain(w);
}

void world_begin_again(struct world *w)
{
    struct serve_flush flush = {.what = FLUSH_ALL};
    while (serve_flush(w->serve, &flush, 64))
        ;
    w->stopped_us += FORGET_US;
    serve_expire(w->serve, w->stopped_us);
    drain(w);
}

static struct prefix prefix(const char *text)
{
    struct prefix prefix;
    bool parsed = prefix_parse(&prefix, text, strlen(text));
    assert(parsed);
    return prefix;
}

static struct prefix_list *list_of(struct world *w, unsigned list)
{
    struct prefix_list *lists[] = {&w->settings.access_allow, &w->settings.access_refuse,
                                   &w->settings.access_drop};
    return lists[list];
}

// Adds a prefix to a list, unless one of them has it.
static void prefix_add(struct world *w, unsigned list, struct prefix prefix)
{
    for (unsigned i = 0; i < 3; i++) {
        for (size_t j = 0; j < list_of(w, i)->count; j++) {
            if (memcmp(&w->lists[i][j], &prefix, sizeof prefix) == 0)
                return;
        }
    }
    w->lists[list][list_of(w, list)->count++] = prefix;
}

// A prefix with some of the clients of frame.c in it, or just beside them.
static struct prefix prefix_draw(struct world *w)
{
    bool ipv6 = world_below(w, 2);
    struct prefix prefix = {.ip = {192, 0, 2}, .family = ADDRESS_IPV4};
    if (ipv6)
        prefix = (struct prefix){.ip = {0x20, 1, 0xd, 0xb8, [7] = 7}, .family = ADDRESS_IPV6};
    unsigned most = ipv6 ? 128 : 32, len = most - world_below(w, world_below(w, 3) ? 8 : most);
    prefix.length = (uint8_t)len;
    prefix.ip[ipv6 ? 15 : 3] = (uint8_t)world_below(w, 256);
    if (world_below(w, 8) == 0)
        prefix.ip[world_below(w, ipv6 ? 16 : 4)] ^= (uint8_t)(1u << world_below(w, 8));
    for (unsigned bit = len; bit < most; bit++)
        prefix.ip[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
    return prefix;
}

static void lists_draw(struct world *w, unsigned count)
{
    for (unsigned i = 0; i < 3; i++)
        list_of(w, i)->count = 0;
    prefix_add(w, 0, prefix(world_below(w, 3) ? "192.0.2.0/24" : "0.0.0.0/0"));
    prefix_add(w, 0, prefix(world_below(w, 3) ? "2001:db8::/32" : "::/0"));
    prefix_add(w, 1, prefix("192.0.2.128/26"));
    for (unsigned i = 0; i < count; i++)
        prefix_add(w, world_below(w, 2) ? 0 : 1 + world_below(w, 2), prefix_draw(w));
}

static void settings_make(struct world *w)
{
    settings_init(&w->settings);
    w->settings.filter_rebind = true;
    w->settings.dns64_enable = world_below(w, 2);
    w->settings.upstream_random_case = w->settings.upstream_cookies = false;
    w->listen[0] = frame_server(false);
    w->listen[1] = frame_server(true);
    w->settings.server_listen = (struct address_list){w->listen, 2};
    for (unsigned i = 0; i < 3; i++)
        *list_of(w, i) = (struct prefix_list){w->lists[i], WORLD_PREFIXES};
    w->upstream =
        (struct endpoint){.address = {.ip = {127, 0, 0, 1}, .port = 53, .family = ADDRESS_IPV4}};
    forward_zone_init(&w->zone);
    w->zone.zone = (struct name){.len = 1};
    w->zone.to = (struct endpoint_list){&w->upstream, 1};
    w->settings.forward = (struct forward_zone_list){&w->zone, 1};
}

// Some of the names are local or blocked, and the cache must not answer for them. With `more`
// another one is blocked as well, so the rules are others.
static const struct local *local_make(struct world *w, bool more, void **memory)
{
    static const char *const blocked[] = {"blocked.example", "more.blocked.example"};
    struct local_draft draft;
    struct block_names names;
    uint64_t entries[2];
    size_t count = 1 + more;
    local_draft(&draft, 42);
    draft.size = (size_t)1 << 16;
    draft.bytes = take(draft.size);
    bool good = local_add_special(&draft, &w->settings);
    for (size_t i = 0; i < count; i++) {
        local_add_line(&draft, blocked[i], strlen(blocked[i]), false);
        good &= block_line_read(blocked[i], strlen(blocked[i]), false, draft.seed, &names) ==
                BLOCK_LINE_TAKEN;
        entries[i] = names.entries[0];
    }
    assert(good);
    struct local_making making = {.draft = &draft, .entries = entries, .entry_count = count};
    *memory = take(local_size(&making));
    const struct local *local = local_build(&making, *memory);
    free(draft.bytes);
    assert(local);
    return local;
}

void world_rules(struct world *w)
{
    w->rules ^= 1;
    serve_local(w->serve, w->local[w->rules]);
    config_write(w);
}

static void serve_make(struct world *w, void *region)
{
    int error = cache_format(&w->cache, region, w->region_size, SHARDS, w->random);
    assert(error == 0);
    settings_make(w);
    w->memory[0] = take(zone_table_size(&w->settings));
    w->memory[1] = take(access_size(&w->settings));
    const char *wrong = zone_table_build(&w->zone_table, w->memory[0], &w->settings);
    assert(!wrong);
    lists_draw(w, 0);
    access_build(&w->access, w->memory[1], &w->settings);
    w->cookies = (struct cookie_source){.keys = {"known to anybody"}, .count = 1};
    w->has_cookies = true;
    w->local[0] = local_make(w, false, &w->memory[4]);
    w->local[1] = local_make(w, true, &w->memory[5]);
    struct serve_config config = {
        .settings = &w->settings,
        .zone_table = &w->zone_table,
        .access = &w->access,
        .local = w->local[0],
        .cookies = &w->cookies,
        .cache = &w->cache,
        .counters = &w->counters,
        .worker_count = 1,
        .pending_max = 64,
        .source_ports_max = 64,
        .upstream_connections_max = 4,
    };
    w->memory[2] = take(serve_size(&config));
    w->serve = serve_init(w->memory[2], &config, world_now_us(w));
    w->out_size = SERVE_MESSAGE_ROOM;
    w->out = w->memory[3] = take(w->out_size);
    w->room = w->memory[6] = take(w->out_size);
}

static void plane_fill(struct world *w)
{
    uint64_t sum;
    w->config = plane_settings_config(&w->settings, w->serve->policy.generation, w->offset_ns);
    int error = program_attach(w->plane, w->mtu);
    error |= plane_settings_apply(w->plane, &w->settings, &w->config, &sum);
    assert(error == 0);
}

// The program forgets what it found in this tick where its clock is another.
void world_mtu(struct world *w, uint16_t mtu)
{
    w->mtu = mtu;
    w->offset_ns++;
    int error = program_attach(w->plane, mtu);
    assert(error == 0);
    config_write(w);
}

void world_clients(struct world *w)
{
    static const unsigned counts[] = {0, 1, 3, 8, 16, 17, 40};
    lists_draw(w, counts[world_below(w, sizeof counts / sizeof *counts)]);
    access_build(&w->access, w->memory[1], &w->settings);
    int error = plane_clients_fill(w->plane, &w->settings, &w->config);
    assert(error == 0);
    config_write(w);
}

void world_allow_all(struct world *w)
{
    for (unsigned i = 0; i < 3; i++)
        list_of(w, i)->count = 0;
    prefix_add(w, 0, prefix("0.0.0.0/0"));
    prefix_add(w, 0, prefix("::/0"));
    access_build(&w->access, w->memory[1], &w->settings);
    int error = plane_clients_fill(w->plane, &w->settings, &w->config);
    assert(error == 0);
    config_write(w);
}

void world_cookies(struct world *w, const struct cookie_source *source)
{
    w->has_cookies = source != NULL;
    if (source)
        w->cookies = *source;
    struct serve_update update = {
        .settings = &w->settings,
        .zone_table = &w->zone_table,
        .access = &w->access,
        .local = w->local[w->rules],
        .cookies = source ? &w->cookies : NULL,
    };
    serve_reload(w->serve, world_now_us(w), &update);
    config_write(w);
    cookies_tell(w, plane_cookies_fill);
}

bool world_allows(const struct world *w, const struct address *client)
{
    return access_check(&w->access, client) == ACCESS_ALLOW;
}

struct world *world_make(uint64_t seed, struct plane_options options,
                         char why[static PLANE_WHY_SIZE])
{
    return world_make_at(WORLD_START_S, seed, options, why);
}

struct world *world_make_at(uint64_t start_s, uint64_t seed, struct plane_options options,
                            char why[static PLANE_WHY_SIZE])
{
    struct world *w = take(sizeof *w);
    options.shard_count = SHARDS;
    w->random = seed;
    w->mtu = WORLD_MTU;
    w->region_size = SHARDS * options.shard_size;
    w->offset_ns = start_s * 1000000000 - program_now_ns();
    int error = plane_open(&w->plane, &options, why);
    void *region = error < 0 ? NULL : plane_region_map(w->plane);
    if (!region) {
        free(w);
        return NULL;
    }
    serve_make(w, region);
    plane_fill(w);
    cookies_tell(w, plane_cookies_fill);
    return w;
}

void world_free(struct world *w)
{
    munmap(w->cache.region, w->region_size);
    plane_close(w->plane);
    for (size_t i = 0; i < sizeof w->memory / sizeof *w->memory; i++)
        free(w->memory[i]);
    free(w);
}

size_t world_name(const struct world *w, unsigned number, uint8_t out[static NAME_MAX_LEN])
{
    struct name name;
    char text[300];
    static const char *const forms[] = {
        "n%u.example",    "n%u.blocked.example",
        "n%u.nx.example", "w%u.a-rather-long-label-of-a-name.in.some.zone.example",
        "%u.localhost",   "home.arpa"};
    // Octets that differ from others as letters do from those in upper case, and others.
    static const uint8_t octets[] = {'@',  '`',  '[',  '{', 0,    0x20,
                                     0xc1, 0xe1, 0xff, '.', '\\', 0x7f};
    unsigned form = number % 16 < 12 ? number % 4 : number % 16 < 14 ? number % 16 - 8 : 0;
    int len = snprintf(text, sizeof text, forms[form], number); // NOLINT: a table of formats
    (void)w;
    if (number % 50 == 49) { // as long as a name can be, and what is near it
        len = 0;
        for (unsigned i = 0; i < 3; i++)
            len += snprintf(text + len, sizeof text - (size_t)len, "%060u.", number);
        len += snprintf(text + len, sizeof text - (size_t)len, "%0*u", (int)(40 + number / 20),
                        number);
    }
    bool parsed = number == 0 ? name_parse(&name, ".", 1) : name_parse(&name, text, (size_t)len);
    assert(parsed);
    if (number % 16 == 15)
        name.bytes[1] = octets[number / 16 % sizeof octets];
    memcpy(out, name.bytes, name.len);
    return name.len;
}

int world_run(struct world *w, uint8_t *frame, size_t *len)
{
    return program_run(w->plane, frame, len, WORLD_FRAME_MAX);
}

struct serve_item world_ask(struct world *w, const struct client *client, const uint8_t *query,
                            size_t len)
{
    struct serve_item item = {.client = *client, .in = query, .in_len = (uint16_t)len};
    (void)serve_queries(w->serve, world_now_us(w), &item, 1, w->out, w->out_size);
    drain(w);
    return item;
}

uint32_t world_turn(const struct world *w)
{
    return w->serve->turn;
}

void world_turn_set(struct world *w, uint32_t turn)
{
    program_turn_set(w->plane, turn);
}
